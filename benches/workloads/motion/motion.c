/* motion: codes a film that it draws itself.
 *
 * Stands for SPEC's x264. A camera moves over textured ground, things cross the
 * picture, scenes change, and there is grain. Every picture is coded in macroblocks:
 * hexagon search for motion by sums of absolute differences, refinement to quarters of
 * a pixel by Hadamard costs on six-tap filtered planes, whole or split blocks or a
 * prediction from the neighbours, integer cosine transforms of 4x4 or 8x8,
 * quantization, zigzag runs and levels in Exp-Golomb code. A simple rate control moves
 * the quantizer.
 *
 * Time goes into loops over bytes (differences, filters, averages), which a native
 * compiler turns into vectors, and into small integer transforms. One step is one
 * picture. Sizes differ in the size and the number of pictures.
 *
 * Each picture is decoded again from its bits: the decoder must arrive at the very same
 * pixels, and the error against the film must be small. */
#include "coder.h"

enum { SCENE = 48 }; /* pictures between cuts; each scene begins with a key picture */

struct totals {
    uint64_t bits, squares, pixels, quantizers, keys;
};

/* The sum of the squared errors; fails if the two reconstructions differ. */
static uint64_t compare_pictures(const struct picture *source, const struct picture *coded,
                                 const struct picture *decoded) {
    uint64_t squares = 0;
    for (int32_t y = 0; y < source->height; y++) {
        const uint8_t *s = pixel(source, 0, y), *c = pixel(coded, 0, y);
        if (memcmp(c, pixel(decoded, 0, y), (size_t)source->width) != 0) {
            workload_fail("the decoder arrives at another picture");
        }
        for (int32_t x = 0; x < source->width; x++) {
            int32_t error = s[x] - c[x];
            squares += (uint32_t)(error * error);
        }
    }
    return squares;
}

struct studio {
    struct film film;
    struct picture source, buffers[2], decoded;
    struct coder encoder, decoder;
    uint32_t quantizer;
};

static void studio_make(struct studio *s, int32_t width, int32_t height) {
    film_begin(&s->film, width, height);
    picture_make(&s->source, width, height);
    picture_make(&s->buffers[0], width, height);
    picture_make(&s->buffers[1], width, height);
    picture_make(&s->decoded, width, height);
    coder_make(&s->encoder, width, height);
    coder_make(&s->decoder, width, height);
    s->quantizer = 28;
}

static void studio_free(struct studio *s) {
    picture_free(&s->source);
    picture_free(&s->buffers[0]);
    picture_free(&s->buffers[1]);
    picture_free(&s->decoded);
    coder_free(&s->encoder);
    coder_free(&s->decoder);
}

static void code_picture(struct studio *s, uint32_t number, struct totals *t, struct workload *w) {
    struct coder *e = &s->encoder, *d = &s->decoder;
    if (number > 0 && number % SCENE == 0) film_cut(&s->film);
    film_next(&s->film, &s->source);
    e->key = number % SCENE == 0;
    e->picture = &s->buffers[number & 1];
    e->reference = &s->buffers[(number & 1) ^ 1];
    e->quantizer = s->quantizer;
    encode_picture(e, &s->source);

    d->key = e->key;
    d->picture = &s->decoded;
    d->reference = e->reference;
    d->quantizer = e->quantizer;
    memcpy(d->bits.bytes, e->bits.bytes, (e->bits.count + 7) / 8);
    decode_picture(d);
    if (d->bits.count != e->bits.count) workload_fail("the decoder leaves bits over");
    uint64_t squares = compare_pictures(&s->source, e->picture, &s->decoded);
    uint64_t pixels = (uint64_t)(s->source.width * s->source.height);
    if (squares > pixels * 150) workload_fail("a picture came out badly");
    picture_finish(e->picture);

    t->bits += e->bits.count;
    t->squares += squares;
    t->pixels += pixels;
    t->quantizers += e->quantizer;
    t->keys += e->key;
    workload_hash_bytes(w, e->bits.bytes, e->bits.count / 8);
    workload_hash(w, squares);
    /* A third of a bit for a pixel. */
    uint32_t wanted = (uint32_t)pixels / 3;
    if (!e->key && e->bits.count > wanted + wanted / 8 && s->quantizer < 36) s->quantizer++;
    if (!e->key && e->bits.count < wanted - wanted / 8 && s->quantizer > 18) s->quantizer--;
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    int32_t width = (int32_t)workload_pick(&w, 144, 352, 704);
    int32_t height = (int32_t)workload_pick(&w, 112, 288, 576);
    uint32_t pictures = workload_pick(&w, 40, 144, 340);
    struct studio *s = workload_allocate(1, sizeof *s);
    struct totals t = {0};
    transform_tables();
    studio_make(s, width, height);
    for (uint32_t i = 0; i < pictures; i++) {
        code_picture(s, i, &t, &w);
        workload_step(&w);
    }
    printf("%u pictures of %d x %d, %u of them key pictures\n", pictures, (int)width, (int)height,
           (unsigned)t.keys);
    printf("%" PRIu64 " bits, %" PRIu64 " thousandths of a bit for a pixel, mean squared error "
           "%" PRIu64 ".%02" PRIu64 ", quantizer %" PRIu64 "\n",
           t.bits, t.bits * 1000 / t.pixels, t.squares / t.pixels, t.squares * 100 / t.pixels % 100,
           t.quantizers / pictures);
    studio_free(s);
    free(s);
    return workload_end(&w);
}
