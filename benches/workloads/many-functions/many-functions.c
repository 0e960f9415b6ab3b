/* Four thousand functions, of which about forty ever run.
 *
 * Stands for: large programs of which a run needs little, as nearly all large
 * programs are. Compiling everything first is then mostly wasted work; the shorter
 * the run, the more it shows in the total time.
 *
 * A rule engine: each of 4,096 rules is a small function that looks at an account's
 * eight fields and changes a few of them. A run activates 40 rules, by chance, and
 * applies them to all accounts through a table of functions. There are eight forms
 * of rules with different constants in each; one form calls its neighbour directly.
 *
 * What dominates: indirect calls of short functions, once they are compiled.
 * Sizes: the number of times the rules are applied. The checks: every so often the
 * forms are evaluated with the constants as variables in place of the functions. */
#include "../common/workload.h"

enum { FIELDS = 8, ACCOUNTS = 64, ACTIVE = 40, STEPS = 100, RULES = 4096, CHECK_EVERY = 256 };

struct account {
    uint32_t field[FIELDS];
};

/* Different for each rule. */
#define CONSTANT(n, i) (((n) * 0x9e3779b1u + (i) * 0x85ebca77u) >> 7)
/* One of an account's fields. */
#define FIELD(n, i) a->field[CONSTANT(n, i) >> 9 & (FIELDS - 1)]

/* The eight forms, of an account `a` and the number `n` of the rule. */
#define FORM_0(n)                                                    \
    uint32_t sum = FIELD(n, 1) + CONSTANT(n, 2);                     \
    FIELD(n, 3) ^= sum << ((n) % 13 + 1);                            \
    return sum;

#define FORM_1(n)                                                    \
    uint32_t limit = CONSTANT(n, 1) & 0xffff;                        \
    if ((FIELD(n, 2) & 0xffff) > limit) {                            \
        FIELD(n, 2) -= limit;                                        \
        FIELD(n, 3) += limit;                                        \
        return limit;                                                \
    }                                                                \
    FIELD(n, 4) += CONSTANT(n, 5);                                   \
    return FIELD(n, 4) >> 3;

#define FORM_2(n)                                                    \
    uint32_t best = 0;                                               \
    for (uint32_t i = 0; i < FIELDS; i++) {                          \
        uint32_t here = a->field[i] ^ CONSTANT(n, 1);                \
        if (here > best) best = here;                                \
    }                                                                \
    FIELD(n, 2) += best / ((n) % 29 + 3);                            \
    return best;

#define FORM_3(n)                                                    \
    switch ((FIELD(n, 1) >> ((n) % 17)) & 3) {                       \
    case 0: FIELD(n, 2) += CONSTANT(n, 3); break;                    \
    case 1: FIELD(n, 4) ^= CONSTANT(n, 5); break;                    \
    case 2: FIELD(n, 6) *= CONSTANT(n, 7) | 1; break;                \
    default: FIELD(n, 8) -= CONSTANT(n, 9); break;                   \
    }                                                                \
    return FIELD(n, 2);

#define FORM_4(n)                                                    \
    uint64_t wide = (uint64_t)FIELD(n, 1) * CONSTANT(n, 2);          \
    FIELD(n, 3) = (uint32_t)(wide >> 11);                            \
    FIELD(n, 4) ^= (uint32_t)wide;                                   \
    return (uint32_t)(wide >> 32);

#define FORM_5(n)                                                    \
    uint32_t bits = FIELD(n, 1) ^ CONSTANT(n, 2), count = 0;         \
    while (bits) {                                                   \
        bits &= bits - 1;                                            \
        count += (n) % 7 + 1;                                        \
    }                                                                \
    FIELD(n, 3) += count;                                            \
    return count;

#define FORM_6(n)                                                    \
    double share = (double)(FIELD(n, 1) >> 8) * ((n) % 101 + 0.5);   \
    uint32_t whole = (uint32_t)(share / 256.0);                      \
    FIELD(n, 2) ^= whole;                                            \
    return whole + CONSTANT(n, 3);

/* Only this form calls another rule. */
#define FORM_7(n, neighbour)                                         \
    uint32_t before = FIELD(n, 1);                                   \
    uint32_t value = neighbour;                                      \
    FIELD(n, 2) += before ^ value;                                   \
    return value * 5 + CONSTANT(n, 3);

/* For each eight numbers one rule of each form. */
#define RULE(n, body) \
    static __attribute__((noinline)) uint32_t rule_##n(struct account *a) { body }
#define EIGHT(n)                                                     \
    RULE(n##0, FORM_0(n##0)) RULE(n##1, FORM_1(n##1))                \
    RULE(n##2, FORM_2(n##2)) RULE(n##3, FORM_3(n##3))                \
    RULE(n##4, FORM_4(n##4)) RULE(n##5, FORM_5(n##5))                \
    RULE(n##6, FORM_6(n##6)) RULE(n##7, FORM_7(n##7, rule_##n##6(a)))

/* In octal: M for 0 to 7, after the digits n. */
#define OCTAL(M, n) M(n##0) M(n##1) M(n##2) M(n##3) M(n##4) M(n##5) M(n##6) M(n##7)
#define RULES_64(n) EIGHT(n##0) EIGHT(n##1) EIGHT(n##2) EIGHT(n##3) \
    EIGHT(n##4) EIGHT(n##5) EIGHT(n##6) EIGHT(n##7)
#define RULES_512(n) RULES_64(n##0) RULES_64(n##1) RULES_64(n##2) RULES_64(n##3) \
    RULES_64(n##4) RULES_64(n##5) RULES_64(n##6) RULES_64(n##7)
OCTAL(RULES_512, 0)

typedef uint32_t (*rule)(struct account *);

#define NAME(n) rule_##n,
#define NAMES_8(n) NAME(n##0) NAME(n##1) NAME(n##2) NAME(n##3) \
    NAME(n##4) NAME(n##5) NAME(n##6) NAME(n##7)
#define NAMES_64(n) NAMES_8(n##0) NAMES_8(n##1) NAMES_8(n##2) NAMES_8(n##3) \
    NAMES_8(n##4) NAMES_8(n##5) NAMES_8(n##6) NAMES_8(n##7)
#define NAMES_512(n) NAMES_64(n##0) NAMES_64(n##1) NAMES_64(n##2) NAMES_64(n##3) \
    NAMES_64(n##4) NAMES_64(n##5) NAMES_64(n##6) NAMES_64(n##7)
static const rule rules[RULES] = {OCTAL(NAMES_512, 0)};

/* What the rule n does, without it. */
static uint32_t evaluate(uint32_t n, struct account *a) {
    switch (n % 8) {
    case 0: { FORM_0(n) }
    case 1: { FORM_1(n) }
    case 2: { FORM_2(n) }
    case 3: { FORM_3(n) }
    case 4: { FORM_4(n) }
    case 5: { FORM_5(n) }
    case 6: { FORM_6(n) }
    default: { FORM_7(n, evaluate(n - 1, a)) }
    }
}

static struct account accounts[ACCOUNTS];
static uint32_t active[ACTIVE];

/* As many of each form, wherever chance puts them. */
static void activate(struct random *random) {
    for (uint32_t i = 0; i < ACTIVE; i++) {
        active[i] = random_below(random, RULES / 8) * 8 + i % 8;
    }
}

static uint32_t apply(struct account *a) {
    uint32_t result = 0;
    for (uint32_t i = 0; i < ACTIVE; i++) result = result * 31 + rules[active[i]](a);
    return result;
}

static void check(struct account account, uint32_t result) {
    uint32_t expected = 0;
    for (uint32_t i = 0; i < ACTIVE; i++) expected = expected * 31 + evaluate(active[i], &account);
    if (expected != result) workload_fail("a rule does something else than its form");
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    struct random random = {UINT64_C(0x6d616e7966756e63)};
    const uint32_t rounds = workload_pick(&w, 36, 720, 7200);
    activate(&random);
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        for (uint32_t j = 0; j < FIELDS; j++) accounts[i].field[j] = random_next(&random);
    }

    uint32_t round = 0;
    uint64_t total = 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        for (uint32_t i = 0; i < rounds; i++, round++) {
            for (uint32_t j = 0; j < ACCOUNTS; j++) {
                bool checked = round % CHECK_EVERY == 0;
                struct account before = accounts[j];
                uint32_t result = apply(&accounts[j]);
                if (checked) check(before, result);
                total += result;
            }
        }
        workload_hash(&w, total);
        workload_step(&w);
    }
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        for (uint32_t j = 0; j < FIELDS; j++) workload_hash(&w, accounts[i].field[j]);
    }
    printf("%d of %d rules applied to %d accounts, %" PRIu32 " times\n", ACTIVE, RULES, ACCOUNTS,
           round);
    printf("total %" PRIu64 "\n", total);
    return workload_end(&w);
}
