/* Mathematical functions for the floating-point programs of the suite.
 *
 * Every library has its own sin and exp, so a program that called them would print
 * other digits natively than as WebAssembly. These use only what IEEE 754 rounds
 * exactly (+ - * / and the square root) in a fixed order, so that every machine
 * gives the same bits; compile with -ffp-contract=off, which keeps a product and a
 * sum from being fused.
 *
 * The accuracy is given in ulp, units in the last place of the result, as measured
 * on ten million arguments of the range that is named. Outside it the functions
 * give something harmless, not an error; NaN is not considered. */
#ifndef UPSHIFT_REAL_H
#define UPSHIFT_REAL_H

#include "workload.h"

static const double REAL_PI = 3.14159265358979323846;

/* The square root as one instruction, to 0.5 ulp; of a negative number it is 0. The
 * C library's sets errno there, so that a compiler keeps a call of it unless it is
 * asked for the operation itself, or knows that the number is not negative. */
static inline double real_sqrt(double x) {
#if defined(__clang__)
    return x > 0.0 ? __builtin_elementwise_sqrt(x) : 0.0;
#else
    double positive = x > 0.0 ? x : 0.0;
    if (__builtin_isless(positive, 0.0)) __builtin_unreachable();
    return __builtin_sqrt(positive);
#endif
}

/* The same in single precision. */
static inline float real_sqrtf(float x) {
#if defined(__clang__)
    return x > 0.0f ? __builtin_elementwise_sqrt(x) : 0.0f;
#else
    float positive = x > 0.0f ? x : 0.0f;
    if (__builtin_isless(positive, 0.0f)) __builtin_unreachable();
    return __builtin_sqrtf(positive);
#endif
}

static inline double real_abs(double x) {
    return x < 0.0 ? -x : x;
}

static inline double real_min(double a, double b) {
    return a < b ? a : b;
}

static inline double real_max(double a, double b) {
    return a > b ? a : b;
}

/* The largest integer that is not above x, for |x| < 2^31. */
static inline int32_t real_floor(double x) {
    int32_t whole = (int32_t)x;
    return whole - (x < (double)whole);
}

/* The nearest integer, for |x| < 2^31 - 1. */
static inline int32_t real_round(double x) {
    return real_floor(x + 0.5);
}

/* 2 to the power of an exponent from -1022 to 1023. */
static inline double real_power_of_two(int32_t exponent) {
    uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The sum of factor[i] * x^i, highest power first, by Horner's rule. */
static inline double real_polynomial(const double *factor, int count, double x) {
    double sum = factor[count - 1];
    for (int i = count - 2; i >= 0; i--) sum = sum * x + factor[i];
    return sum;
}

/* e to the power of x, to 1.2 ulp for -708 < x < 709; 0 below and infinity above. */
static inline double real_exp(double x) {
    /* 1/n!: the next term is below 2^-57 for |r| < ln(2)/2. */
    static const double factor[] = {
        1.0,           1.0,           1.0 / 2,         1.0 / 6,         1.0 / 24,
        1.0 / 120,     1.0 / 720,     1.0 / 5040,      1.0 / 40320,     1.0 / 362880,
        1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0};
    /* ln(2) in two parts, the first short enough that k times it is exact. */
    const double ln2_high = 0x1.62e42feep-1;
    const double ln2_low = 0x1.a39ef35793c76p-33;
    if (x < -708.0) return 0.0;
    if (x > 709.0) return __builtin_huge_val();
    int32_t k = real_round(x * 1.44269504088896340736);
    double r = (x - k * ln2_high) - k * ln2_low;
    return real_polynomial(factor, 14, r) * real_power_of_two(k);
}

/* The natural logarithm of a positive normal number, to 1.3 ulp; of what is not
 * positive it is that of the smallest normal number. */
static inline double real_log(double x) {
    /* log((1+s)/(1-s)) = 2s + 2s^3/3 + 2s^5/5 + ..., here without the first term. */
    static const double factor[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11,
                                    2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21};
    const double ln2_high = 0x1.62e42feep-1;
    const double ln2_low = 0x1.a39ef35793c76p-33;
    uint64_t bits;
    if (!(x >= 0x1p-1022)) x = 0x1p-1022;
    memcpy(&bits, &x, sizeof bits);
    int32_t exponent = (int32_t)(bits >> 52) - 1023;
    bits = (bits & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3ff0000000000000);
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.41421356237309504880) {
        m *= 0.5;
        exponent++;
    }
    double f = m - 1.0;
    double s = f / (m + 1.0);
    double square = s * s;
    double tail = square * real_polynomial(factor, 10, square);
    /* 2s = f - s*f, of which f is exact. */
    double log_m = f - s * (f - tail);
    return exponent * ln2_high + (log_m + exponent * ln2_low);
}

/* x to the power of y for x >= 0: to 2.1 + 2.1 |y log x| ulp. */
static inline double real_pow(double x, double y) {
    if (y == 0.0) return 1.0;
    if (x <= 0.0) return 0.0;
    return real_exp(y * real_log(x));
}

/* Brings x into [-pi/4, pi/4] by taking off multiples of pi/2; gives their number. */
static inline int32_t real_reduce(double x, double *rest) {
    /* pi/2 in three parts, two of them short enough for exact products. */
    const double high = 0x1.921fb544p0;
    const double middle = 0x1.0b4611a6p-34;
    const double low = 0x1.3198a2e037073p-69;
    int32_t k = real_round(x * 0.63661977236758134308);
    *rest = ((x - k * high) - k * middle) - k * low;
    return k;
}

static inline double real_sin_core(double r) {
    static const double factor[] = {-1.0 / 6,        1.0 / 120,           -1.0 / 5040,
                                    1.0 / 362880,    -1.0 / 39916800,     1.0 / 6227020800.0,
                                    -1.0 / 1307674368000.0};
    double square = r * r;
    return r + r * (square * real_polynomial(factor, 7, square));
}

static inline double real_cos_core(double r) {
    static const double factor[] = {1.0 / 24,        -1.0 / 720,           1.0 / 40320,
                                    -1.0 / 3628800,  1.0 / 479001600,      -1.0 / 87178291200.0,
                                    1.0 / 20922789888000.0};
    double square = r * r;
    return 1.0 - (0.5 * square - square * square * real_polynomial(factor, 7, square));
}

/* Sine and cosine of an angle in radians, to 2^-52 for |x| < 100000. */
static inline double real_sin(double x) {
    double r;
    int32_t k = real_reduce(x, &r);
    double value = (k & 1) ? real_cos_core(r) : real_sin_core(r);
    return (k & 2) ? -value : value;
}

static inline double real_cos(double x) {
    double r;
    int32_t k = real_reduce(x, &r);
    double value = (k & 1) ? real_sin_core(r) : real_cos_core(r);
    return ((k + 1) & 2) ? -value : value;
}

/* The hyperbolic tangent, to 2^-51. */
static inline double real_tanh(double x) {
    if (x > 20.0) return 1.0;
    if (x < -20.0) return -1.0;
    double t = real_exp(2.0 * x);
    return (t - 1.0) / (t + 1.0);
}

/* Compares the functions with values known to more digits than a double has. A
 * program that uses them calls this first. */
static inline void real_check(void) {
    const struct {
        double found, expected;
    } checks[] = {
        {real_sqrt(2.0), 1.41421356237309504880},
        {real_exp(1.0), 2.71828182845904523536},
        {real_exp(-20.0), 2.06115362243855782797e-9},
        {real_log(10.0), 2.30258509299404568402},
        {real_log(0.001), -6.90775527898213705205},
        {real_pow(2.0, 0.5), 1.41421356237309504880},
        {real_pow(10.0, -3.0), 0.001},
        {real_sin(1.0), 0.84147098480789650665},
        {real_cos(1.0), 0.54030230586813971740},
        {real_sin(100.0), -0.50636564110975879366},
        {real_cos(100.0), 0.86231887228768393410},
        {real_tanh(0.5), 0.46211715726000975850},
    };
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        double error = real_abs(checks[i].found - checks[i].expected);
        if (!(error <= 4e-15 * real_abs(checks[i].expected))) {
            workload_fail("a function of real.h is wrong");
        }
    }
}

#endif
