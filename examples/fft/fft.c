/* fft [ROUNDS]: a double-precision kernel: matrix product, then a fast Fourier
 * transform forth and back.
 *
 * Sine and cosine are computed here from Taylor series, since libraries differ
 * in the last bit. Sums are made in a fixed order and without fused
 * multiply-add, so every machine gets the same bits. */
#include "../common/common.h"

enum { MATRIX = 96, POINTS = 4096 };

static const double pi = 3.14159265358979323846;

static double left[MATRIX][MATRIX], right[MATRIX][MATRIX], product[MATRIX][MATRIX];
static double real[POINTS], imaginary[POINTS];
static double cosines[POINTS / 2], sines[POINTS / 2];

/* Taylor series of sine around 0; good to the last bits for |x| <= pi / 4. */
static double small_sine(double x) {
    double square = x * x, term = x, sum = x;
    for (int n = 2; n < 20; n += 2) {
        term = -term * square / (double)(n * (n + 1));
        sum += term;
    }
    return sum;
}

static double small_cosine(double x) {
    double square = x * x, term = 1.0, sum = 1.0;
    for (int n = 1; n < 19; n += 2) {
        term = -term * square / (double)(n * (n + 1));
        sum += term;
    }
    return sum;
}

/* Sine and cosine of `eighths` * pi / 4 + `rest`, where `rest` is in [0, pi / 4). */
static void turn(int eighths, double rest, double *cosine, double *sine) {
    double c = eighths & 1 ? small_sine(pi / 4 - rest) : small_cosine(rest);
    double s = eighths & 1 ? small_cosine(pi / 4 - rest) : small_sine(rest);
    switch (eighths >> 1 & 3) {
    case 0: *cosine = c; *sine = s; break;
    case 1: *cosine = -s; *sine = c; break;
    case 2: *cosine = -c; *sine = -s; break;
    default: *cosine = s; *sine = -c; break;
    }
}

static void make_tables(void) {
    for (int i = 0; i < POINTS / 2; i++) {
        int eighths = i * 8 / POINTS;
        double rest = 2 * pi * (double)(i - eighths * (POINTS / 8)) / POINTS;
        turn(eighths, rest, &cosines[i], &sines[i]);
    }
}

/* A number in [-1, 1) with 53 random bits. */
static double random_double(struct random *r) {
    uint64_t bits = (uint64_t)random_next(r) << 21 ^ random_next(r);
    return (double)(bits & ((UINT64_C(1) << 53) - 1)) / 4503599627370496.0 - 1.0;
}

static uint64_t hash_double(uint64_t hash, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return hash_word(hash, bits);
}

static void multiply(void) {
    memset(product, 0, sizeof product);
    for (int i = 0; i < MATRIX; i++) {
        for (int k = 0; k < MATRIX; k++) {
            double factor = left[i][k];
            for (int j = 0; j < MATRIX; j++) product[i][j] += factor * right[k][j];
        }
    }
}

/* Bit-reversed order: element i goes where the mirrored bits of i say. */
static void reorder(void) {
    for (uint32_t i = 1, j = 0; i < POINTS; i++) {
        uint32_t bit = POINTS >> 1;
        for (; j & bit; bit >>= 1) j ^= bit;
        j ^= bit;
        if (i < j) {
            double kept = real[i];
            real[i] = real[j];
            real[j] = kept;
            kept = imaginary[i];
            imaginary[i] = imaginary[j];
            imaginary[j] = kept;
        }
    }
}

/* In-place radix-2 transform; `direction` is -1.0 forth and 1.0 back. */
static void transform(double direction) {
    reorder();
    for (uint32_t half = 1; half < POINTS; half *= 2) {
        uint32_t stride = POINTS / 2 / half;
        for (uint32_t start = 0; start < POINTS; start += half * 2) {
            for (uint32_t i = 0; i < half; i++) {
                double c = cosines[i * stride], s = direction * sines[i * stride];
                uint32_t upper = start + i, lower = upper + half;
                double re = real[lower] * c - imaginary[lower] * s;
                double im = real[lower] * s + imaginary[lower] * c;
                real[lower] = real[upper] - re;
                imaginary[lower] = imaginary[upper] - im;
                real[upper] += re;
                imaginary[upper] += im;
            }
        }
    }
}

/* One round; returns how far the way back missed its start. */
static double round_trip(struct random *r, uint64_t *checksum) {
    static double start[POINTS];
    for (int i = 0; i < MATRIX; i++) {
        for (int j = 0; j < MATRIX; j++) {
            left[i][j] = random_double(r);
            right[i][j] = random_double(r);
        }
    }
    multiply();
    for (int i = 0; i < POINTS; i++) {
        start[i] = real[i] = product[i / MATRIX % MATRIX][i % MATRIX];
        imaginary[i] = 0.0;
    }
    transform(-1.0);
    for (int i = 0; i < POINTS; i++) {
        *checksum = hash_double(hash_double(*checksum, real[i]), imaginary[i]);
    }
    transform(1.0);
    double worst = 0.0;
    for (int i = 0; i < POINTS; i++) {
        double miss = real[i] / POINTS - start[i];
        if (miss < 0) miss = -miss;
        if (miss > worst) worst = miss;
    }
    return worst;
}

int main(int argc, char **argv) {
    uint32_t rounds = number_argument(argc, argv, 1, 400);
    struct random random = {UINT64_C(0xf0f0f0f012345678)};
    uint64_t checksum = HASH_SEED;
    double worst = 0.0;
    make_tables();
    for (uint32_t i = 0; i < rounds; i++) {
        double miss = round_trip(&random, &checksum);
        if (miss > worst) worst = miss;
    }
    printf("rounds %lu\nmatrix %d\npoints %d\n", (unsigned long)rounds, MATRIX, POINTS);
    printf("round trip %s\n", worst < 1e-11 ? "exact to 1e-11" : "WRONG");
    print_hash("checksum", hash_double(checksum, worst));
    return worst < 1e-11 ? 0 : EXIT_WRONG;
}
