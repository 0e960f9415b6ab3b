/* One function as large as a program, and nearly nothing else.
 *
 * Stands for: generated code, as state machines of protocols, lexers, regular
 * expressions and interpreters whose loop is one `switch`. Compilers are built for
 * short functions; what is quadratic in a function's size shows here, and so does
 * whether an engine gets out of its first tier inside a function that is called
 * only a few times.
 *
 * An automaton of 512 states with a state's code written out for each: it mixes
 * eight registers and a few cells of a memory by a token of the input, by one of
 * eight forms with constants of its own, and computes the next state from the
 * result. The tokens come from records of made-up messages.
 *
 * What dominates: a jump through a table of 512 targets, hard to predict, and
 * loads and stores of the registers, which do not all fit into real ones.
 * Sizes: the number of tokens. The checks: the first tokens of each step are also run
 * with the constants as variables, in a short loop. */
#include "../common/workload.h"

enum {
    STATES = 512,
    CELLS = 256,
    TOKENS = 1 << 16,
    STEPS = 100,
    CHECKED = 2000, /* tokens per step */
};

struct machine {
    uint32_t state;
    uint32_t a, b, c, d, e, f, g, h; /* the registers */
    uint32_t cells[CELLS];
};

/* Different for each state. */
#define CONSTANT(n, i) (((n) * 0x9e3779b1u + (i) * 0x85ebca77u + 0x1234567u) >> 5)
#define CELL(word) cells[(word) & (CELLS - 1)]
#define NEXT(word) state = ((word) ^ (word) >> 13 ^ t) & (STATES - 1)

/* The eight forms: what happens in state n to token t. Registers change roles, so
 * that no two states' code can be shared. */
#define FORM(n, t, a, b, c, d)                                                  \
    a += t * (CONSTANT(n, 1) | 1);                                              \
    if ((b ^ t) & (1u << (n) % 11)) {                                           \
        b ^= a >> ((n) % 9 + 2);                                                \
        CELL(b + CONSTANT(n, 2)) += c;                                          \
    } else {                                                                    \
        c -= CONSTANT(n, 3);                                                    \
        d ^= CELL(c >> 3) + t;                                                  \
    }                                                                           \
    switch ((a >> ((n) % 5)) & 3) {                                             \
    case 0: d += b ^ CONSTANT(n, 4); break;                                     \
    case 1: c = (c << 7 | c >> 25) + CONSTANT(n, 5); break;                     \
    case 2: CELL(CONSTANT(n, 6)) ^= a + d; break;                               \
    default: b = b * (CONSTANT(n, 7) | 1) + t; break;                           \
    }                                                                           \
    NEXT(a + d + CELL(t + CONSTANT(n, 8)) + CONSTANT(n, 9));

#define FORM_0(n) FORM(n, t, a, b, c, d)
#define FORM_1(n) FORM(n, t, b, d, e, g)
#define FORM_2(n) FORM(n, t, c, e, g, a)
#define FORM_3(n) FORM(n, t, d, f, a, c)
#define FORM_4(n) FORM(n, t, e, g, b, h)
#define FORM_5(n) FORM(n, t, f, h, d, b)
#define FORM_6(n) FORM(n, t, g, a, f, e)
#define FORM_7(n) FORM(n, t, h, c, e, f)

#define STATE(n, form) \
    case n: {          \
        form(n)        \
        break;         \
    }
#define STATES_8(n)                                                   \
    STATE(n##0, FORM_0) STATE(n##1, FORM_1) STATE(n##2, FORM_2)       \
    STATE(n##3, FORM_3) STATE(n##4, FORM_4) STATE(n##5, FORM_5)       \
    STATE(n##6, FORM_6) STATE(n##7, FORM_7)
#define STATES_64(n)                                                  \
    STATES_8(n##0) STATES_8(n##1) STATES_8(n##2) STATES_8(n##3)       \
    STATES_8(n##4) STATES_8(n##5) STATES_8(n##6) STATES_8(n##7)
#define STATES_512(n)                                                 \
    STATES_64(n##0) STATES_64(n##1) STATES_64(n##2) STATES_64(n##3)   \
    STATES_64(n##4) STATES_64(n##5) STATES_64(n##6) STATES_64(n##7)

#define TAKE(m)                                                           \
    uint32_t state = (m)->state, *const cells = (m)->cells;               \
    uint32_t a = (m)->a, b = (m)->b, c = (m)->c, d = (m)->d;              \
    uint32_t e = (m)->e, f = (m)->f, g = (m)->g, h = (m)->h
#define GIVE_BACK(m)                                                      \
    (m)->state = state;                                                   \
    (m)->a = a, (m)->b = b, (m)->c = c, (m)->d = d;                       \
    (m)->e = e, (m)->f = f, (m)->g = g, (m)->h = h

/* The huge function; octal numbers of states. */
static __attribute__((noinline)) void run(struct machine *m, const uint16_t *tokens,
                                          uint32_t count) {
    TAKE(m);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t t = tokens[i % TOKENS];
        switch (state) { STATES_512(0) }
    }
    GIVE_BACK(m);
}

/* The same in short. */
static __attribute__((noinline)) void run_short(struct machine *m, const uint16_t *tokens,
                                                uint32_t count) {
    TAKE(m);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t t = tokens[i % TOKENS], n = state;
        switch (n % 8) {
        case 0: { FORM_0(n) break; }
        case 1: { FORM_1(n) break; }
        case 2: { FORM_2(n) break; }
        case 3: { FORM_3(n) break; }
        case 4: { FORM_4(n) break; }
        case 5: { FORM_5(n) break; }
        case 6: { FORM_6(n) break; }
        default: { FORM_7(n) break; }
        }
    }
    GIVE_BACK(m);
}

/* Messages: a header, a length, words from a small vocabulary, a sum. */
static void make_tokens(uint16_t *tokens, struct random *random) {
    uint16_t words[64];
    for (uint32_t i = 0; i < 64; i++) words[i] = (uint16_t)(0x100 + random_below(random, 0x4000));
    uint32_t at = 0;
    while (at < TOKENS) {
        uint32_t length = 4 + random_below(random, 24), sum = length;
        tokens[at++] = 0xfeed;
        if (at < TOKENS) tokens[at++] = (uint16_t)length;
        for (uint32_t i = 0; i < length && at < TOKENS; i++) {
            uint16_t word = words[random_below(random, 1 + random_below(random, 64))];
            sum += word;
            tokens[at++] = word;
        }
        if (at < TOKENS) tokens[at++] = (uint16_t)sum;
    }
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    struct random random = {UINT64_C(0x6875676521212121)};
    const uint32_t tokens_per_step = workload_pick(&w, 16000, 350000, 3500000);
    static uint16_t tokens[TOKENS];
    static struct machine machine, copy;
    make_tokens(tokens, &random);
    for (uint32_t i = 0; i < CELLS; i++) machine.cells[i] = random_next(&random);

    uint32_t visited = 0;
    static bool seen[STATES];
    for (uint32_t step = 0; step < STEPS; step++) {
        copy = machine;
        run(&machine, tokens, CHECKED);
        run_short(&copy, tokens, CHECKED);
        if (memcmp(&copy, &machine, sizeof copy) != 0) workload_fail("the two runs do not agree");
        run(&machine, tokens, tokens_per_step - CHECKED);
        if (!seen[machine.state]) visited++;
        seen[machine.state] = true;
        workload_hash(&w, machine.state);
        workload_hash(&w, machine.a);
        workload_step(&w);
    }
    for (uint32_t i = 0; i < CELLS; i++) workload_hash(&w, machine.cells[i]);
    printf("%d states, %" PRIu64 " tokens\n", STATES, (uint64_t)tokens_per_step * STEPS);
    printf("steps ended in %" PRIu32 " states, the last in %" PRIu32 "\n", visited, machine.state);
    return workload_end(&w);
}
