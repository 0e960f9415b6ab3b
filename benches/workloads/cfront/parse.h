/* The front of the compiler: memory, lexer, parser, scopes and type checks. The
 * types are int (32 bits) and byte (8 bits, unsigned, an int in expressions) and
 * arrays of both. */
#ifndef CFRONT_PARSE_H
#define CFRONT_PARSE_H

#include "source.h"

/* All data of a unit lives in one arena, which is emptied between units. */

struct arena {
    char *memory;
    size_t used, size;
};

static void *take(struct arena *a, size_t count, size_t size) {
    size_t bytes = (count * size + 15) & ~(size_t)15;
    if (bytes > a->size - a->used) workload_fail("the arena is full");
    void *memory = a->memory + a->used;
    a->used += bytes;
    return memset(memory, 0, bytes);
}

enum token {
    T_END, T_NAME, T_NUMBER, T_INT, T_BYTE, T_IF, T_ELSE, T_FOR, T_RETURN, T_BREAK, T_CONTINUE,
    T_EQ, T_NE, T_LE, T_GE, T_SHL, T_SHR, T_ANDAND, T_OROR, T_SYMBOL
};

enum type { TYPE_INT, TYPE_BYTE };

enum symbol_kind { SYMBOL_NONE, SYMBOL_LOCAL, SYMBOL_GLOBAL, SYMBOL_ARRAY, SYMBOL_FUNCTION };

struct symbol {
    struct name *name;
    enum symbol_kind kind;
    enum type type;
    uint32_t number, parameter_count;
    enum type parameter_types[8];
    struct symbol *hidden; /* of an outer scope with the same name */
    struct symbol *before; /* declared just before it */
};

struct name {
    struct name *next;
    struct symbol *symbol; /* what it means here */
    enum token token;      /* T_NAME or a keyword */
    uint32_t length;
    const char *text;
};

enum operation {
    OP_NONE, OP_CONST, OP_PARAMETER, OP_COPY, OP_PHI,
    OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD, OP_AND, OP_OR, OP_XOR, OP_SHL, OP_SHR,
    OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_NEG, OP_NOT, OP_INVERT, OP_TO_BYTE,
    OP_LOAD, OP_STORE, OP_LOAD_ITEM, OP_STORE_ITEM, OP_CALL
};

enum node_kind {
    N_NUMBER, N_NAME, N_INDEX, N_CALL, N_UNARY, N_BINARY, N_ANDAND, N_OROR,
    N_BLOCK, N_ASSIGN, N_IF, N_FOR, N_RETURN, N_BREAK, N_CONTINUE
};

/* a, b, c, d: operands; the index or arguments; target and value of N_ASSIGN; condition,
 * then, else; start, condition, step, body of N_FOR. Lists go on with `next`. */
struct node {
    enum node_kind kind;
    enum operation operation;
    enum type type;
    int32_t number; /* also the local that holds the result of && and || */
    struct symbol *symbol;
    struct node *a, *b, *c, *d, *next;
};

enum { NAME_BUCKETS = 256 };

struct parser {
    struct arena *arena;
    const char *at, *start;
    enum token token;
    char symbol; /* of T_SYMBOL */
    int32_t number;
    struct name *name, *names[NAME_BUCKETS];
    uint32_t line, locals, globals, functions;
    uint64_t tokens;
    struct symbol *latest;
};

static _Noreturn void source_error(const struct parser *p, const char *expected) {
    fprintf(stderr, "line %" PRIu32 ": expected %s before '%.10s'\n", p->line, expected, p->start);
    exit(EXIT_WRONG);
}

static struct name *intern(struct parser *p, const char *text, uint32_t length) {
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < length; i++) hash = (hash ^ (uint8_t)text[i]) * 16777619u;
    struct name **bucket = &p->names[hash % NAME_BUCKETS];
    for (struct name *name = *bucket; name; name = name->next) {
        if (name->length == length && !memcmp(name->text, text, length)) return name;
    }
    struct name *name = take(p->arena, 1, sizeof *name);
    *name = (struct name){*bucket, NULL, T_NAME, length, text};
    return *bucket = name;
}

static bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool digit(char c) { return c >= '0' && c <= '9'; }

static void skip_space(struct parser *p) {
    for (;; p->at++) {
        if (p->at[0] == '/' && p->at[1] == '*') {
            for (p->at += 2; p->at[0] && !(p->at[0] == '*' && p->at[1] == '/'); p->at++) {
                p->line += *p->at == '\n';
            }
            if (*p->at) p->at++;
        } else if (*p->at == '\n') {
            p->line++;
        } else if (*p->at != ' ') {
            return;
        }
    }
}

static void advance(struct parser *p) {
    static const struct { char text[3]; enum token token; } pairs[] = {
        {"==", T_EQ}, {"!=", T_NE}, {"<=", T_LE}, {">=", T_GE}, {"<<", T_SHL}, {">>", T_SHR},
        {"&&", T_ANDAND}, {"||", T_OROR}};
    skip_space(p);
    p->start = p->at;
    p->tokens++;
    p->symbol = 0;
    if (*p->at == 0) {
        p->token = T_END;
    } else if (letter(*p->at)) {
        while (letter(*p->at) || digit(*p->at)) p->at++;
        p->name = intern(p, p->start, (uint32_t)(p->at - p->start));
        p->token = p->name->token;
    } else if (digit(*p->at)) {
        p->token = T_NUMBER;
        for (p->number = 0; digit(*p->at) && p->number < 100000000; p->at++) {
            p->number = p->number * 10 + *p->at - '0';
        }
    } else {
        for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
            if (p->at[0] != pairs[i].text[0] || p->at[1] != pairs[i].text[1]) continue;
            p->token = pairs[i].token;
            p->at += 2;
            return;
        }
        p->token = T_SYMBOL;
        p->symbol = *p->at++;
    }
}

static bool accept(struct parser *p, enum token token) {
    if (p->token != token) return false;
    advance(p);
    return true;
}

static bool accept_symbol(struct parser *p, char symbol) {
    if (p->symbol != symbol) return false;
    advance(p);
    return true;
}

static void expect_symbol(struct parser *p, char symbol) {
    if (!accept_symbol(p, symbol)) source_error(p, (char[]){symbol, 0});
}

static struct node *node_new(struct parser *p, enum node_kind kind) {
    struct node *node = take(p->arena, 1, sizeof *node);
    node->kind = kind;
    return node;
}

/* Scopes: a symbol hides what its name meant before, until its scope is left. */

static struct symbol *declare(struct parser *p, struct name *name, enum symbol_kind kind, enum type type) {
    struct symbol *symbol = take(p->arena, 1, sizeof *symbol);
    symbol->name = name;
    symbol->kind = kind;
    symbol->type = type;
    symbol->number = kind == SYMBOL_LOCAL      ? p->locals++
                     : kind == SYMBOL_FUNCTION ? p->functions++
                                               : p->globals++;
    symbol->hidden = name->symbol;
    symbol->before = p->latest;
    return p->latest = name->symbol = symbol;
}

static void leave_scope(struct parser *p, struct symbol *latest) {
    for (; p->latest != latest; p->latest = p->latest->before) {
        p->latest->name->symbol = p->latest->hidden;
    }
}

static struct name *take_name(struct parser *p) {
    struct name *name = p->name;
    if (!accept(p, T_NAME)) source_error(p, "a name");
    return name;
}

static struct symbol *take_symbol(struct parser *p) {
    struct name *name = take_name(p);
    if (!name->symbol) source_error(p, "a declared name");
    return name->symbol;
}

static bool accept_type(struct parser *p, enum type *type) {
    *type = p->token == T_BYTE ? TYPE_BYTE : TYPE_INT;
    return accept(p, T_INT) || accept(p, T_BYTE);
}

/* Expressions. */

static struct node *expression(struct parser *p, int level);

/* The value as the type: an int loses bits on the way to a byte. */
static struct node *convert(struct parser *p, struct node *value, enum type type) {
    if (value->type == type || type == TYPE_INT) return value;
    struct node *node = node_new(p, N_UNARY);
    node->operation = OP_TO_BYTE;
    node->type = TYPE_BYTE;
    node->a = value;
    return node;
}

static struct node *call_or_name(struct parser *p) {
    struct symbol *symbol = take_symbol(p);
    static const enum node_kind kinds[] = {N_NAME, N_NAME, N_NAME, N_INDEX, N_CALL};
    struct node *node = node_new(p, kinds[symbol->kind]);
    node->symbol = symbol;
    node->type = symbol->type;
    if (symbol->kind == SYMBOL_ARRAY) {
        expect_symbol(p, '[');
        node->a = expression(p, 0);
        expect_symbol(p, ']');
    } else if (symbol->kind == SYMBOL_FUNCTION) {
        struct node **tail = &node->a;
        expect_symbol(p, '(');
        for (uint32_t i = 0; i < symbol->parameter_count; i++) {
            if (i > 0) expect_symbol(p, ',');
            *tail = convert(p, expression(p, 0), symbol->parameter_types[i]);
            /* The same node is never in two lists, so its `next` is free. */
            tail = &(*tail)->next;
        }
        expect_symbol(p, ')');
    }
    return node;
}

static struct node *unary(struct parser *p) {
    static const struct { char symbol; enum operation operation; } unaries[] = {
        {'-', OP_NEG}, {'!', OP_NOT}, {'~', OP_INVERT}};
    for (size_t i = 0; i < 3; i++) {
        if (!accept_symbol(p, unaries[i].symbol)) continue;
        struct node *node = node_new(p, N_UNARY);
        node->operation = unaries[i].operation;
        node->a = unary(p);
        return node;
    }
    if (p->token == T_NUMBER) {
        struct node *node = node_new(p, N_NUMBER);
        node->number = p->number;
        advance(p);
        return node;
    }
    if (p->token == T_NAME) return call_or_name(p);
    expect_symbol(p, '(');
    struct node *node = expression(p, 0);
    expect_symbol(p, ')');
    return node;
}

/* The binary operator at the current token and its level; -1: none. */
static int binary_operator(const struct parser *p, enum node_kind *kind, enum operation *operation) {
    static const struct {
        enum token token;
        char symbol;
        int8_t level;
        enum operation operation;
    } table[] = {
        {T_OROR, 0, 0, OP_NONE}, {T_ANDAND, 0, 1, OP_NONE}, {T_SYMBOL, '|', 2, OP_OR},
        {T_SYMBOL, '^', 3, OP_XOR}, {T_SYMBOL, '&', 4, OP_AND}, {T_EQ, 0, 5, OP_EQ}, {T_NE, 0, 5, OP_NE},
        {T_SYMBOL, '<', 6, OP_LT}, {T_LE, 0, 6, OP_LE}, {T_SYMBOL, '>', 6, OP_GT}, {T_GE, 0, 6, OP_GE},
        {T_SHL, 0, 7, OP_SHL}, {T_SHR, 0, 7, OP_SHR}, {T_SYMBOL, '+', 8, OP_ADD},
        {T_SYMBOL, '-', 8, OP_SUB}, {T_SYMBOL, '*', 9, OP_MUL}, {T_SYMBOL, '/', 9, OP_DIV},
        {T_SYMBOL, '%', 9, OP_MOD}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (p->token != table[i].token || p->symbol != table[i].symbol) continue;
        *kind = p->token == T_OROR ? N_OROR : p->token == T_ANDAND ? N_ANDAND : N_BINARY;
        *operation = table[i].operation;
        return table[i].level;
    }
    return -1;
}

static struct node *expression(struct parser *p, int level) {
    struct node *left = unary(p);
    enum node_kind kind;
    enum operation operation;
    for (int found; (found = binary_operator(p, &kind, &operation)) >= level;) {
        advance(p);
        struct node *node = node_new(p, kind);
        node->operation = operation;
        node->a = left;
        node->b = expression(p, found + 1);
        if (kind != N_BINARY) node->number = (int32_t)p->locals++;
        left = node;
    }
    return left;
}

/* Statements. */

static struct node *assignment(struct parser *p, struct node *target) {
    struct node *node = node_new(p, N_ASSIGN);
    if (target->kind != N_NAME && target->kind != N_INDEX) source_error(p, "a variable");
    expect_symbol(p, '=');
    node->a = target;
    node->b = convert(p, expression(p, 0), target->type);
    return node;
}

/* A declaration or an assignment. */
static struct node *simple_statement(struct parser *p) {
    enum type type;
    if (!accept_type(p, &type)) return assignment(p, call_or_name(p));
    struct node *target = node_new(p, N_NAME);
    struct name *name = take_name(p);
    target->type = type;
    struct node *node = assignment(p, target);
    target->symbol = declare(p, name, SYMBOL_LOCAL, type); /* after its value */
    return node;
}

static struct node *statement(struct parser *p);

static struct node *block(struct parser *p) {
    struct node *node = node_new(p, N_BLOCK), **tail = &node->a;
    struct symbol *latest = p->latest;
    expect_symbol(p, '{');
    while (!accept_symbol(p, '}')) {
        *tail = statement(p);
        tail = &(*tail)->next;
    }
    leave_scope(p, latest);
    return node;
}

static struct node *for_statement(struct parser *p) {
    struct node *node = node_new(p, N_FOR);
    struct symbol *latest = p->latest;
    expect_symbol(p, '(');
    node->a = simple_statement(p);
    expect_symbol(p, ';');
    node->b = expression(p, 0);
    expect_symbol(p, ';');
    node->c = simple_statement(p);
    expect_symbol(p, ')');
    node->d = block(p);
    leave_scope(p, latest);
    return node;
}

static struct node *statement(struct parser *p) {
    struct node *node;
    if (p->symbol == '{') return block(p);
    if (accept(p, T_FOR)) return for_statement(p);
    if (accept(p, T_IF)) {
        node = node_new(p, N_IF);
        expect_symbol(p, '(');
        node->a = expression(p, 0);
        expect_symbol(p, ')');
        node->b = block(p);
        if (accept(p, T_ELSE)) node->c = block(p);
        return node;
    }
    if (accept(p, T_RETURN)) {
        node = node_new(p, N_RETURN);
        node->a = expression(p, 0);
    } else if (accept(p, T_BREAK)) {
        node = node_new(p, N_BREAK);
    } else if (accept(p, T_CONTINUE)) {
        node = node_new(p, N_CONTINUE);
    } else {
        node = simple_statement(p);
    }
    expect_symbol(p, ';');
    return node;
}

static struct parser parse_begin(struct arena *arena, const char *text) {
    static const struct { const char *text; enum token token; } keywords[] = {
        {"int", T_INT}, {"byte", T_BYTE}, {"if", T_IF}, {"else", T_ELSE}, {"for", T_FOR},
        {"return", T_RETURN}, {"break", T_BREAK}, {"continue", T_CONTINUE}};
    struct parser p = {.arena = arena, .at = text, .line = 1};
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        intern(&p, keywords[i].text, (uint32_t)strlen(keywords[i].text))->token = keywords[i].token;
    }
    advance(&p);
    return p;
}

/* The next function with its body, or NULL at the end of the unit; declares globals
 * on the way. */
static struct symbol *next_function(struct parser *p, struct node **body) {
    enum type type;
    while (p->token != T_END) {
        if (!accept_type(p, &type)) source_error(p, "a type");
        struct name *name = take_name(p);
        if (accept_symbol(p, '(')) {
            struct symbol *function = declare(p, name, SYMBOL_FUNCTION, type), *latest = p->latest;
            p->locals = 0;
            while (!accept_symbol(p, ')')) {
                if (function->parameter_count == 8) source_error(p, "at most 8 parameters");
                if (function->parameter_count > 0) expect_symbol(p, ',');
                if (!accept_type(p, &type)) source_error(p, "a type");
                declare(p, take_name(p), SYMBOL_LOCAL, type);
                function->parameter_types[function->parameter_count++] = type;
            }
            *body = block(p);
            leave_scope(p, latest);
            return function;
        }
        declare(p, name, p->symbol == '[' ? SYMBOL_ARRAY : SYMBOL_GLOBAL, type);
        if (accept_symbol(p, '[')) {
            if (!accept(p, T_NUMBER)) source_error(p, "a number");
            expect_symbol(p, ']');
        }
        expect_symbol(p, ';');
    }
    return NULL;
}

#endif
