/* What the programs of the suite share: the command line, sizes, steps, a random
 * number generator and the checksum.
 *
 * A program is called `NAME [SIZE] [--steps]` with SIZE one of test, train and
 * ref, and prints a few lines of results, the last of which is
 * `checksum 0123456789abcdef`. It prints the same bytes natively and as
 * WebAssembly: integers have fixed widths, floating point uses only operations
 * that IEEE 754 rounds exactly (real.h has the rest), and nothing depends on
 * addresses, time, locale or the width of `long`.
 *
 * The work is cut into steps of about equal cost, from some dozens to some
 * hundreds. With --steps the program writes one `.` to standard error after each,
 * so that a harness can draw how much work was done by when; without it a step
 * costs one comparison. */
#ifndef UPSHIFT_WORKLOAD_H
#define UPSHIFT_WORKLOAD_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Exit code of a program that was called wrongly or found a bug in itself. */
enum { EXIT_USAGE = 2, EXIT_WRONG = 3 };

/* About 0.05 s, 1 s and 10 s of native work on the machine the suite was made on. */
enum size { SIZE_TEST, SIZE_TRAIN, SIZE_REF };

struct workload {
    enum size size;
    bool steps;
    uint64_t hash;
};

/* Ends the program because of a bug in itself, or because memory ran out. */
static inline _Noreturn void workload_fail(const char *message) {
    fprintf(stderr, "%s\n", message);
    exit(EXIT_WRONG);
}

/* Reads the command line. */
static inline struct workload workload_begin(int argc, char **argv) {
    static const char *const names[] = {"test", "train", "ref"};
    struct workload w = {SIZE_TEST, false, UINT64_C(0xcbf29ce484222325)};
    for (int i = 1; i < argc; i++) {
        bool known = strcmp(argv[i], "--steps") == 0;
        if (known) w.steps = true;
        for (int size = 0; size < 3; size++) {
            if (strcmp(argv[i], names[size]) == 0) {
                w.size = (enum size)size;
                known = true;
            }
        }
        if (!known) {
            fprintf(stderr, "expected test, train, ref or --steps, found %s\n", argv[i]);
            exit(EXIT_USAGE);
        }
    }
    return w;
}

/* The one of three values that belongs to the size. */
static inline uint32_t workload_pick(const struct workload *w, uint32_t test, uint32_t train,
                                     uint32_t ref) {
    return w->size == SIZE_TEST ? test : w->size == SIZE_TRAIN ? train : ref;
}

/* A part of the work is done. */
static inline void workload_step(const struct workload *w) {
    if (w->steps) {
        fputc('.', stderr); /* standard error has no buffer */
    }
}

/* 64-bit FNV-1a over the eight bytes of `word`, lowest first on every machine. */
static inline void workload_hash(struct workload *w, uint64_t word) {
    for (int i = 0; i < 8; i++) {
        w->hash = (w->hash ^ (word & 0xff)) * UINT64_C(0x100000001b3);
        word >>= 8;
    }
}

/* The same over bytes. */
static inline void workload_hash_bytes(struct workload *w, const void *data, size_t size) {
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++) {
        w->hash = (w->hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
}

/* Takes a floating-point result into the checksum, rounded to 1/`scale`. */
static inline void workload_hash_real(struct workload *w, double value, double scale) {
    double scaled = value * scale;
    if (!(scaled > -9e15 && scaled < 9e15)) workload_fail("a result is out of range");
    workload_hash(w, (uint64_t)(int64_t)(scaled + (scaled < 0 ? -0.5 : 0.5)));
}

/* Prints the last line; gives the exit code of main. */
static inline int workload_end(const struct workload *w) {
    printf("checksum %016" PRIx64 "\n", w->hash);
    return 0;
}

/* Zeroed memory. */
static inline void *workload_allocate(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (!memory) workload_fail("out of memory");
    return memory;
}

/* xorshift64*: small, quick and the same everywhere. The state must not be 0. */
struct random {
    uint64_t state;
};

static inline uint32_t random_next(struct random *r) {
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return (uint32_t)((r->state * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

/* From 0 to `limit` - 1. */
static inline uint32_t random_below(struct random *r, uint32_t limit) {
    return (uint32_t)(((uint64_t)random_next(r) * limit) >> 32);
}

/* From 0 to 1, without 1. */
static inline double random_unit(struct random *r) {
    return (double)random_next(r) * (1.0 / 4294967296.0);
}

#endif
