/* Indirect calls from sites with one, a few and many targets.
 *
 * Stands for: object-oriented programs, plug-ins, callbacks and interpreters of
 * closures. Natively such a call is a load and a jump; WebAssembly also compares
 * an index with a table's size and the callee's type with the expected one.
 *
 * Samples flow through filters. A filter is an object with a table of methods, and
 * 64 kinds of filters share one interface. What takes turns in each step:
 *
 *   mono    a row of filters of one kind: the site always has the same target;
 *   few     a row of filters of three kinds, in no order;
 *   many    a row of filters of all kinds, in no order;
 *   chain   filters that call the next one themselves, sixteen deep;
 *   order   a heap sort of samples by one of four functions that compare.
 *
 * What dominates: the calls; the methods are a handful of operations each.
 * Sizes: the number of steps' rounds. The checks: every so often the passes are
 * repeated with a `switch` in place of the calls; the sorted samples are in order. */
#include "../common/workload.h"

enum {
    STEPS = 100,
    FILTERS = 256,
    SAMPLES = 512,
    CHAIN = 16,
    ORDERS = 4,
    CHECK_EVERY = 64,
};

/* ---- filters -------------------------------------------------------------- */

struct filter;

struct methods {
    uint32_t (*apply)(struct filter *self, uint32_t sample);
    uint32_t (*weight)(const struct filter *self);
};

struct filter {
    const struct methods *methods;
    struct filter *next; /* in a chain */
    uint32_t kind;
    uint32_t gain;
    uint32_t memory; /* of the last sample */
};

static uint32_t rotate(uint32_t word, uint32_t by) {
    by &= 31;
    return by == 0 ? word : word << by | word >> (32 - by);
}

/* The kinds: a number, what becomes of sample x with gain g and memory m. */
#define EIGHT(K, n)                                                     \
    K(n##0, x + g * (m >> 5) + (n##0 << 3))                             \
    K(n##1, (x ^ m) + rotate(g, n##1))                                  \
    K(n##2, x > m ? x - (m >> 1) : x + (g ^ n##2))                      \
    K(n##3, rotate(x, g) + n##3)                                        \
    K(n##4, (x >> 3) * (g | 1) + (m & 0xff))                            \
    K(n##5, x & 1 ? x * (2 * n##5 + 1) + g : x ^ (m >> 7))              \
    K(n##6, (x & 0xffff) * (m & 0xffff) + rotate(x, 16) + n##6)         \
    K(n##7, (x + m) / (g % 61 + n##7 + 2) + (x << 3))

/* Octal digits make distinct names and distinct numbers. */
#define KINDS(K)                                                       \
    EIGHT(K, 00) EIGHT(K, 01) EIGHT(K, 02) EIGHT(K, 03)                \
    EIGHT(K, 04) EIGHT(K, 05) EIGHT(K, 06) EIGHT(K, 07)

enum { KINDS_COUNT = 64 };

#define DEFINE(n, formula)                                             \
    static uint32_t apply_##n(struct filter *self, uint32_t x) {       \
        uint32_t g = self->gain, m = self->memory;                     \
        self->memory = x;                                              \
        (void)g, (void)m;                                              \
        return formula;                                                \
    }                                                                  \
    static uint32_t weight_##n(const struct filter *self) {            \
        return self->memory % (n + 3) + self->gain;                    \
    }
KINDS(DEFINE)

#define ROW(n, formula) {apply_##n, weight_##n},
static const struct methods all_methods[KINDS_COUNT] = {KINDS(ROW)};

/* The same by a switch, for comparison. */
static uint32_t apply_switched(struct filter *self, uint32_t x) {
    uint32_t g = self->gain, m = self->memory;
    self->memory = x;
#define CASE(n, formula) \
    case n:              \
        return formula;
    switch (self->kind) { KINDS(CASE) }
    workload_fail("there is no such kind of filter");
}

static uint32_t weight_switched(const struct filter *self) {
    return self->memory % (self->kind + 3) + self->gain;
}

/* In a chain: what the kind does, and then what the next filter does. */
static uint32_t apply_and_pass(struct filter *self, uint32_t x) {
    uint32_t y = all_methods[self->kind].apply(self, x);
    return self->next ? self->next->methods->apply(self->next, y) + 1 : y;
}

static uint32_t weight_of_chain(const struct filter *self) {
    uint32_t rest = self->next ? self->next->methods->weight(self->next) : 0;
    return self->gain + (rest >> 1);
}

static const struct methods chained_methods = {apply_and_pass, weight_of_chain};

/* ---- passes --------------------------------------------------------------- */

struct row {
    struct filter filters[FILTERS];
};

static void make_row(struct row *row, struct random *random, uint32_t kinds) {
    uint32_t first = random_below(random, KINDS_COUNT);
    for (uint32_t i = 0; i < FILTERS; i++) {
        struct filter *filter = &row->filters[i];
        filter->kind = (first + random_below(random, kinds) * 21) % KINDS_COUNT;
        if (kinds == KINDS_COUNT) filter->kind = random_below(random, KINDS_COUNT);
        filter->methods = &all_methods[filter->kind];
        filter->next = NULL;
        filter->gain = random_next(random) >> 8;
        filter->memory = random_next(random);
    }
}

static void make_chains(struct row *row, struct random *random) {
    make_row(row, random, KINDS_COUNT);
    for (uint32_t i = 0; i < FILTERS; i++) {
        row->filters[i].methods = &chained_methods;
        row->filters[i].next = i % CHAIN + 1 < CHAIN ? &row->filters[i + 1] : NULL;
    }
}

/* Each pass has a call site of its own, in a function of its own. */
#define PASS(name)                                                                   \
    static __attribute__((noinline)) uint32_t name(struct row *row, uint32_t sample) { \
        uint32_t weight = 0;                                                         \
        for (uint32_t i = 0; i < FILTERS; i++) {                                     \
            struct filter *filter = &row->filters[i];                                \
            sample = filter->methods->apply(filter, sample);                         \
            weight += filter->methods->weight(filter);                               \
        }                                                                            \
        return sample ^ weight;                                                      \
    }
PASS(pass_mono)
PASS(pass_few)
PASS(pass_many)

static __attribute__((noinline)) uint32_t pass_chain(struct row *row, uint32_t sample) {
    uint32_t weight = 0;
    for (uint32_t i = 0; i < FILTERS; i += CHAIN) {
        struct filter *filter = &row->filters[i];
        sample = filter->methods->apply(filter, sample);
        weight += filter->methods->weight(filter);
    }
    return sample ^ weight;
}

static uint32_t pass_switched(struct row *row, uint32_t sample) {
    uint32_t weight = 0;
    for (uint32_t i = 0; i < FILTERS; i++) {
        struct filter *filter = &row->filters[i];
        sample = apply_switched(filter, sample);
        weight += weight_switched(filter);
    }
    return sample ^ weight;
}

/* ---- sorting -------------------------------------------------------------- */

typedef bool (*before)(uint32_t a, uint32_t b);

static bool by_value(uint32_t a, uint32_t b) { return a < b; }
static bool by_falling_value(uint32_t a, uint32_t b) { return a > b; }
static bool by_low_half(uint32_t a, uint32_t b) { return rotate(a, 16) < rotate(b, 16); }
static bool by_sign_and_size(uint32_t a, uint32_t b) {
    return (a >> 31) != (b >> 31) ? a >> 31 : (a ^ (a >> 31)) < (b ^ (b >> 31));
}

static const before orders[ORDERS] = {by_value, by_falling_value, by_low_half, by_sign_and_size};

static void sift(uint32_t *samples, uint32_t at, uint32_t count, before is_before) {
    uint32_t moving = samples[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count) break;
        if (child + 1 < count && is_before(samples[child], samples[child + 1])) child++;
        if (!is_before(moving, samples[child])) break;
        samples[at] = samples[child];
        at = child;
    }
    samples[at] = moving;
}

static __attribute__((noinline)) void sort(uint32_t *samples, uint32_t count, before is_before) {
    for (uint32_t at = count / 2; at-- > 0;) sift(samples, at, count, is_before);
    for (uint32_t last = count - 1; last > 0; last--) {
        uint32_t top = samples[0];
        samples[0] = samples[last];
        samples[last] = top;
        sift(samples, 0, last, is_before);
    }
    for (uint32_t i = 1; i < count; i++) {
        if (is_before(samples[i], samples[i - 1])) workload_fail("samples are out of order");
    }
}

/* ---- all together --------------------------------------------------------- */

static struct row mono, few, many, chains;
static uint32_t samples[SAMPLES];

static void one_round(struct workload *w, struct random *random, uint32_t round) {
    static struct row copies[3];
    uint32_t sample = random_next(random);
    bool check = round % CHECK_EVERY == 0;
    if (check) {
        copies[0] = mono;
        copies[1] = few;
        copies[2] = many;
    }
    uint32_t outputs[4] = {pass_mono(&mono, sample), pass_few(&few, sample),
                           pass_many(&many, sample), pass_chain(&chains, sample)};
    for (uint32_t i = 0; check && i < 3; i++) {
        if (pass_switched(&copies[i], sample) != outputs[i]) {
            workload_fail("calls and the switch do not agree");
        }
    }
    for (uint32_t i = 0; i < 4; i++) {
        samples[(round * 4 + i) % SAMPLES] = outputs[i];
        workload_hash(w, outputs[i]);
    }
    if (round % 16 == 0) sort(samples, SAMPLES, orders[(round / 16) % ORDERS]);
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    struct random random = {UINT64_C(0x696e646972656374)};
    const uint32_t rounds = workload_pick(&w, 96, 1920, 19200);
    make_row(&mono, &random, 1);
    make_row(&few, &random, 3);
    make_row(&many, &random, KINDS_COUNT);
    make_chains(&chains, &random);

    uint32_t round = 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        for (uint32_t i = 0; i < rounds; i++) one_round(&w, &random, round++);
        workload_step(&w);
    }
    for (uint32_t i = 0; i < SAMPLES; i++) workload_hash(&w, samples[i]);
    printf("%" PRIu32 " rounds of %d filters in each of four passes\n", round, FILTERS);
    printf("last samples %08" PRIx32 " %08" PRIx32 "\n", samples[0], samples[SAMPLES - 1]);
    return workload_end(&w);
}
