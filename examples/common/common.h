/* What the example programs share: a checksum, a random number generator and
 * the reading of arguments and files.
 *
 * The programs are plain C11 over stdio. They print the same bytes whether they
 * run natively or as WebAssembly: integers have fixed widths, floating point
 * uses only operations that IEEE 754 rounds exactly, and nothing depends on
 * addresses, time or locale. */
#ifndef UPSHIFT_EXAMPLES_COMMON_H
#define UPSHIFT_EXAMPLES_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Exit code of a program that was called wrongly or found a bug in itself. */
enum { EXIT_USAGE = 2, EXIT_WRONG = 3 };

#define HASH_SEED UINT64_C(0xcbf29ce484222325)

/* 64-bit FNV-1a over `size` bytes, continued from `hash`. */
static inline uint64_t hash_bytes(uint64_t hash, const void *data, size_t size) {
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* The same over the eight bytes of `word`, lowest first on every machine. */
static inline uint64_t hash_word(uint64_t hash, uint64_t word) {
    for (int i = 0; i < 8; i++) {
        hash = (hash ^ (word & 0xff)) * UINT64_C(0x100000001b3);
        word >>= 8;
    }
    return hash;
}

static inline void print_hash(const char *label, uint64_t hash) {
    printf("%s %08lx%08lx\n", label, (unsigned long)(hash >> 32),
           (unsigned long)(hash & 0xffffffffu));
}

/* xorshift64*: small, quick and the same everywhere. */
struct random {
    uint64_t state;
};

static inline uint32_t random_next(struct random *r) {
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return (uint32_t)((r->state * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

static inline uint32_t random_below(struct random *r, uint32_t limit) {
    return (uint32_t)(((uint64_t)random_next(r) * limit) >> 32);
}

/* The positive number at `argv[index]`, or `fallback` when there is none. */
static inline uint32_t number_argument(int argc, char **argv, int index, uint32_t fallback) {
    if (index >= argc) return fallback;
    char *end = NULL;
    unsigned long value = strtoul(argv[index], &end, 10);
    if (end == argv[index] || *end != 0 || value == 0 || value > 1000000000ul) {
        fprintf(stderr, "not a number from 1 to 1000000000: %s\n", argv[index]);
        exit(EXIT_USAGE);
    }
    return (uint32_t)value;
}

static inline void *allocate(size_t size) {
    void *memory = calloc(size ? size : 1, 1);
    if (!memory) {
        fprintf(stderr, "out of memory (%lu bytes)\n", (unsigned long)size);
        exit(EXIT_WRONG);
    }
    return memory;
}

/* All bytes of a file, with a zero byte after the last one. */
static inline uint8_t *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "cannot open %s\n", path);
        exit(EXIT_USAGE);
    }
    size_t capacity = 1 << 16, length = 0;
    uint8_t *bytes = malloc(capacity);
    while (bytes) {
        length += fread(bytes + length, 1, capacity - 1 - length, file);
        if (length < capacity - 1) break;
        capacity *= 2;
        uint8_t *grown = realloc(bytes, capacity);
        if (!grown) free(bytes);
        bytes = grown;
    }
    if (!bytes || ferror(file)) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(EXIT_WRONG);
    }
    fclose(file);
    bytes[length] = 0;
    *size = length;
    return bytes;
}

#endif
