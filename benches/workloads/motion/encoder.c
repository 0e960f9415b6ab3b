/* The encoder's choices: vectors, modes and transforms. */
#include "coder.h"

enum { HEXAGON_STEPS = 16, COST_NEVER = 1 << 28 };

/* ---- how different two blocks are ---- */

static inline uint32_t absolute_differences(const uint8_t *a, int32_t a_stride, const uint8_t *b,
                                            int32_t b_stride, int32_t size) {
    uint32_t sum = 0;
    for (int32_t y = 0; y < size; y++, a += a_stride, b += b_stride) {
        for (int32_t x = 0; x < size; x++) sum += (uint32_t)(a[x] > b[x] ? a[x] - b[x] : b[x] - a[x]);
    }
    return sum;
}

typedef uint32_t compare_blocks(const uint8_t *a, int32_t a_stride, const uint8_t *b, int32_t b_stride);

static uint32_t differences_8(const uint8_t *a, int32_t a_stride, const uint8_t *b, int32_t b_stride) {
    return absolute_differences(a, a_stride, b, b_stride, 8);
}

static uint32_t differences_16(const uint8_t *a, int32_t a_stride, const uint8_t *b, int32_t b_stride) {
    return absolute_differences(a, a_stride, b, b_stride, 16);
}

/* The sum of a 4x4 Hadamard transform of the differences: nearer to the bits they cost. */
static uint32_t hadamard_4(const uint8_t *a, int32_t a_stride, const uint8_t *b, int32_t b_stride) {
    int32_t t[4][4];
    uint32_t sum = 0;
    for (int32_t i = 0; i < 4; i++, a += a_stride, b += b_stride) {
        int32_t d0 = a[0] - b[0], d1 = a[1] - b[1], d2 = a[2] - b[2], d3 = a[3] - b[3];
        int32_t s01 = d0 + d1, m01 = d0 - d1, s23 = d2 + d3, m23 = d2 - d3;
        t[0][i] = s01 + s23;
        t[1][i] = s01 - s23;
        t[2][i] = m01 - m23;
        t[3][i] = m01 + m23;
    }
    for (int32_t i = 0; i < 4; i++) {
        int32_t s01 = t[i][0] + t[i][1], m01 = t[i][0] - t[i][1];
        int32_t s23 = t[i][2] + t[i][3], m23 = t[i][2] - t[i][3];
        sum += (uint32_t)abs(s01 + s23) + (uint32_t)abs(s01 - s23);
        sum += (uint32_t)abs(m01 - m23) + (uint32_t)abs(m01 + m23);
    }
    return sum / 2;
}

static uint32_t hadamard(const uint8_t *a, int32_t a_stride, const uint8_t *b, int32_t b_stride,
                         int32_t size) {
    uint32_t sum = 0;
    for (int32_t y = 0; y < size; y += 4) {
        for (int32_t x = 0; x < size; x += 4) {
            sum += hadamard_4(a + y * a_stride + x, a_stride, b + y * b_stride + x, b_stride);
        }
    }
    return sum;
}

static uint32_t hadamard_8(const uint8_t *a, int32_t a_stride, const uint8_t *b, int32_t b_stride) {
    return hadamard(a, a_stride, b, b_stride, 8);
}

static uint32_t hadamard_16(const uint8_t *a, int32_t a_stride, const uint8_t *b, int32_t b_stride) {
    return hadamard(a, a_stride, b, b_stride, 16);
}

/* ---- the search for vectors ---- */

struct search {
    const struct coder *coder;
    const struct picture *source;
    int32_t x, y, size;
    struct motion guess, best;
    uint32_t cost, lambda;
    compare_blocks *coarse, *fine;
};

static uint32_t vector_cost(const struct search *s, struct motion v) {
    return s->lambda * (signed_bits(v.x - s->guess.x) + signed_bits(v.y - s->guess.y));
}

static bool in_reach(const struct search *s, struct motion v) {
    const struct picture *p = s->source;
    int32_t x = s->x * 4 + v.x, y = s->y * 4 + v.y;
    return x >= -REACH * 4 && y >= -REACH * 4 && x <= (p->width - s->size + REACH) * 4 &&
           y <= (p->height - s->size + REACH) * 4;
}

/* Takes a vector to a whole pixel if it is better than the best so far. */
static bool try_whole(struct search *s, struct motion v) {
    if (!in_reach(s, v)) return false;
    const struct picture *r = s->coder->reference;
    uint32_t cost = vector_cost(s, v);
    if (cost >= s->cost) return false;
    cost += s->coarse(pixel(s->source, s->x, s->y), s->source->stride,
                      pixel(r, s->x + v.x / 4, s->y + v.y / 4), r->stride);
    if (cost >= s->cost) return false;
    s->cost = cost;
    s->best = v;
    return true;
}

static bool try_between(struct search *s, struct motion v) {
    uint8_t predicted[PIXELS];
    if (!in_reach(s, v)) return false;
    predict_inter(s->coder->reference, s->x, s->y, v, s->size, predicted);
    uint32_t cost = vector_cost(s, v) + s->fine(pixel(s->source, s->x, s->y), s->source->stride,
                                                predicted, MACROBLOCK);
    if (cost >= s->cost) return false;
    s->cost = cost;
    s->best = v;
    return true;
}

static struct motion rounded(struct motion v) {
    return (struct motion){(int16_t)((v.x + 2) >> 2), (int16_t)((v.y + 2) >> 2)};
}

static struct motion moved(struct motion v, const int8_t *by, int32_t scale) {
    return (struct motion){(int16_t)(v.x + by[0] * scale), (int16_t)(v.y + by[1] * scale)};
}

static const int8_t hexagon[6][2] = {{-2, 0}, {-1, 2}, {1, 2}, {2, 0}, {1, -2}, {-1, -2}};
static const int8_t square[8][2] = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}, {-1, -1}, {1, -1}, {-1, 1}, {1, 1}};

static void search_whole(struct search *s, const struct motion *starts, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct motion v = rounded(starts[i]);
        try_whole(s, (struct motion){(int16_t)(v.x * 4), (int16_t)(v.y * 4)});
    }
    bool better = true;
    for (uint32_t step = 0; step < HEXAGON_STEPS && better; step++) {
        struct motion centre = s->best;
        better = false;
        for (uint32_t i = 0; i < 6; i++) better |= try_whole(s, moved(centre, hexagon[i], 4));
    }
    struct motion centre = s->best;
    for (uint32_t i = 0; i < 8; i++) try_whole(s, moved(centre, square[i], 4));
}

static void search_between(struct search *s) {
    struct motion start = s->best;
    s->cost = COST_NEVER;
    try_between(s, start);
    for (int32_t scale = 2; scale > 0; scale--) {
        for (uint32_t step = 0; step < 2; step++) {
            struct motion centre = s->best;
            bool better = false;
            /* Diamonds of halves, then the full square of quarters. */
            uint32_t directions = scale == 2 || step == 0 ? 4 : 8;
            for (uint32_t i = 0; i < directions; i++) better |= try_between(s, moved(centre, square[i], scale));
            if (!better) break;
        }
    }
}

static struct search search_block(const struct coder *c, const struct picture *source, int32_t x,
                                  int32_t y, int32_t size, struct motion guess, struct motion hint) {
    struct search s = {.coder = c, .source = source, .x = x, .y = y, .size = size, .guess = guess};
    s.cost = COST_NEVER;
    s.lambda = 1 + (1u << c->quantizer / 6) / 4;
    s.coarse = size == 16 ? differences_16 : differences_8;
    s.fine = size == 16 ? hadamard_16 : hadamard_8;
    int32_t column = x / 8, row = y / 8;
    /* The field still holds the last picture's vectors where it was not overwritten. */
    struct motion starts[] = {{0, 0}, guess, hint, *motion_at(c, column - 1, row),
                              *motion_at(c, column, row - 1), *motion_at(c, column, row)};
    search_whole(&s, starts, sizeof starts / sizeof starts[0]);
    search_between(&s);
    return s;
}

/* ---- the choice of a mode ---- */

/* Returns the cost. */
static uint32_t choose_inter(struct coder *c, const struct picture *source, int32_t x, int32_t y,
                             struct macroblock *m) {
    struct motion old[4];
    for (int32_t i = 0; i < 4; i++) old[i] = *motion_at(c, x / 8 + (i & 1), y / 8 + (i >> 1));
    struct search whole = search_block(c, source, x, y, 16, motion_guess(c, x, y, 0, true), old[3]);
    uint32_t limit = 16 * 16 * (1 + c->quantizer / 16);
    uint32_t split_cost = whole.lambda * 4;
    struct motion split[4];
    for (uint32_t i = 0; i < 4 && split_cost < whole.cost && whole.cost > limit; i++) {
        int32_t column = (int32_t)(i & 1), row = (int32_t)(i >> 1);
        struct search s = search_block(c, source, x + column * 8, y + row * 8, 8,
                                       motion_guess(c, x, y, i, false), whole.best);
        split_cost += s.cost;
        split[i] = s.best;
        *motion_at(c, x / 8 + column, y / 8 + row) = s.best;
    }
    bool is_split = whole.cost > limit && split_cost < whole.cost;
    m->mode = is_split ? MODE_SPLIT : MODE_INTER;
    for (uint32_t i = 0; i < 4; i++) {
        m->motions[i] = is_split ? split[i] : whole.best;
        *motion_at(c, x / 8 + (int32_t)(i & 1), y / 8 + (int32_t)(i >> 1)) = old[i];
    }
    return is_split ? split_cost : whole.cost;
}

static uint32_t choose_intra(const struct coder *c, const struct picture *source, int32_t x, int32_t y,
                             struct macroblock *m) {
    uint8_t predicted[PIXELS];
    uint32_t best = COST_NEVER;
    for (uint32_t i = 0; i < INTRAS; i++) {
        predict_intra(c->picture, x, y, (enum intra)i, predicted);
        uint32_t cost = hadamard_16(pixel(source, x, y), source->stride, predicted, MACROBLOCK);
        if (cost >= best) continue;
        best = cost;
        m->intra = (enum intra)i;
    }
    return best + best / 16;
}

/* Transforms the differences with blocks of 4 or 8; returns the bits they take. */
static uint32_t transform_blocks(const int16_t *differences, int32_t n, int16_t *levels, uint32_t quantizer) {
    uint32_t bits = 0;
    for (int32_t y = 0; y < MACROBLOCK; y += n) {
        for (int32_t x = 0; x < MACROBLOCK; x += n, levels += n * n) {
            int16_t block[64];
            for (int32_t i = 0; i < n; i++) {
                memcpy(block + i * n, differences + (y + i) * MACROBLOCK + x, (size_t)n * sizeof *block);
            }
            uint32_t nonzero = block_forward(block, (uint32_t)n, levels, quantizer);
            bits += levels_bits(levels, (uint32_t)(n * n), nonzero);
        }
    }
    return bits;
}

static void encode_macroblock(struct coder *c, const struct picture *source, int32_t x, int32_t y) {
    struct macroblock m;
    struct macroblock intra = {.mode = MODE_INTRA};
    memset(&m, 0, sizeof m);
    uint32_t intra_cost = choose_intra(c, source, x, y, &intra);
    if (c->key || choose_inter(c, source, x, y, &m) > intra_cost) m = intra;
    uint8_t predicted[PIXELS];
    int16_t differences[PIXELS], small[PIXELS];
    predict(c, &m, x, y, predicted);
    for (int32_t row = 0; row < MACROBLOCK; row++) {
        const uint8_t *s = pixel(source, x, y + row);
        for (int32_t column = 0; column < MACROBLOCK; column++) {
            int32_t at = row * MACROBLOCK + column;
            differences[at] = (int16_t)(s[column] - predicted[at]);
        }
    }
    uint32_t large_bits = transform_blocks(differences, 8, m.levels, c->quantizer);
    m.large = large_bits <= transform_blocks(differences, 4, small, c->quantizer);
    if (!m.large) memcpy(m.levels, small, sizeof small);
    write_macroblock(c, &m, x, y);
    reconstruct(c, &m, x, y, predicted);
}

void encode_picture(struct coder *c, const struct picture *source) {
    c->bits.count = 0;
    for (int32_t y = 0; y < source->height; y += MACROBLOCK) {
        for (int32_t x = 0; x < source->width; x += MACROBLOCK) encode_macroblock(c, source, x, y);
    }
}
