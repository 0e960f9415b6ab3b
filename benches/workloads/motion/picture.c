/* Planes between pixels, and the making of the film. */
#include "picture.h"

void picture_make(struct picture *p, int32_t width, int32_t height) {
    p->width = width;
    p->height = height;
    p->stride = width + 2 * BORDER;
    size_t size = (size_t)p->stride * (size_t)(height + 2 * BORDER);
    p->memory = workload_allocate(size, 4);
    p->filtered = workload_allocate(size, sizeof(int16_t));
    for (uint32_t i = 0; i < 4; i++) {
        p->planes[i] = p->memory + i * size + BORDER * p->stride + BORDER;
    }
}

void picture_free(struct picture *p) {
    free(p->memory);
    free(p->filtered);
}

static void extend(struct picture *p) {
    for (int32_t y = 0; y < p->height; y++) {
        uint8_t *row = pixel(p, 0, y);
        memset(row - BORDER, row[0], BORDER);
        memset(row + p->width, row[p->width - 1], BORDER);
    }
    for (int32_t y = 1; y <= BORDER; y++) {
        memcpy(pixel(p, -BORDER, -y), pixel(p, -BORDER, 0), (size_t)p->stride);
        memcpy(pixel(p, -BORDER, p->height - 1 + y), pixel(p, -BORDER, p->height - 1),
               (size_t)p->stride);
    }
}

/* Six taps around the middle between c and d. */
static inline int32_t tap(int32_t a, int32_t b, int32_t c, int32_t d, int32_t e, int32_t f) {
    return a + f - 5 * (b + e) + 20 * (c + d);
}

static void filter_across(struct picture *p, int32_t y) {
    const uint8_t *s = pixel(p, 0, y);
    uint8_t *half = p->planes[1] + y * p->stride;
    int16_t *kept = p->filtered + (y + BORDER) * p->stride + BORDER;
    for (int32_t x = 2 - BORDER; x < p->width + BORDER - 3; x++) {
        int32_t sum = tap(s[x - 2], s[x - 1], s[x], s[x + 1], s[x + 2], s[x + 3]);
        kept[x] = (int16_t)sum;
        half[x] = clip_pixel((sum + 16) >> 5);
    }
}

static void filter_down(struct picture *p, int32_t y) {
    int32_t n = p->stride;
    const uint8_t *s = pixel(p, 0, y);
    const int16_t *k = p->filtered + (y + BORDER) * n + BORDER;
    uint8_t *half = p->planes[2] + y * n, *both = p->planes[3] + y * n;
    for (int32_t x = 2 - BORDER; x < p->width + BORDER - 3; x++) {
        int32_t sum = tap(s[x - 2 * n], s[x - n], s[x], s[x + n], s[x + 2 * n], s[x + 3 * n]);
        half[x] = clip_pixel((sum + 16) >> 5);
        sum = tap(k[x - 2 * n], k[x - n], k[x], k[x + n], k[x + 2 * n], k[x + 3 * n]);
        both[x] = clip_pixel((sum + 512) >> 10);
    }
}

void picture_finish(struct picture *p) {
    extend(p);
    for (int32_t y = -BORDER; y < p->height + BORDER; y++) filter_across(p, y);
    for (int32_t y = 2 - BORDER; y < p->height + BORDER - 3; y++) filter_down(p, y);
}

/* ---- the film ---- */

/* Smooth noise of one scale, added to the ground. */
static void add_octave(struct film *f, uint32_t cell, int32_t amplitude) {
    uint32_t side = GROUND / cell;
    int16_t *lattice = workload_allocate((size_t)side * side, sizeof(int16_t));
    for (uint32_t i = 0; i < side * side; i++) {
        lattice[i] = (int16_t)((int32_t)random_below(&f->random, 2 * (uint32_t)amplitude + 1) - amplitude);
    }
    for (uint32_t y = 0; y < GROUND; y++) {
        for (uint32_t x = 0; x < GROUND; x++) {
            uint32_t left = x / cell, right = (left + 1) % side, top = y / cell;
            uint32_t bottom = (top + 1) % side;
            int32_t u = (int32_t)(x % cell), v = (int32_t)(y % cell), c = (int32_t)cell;
            int32_t above = lattice[top * side + left] * (c - u) + lattice[top * side + right] * u;
            int32_t below = lattice[bottom * side + left] * (c - u) + lattice[bottom * side + right] * u;
            uint8_t *g = &f->ground[y * GROUND + x];
            *g = clip_pixel(*g + (above * (c - v) + below * v) / (c * c));
        }
    }
    free(lattice);
}

void film_begin(struct film *f, int32_t width, int32_t height) {
    f->random.state = UINT64_C(0xf11a5eed);
    f->width = width;
    f->height = height;
    memset(f->ground, 118, sizeof f->ground);
    add_octave(f, 128, 60);
    add_octave(f, 32, 45);
    add_octave(f, 8, 30);
    add_octave(f, 2, 12);
    film_cut(f);
}

static int32_t between(struct film *f, int32_t least, int32_t most) {
    return least + (int32_t)random_below(&f->random, (uint32_t)(most - least + 1));
}

void film_cut(struct film *f) {
    f->x = between(f, 0, GROUND * 16);
    f->y = between(f, 0, GROUND * 16);
    f->dx = between(f, -40, 40);
    f->dy = between(f, -20, 20);
    f->light = between(f, 200, 256);
    f->dimmer = between(f, -2, 2);
    for (uint32_t i = 0; i < THINGS; i++) {
        struct thing *t = &f->things[i];
        t->x = between(f, 0, f->width * 16);
        t->y = between(f, 0, f->height * 16);
        t->dx = between(f, -90, 90);
        t->dy = between(f, -60, 60);
        t->radius = between(f, f->height / 16, f->height / 5);
        t->texture = random_below(&f->random, GROUND * GROUND);
    }
}

/* The ground at a point given in 1/16 pixels. */
static int32_t ground_at(const struct film *f, uint32_t x, uint32_t y) {
    uint32_t column = x / 16 % GROUND, row = y / 16 % GROUND;
    uint32_t right = (column + 1) % GROUND, below = (row + 1) % GROUND;
    int32_t u = (int32_t)(x % 16), v = (int32_t)(y % 16);
    const uint8_t *upper = f->ground + row * GROUND, *lower = f->ground + below * GROUND;
    return ((upper[column] * (16 - u) + upper[right] * u) * (16 - v) +
            (lower[column] * (16 - u) + lower[right] * u) * v + 128) >> 8;
}

static void draw_thing(const struct film *f, const struct thing *t, struct picture *p) {
    int32_t r = t->radius, left = t->x / 16 - r, top = t->y / 16 - r;
    for (int32_t y = top < 0 ? 0 : top; y < top + 2 * r && y < f->height; y++) {
        for (int32_t x = left < 0 ? 0 : left; x < left + 2 * r && x < f->width; x++) {
            int32_t u = x - left - r, v = y - top - r;
            if (u * u + v * v >= r * r) continue;
            /* The texture moves with the thing, to the fraction of a pixel. */
            uint32_t at_x = (uint32_t)(x * 16 - t->x + GROUND * 64) + t->texture % GROUND * 16;
            uint32_t at_y = (uint32_t)(y * 16 - t->y + GROUND * 64) + t->texture / GROUND * 16;
            int32_t value = 255 - ground_at(f, at_x, at_y) - (u * u + v * v) * 60 / (r * r);
            *pixel(p, x, y) = clip_pixel(value);
        }
    }
}

static void move_thing(const struct film *f, struct thing *t) {
    t->x += t->dx;
    t->y += t->dy;
    if (t->x < 0 || t->x > f->width * 16) t->dx = -t->dx;
    if (t->y < 0 || t->y > f->height * 16) t->dy = -t->dy;
}

void film_next(struct film *f, struct picture *p) {
    for (int32_t y = 0; y < f->height; y++) {
        uint8_t *row = pixel(p, 0, y);
        for (int32_t x = 0; x < f->width; x++) {
            row[x] = (uint8_t)ground_at(f, (uint32_t)(f->x + x * 16), (uint32_t)(f->y + y * 16));
        }
    }
    for (uint32_t i = 0; i < THINGS; i++) {
        draw_thing(f, &f->things[i], p);
        move_thing(f, &f->things[i]);
    }
    for (int32_t y = 0; y < f->height; y++) {
        uint8_t *row = pixel(p, 0, y);
        uint32_t grain = 0;
        for (int32_t x = 0; x < f->width; x++) {
            if (x % 16 == 0) grain = random_next(&f->random);
            int32_t noise = (int32_t)(grain & 3) - 1; /* the film's grain */
            grain >>= 2;
            row[x] = clip_pixel((row[x] * f->light >> 8) + noise);
        }
    }
    f->x = (f->x + f->dx + GROUND * 16) % (GROUND * 16);
    f->y = (f->y + f->dy + GROUND * 16) % (GROUND * 16);
    f->light += f->dimmer;
    if (f->light < 180 || f->light > 256) f->dimmer = -f->dimmer;
}
