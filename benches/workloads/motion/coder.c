/* Prediction, reconstruction, the bit stream and the decoder. */
#include "coder.h"

void coder_make(struct coder *c, int32_t width, int32_t height) {
    c->field_stride = width / 8 + 2;
    c->field = workload_allocate((size_t)c->field_stride * (size_t)(height / 8 + 2), sizeof *c->field);
    c->bits.capacity = (uint32_t)(width * height) * 24;
    c->bits.bytes = workload_allocate(c->bits.capacity / 8, 1);
}

void coder_free(struct coder *c) {
    free(c->field);
    free(c->bits.bytes);
}

/* ---- vectors ---- */

static int16_t median(int16_t a, int16_t b, int16_t c) {
    int16_t low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

struct motion motion_guess(const struct coder *c, int32_t x, int32_t y, uint32_t quarter, bool whole) {
    int32_t column = x / 8 + (int32_t)(quarter & 1), row = y / 8 + (int32_t)(quarter >> 1);
    struct motion left = *motion_at(c, column - 1, row), above = *motion_at(c, column, row - 1);
    /* The last quarter's right neighbour is not known yet, nor what lies off the picture. */
    int32_t ahead = column + (whole ? 2 : 1);
    bool known = quarter != 3 && ahead < c->field_stride - 2;
    struct motion corner = *motion_at(c, known ? ahead : column - 1, row - 1);
    return (struct motion){median(left.x, above.x, corner.x), median(left.y, above.y, corner.y)};
}

void motion_note(const struct coder *c, int32_t x, int32_t y, const struct macroblock *m) {
    for (int32_t i = 0; i < 4; i++) {
        struct motion v = m->mode == MODE_INTRA ? (struct motion){0, 0} : m->motions[i];
        *motion_at(c, x / 8 + (i & 1), y / 8 + (i >> 1)) = v;
    }
}

/* ---- prediction ---- */

/* Where the sample with coordinates in halves of a pixel is. */
static const uint8_t *half_sample(const struct picture *p, int32_t x, int32_t y) {
    return p->planes[(y & 1) * 2 + (x & 1)] + (y >> 1) * p->stride + (x >> 1);
}

void predict_inter(const struct picture *p, int32_t x, int32_t y, struct motion v, int32_t size,
                   uint8_t *out) {
    int32_t column = x * 4 + v.x, row = y * 4 + v.y;
    const uint8_t *a = half_sample(p, column >> 1, row >> 1);
    if (!((column | row) & 1)) {
        for (int32_t i = 0; i < size; i++) memcpy(out + i * MACROBLOCK, a + i * p->stride, (size_t)size);
        return;
    }
    const uint8_t *b = half_sample(p, (column + 1) >> 1, (row + 1) >> 1);
    for (int32_t i = 0; i < size; i++, a += p->stride, b += p->stride, out += MACROBLOCK) {
        for (int32_t k = 0; k < size; k++) out[k] = (uint8_t)((a[k] + b[k] + 1) >> 1);
    }
}

static void predict_mean(const struct picture *p, int32_t x, int32_t y, uint8_t *out) {
    int32_t sum = 0, count = 0;
    for (int32_t i = 0; i < MACROBLOCK; i++) {
        if (y > 0) sum += *pixel(p, x + i, y - 1);
        if (x > 0) sum += *pixel(p, x - 1, y + i);
        count += (y > 0) + (x > 0);
    }
    memset(out, count ? (sum + count / 2) / count : 128, PIXELS);
}

/* A slope fitted to the pixels above and to the left. */
static void predict_plane(const struct picture *p, int32_t x, int32_t y, uint8_t *out) {
    int32_t across = 0, down = 0, sum = 0;
    for (int32_t i = 0; i < MACROBLOCK; i++) {
        int32_t above = *pixel(p, x + i, y - 1), left = *pixel(p, x - 1, y + i);
        across += (2 * i - 15) * above;
        down += (2 * i - 15) * left;
        sum += above + left;
    }
    /* The squares of the 16 weights sum up to 1360. */
    for (int32_t row = 0; row < MACROBLOCK; row++) {
        for (int32_t column = 0; column < MACROBLOCK; column++) {
            int32_t slope = across * (2 * column - 15) + down * (2 * row - 15);
            out[row * MACROBLOCK + column] = clip_pixel(sum / 32 + slope / 1360);
        }
    }
}

void predict_intra(const struct picture *p, int32_t x, int32_t y, enum intra mode, uint8_t *out) {
    if (mode == INTRA_DOWN && y > 0) {
        for (int32_t i = 0; i < MACROBLOCK; i++) memcpy(out + i * MACROBLOCK, pixel(p, x, y - 1), MACROBLOCK);
    } else if (mode == INTRA_ACROSS && x > 0) {
        for (int32_t i = 0; i < MACROBLOCK; i++) memset(out + i * MACROBLOCK, *pixel(p, x - 1, y + i), MACROBLOCK);
    } else if (mode == INTRA_PLANE && x > 0 && y > 0) {
        predict_plane(p, x, y, out);
    } else {
        predict_mean(p, x, y, out);
    }
}

void predict(const struct coder *c, const struct macroblock *m, int32_t x, int32_t y, uint8_t *out) {
    switch (m->mode) {
    case MODE_INTRA:
        predict_intra(c->picture, x, y, m->intra, out);
        break;
    case MODE_INTER:
        predict_inter(c->reference, x, y, m->motions[0], MACROBLOCK, out);
        break;
    default:
        for (int32_t i = 0; i < 4; i++) {
            int32_t column = (i & 1) * 8, row = (i >> 1) * 8;
            predict_inter(c->reference, x + column, y + row, m->motions[i], 8,
                          out + row * MACROBLOCK + column);
        }
    }
}

static bool all_zero(const int16_t *levels, int32_t count) {
    int32_t any = 0;
    for (int32_t i = 0; i < count; i++) any |= levels[i];
    return any == 0;
}

void reconstruct(const struct coder *c, const struct macroblock *m, int32_t x, int32_t y,
                 const uint8_t *predicted) {
    int32_t n = m->large ? 8 : 4, per_row = MACROBLOCK / n;
    for (int32_t i = 0; i < per_row * per_row; i++) {
        int32_t column = i % per_row * n, row = i / per_row * n;
        int16_t difference[64] = {0};
        const int16_t *levels = m->levels + i * n * n;
        if (!all_zero(levels, n * n)) block_inverse(levels, (uint32_t)n, difference, c->quantizer);
        for (int32_t k = 0; k < n; k++) {
            uint8_t *out = pixel(c->picture, x + column, y + row + k);
            const uint8_t *from = predicted + (row + k) * MACROBLOCK + column;
            for (int32_t j = 0; j < n; j++) out[j] = clip_pixel(from[j] + difference[k * n + j]);
        }
    }
}

/* ---- bits ---- */

uint32_t unsigned_bits(uint32_t value) {
    return 2 * (31 - (uint32_t)__builtin_clz(value + 1)) + 1;
}

static uint32_t fold_sign(int32_t value) {
    return value > 0 ? 2 * (uint32_t)value - 1 : 2 * (uint32_t)-value;
}

uint32_t signed_bits(int32_t value) { return unsigned_bits(fold_sign(value)); }

static void put_bits(struct bits *b, uint32_t value, uint32_t count) {
    if (b->count + count > b->capacity) workload_fail("a picture takes too many bits");
    while (count > 0) {
        uint32_t at = b->count & 7, room = 8 - at, now = count < room ? count : room;
        uint32_t part = value >> (count - now) & ((1u << now) - 1);
        uint8_t *byte = &b->bytes[b->count >> 3];
        *byte = (uint8_t)((at == 0 ? 0 : *byte) | part << (room - now));
        b->count += now;
        count -= now;
    }
}

void put_unsigned(struct bits *b, uint32_t value) {
    uint32_t digits = 32 - (uint32_t)__builtin_clz(value + 1);
    put_bits(b, 0, digits - 1);
    put_bits(b, value + 1, digits);
}

void put_signed(struct bits *b, int32_t value) { put_unsigned(b, fold_sign(value)); }

static uint32_t get_bit(struct bits *b) {
    if (b->count >= b->capacity) workload_fail("a picture ends too early");
    uint32_t bit = b->bytes[b->count >> 3] >> (7 - (b->count & 7)) & 1;
    b->count++;
    return bit;
}

uint32_t get_unsigned(struct bits *b) {
    uint32_t zeros = 0, value = 1;
    while (!get_bit(b)) {
        if (++zeros > 24) workload_fail("a number in a picture is too long");
    }
    for (; zeros > 0; zeros--) value = value << 1 | get_bit(b);
    return value - 1;
}

int32_t get_signed(struct bits *b) {
    uint32_t folded = get_unsigned(b);
    return folded & 1 ? (int32_t)(folded / 2 + 1) : -(int32_t)(folded / 2);
}

/* ---- macroblocks in the stream ---- */

uint32_t levels_bits(const int16_t *levels, uint32_t count, uint32_t nonzero) {
    uint32_t bits = unsigned_bits(nonzero), run = 0;
    for (uint32_t i = 0; i < count && nonzero > 0; i++) {
        if (levels[i] == 0) {
            run++;
            continue;
        }
        bits += unsigned_bits(run) + signed_bits(levels[i]);
        run = 0;
        nonzero--;
    }
    return bits;
}

/* The number of levels that are not 0, then each with the run of zeros before it. */
static void write_levels(struct bits *b, const int16_t *levels, uint32_t count) {
    uint32_t nonzero = 0, run = 0;
    for (uint32_t i = 0; i < count; i++) nonzero += levels[i] != 0;
    put_unsigned(b, nonzero);
    for (uint32_t i = 0; i < count && nonzero > 0; i++) {
        if (levels[i] == 0) {
            run++;
            continue;
        }
        put_unsigned(b, run);
        put_signed(b, levels[i]);
        run = 0;
        nonzero--;
    }
}

static void read_levels(struct bits *b, int16_t *levels, uint32_t count) {
    uint32_t at = 0;
    for (uint32_t nonzero = get_unsigned(b); nonzero > 0; nonzero--) {
        at += get_unsigned(b);
        if (at >= count) workload_fail("a block has too many levels");
        levels[at++] = (int16_t)get_signed(b);
    }
}

void write_macroblock(struct coder *c, const struct macroblock *m, int32_t x, int32_t y) {
    struct bits *b = &c->bits;
    put_unsigned(b, m->mode);
    if (m->mode == MODE_INTRA) {
        put_unsigned(b, m->intra);
    } else {
        for (uint32_t i = 0; i < (m->mode == MODE_SPLIT ? 4u : 1u); i++) {
            struct motion guess = motion_guess(c, x, y, i, m->mode == MODE_INTER);
            put_signed(b, m->motions[i].x - guess.x);
            put_signed(b, m->motions[i].y - guess.y);
            *motion_at(c, x / 8 + (int32_t)(i & 1), y / 8 + (int32_t)(i >> 1)) = m->motions[i];
        }
    }
    motion_note(c, x, y, m);
    bool empty = all_zero(m->levels, PIXELS);
    put_unsigned(b, empty ? 0 : m->large ? 1 : 2);
    uint32_t size = m->large ? 64 : 16;
    for (uint32_t i = 0; i < PIXELS && !empty; i += size) write_levels(b, m->levels + i, size);
}

static void read_macroblock(struct coder *c, struct macroblock *m, int32_t x, int32_t y) {
    struct bits *b = &c->bits;
    memset(m, 0, sizeof *m);
    uint32_t mode = get_unsigned(b);
    if (mode >= MODES) workload_fail("a macroblock has an unknown mode");
    m->mode = (enum mode)mode;
    if (m->mode == MODE_INTRA) {
        m->intra = (enum intra)(get_unsigned(b) % INTRAS);
    } else {
        for (uint32_t i = 0; i < (m->mode == MODE_SPLIT ? 4u : 1u); i++) {
            struct motion guess = motion_guess(c, x, y, i, m->mode == MODE_INTER);
            m->motions[i].x = (int16_t)(guess.x + get_signed(b));
            m->motions[i].y = (int16_t)(guess.y + get_signed(b));
            *motion_at(c, x / 8 + (int32_t)(i & 1), y / 8 + (int32_t)(i >> 1)) = m->motions[i];
        }
        for (uint32_t i = 1; i < 4 && m->mode == MODE_INTER; i++) m->motions[i] = m->motions[0];
    }
    motion_note(c, x, y, m);
    uint32_t blocks = get_unsigned(b);
    m->large = blocks == 1;
    uint32_t size = m->large ? 64 : 16;
    for (uint32_t i = 0; i < PIXELS && blocks > 0; i += size) read_levels(b, m->levels + i, size);
}

void decode_picture(struct coder *c) {
    struct macroblock m;
    uint8_t predicted[PIXELS];
    c->bits.count = 0;
    for (int32_t y = 0; y < c->picture->height; y += MACROBLOCK) {
        for (int32_t x = 0; x < c->picture->width; x += MACROBLOCK) {
            read_macroblock(c, &m, x, y);
            predict(c, &m, x, y, predicted);
            reconstruct(c, &m, x, y, predicted);
        }
    }
}
