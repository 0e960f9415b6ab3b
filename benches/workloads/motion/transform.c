/* The transform is a matrix of integers close to the cosines, with rows of nearly equal
 * length, so that one quantizer step serves all frequencies. */
#include "transform.h"

uint8_t zigzag4[16], zigzag8[64];

static const int8_t matrix[8][8] = {
    {64, 64, 64, 64, 64, 64, 64, 64},     {89, 75, 50, 18, -18, -50, -75, -89},
    {83, 36, -36, -83, -83, -36, 36, 83}, {75, -18, -89, -50, 50, 89, 18, -75},
    {64, -64, -64, 64, 64, -64, -64, 64}, {50, -89, 18, 75, -75, -18, 89, -50},
    {36, -83, 83, -36, -36, 83, -83, 36}, {18, -50, 75, -89, 89, -75, 50, -18},
};

/* Steps double every six quantizers. */
static const int32_t scale_forward[6] = {26214, 23302, 20560, 18396, 16384, 14564};
static const int32_t scale_inverse[6] = {40, 45, 51, 57, 64, 72};

static void make_zigzag(uint8_t *zigzag, uint32_t n) {
    uint32_t count = 0;
    for (uint32_t diagonal = 0; diagonal < 2 * n - 1; diagonal++) {
        for (uint32_t i = 0; i <= diagonal; i++) {
            uint32_t row = diagonal & 1 ? i : diagonal - i, column = diagonal - row;
            if (row < n && column < n) zigzag[count++] = (uint8_t)(row * n + column);
        }
    }
}

void transform_tables(void) {
    make_zigzag(zigzag4, 4);
    make_zigzag(zigzag8, 8);
}

/* The rows of `in`, transformed, become the columns of `out`. Even rows of the matrix are
 * symmetric and odd ones antisymmetric, which saves half of the products. */
static inline void forward_pass(const int16_t *in, int16_t *out, uint32_t n, uint32_t shift) {
    uint32_t every = 8 / n; /* the matrix of 4 is every second row of that of 8 */
    int32_t round = 1 << (shift - 1);
    for (uint32_t row = 0; row < n; row++, in += n) {
        int32_t sums[4], differences[4];
        for (uint32_t i = 0; i < n / 2; i++) {
            sums[i] = in[i] + in[n - 1 - i];
            differences[i] = in[i] - in[n - 1 - i];
        }
        for (uint32_t k = 0; k < n; k++) {
            const int32_t *terms = k & 1 ? differences : sums;
            int32_t total = round;
            for (uint32_t i = 0; i < n / 2; i++) total += matrix[k * every][i] * terms[i];
            out[k * n + row] = (int16_t)(total >> shift);
        }
    }
}

/* The columns of `in`, transformed back, become the rows of `out`. */
static inline void inverse_pass(const int16_t *in, int16_t *out, uint32_t n, uint32_t shift) {
    uint32_t every = 8 / n;
    int32_t round = 1 << (shift - 1);
    for (uint32_t column = 0; column < n; column++, out += n) {
        for (uint32_t i = 0; i < n / 2; i++) {
            int32_t even = round, odd = 0;
            for (uint32_t k = 0; k < n; k += 2) {
                even += matrix[k * every][i] * in[k * n + column];
                odd += matrix[(k + 1) * every][i] * in[(k + 1) * n + column];
            }
            int32_t low = (even + odd) >> shift, high = (even - odd) >> shift;
            out[i] = (int16_t)(low < -32768 ? -32768 : low > 32767 ? 32767 : low);
            out[n - 1 - i] = (int16_t)(high < -32768 ? -32768 : high > 32767 ? 32767 : high);
        }
    }
}

uint32_t block_forward(const int16_t *block, uint32_t n, int16_t *levels, uint32_t quantizer) {
    int16_t once[64], twice[64];
    uint32_t log = n == 8 ? 3 : 2;
    if (n == 8) {
        forward_pass(block, once, 8, 2);
        forward_pass(once, twice, 8, 9);
    } else {
        forward_pass(block, once, 4, 1);
        forward_pass(once, twice, 4, 8);
    }
    const uint8_t *zigzag = n == 8 ? zigzag8 : zigzag4;
    uint32_t shift = 14 + quantizer / 6 + 7 - log, nonzero = 0;
    int32_t scale = scale_forward[quantizer % 6], round = (1 << shift) / 5;
    for (uint32_t i = 0; i < n * n; i++) {
        int32_t value = twice[zigzag[i]];
        int32_t level = (int32_t)(((int64_t)(value < 0 ? -value : value) * scale + round) >> shift);
        levels[i] = (int16_t)(value < 0 ? -level : level);
        nonzero += level != 0;
    }
    return nonzero;
}

void block_inverse(const int16_t *levels, uint32_t n, int16_t *block, uint32_t quantizer) {
    int16_t spread[64], once[64];
    const uint8_t *zigzag = n == 8 ? zigzag8 : zigzag4;
    uint32_t shift = n == 8 ? 6 : 5;
    int32_t scale = (scale_inverse[quantizer % 6] << (quantizer / 6)) * 16, round = 1 << (shift - 1);
    for (uint32_t i = 0; i < n * n; i++) {
        int64_t value = ((int64_t)levels[i] * scale + round) >> shift;
        spread[zigzag[i]] = (int16_t)(value < -32768 ? -32768 : value > 32767 ? 32767 : value);
    }
    if (n == 8) {
        inverse_pass(spread, once, 8, 7);
        inverse_pass(once, block, 8, 12);
    } else {
        inverse_pass(spread, once, 4, 7);
        inverse_pass(once, block, 4, 12);
    }
}
