/* Random source text for the compiler: correct units of a small C with declarations,
 * loops, conditions, calls and arrays, and with the redundancy that optimizers live
 * on: constant expressions, expressions that come again, values nobody uses. All
 * loops end: they count up to a constant. */
#ifndef CFRONT_SOURCE_H
#define CFRONT_SOURCE_H

#include "../common/workload.h"

enum { VARIABLES_MAX = 40, GLOBALS = 6, ARRAYS = 4, ARRAY_ITEMS = 64, REPEATED = 4 };

struct text {
    char *bytes; /* ends with a 0 */
    uint32_t length, capacity;
};

struct source {
    struct text text;
    struct random random;
    char variables[VARIABLES_MAX][16]; /* in scope */
    bool fixed[VARIABLES_MAX];         /* loop counters, which are not assigned to */
    uint32_t variable_count, names, loops, functions;
    uint32_t parameters[256];          /* how many each function has */
    char repeated[REPEATED][64];       /* expressions of parameters that come again */
};

static uint32_t chance(struct source *s, uint32_t limit) { return random_below(&s->random, limit); }

static void append_text(struct text *t, const char *text) {
    size_t length = strlen(text);
    if (t->capacity - t->length <= length) {
        t->capacity = t->capacity * 2 + 4096;
        t->bytes = realloc(t->bytes, t->capacity);
        if (!t->bytes) workload_fail("out of memory");
    }
    memcpy(t->bytes + t->length, text, length + 1);
    t->length += (uint32_t)length;
}

static void put(struct source *s, const char *text) { append_text(&s->text, text); }

static void put_number(struct source *s, uint32_t number) {
    char digits[12];
    snprintf(digits, sizeof digits, "%" PRIu32, number);
    put(s, digits);
}

static void put_named(struct source *s, const char *stem, uint32_t number) {
    put(s, stem);
    put_number(s, number);
}

static void indent(struct source *s, uint32_t depth) {
    while (depth-- > 0) put(s, "    ");
}

static void declare_name(struct source *s, bool fixed) {
    static const char *const stems[] = {"count", "total", "left",  "index",
                                        "value", "mask",  "next", "size"};
    const char *stem = stems[chance(s, 8)];
    snprintf(s->variables[s->variable_count], sizeof s->variables[0], "%s%" PRIu32, stem, s->names++);
    s->fixed[s->variable_count++] = fixed;
}

static void put_leaf(struct source *s) {
    uint32_t kind = chance(s, 12);
    if (kind < 7 && s->variable_count) {
        put(s, s->variables[chance(s, s->variable_count)]);
    } else if (kind < 10) {
        put_number(s, chance(s, 3) ? chance(s, 10) : chance(s, 5000));
    } else {
        put_named(s, "global", chance(s, GLOBALS));
    }
}

static const char *operator(struct source *s) {
    static const char *const operators[] = {" + ",  " + ",  " - ", " - ",  " * ",  " / ",
                                            " % ",  " & ",  " | ", " ^ ",  " << ", " >> ",
                                            " < ",  " == ", " != ", " >= ", " && ", " || "};
    return operators[chance(s, sizeof operators / sizeof operators[0])];
}

static void put_expression(struct source *s, uint32_t depth) {
    uint32_t kind = chance(s, 16);
    if (depth == 0) {
        put_leaf(s);
    } else if (kind < 3) {
        put(s, s->repeated[chance(s, REPEATED)]);
    } else if (kind < 4) {
        static const char *const constants[] = {"(3 * 4 + 1)", "(1 << 6) - 1", "100 / 7 % 5", "(2 > 1)"};
        put(s, constants[chance(s, 4)]);
    } else if (kind < 6) {
        put_named(s, "array", chance(s, ARRAYS));
        put(s, "[(");
        put_expression(s, depth - 1);
        put(s, ") & 63]");
    } else if (kind < 7) {
        static const char *const unary[] = {"-(", "!(", "~("};
        put(s, unary[chance(s, 3)]);
        put_expression(s, depth - 1);
        put(s, ")");
    } else {
        bool grouped = chance(s, 5) < 2;
        if (grouped) put(s, "(");
        put_expression(s, depth - 1);
        put(s, operator(s));
        put_expression(s, depth - 1 - chance(s, depth));
        if (grouped) put(s, ")");
    }
}

static void put_block(struct source *s, uint32_t statements, uint32_t depth, uint32_t loops);

static void put_call(struct source *s) {
    uint32_t callee = chance(s, s->functions);
    put_named(s, "function", callee);
    put(s, "(");
    for (uint32_t i = 0; i < s->parameters[callee]; i++) {
        if (i > 0) put(s, ", ");
        put_expression(s, 1);
    }
    put(s, ")");
}

static void put_assignment(struct source *s) {
    uint32_t to = s->variable_count ? chance(s, s->variable_count) : 0;
    if (chance(s, 4) == 0) {
        put_named(s, "array", chance(s, ARRAYS));
        put(s, "[");
        put_leaf(s);
        put(s, " & 63]");
    } else if (s->variable_count == 0 || s->fixed[to]) {
        put_named(s, "global", chance(s, GLOBALS));
    } else {
        put(s, s->variables[to]);
    }
    put(s, " = ");
    if (s->functions && chance(s, 8) == 0) put_call(s);
    else put_expression(s, 3);
    put(s, ";\n");
}

static void put_loop(struct source *s, uint32_t statements, uint32_t depth, uint32_t loops) {
    uint32_t outer = s->variable_count;
    declare_name(s, true);
    const char *counter = s->variables[outer];
    put(s, "for (int ");
    put(s, counter);
    put(s, " = 0; ");
    put(s, counter);
    put(s, " < ");
    put_number(s, 2 + chance(s, 5));
    put(s, "; ");
    put(s, counter);
    put(s, " = ");
    put(s, counter);
    put(s, " + 1) ");
    put_block(s, statements, depth + 1, loops + 1);
    s->variable_count = outer;
}

/* Gives how many of the allowed statements it used up. */
static uint32_t put_statement(struct source *s, uint32_t allowed, uint32_t depth, uint32_t loops) {
    uint32_t kind = chance(s, 20);
    indent(s, depth);
    if (kind < 5 && s->variable_count + 4 < VARIABLES_MAX) {
        put(s, chance(s, 4) ? "int " : "byte ");
        uint32_t added = s->variable_count;
        declare_name(s, false);
        s->variable_count = added; /* not in scope of its own value */
        put(s, s->variables[added]);
        put(s, " = ");
        put_expression(s, 3);
        put(s, ";\n");
        s->variable_count = added + 1;
        return 1;
    }
    if (kind < 9 && allowed > 4 && depth < 6) {
        uint32_t inside = 2 + chance(s, allowed / 2);
        put(s, "if (");
        put_expression(s, 2);
        put(s, ") ");
        put_block(s, inside, depth + 1, loops);
        if (chance(s, 2)) {
            indent(s, depth);
            put(s, "else ");
            put_block(s, inside / 2 + 1, depth + 1, loops);
        }
        return inside + inside / 2 + 1;
    }
    if (kind < 12 && allowed > 5 && loops < 3 && s->variable_count + 4 < VARIABLES_MAX) {
        uint32_t inside = 3 + chance(s, allowed / 2);
        put_loop(s, inside, depth, loops);
        return inside;
    }
    if (kind == 12 && loops > 0) {
        put(s, "if (");
        put_expression(s, 1);
        put(s, chance(s, 2) ? ") { break; }\n" : ") { continue; }\n");
        return 1;
    }
    if (kind == 13) put(s, "/* Keeps the invariant. */ ");
    put_assignment(s);
    return 1;
}

static void put_block(struct source *s, uint32_t statements, uint32_t depth, uint32_t loops) {
    uint32_t outer = s->variable_count;
    put(s, "{\n");
    while (statements > 0) {
        uint32_t used = put_statement(s, statements, depth, loops);
        statements -= used < statements ? used : statements;
    }
    s->variable_count = outer;
    indent(s, depth - 1);
    put(s, "}\n");
}

static void put_function(struct source *s, uint32_t statements) {
    uint32_t parameters = 2 + chance(s, 3);
    s->variable_count = 0;
    put_named(s, "int function", s->functions);
    put(s, "(");
    for (uint32_t i = 0; i < parameters; i++) {
        declare_name(s, false);
        put(s, i > 0 ? ", " : "");
        put(s, i == 3 ? "byte " : "int ");
        put(s, s->variables[i]);
    }
    for (uint32_t i = 0; i < REPEATED; i++) {
        const char *left = s->variables[chance(s, parameters)], *middle = operator(s);
        const char *right = s->variables[chance(s, parameters)];
        snprintf(s->repeated[i], sizeof s->repeated[i], "(%s%s%s)", left, middle, right);
    }
    put(s, ") {\n    int result = 0;\n    ");
    put_block(s, statements, 2, 0);
    put(s, "    result = result + ");
    put_expression(s, 3);
    put(s, ";\n    return result;\n}\n\n");
    s->parameters[s->functions++] = parameters;
}

static void put_unit(struct source *s, uint32_t functions, uint32_t statements) {
    s->text.length = s->names = s->functions = s->variable_count = 0;
    put(s, "/* A unit of the test. */\n");
    for (uint32_t i = 0; i < GLOBALS; i++) {
        put_named(s, i % 3 ? "int global" : "byte global", i);
        put(s, ";\n");
    }
    for (uint32_t i = 0; i < ARRAYS; i++) {
        put_named(s, i % 2 ? "byte array" : "int array", i);
        put(s, "[64];\n");
    }
    for (uint32_t i = 0; i < functions; i++) put_function(s, statements);
}

#endif
