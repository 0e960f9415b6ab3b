/* From script text to bytecode: a lexer and a recursive-descent parser that emits
 * code for the stack machine as it reads.
 *
 *   program    = { "fn" name "(" names ")" block }
 *   statement  = "let" name "=" expr ";" | "return" [ expr ] ";"
 *              | "if" expr block [ "else" ( if | block ) ] | "while" expr block
 *              | place ( "=" | "+=" | "..=" ) expr ";" | expr ";"
 *   expr       = or, and, not, == != < <= > >= in, .., + -, * / %, unary -,
 *                call f(x), index a[i], literals 12 'text' [a, b] {}
 */
#ifndef BYTECODE_COMPILE_H
#define BYTECODE_COMPILE_H

#include "value.h"

/* The low eight bits of an instruction; the others are its operand. */
enum op {
    OP_INT, OP_CONSTANT, OP_NIL, OP_LOCAL, OP_STORE, OP_POP, OP_COPY2,
    OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD, OP_NEG, OP_NOT, OP_ADD_INT,
    OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_IN, OP_CONCAT, OP_APPEND,
    OP_INDEX, OP_SET_INDEX, OP_ARRAY, OP_TABLE,
    OP_JUMP, OP_JUMP_FALSE, OP_AND, OP_OR, OP_JUMP_NOT_LT, OP_CALL, OP_RETURN
};

enum { FUNCTIONS_MAX = 64, CONSTANTS_MAX = 512, LOCALS_MAX = 64, NAME_MAX_BYTES = 32 };

struct function {
    char name[NAME_MAX_BYTES];
    bool defined;
    uint32_t parameters, locals; /* locals counts the parameters too */
    uint32_t length, capacity;
    uint32_t *code, *lines;
};

struct program {
    struct function functions[FUNCTIONS_MAX];
    uint32_t function_count;
    struct value constants[CONSTANTS_MAX];
    uint32_t constant_count;
};

enum token {
    T_END, T_NAME, T_INT, T_STRING, T_FN, T_LET, T_IF, T_ELSE, T_WHILE, T_RETURN, T_AND, T_OR,
    T_NOT, T_IN, T_NIL, T_EQ, T_NE, T_LE, T_GE, T_ADD_SET, T_CONCAT, T_APPEND, T_PUNCTUATION
};

struct compiler {
    struct program *program;
    struct function *function;
    const char *const *builtins; /* names, then NULL */
    const char *at, *start;      /* `start` is where the current token starts */
    enum token token;
    uint32_t line, length;
    int64_t number;
    char names[LOCALS_MAX][NAME_MAX_BYTES];
    uint32_t name_count;
    uint32_t landed; /* where the last forward jump lands */
};

static _Noreturn void compile_error(const struct compiler *c, const char *expected) {
    fprintf(stderr, "script line %u: expected %s, found '%.*s'\n", (unsigned)c->line, expected,
            (int)c->length, c->start);
    exit(EXIT_WRONG);
}

/* The lexer. */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

static enum token name_token(const char *text, uint32_t length) {
    static const struct { const char *text; enum token token; } words[] = {
        {"fn", T_FN}, {"let", T_LET}, {"if", T_IF}, {"else", T_ELSE}, {"while", T_WHILE},
        {"return", T_RETURN}, {"and", T_AND}, {"or", T_OR}, {"not", T_NOT}, {"in", T_IN},
        {"nil", T_NIL}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i].text) == length && !memcmp(words[i].text, text, length)) return words[i].token;
    }
    return T_NAME;
}

static enum token symbol_token(struct compiler *c) {
    static const struct { const char *text; enum token token; } symbols[] = {
        {"..=", T_APPEND}, {"==", T_EQ}, {"!=", T_NE}, {"<=", T_LE}, {">=", T_GE},
        {"+=", T_ADD_SET}, {"..", T_CONCAT}};
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        size_t length = strlen(symbols[i].text);
        if (strncmp(c->start, symbols[i].text, length)) continue;
        c->at = c->start + length;
        return symbols[i].token;
    }
    c->at = c->start + 1;
    return T_PUNCTUATION;
}

static void next_token(struct compiler *c) {
    while (*c->at == ' ' || *c->at == '\n' || *c->at == '#') {
        if (*c->at == '#') while (c->at[1] && c->at[1] != '\n') c->at++;
        if (*c->at++ == '\n') c->line++;
    }
    c->start = c->at;
    if (*c->at == 0) {
        c->token = T_END;
    } else if (is_digit(*c->at)) {
        c->token = T_INT;
        for (c->number = 0; is_digit(*c->at); c->at++) c->number = c->number * 10 + (*c->at - '0');
    } else if (is_letter(*c->at)) {
        while (is_letter(*c->at) || is_digit(*c->at)) c->at++;
        c->token = name_token(c->start, (uint32_t)(c->at - c->start));
    } else if (*c->at == '\'') {
        c->token = T_STRING;
        do c->at++;
        while (*c->at && *c->at != '\'');
        if (*c->at) c->at++;
    } else {
        c->token = symbol_token(c);
    }
    c->length = (uint32_t)(c->at - c->start);
}

static bool at_symbol(const struct compiler *c, char symbol) {
    return c->token == T_PUNCTUATION && *c->start == symbol;
}

static bool accept_symbol(struct compiler *c, char symbol) {
    if (!at_symbol(c, symbol)) return false;
    next_token(c);
    return true;
}

static void expect_symbol(struct compiler *c, char symbol) {
    char text[2] = {symbol, 0};
    if (!accept_symbol(c, symbol)) compile_error(c, text);
}

static bool accept(struct compiler *c, enum token token) {
    if (c->token != token) return false;
    next_token(c);
    return true;
}

static void take_name(struct compiler *c, char name[NAME_MAX_BYTES]) {
    if (c->token != T_NAME || c->length >= NAME_MAX_BYTES) compile_error(c, "a name");
    memcpy(name, c->start, c->length);
    name[c->length] = 0;
    next_token(c);
}

/* The code generator. */

static uint32_t emit(struct compiler *c, enum op op, int32_t operand) {
    struct function *f = c->function;
    if (f->length == f->capacity) {
        f->capacity = f->capacity ? f->capacity * 2 : 64;
        f->code = resize(f->code, f->capacity * sizeof *f->code);
        f->lines = resize(f->lines, f->capacity * sizeof *f->lines);
    }
    f->code[f->length] = (uint32_t)op | (uint32_t)operand << 8;
    f->lines[f->length] = c->line;
    return f->length++;
}

/* Makes the jump at `from` go to where the code ends now. */
static void land(struct compiler *c, uint32_t from) {
    uint32_t *code = c->function->code;
    code[from] = (code[from] & 0xff) | c->function->length << 8;
    c->landed = c->function->length;
}

/* The last instruction, when it may be replaced: no jump lands behind it. */
static enum op last_op(const struct compiler *c) {
    const struct function *f = c->function;
    if (f->length == 0 || f->length == c->landed) return OP_RETURN;
    return (enum op)(f->code[f->length - 1] & 0xff);
}

/* A binary operator; adding a literal is an instruction of its own. */
static void emit_binary(struct compiler *c, enum op op) {
    if ((op != OP_ADD && op != OP_SUB) || last_op(c) != OP_INT) {
        emit(c, op, 0);
        return;
    }
    uint32_t *last = &c->function->code[c->function->length - 1];
    uint32_t operand = *last >> 8;
    *last = OP_ADD_INT | (op == OP_ADD ? operand : 0 - operand) << 8;
}

static uint32_t add_constant(struct compiler *c, struct value value) {
    struct program *p = c->program;
    for (uint32_t i = 0; i < p->constant_count; i++) {
        if (values_equal(p->constants[i], value)) {
            release(value);
            return i;
        }
    }
    if (p->constant_count == CONSTANTS_MAX) compile_error(c, "fewer constants");
    p->constants[p->constant_count] = value;
    return p->constant_count++;
}

/* The number of a function, which may be defined later. */
static uint32_t find_function(struct compiler *c, const char *name) {
    struct program *p = c->program;
    for (uint32_t i = 0; i < p->function_count; i++) {
        if (!strcmp(p->functions[i].name, name)) return i;
    }
    if (p->function_count == FUNCTIONS_MAX) compile_error(c, "fewer functions");
    strcpy(p->functions[p->function_count].name, name);
    return p->function_count++;
}

static void name_expression(struct compiler *c, const char *name) {
    for (uint32_t i = c->name_count; i-- > 0;) {
        if (!strcmp(c->names[i], name)) {
            emit(c, OP_LOCAL, (int32_t)i);
            return;
        }
    }
    struct value value = {TAG_BUILTIN, {.integer = 0}};
    while (c->builtins[value.as.integer] && strcmp(c->builtins[value.as.integer], name)) value.as.integer++;
    if (!c->builtins[value.as.integer]) {
        value.tag = TAG_FUNCTION;
        value.as.integer = find_function(c, name);
    }
    emit(c, OP_CONSTANT, (int32_t)add_constant(c, value));
}

static uint32_t declare_local(struct compiler *c, const char *name) {
    if (c->name_count == LOCALS_MAX) compile_error(c, "fewer variables");
    strcpy(c->names[c->name_count++], name);
    if (c->function->locals < c->name_count) c->function->locals = c->name_count;
    return c->name_count - 1;
}

/* The parser. */

static void expression(struct compiler *c, int level);

/* The expressions up to `close`; gives how many. */
static int32_t expression_list(struct compiler *c, char close) {
    int32_t count = 0;
    while (!at_symbol(c, close)) {
        expression(c, 0);
        count++;
        if (!accept_symbol(c, ',')) break;
    }
    expect_symbol(c, close);
    return count;
}

static void string_literal(struct compiler *c) {
    struct string *text = string_new(c->length);
    for (const char *from = c->start + 1; from < c->at - 1; from++) {
        char byte = *from == '\\' && from[1] == 'n' ? '\n' : *from;
        if (byte == '\n' && *from == '\\') from++;
        text->bytes[text->length++] = byte;
    }
    emit(c, OP_CONSTANT, (int32_t)add_constant(c, string_value(text)));
    next_token(c);
}

static void primary(struct compiler *c) {
    if (c->token == T_INT) {
        if (c->number < 1 << 23) emit(c, OP_INT, (int32_t)c->number);
        else emit(c, OP_CONSTANT, (int32_t)add_constant(c, integer(c->number)));
        next_token(c);
    } else if (c->token == T_STRING) {
        string_literal(c);
    } else if (c->token == T_NAME) {
        char name[NAME_MAX_BYTES];
        take_name(c, name);
        name_expression(c, name);
    } else if (accept(c, T_NIL)) {
        emit(c, OP_NIL, 0);
    } else if (accept_symbol(c, '(')) {
        expression(c, 0);
        expect_symbol(c, ')');
    } else if (accept_symbol(c, '[')) {
        emit(c, OP_ARRAY, expression_list(c, ']'));
    } else if (accept_symbol(c, '{')) {
        expect_symbol(c, '}');
        emit(c, OP_TABLE, 0);
    } else {
        compile_error(c, "an expression");
    }
    for (;;) {
        if (accept_symbol(c, '(')) {
            emit(c, OP_CALL, expression_list(c, ')'));
        } else if (accept_symbol(c, '[')) {
            expression(c, 0);
            expect_symbol(c, ']');
            emit(c, OP_INDEX, 0);
        } else {
            return;
        }
    }
}

enum { LEVEL_AND = 1, LEVEL_COMPARE, LEVEL_CONCAT, LEVEL_ADD, LEVEL_MULTIPLY, LEVEL_UNARY };

/* The operator at the current token and how tightly it binds; -1: none. */
static int binary_level(const struct compiler *c, enum op *op) {
    static const struct { enum token token; enum op op; int level; } words[] = {
        {T_OR, OP_OR, 0}, {T_AND, OP_AND, LEVEL_AND}, {T_EQ, OP_EQ, LEVEL_COMPARE},
        {T_NE, OP_NE, LEVEL_COMPARE}, {T_LE, OP_LE, LEVEL_COMPARE}, {T_GE, OP_GE, LEVEL_COMPARE},
        {T_IN, OP_IN, LEVEL_COMPARE}, {T_CONCAT, OP_CONCAT, LEVEL_CONCAT}};
    static const struct { char symbol; enum op op; int level; } symbols[] = {
        {'<', OP_LT, LEVEL_COMPARE}, {'>', OP_GT, LEVEL_COMPARE}, {'+', OP_ADD, LEVEL_ADD},
        {'-', OP_SUB, LEVEL_ADD}, {'*', OP_MUL, LEVEL_MULTIPLY}, {'/', OP_DIV, LEVEL_MULTIPLY},
        {'%', OP_MOD, LEVEL_MULTIPLY}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (words[i].token == c->token) return *op = words[i].op, words[i].level;
    }
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        if (at_symbol(c, symbols[i].symbol)) return *op = symbols[i].op, symbols[i].level;
    }
    return -1;
}

/* An expression of operators that bind at least as tightly as `level`. */
static void expression(struct compiler *c, int level) {
    if (accept(c, T_NOT)) {
        expression(c, LEVEL_COMPARE);
        emit(c, OP_NOT, 0);
    } else if (accept_symbol(c, '-')) {
        expression(c, LEVEL_UNARY);
        emit(c, OP_NEG, 0);
    } else {
        primary(c);
    }
    enum op op = OP_NIL;
    for (int found; (found = binary_level(c, &op)) >= level;) {
        next_token(c);
        if (op == OP_AND || op == OP_OR) {
            uint32_t jump = emit(c, op, 0);
            expression(c, found + 1);
            land(c, jump);
            continue;
        }
        expression(c, found + 1);
        emit_binary(c, op);
    }
}

static void block(struct compiler *c);

/* A condition; gives the jump that leaves when it is false. */
static uint32_t condition(struct compiler *c) {
    expression(c, 0);
    if (last_op(c) != OP_LT) return emit(c, OP_JUMP_FALSE, 0);
    uint32_t last = c->function->length - 1;
    c->function->code[last] = OP_JUMP_NOT_LT;
    return last;
}

static void if_statement(struct compiler *c) {
    uint32_t otherwise = condition(c);
    block(c);
    if (!accept(c, T_ELSE)) {
        land(c, otherwise);
        return;
    }
    uint32_t end = emit(c, OP_JUMP, 0);
    land(c, otherwise);
    if (accept(c, T_IF)) if_statement(c);
    else block(c);
    land(c, end);
}

static void while_statement(struct compiler *c) {
    uint32_t top = c->function->length;
    uint32_t leave = condition(c);
    block(c);
    emit(c, OP_JUMP, (int32_t)top);
    land(c, leave);
}

/* What was read as an expression turns out to be the place that `=` writes to, so
 * its last instruction, the reading one, is taken back. */
static void assignment(struct compiler *c) {
    struct function *f = c->function;
    uint32_t last = f->code[f->length - 1];
    enum op op = last_op(c);
    enum token how = c->token;
    bool local = op == OP_LOCAL;
    if ((!local && op != OP_INDEX) || (how == T_APPEND && !local)) compile_error(c, "a place before it");
    next_token(c);
    if (how == T_APPEND || how == T_PUNCTUATION || !local) f->length--;
    if (how == T_ADD_SET && !local) {
        emit(c, OP_COPY2, 0);
        emit(c, OP_INDEX, 0);
    }
    expression(c, 0);
    if (how == T_ADD_SET) emit_binary(c, OP_ADD);
    if (!local) emit(c, OP_SET_INDEX, 0);
    else emit(c, how == T_APPEND ? OP_APPEND : OP_STORE, (int32_t)(last >> 8));
}

static void statement(struct compiler *c) {
    if (accept(c, T_LET)) {
        char name[NAME_MAX_BYTES];
        take_name(c, name);
        expect_symbol(c, '=');
        expression(c, 0);
        emit(c, OP_STORE, (int32_t)declare_local(c, name));
    } else if (accept(c, T_IF)) {
        if_statement(c);
        return;
    } else if (accept(c, T_WHILE)) {
        while_statement(c);
        return;
    } else if (accept(c, T_RETURN)) {
        if (at_symbol(c, ';')) emit(c, OP_NIL, 0);
        else expression(c, 0);
        emit(c, OP_RETURN, 0);
    } else {
        primary(c);
        if (at_symbol(c, '=') || c->token == T_ADD_SET || c->token == T_APPEND) assignment(c);
        else emit(c, OP_POP, 0);
    }
    expect_symbol(c, ';');
}

static void block(struct compiler *c) {
    uint32_t outer = c->name_count;
    expect_symbol(c, '{');
    while (!accept_symbol(c, '}')) statement(c);
    c->name_count = outer;
}

static void function_definition(struct compiler *c) {
    char name[NAME_MAX_BYTES];
    take_name(c, name);
    c->function = &c->program->functions[find_function(c, name)];
    c->function->defined = true;
    c->name_count = c->landed = 0;
    expect_symbol(c, '(');
    while (!at_symbol(c, ')')) {
        take_name(c, name);
        declare_local(c, name);
        if (!accept_symbol(c, ',')) break;
    }
    expect_symbol(c, ')');
    c->function->parameters = c->name_count;
    block(c);
    emit(c, OP_NIL, 0);
    emit(c, OP_RETURN, 0);
}

static void compile(struct program *program, const char *source, const char *const *builtins) {
    struct compiler c = {.program = program, .builtins = builtins, .at = source, .line = 1};
    next_token(&c);
    while (c.token != T_END) {
        if (!accept(&c, T_FN)) compile_error(&c, "fn");
        function_definition(&c);
    }
    for (uint32_t i = 0; i < program->function_count; i++) {
        if (program->functions[i].defined) continue;
        fprintf(stderr, "the script has no function %s\n", program->functions[i].name);
        exit(EXIT_WRONG);
    }
}

#endif
