/* Pictures with a border and planes between the pixels; the film to be coded. */
#ifndef MOTION_PICTURE_H
#define MOTION_PICTURE_H

#include "../common/workload.h"

/* Blocks may lie REACH pixels outside of the picture; BORDER leaves room for filters. */
enum { BORDER = 32, REACH = 24 };

/* Plane 0 holds the pixels, 1 what lies half a pixel to the right of them, 2 half a
 * pixel below, 3 both. Pointers are to the pixel at 0, 0. */
struct picture {
    int32_t width, height, stride;
    uint8_t *planes[4];
    uint8_t *memory;
    int16_t *filtered; /* for make_planes */
};

static inline uint8_t clip_pixel(int32_t value) {
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static inline uint8_t *pixel(const struct picture *p, int32_t x, int32_t y) {
    return p->planes[0] + y * p->stride + x;
}

void picture_make(struct picture *p, int32_t width, int32_t height);
void picture_free(struct picture *p);
/* Extends plane 0 into the border and computes the other planes from it. */
void picture_finish(struct picture *p);

/* The film: a camera moves over a ground, things move over both. */
enum { GROUND = 512, THINGS = 7 };

struct thing {
    int32_t x, y, dx, dy; /* in 1/16 pixels */
    int32_t radius;
    uint32_t texture;     /* where on the ground its own texture lies */
};

struct film {
    struct random random;
    uint8_t ground[GROUND * GROUND];
    struct thing things[THINGS];
    int32_t x, y, dx, dy; /* the camera, in 1/16 pixels */
    int32_t light, dimmer;
    int32_t width, height;
};

void film_begin(struct film *f, int32_t width, int32_t height);
/* Another scene. */
void film_cut(struct film *f);
void film_next(struct film *f, struct picture *p);

#endif
