/* interp [SCALE]: an interpreter for a small language, made of indirect calls.
 *
 * The text of a program becomes a tree whose nodes each carry the function that
 * evaluates them, so every step of the interpreted program is a call through a
 * pointer. Values are 64-bit integers that wrap around.
 *
 *   program    = { "fn" name "(" [ name { "," name } ] ")" block }
 *   block      = "{" { statement } "}"
 *   statement  = block | "if" "(" e ")" statement [ "else" statement ]
 *              | "while" "(" e ")" statement | "return" e ";" | name "=" e ";" | e ";"
 *   e          = binary operators by precedence over - ! ( e ) number name name(...) */
#include "../common/common.h"

enum { NODES_MAX = 4096, LOCALS_MAX = 16, FUNCTIONS_MAX = 32, NAME_MAX_LENGTH = 23 };
/* A call takes about 150 bytes of a stack that may be as small as 64 KiB. */
enum { DEPTH_MAX = 200 };
enum { MEMORY_WORDS = 1 << 20 };

struct node;
struct function;

struct machine {
    uint64_t *memory;
    uint64_t steps;
    uint32_t depth;
    int returning;
};

struct frame {
    struct machine *machine;
    uint64_t locals[LOCALS_MAX];
};

typedef uint64_t (*evaluate)(struct frame *frame, const struct node *node);
typedef uint64_t (*builtin)(struct machine *machine, const uint64_t *arguments);
typedef uint64_t (*operation)(uint64_t left, uint64_t right);

struct node {
    evaluate run;
    uint64_t number;        /* a constant, or the index of a local variable */
    operation apply;        /* of a binary operator */
    const struct node *a, *b, *c;
    const struct node *next; /* next statement of a block, or next argument */
    struct function *callee;
    builtin native;
};

struct function {
    char name[NAME_MAX_LENGTH + 1];
    uint32_t parameters;
    const struct node *body;
};

static void stop(const char *what, const char *name) {
    fprintf(stderr, "%s: %s\n", what, name);
    exit(EXIT_WRONG);
}

/* ---- evaluation --------------------------------------------------------- */

#define RUN(node) ((node)->run(frame, (node)))

static uint64_t run_number(struct frame *frame, const struct node *n) { (void)frame; return n->number; }
static uint64_t run_local(struct frame *frame, const struct node *n) { return frame->locals[n->number]; }

static uint64_t run_binary(struct frame *frame, const struct node *n) {
    uint64_t left = RUN(n->a);
    return n->apply(left, RUN(n->b));
}

static uint64_t run_both(struct frame *frame, const struct node *n) { return RUN(n->a) ? RUN(n->b) != 0 : 0; }
static uint64_t run_either(struct frame *frame, const struct node *n) { return RUN(n->a) ? 1 : RUN(n->b) != 0; }
static uint64_t run_not(struct frame *frame, const struct node *n) { return !RUN(n->a); }
static uint64_t run_negate(struct frame *frame, const struct node *n) { return 0 - RUN(n->a); }

static uint64_t run_assign(struct frame *frame, const struct node *n) {
    return frame->locals[n->number] = RUN(n->a);
}

static uint64_t run_block(struct frame *frame, const struct node *n) {
    uint64_t value = 0;
    for (const struct node *s = n->a; s; s = s->next) {
        frame->machine->steps++;
        value = RUN(s);
        if (frame->machine->returning) break;
    }
    return value;
}

static uint64_t run_if(struct frame *frame, const struct node *n) {
    if (RUN(n->a)) return RUN(n->b);
    return n->c ? RUN(n->c) : 0;
}

static uint64_t run_while(struct frame *frame, const struct node *n) {
    while (RUN(n->a)) {
        uint64_t value = RUN(n->b);
        if (frame->machine->returning) return value;
    }
    return 0;
}

static uint64_t run_return(struct frame *frame, const struct node *n) {
    uint64_t value = RUN(n->a);
    frame->machine->returning = 1;
    return value;
}

static uint64_t run_call(struct frame *frame, const struct node *n) {
    struct machine *machine = frame->machine;
    struct frame callee = {.machine = machine};
    uint32_t count = 0;
    for (const struct node *argument = n->a; argument; argument = argument->next) {
        callee.locals[count++] = RUN(argument);
    }
    if (n->native) return n->native(machine, callee.locals);
    if (++machine->depth > DEPTH_MAX) stop("too deep", n->callee->name);
    uint64_t value = n->callee->body->run(&callee, n->callee->body);
    machine->depth--;
    machine->returning = 0;
    return value;
}

static uint64_t op_add(uint64_t a, uint64_t b) { return a + b; }
static uint64_t op_subtract(uint64_t a, uint64_t b) { return a - b; }
static uint64_t op_multiply(uint64_t a, uint64_t b) { return a * b; }
static uint64_t op_divide(uint64_t a, uint64_t b) { return b ? a / b : 0; }
static uint64_t op_remainder(uint64_t a, uint64_t b) { return b ? a % b : 0; }
static uint64_t op_left(uint64_t a, uint64_t b) { return a << (b & 63); }
static uint64_t op_right(uint64_t a, uint64_t b) { return a >> (b & 63); }
static uint64_t op_and(uint64_t a, uint64_t b) { return a & b; }
static uint64_t op_or(uint64_t a, uint64_t b) { return a | b; }
static uint64_t op_xor(uint64_t a, uint64_t b) { return a ^ b; }
static uint64_t op_equal(uint64_t a, uint64_t b) { return a == b; }
static uint64_t op_unequal(uint64_t a, uint64_t b) { return a != b; }
static uint64_t op_less(uint64_t a, uint64_t b) { return (int64_t)a < (int64_t)b; }
static uint64_t op_less_equal(uint64_t a, uint64_t b) { return (int64_t)a <= (int64_t)b; }
static uint64_t op_greater(uint64_t a, uint64_t b) { return (int64_t)a > (int64_t)b; }
static uint64_t op_greater_equal(uint64_t a, uint64_t b) { return (int64_t)a >= (int64_t)b; }

static const struct {
    const char *spelling;
    int precedence;
    operation apply; /* none for && and ||, which decide whether the right side runs */
} operators[] = {
    {"||", 1, NULL},        {"&&", 2, NULL},          {"==", 6, op_equal},
    {"!=", 6, op_unequal},  {"<=", 7, op_less_equal}, {">=", 7, op_greater_equal},
    {"<<", 8, op_left},     {">>", 8, op_right},      {"|", 3, op_or},
    {"^", 4, op_xor},       {"&", 5, op_and},         {"<", 7, op_less},
    {">", 7, op_greater},   {"+", 9, op_add},         {"-", 9, op_subtract},
    {"*", 10, op_multiply}, {"/", 10, op_divide},     {"%", 10, op_remainder},
};
enum { OPERATORS = sizeof operators / sizeof *operators };

static uint64_t native_load(struct machine *machine, const uint64_t *arguments) {
    return machine->memory[arguments[0] % MEMORY_WORDS];
}

static uint64_t native_store(struct machine *machine, const uint64_t *arguments) {
    return machine->memory[arguments[0] % MEMORY_WORDS] = arguments[1];
}

static const struct {
    const char *name;
    uint32_t parameters;
    builtin native;
} builtins[] = {{"load", 1, native_load}, {"store", 2, native_store}};

/* ---- from text to tree -------------------------------------------------- */

struct reader {
    const char *at;
    char locals[LOCALS_MAX][NAME_MAX_LENGTH + 1];
    uint32_t local_count, function_count, node_count;
    struct function functions[FUNCTIONS_MAX];
    struct node nodes[NODES_MAX];
};

static struct node *new_node(struct reader *r, evaluate run) {
    if (r->node_count == NODES_MAX) stop("program too long", r->at);
    struct node *n = &r->nodes[r->node_count++];
    n->run = run;
    return n;
}

static void skip_space(struct reader *r) {
    while (*r->at == ' ' || *r->at == '\n') r->at++;
}

static int name_letter(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }

/* Take `token` when the text goes on with it; a word must end there. */
static int accept(struct reader *r, const char *token) {
    skip_space(r);
    size_t length = strlen(token);
    if (strncmp(r->at, token, length)) return 0;
    if (name_letter(*token) && name_letter(r->at[length])) return 0;
    r->at += length;
    return 1;
}

static void expect(struct reader *r, const char *token) {
    if (!accept(r, token)) {
        fprintf(stderr, "expected %s before: %.20s\n", token, r->at);
        exit(EXIT_WRONG);
    }
}

static void read_name(struct reader *r, char *name) {
    uint32_t length = 0;
    skip_space(r);
    while (name_letter(*r->at) && length < NAME_MAX_LENGTH) name[length++] = *r->at++;
    name[length] = 0;
    if (!length) stop("expected a name", r->at);
}

static uint64_t local_index(struct reader *r, const char *name) {
    for (uint32_t i = 0; i < r->local_count; i++) {
        if (!strcmp(r->locals[i], name)) return i;
    }
    if (r->local_count == LOCALS_MAX) stop("too many variables", name);
    strcpy(r->locals[r->local_count], name);
    return r->local_count++;
}

/* The function of that name; one that is called before it is read starts empty. */
static struct function *find_function(struct reader *r, const char *name) {
    for (uint32_t i = 0; i < r->function_count; i++) {
        if (!strcmp(r->functions[i].name, name)) return &r->functions[i];
    }
    if (r->function_count == FUNCTIONS_MAX) stop("too many functions", name);
    struct function *f = &r->functions[r->function_count++];
    strcpy(f->name, name);
    return f;
}

static struct node *read_expression(struct reader *r, int precedence);

static struct node *read_call(struct reader *r, const char *name) {
    struct node *call = new_node(r, run_call);
    const struct node **end = &call->a;
    uint32_t count = 0;
    for (; !accept(r, ")"); count++) {
        if (count) expect(r, ",");
        if (count == LOCALS_MAX) stop("too many arguments", name);
        struct node *argument = read_expression(r, 1);
        *end = argument;
        end = &argument->next;
    }
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++) {
        if (!strcmp(builtins[i].name, name) && builtins[i].parameters == count) call->native = builtins[i].native;
    }
    if (!call->native) call->callee = find_function(r, name);
    return call;
}

static struct node *read_operand(struct reader *r) {
    struct node *n;
    skip_space(r);
    if (accept(r, "(")) {
        n = read_expression(r, 1);
        expect(r, ")");
    } else if (accept(r, "-")) {
        n = new_node(r, run_negate);
        n->a = read_operand(r);
    } else if (accept(r, "!")) {
        n = new_node(r, run_not);
        n->a = read_operand(r);
    } else if (*r->at >= '0' && *r->at <= '9') {
        n = new_node(r, run_number);
        while (*r->at >= '0' && *r->at <= '9') n->number = n->number * 10 + (uint64_t)(*r->at++ - '0');
    } else {
        char name[NAME_MAX_LENGTH + 1];
        read_name(r, name);
        if (accept(r, "(")) return read_call(r, name);
        n = new_node(r, run_local);
        n->number = local_index(r, name);
    }
    return n;
}

/* The operator that comes next, if it binds at least as `precedence`; else -1. */
static int accept_operator(struct reader *r, int precedence) {
    skip_space(r);
    for (int i = 0; i < OPERATORS; i++) {
        size_t length = strlen(operators[i].spelling);
        if (strncmp(r->at, operators[i].spelling, length)) continue;
        if (operators[i].precedence < precedence) return -1;
        r->at += length;
        return i;
    }
    return -1;
}

static struct node *read_expression(struct reader *r, int precedence) {
    struct node *left = read_operand(r);
    for (;;) {
        int found = accept_operator(r, precedence);
        if (found < 0) return left;
        evaluate run = operators[found].apply ? run_binary : found ? run_both : run_either;
        struct node *n = new_node(r, run);
        n->apply = operators[found].apply;
        n->a = left;
        n->b = read_expression(r, operators[found].precedence + 1);
        left = n;
    }
}

static struct node *read_statement(struct reader *r);

static struct node *read_block(struct reader *r) {
    struct node *block = new_node(r, run_block);
    const struct node **end = &block->a;
    while (!accept(r, "}")) {
        struct node *statement = read_statement(r);
        *end = statement;
        end = &statement->next;
    }
    return block;
}

static struct node *read_condition(struct reader *r, evaluate run) {
    struct node *n = new_node(r, run);
    expect(r, "(");
    n->a = read_expression(r, 1);
    expect(r, ")");
    n->b = read_statement(r);
    return n;
}

static struct node *read_simple(struct reader *r) {
    struct node *n;
    const char *before = r->at;
    char name[NAME_MAX_LENGTH + 1];
    skip_space(r);
    if (name_letter(*r->at)) {
        read_name(r, name);
        if (accept(r, "=") && *r->at != '=') {
            n = new_node(r, run_assign);
            n->number = local_index(r, name);
            n->a = read_expression(r, 1);
            return n;
        }
        r->at = before;
    }
    return read_expression(r, 1);
}

static struct node *read_statement(struct reader *r) {
    struct node *n;
    if (accept(r, "{")) return read_block(r);
    if (accept(r, "while")) return read_condition(r, run_while);
    if (accept(r, "if")) {
        n = read_condition(r, run_if);
        if (accept(r, "else")) n->c = read_statement(r);
        return n;
    }
    if (accept(r, "return")) {
        n = new_node(r, run_return);
        n->a = read_expression(r, 1);
    } else {
        n = read_simple(r);
    }
    expect(r, ";");
    return n;
}

static void read_program(struct reader *r, const char *text) {
    char name[NAME_MAX_LENGTH + 1];
    r->at = text;
    while (accept(r, "fn")) {
        read_name(r, name);
        struct function *f = find_function(r, name);
        r->local_count = 0;
        expect(r, "(");
        while (!accept(r, ")")) {
            if (f->parameters++) expect(r, ",");
            read_name(r, name);
            local_index(r, name);
        }
        expect(r, "{");
        f->body = read_block(r);
    }
    if (*r->at) stop("expected a function", r->at);
    for (uint32_t i = 0; i < r->function_count; i++) {
        if (!r->functions[i].body) stop("no such function", r->functions[i].name);
    }
}

/* ---- the programs that are run ------------------------------------------ */

static const char program[] =
    "fn fib(n) { if (n < 2) return n; return fib(n - 1) + fib(n - 2); }\n"
    "fn sieve(limit) {\n"
    "  i = 2; while (i < limit) { store(i, 1); i = i + 1; }\n"
    "  i = 2; count = 0;\n"
    "  while (i < limit) {\n"
    "    if (load(i)) { count = count + 1; j = i * i; while (j < limit) { store(j, 0); j = j + i; } }\n"
    "    i = i + 1;\n"
    "  }\n"
    "  return count;\n"
    "}\n"
    "fn collatz(limit) {\n"
    "  best = 0; start = 1;\n"
    "  while (start < limit) {\n"
    "    n = start; length = 0;\n"
    "    while (n != 1) { if (n & 1) n = 3 * n + 1; else n = n >> 1; length = length + 1; }\n"
    "    if (length > best) best = length;\n"
    "    start = start + 1;\n"
    "  }\n"
    "  return best;\n"
    "}\n"
    "fn even(n) { if (n == 0) return 1; return odd(n - 1); }\n"
    "fn odd(n) { if (n == 0) return 0; return even(n - 1); }\n"
    "fn parity(limit) {\n"
    "  sum = 0; i = 0;\n"
    "  while (i < limit) { sum = sum * 3 + (even(i % 100) && !odd(i % 100) || i % 7 == 3); i = i + 1; }\n"
    "  return sum;\n"
    "}\n"
    "fn mix(limit) {\n"
    "  x = 88172645463325252; i = 0;\n"
    "  while (i < limit) { x = x ^ x << 13; x = x ^ x >> 7; x = x ^ x << 17; i = i + 1; }\n"
    "  return x;\n"
    "}\n";

static const struct {
    const char *name;
    uint32_t argument; /* is multiplied by SCALE; that of fib, whose time would explode, grows slowly */
} runs[] = {{"fib", 23}, {"sieve", 10000}, {"collatz", 1000}, {"parity", 500}, {"mix", 20000}};

enum { SCALE_MAX = 100 }; /* the sieve fills the memory */

int main(int argc, char **argv) {
    uint32_t scale = number_argument(argc, argv, 1, 10);
    static struct reader reader;
    struct machine machine = {.memory = allocate(MEMORY_WORDS * sizeof(uint64_t))};
    struct frame frame = {.machine = &machine};
    uint64_t checksum = HASH_SEED;
    if (scale > SCALE_MAX) {
        fprintf(stderr, "SCALE is at most %d\n", SCALE_MAX);
        return EXIT_USAGE;
    }
    read_program(&reader, program);
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        struct node argument = {.run = run_number, .number = runs[i].argument};
        struct node call = {.run = run_call, .a = &argument, .callee = find_function(&reader, runs[i].name)};
        argument.number = i ? argument.number * scale : argument.number + scale / 5;
        uint64_t value = call.run(&frame, &call);
        checksum = hash_word(checksum, value);
        printf("%s(%lu) = %llu\n", runs[i].name, (unsigned long)argument.number, (unsigned long long)value);
    }
    printf("steps %llu\n", (unsigned long long)machine.steps);
    print_hash("checksum", hash_word(checksum, machine.steps));
    free(machine.memory);
    return 0;
}
