/* Deep and wide recursion: nothing but calls and returns.
 *
 * Stands for: programs of small recursive functions, as functional languages
 * compile to and parsers consist of. Prologues, stack checks, spills around calls
 * and the return path decide everything.
 *
 * Five parts take turns, one of each per step: Ackermann's function, whose calls
 * nest deepest; Takeuchi's, with three arguments that are calls; Hofstadter's
 * female and male sequences, which call each other; the queens on a board, by
 * backtracking; and a recursive-descent parser that evaluates expressions with
 * deeply nested parentheses.
 *
 * What dominates: calls of very small frames. No part nests more than about 800
 * calls: an interpreter in the default configuration allows 1,000.
 * Sizes: the number of steps and of repetitions within one. The checks: known
 * values, and expressions whose value is known from making them. */
#include "../common/workload.h"

/* The compiler may not turn the recursion that is to be measured into loops. */
#define KEPT __attribute__((noinline))

enum {
    STEPS = 50,
    ACKERMANN_ROW = 3,
    ACKERMANN_COLUMN = 6,
    NEST = 150,
    TEXT_MAX = 8192,
};

/* ---- numbers -------------------------------------------------------------- */

static KEPT uint32_t ackermann(uint32_t m, uint32_t n) {
    if (m == 0) return n + 1;
    if (n == 0) return ackermann(m - 1, 1);
    return ackermann(m - 1, ackermann(m, n - 1));
}

static KEPT int32_t takeuchi(int32_t x, int32_t y, int32_t z) {
    if (x <= y) return y;
    return takeuchi(takeuchi(x - 1, y, z), takeuchi(y - 1, z, x), takeuchi(z - 1, x, y));
}

static uint32_t male(uint32_t n);

static KEPT uint32_t female(uint32_t n) {
    return n == 0 ? 1 : n - male(female(n - 1));
}

static KEPT uint32_t male(uint32_t n) {
    return n == 0 ? 0 : n - female(male(n - 1));
}

/* ---- queens --------------------------------------------------------------- */

struct board {
    uint32_t side;
    uint32_t visits; /* calls so far */
};

/* Ways to put queens on the rows from `row`, given what the rows before attack. */
static KEPT uint32_t queens(struct board *board, uint32_t row, uint32_t columns, uint32_t left,
                            uint32_t right) {
    board->visits++;
    if (row == board->side) return 1;
    uint32_t ways = 0;
    uint32_t open = ~(columns | left | right) & ((1u << board->side) - 1);
    while (open) {
        uint32_t place = open & (0 - open);
        open ^= place;
        ways += queens(board, row + 1, columns | place, (left | place) << 1, (right | place) >> 1);
    }
    return ways;
}

/* ---- expressions ---------------------------------------------------------- */

/* sum = product {("+"|"-") product}; product = unit {"*" unit};
 * unit = number | "-" unit | "(" sum ")". Arithmetic modulo 2 to the 32nd. */
struct reader {
    const char *at;
};

static uint32_t read_sum(struct reader *reader);

static KEPT uint32_t read_unit(struct reader *reader) {
    if (*reader->at == '-') {
        reader->at++;
        return 0 - read_unit(reader);
    }
    if (*reader->at == '(') {
        reader->at++;
        uint32_t value = read_sum(reader);
        if (*reader->at++ != ')') workload_fail("a parenthesis is missing");
        return value;
    }
    if (*reader->at < '0' || *reader->at > '9') workload_fail("a number is missing");
    uint32_t value = 0;
    while (*reader->at >= '0' && *reader->at <= '9') {
        value = value * 10 + (uint32_t)(*reader->at++ - '0');
    }
    return value;
}

static KEPT uint32_t read_product(struct reader *reader) {
    uint32_t value = read_unit(reader);
    while (*reader->at == '*') {
        reader->at++;
        value *= read_unit(reader);
    }
    return value;
}

static KEPT uint32_t read_sum(struct reader *reader) {
    uint32_t value = read_product(reader);
    for (;;) {
        if (*reader->at == '+') {
            reader->at++;
            value += read_product(reader);
        } else if (*reader->at == '-') {
            reader->at++;
            value -= read_product(reader);
        } else {
            return value;
        }
    }
}

struct writer {
    char text[TEXT_MAX];
    size_t length;
    struct random random;
};

static void put(struct writer *writer, char c) {
    if (writer->length + 1 >= TEXT_MAX) workload_fail("an expression is too long");
    writer->text[writer->length++] = c;
    writer->text[writer->length] = 0;
}

static uint32_t put_number(struct writer *writer) {
    uint32_t value = random_below(&writer->random, 1000);
    char digits[12];
    snprintf(digits, sizeof digits, "%" PRIu32, value);
    for (const char *digit = digits; *digit; digit++) put(writer, *digit);
    return value;
}

/* Writes a sum inside `depth` parentheses; its value. */
static uint32_t put_nested(struct writer *writer, uint32_t depth) {
    if (depth == 0) return put_number(writer);
    uint32_t value = put_number(writer);
    uint32_t kind = random_below(&writer->random, 4);
    put(writer, kind == 0 ? '*' : kind == 1 ? '-' : '+');
    if (kind == 3) put(writer, '-');
    put(writer, '(');
    uint32_t inner = put_nested(writer, depth - 1);
    put(writer, ')');
    value = kind == 0 ? value * inner : kind == 2 ? value + inner : value - inner;
    if (random_below(&writer->random, 2) == 0) {
        put(writer, '+');
        value += put_number(writer);
    }
    return value;
}

/* ---- all together --------------------------------------------------------- */

struct totals {
    uint64_t tak, female, expressions;
    uint32_t visits;
};

static void one_round(struct workload *w, struct writer *writer, struct totals *totals,
                      uint32_t round) {
    uint32_t column = ACKERMANN_COLUMN - round % 2;
    if (ackermann(ACKERMANN_ROW, column) != (8u << column) - 3) {
        workload_fail("Ackermann's function is wrong");
    }

    int32_t x = 12 + (int32_t)(round % 2);
    int32_t tak = takeuchi(x, 8, 4);
    /* What the recursion amounts to when x > y > z. */
    if (tak != x) workload_fail("Takeuchi's function is wrong");
    totals->tak += (uint32_t)tak;

    uint32_t n = 40 + round % 8;
    uint32_t f = female(n), m = male(n);
    if (f < m || f > m + 1) workload_fail("Hofstadter's sequences are too far apart");
    totals->female += f;

    static const uint32_t known[] = {1, 1, 0, 0, 2, 10, 4, 40, 92, 352};
    struct board board = {8 + round % 2, 0};
    if (queens(&board, 0, 0, 0, 0) != known[board.side]) workload_fail("queens were miscounted");
    totals->visits += board.visits;

    writer->length = 0;
    uint32_t value = put_nested(writer, NEST + round % 64);
    for (int i = 0; i < 16; i++) {
        struct reader reader = {writer->text};
        uint32_t found = read_sum(&reader);
        if (found != value || *reader.at) workload_fail("an expression has another value");
        totals->expressions += found;
    }
    workload_hash(w, value);
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    static struct writer writer;
    writer.random.state = UINT64_C(0x7265637572736521);
    struct totals totals = {0, 0, 0, 0};
    const uint32_t rounds = workload_pick(&w, 2, 48, 480);

    uint32_t round = 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        for (uint32_t i = 0; i < rounds; i++) one_round(&w, &writer, &totals, round++);
        workload_step(&w);
    }

    workload_hash(&w, totals.tak);
    workload_hash(&w, totals.female);
    workload_hash(&w, totals.expressions);
    workload_hash(&w, totals.visits);
    printf("%" PRIu32 " rounds\n", round);
    printf("Takeuchi %" PRIu64 ", Hofstadter %" PRIu64 ", expressions %" PRIu64 "\n", totals.tak,
           totals.female, totals.expressions);
    printf("%" PRIu32 " boards visited\n", totals.visits);
    return workload_end(&w);
}
