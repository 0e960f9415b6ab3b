/* The stack machine that runs the bytecode, and the functions built into it. */
#ifndef BYTECODE_MACHINE_H
#define BYTECODE_MACHINE_H

#include "compile.h"

enum { STACK_MAX = 1 << 15, FRAMES_MAX = 1 << 10 };

struct frame {
    const struct function *function;
    uint32_t at; /* the next instruction */
    struct value *locals;
};

struct machine {
    struct program program;
    struct random random;
    uint64_t instructions;
    struct frame frames[FRAMES_MAX];
    struct value stack[STACK_MAX];
};

static _Noreturn void run_error(const struct frame *frame, const char *message) {
    fprintf(stderr, "script line %u, in %s: %s\n", (unsigned)frame->function->lines[frame->at - 1],
            frame->function->name, message);
    exit(EXIT_WRONG);
}

/* Patterns: c . [a-z] [^a-z], each followed by nothing, *, + or ?; ^ at the start
 * and $ at the end. Repetition is greedy and gives back what it took too much. */

struct text {
    const char *at, *end;
};

static bool byte_in_set(const char *set, const char *set_end, char byte) {
    bool negated = *set == '^';
    for (const char *at = set + negated; at < set_end; at++) {
        bool range = at + 2 < set_end && at[1] == '-';
        if (byte >= *at && byte <= (range ? at[2] : *at)) return !negated;
        if (range) at += 2;
    }
    return negated;
}

/* Whether the single-byte pattern up to `end` takes the byte. */
static bool byte_matches(struct text pattern, const char *end, char byte) {
    if (*pattern.at == '[') return byte_in_set(pattern.at + 1, end - 1, byte);
    return *pattern.at == '.' || *pattern.at == byte;
}

/* Where the match that starts at `text.at` ends, or NULL. */
static const char *match_here(struct text pattern, struct text text) {
    for (;;) {
        if (pattern.at == pattern.end) return text.at;
        if (*pattern.at == '$' && pattern.at + 1 == pattern.end) return text.at == text.end ? text.at : NULL;
        const char *end = pattern.at + 1;
        if (*pattern.at == '[') {
            while (end < pattern.end && *end != ']') end++;
            if (end == pattern.end) workload_fail("a pattern has [ without ]");
            end++;
        }
        char repeat = end < pattern.end ? *end : 0;
        if (repeat != '*' && repeat != '+' && repeat != '?') {
            if (text.at == text.end || !byte_matches(pattern, end, *text.at)) return NULL;
            text.at++;
            pattern.at = end;
            continue;
        }
        const char *least = text.at + (repeat == '+');
        const char *most = repeat == '?' && text.at < text.end ? text.at + 1 : text.end;
        const char *taken = text.at;
        while (taken < most && byte_matches(pattern, end, *taken)) taken++;
        struct text rest = {end + 1, pattern.end};
        for (; taken >= least; taken--) {
            const char *found = match_here(rest, (struct text){taken, text.end});
            if (found) return found;
        }
        return NULL;
    }
}

/* The first match at or after `from` as [start, end], or nil. */
static struct value match(const struct string *pattern_text, const struct string *string, int64_t from) {
    struct text pattern = {pattern_text->bytes, pattern_text->bytes + pattern_text->length};
    bool anchored = pattern_text->length && *pattern.at == '^';
    pattern.at += anchored;
    for (int64_t at = from < 0 ? 0 : from; at <= string->length; at++) {
        struct text text = {string->bytes + at, string->bytes + string->length};
        const char *end = match_here(pattern, text);
        if (end) {
            struct array *range = array_new(2);
            array_push(range, integer(at));
            array_push(range, integer(end - string->bytes));
            return array_value(range);
        }
        if (anchored) break;
    }
    return nil();
}

/* The functions built in. They borrow their arguments and give a new reference. */

struct builtin {
    struct value (*run)(struct machine *m, const struct value *arguments);
    uint32_t parameters;
};

static void need(bool holds, const char *message) {
    if (!holds) workload_fail(message);
}

static struct value builtin_len(struct machine *m, const struct value *a) {
    (void)m;
    need(a->tag >= TAG_STRING, "len expects a string, an array or a table");
    if (a->tag == TAG_STRING) return integer(a->as.string->length);
    return integer(a->tag == TAG_ARRAY ? a->as.array->length : a->as.table->length);
}

static struct value builtin_push(struct machine *m, const struct value *a) {
    (void)m;
    need(a->tag == TAG_ARRAY, "push expects an array");
    array_push(a->as.array, retain(a[1]));
    return nil();
}

static struct value builtin_pop(struct machine *m, const struct value *a) {
    (void)m;
    need(a->tag == TAG_ARRAY && a->as.array->length, "pop expects an array that is not empty");
    return a->as.array->items[--a->as.array->length];
}

static struct value builtin_keys(struct machine *m, const struct value *a) {
    (void)m;
    need(a->tag == TAG_TABLE, "keys expects a table");
    struct table *table = a->as.table;
    struct array *keys = array_new(table->length);
    for (uint32_t i = 0; i < table->length; i++) array_push(keys, retain(table->entries[i].key));
    return array_value(keys);
}

/* substr(text, start, end), both clamped to the text. */
static struct value builtin_substr(struct machine *m, const struct value *a) {
    (void)m;
    need(a->tag == TAG_STRING && a[1].tag == TAG_INT && a[2].tag == TAG_INT,
         "substr expects a string and two integers");
    int64_t length = a->as.string->length, start = a[1].as.integer, end = a[2].as.integer;
    if (start < 0) start = 0;
    if (end > length) end = length;
    if (start > end) start = end = 0;
    return string_value(string_from(a->as.string->bytes + start, (uint32_t)(end - start)));
}

static struct value builtin_char(struct machine *m, const struct value *a) {
    (void)m;
    need(a->tag == TAG_INT, "char expects an integer");
    char byte = (char)(a->as.integer & 0x7f);
    return string_value(string_from(&byte, 1));
}

static struct value builtin_number(struct machine *m, const struct value *a) {
    (void)m;
    need(a->tag == TAG_STRING, "number expects a string");
    uint64_t number = 0;
    for (uint32_t i = 0; i < a->as.string->length && is_digit(a->as.string->bytes[i]); i++) {
        number = number * 10 + (uint64_t)(a->as.string->bytes[i] - '0');
    }
    return integer((int64_t)number);
}

/* split(text, separator), the separator being one byte. */
static struct value builtin_split(struct machine *m, const struct value *a) {
    (void)m;
    need(a->tag == TAG_STRING && a[1].tag == TAG_STRING && a[1].as.string->length == 1,
         "split expects a string and a separator of one byte");
    const struct string *text = a->as.string;
    struct array *parts = array_new(0);
    uint32_t start = 0;
    for (uint32_t i = 0; i <= text->length; i++) {
        if (i < text->length && text->bytes[i] != a[1].as.string->bytes[0]) continue;
        array_push(parts, string_value(string_from(text->bytes + start, i - start)));
        start = i + 1;
    }
    return array_value(parts);
}

static struct value builtin_match(struct machine *m, const struct value *a) {
    (void)m;
    need(a->tag == TAG_STRING && a[1].tag == TAG_STRING && a[2].tag == TAG_INT,
         "match expects a pattern, a string and an integer");
    return match(a->as.string, a[1].as.string, a[2].as.integer);
}

static struct value builtin_random(struct machine *m, const struct value *a) {
    need(a->tag == TAG_INT, "random expects an integer");
    return integer(random_below(&m->random, (uint32_t)a->as.integer));
}

static const char *const builtin_names[] = {"len", "push", "pop", "keys", "substr", "char", "number",
                                            "split", "match", "random", NULL};
static const struct builtin builtins[] = {{builtin_len, 1}, {builtin_push, 2}, {builtin_pop, 1}, {builtin_keys, 1},
                {builtin_substr, 3}, {builtin_char, 1}, {builtin_number, 1}, {builtin_split, 2},
                {builtin_match, 3}, {builtin_random, 1}};

/* The machine. */

static bool is_true(struct value value) {
    return value.tag != TAG_NIL && (value.tag != TAG_INT || value.as.integer != 0);
}

static int64_t int_operand(const struct frame *frame, struct value value) {
    if (value.tag != TAG_INT) run_error(frame, "an integer was expected");
    return value.as.integer;
}

/* Negative, zero or positive, of two integers or two strings. */
static int compare(const struct frame *frame, struct value a, struct value b) {
    if (a.tag == TAG_INT && b.tag == TAG_INT) {
        return (a.as.integer > b.as.integer) - (a.as.integer < b.as.integer);
    }
    if (a.tag != TAG_STRING || b.tag != TAG_STRING) run_error(frame, "only integers or strings have an order");
    return string_compare(a.as.string, b.as.string);
}

static struct value arithmetic(const struct frame *frame, enum op op, struct value left, struct value right) {
    int64_t a = int_operand(frame, left), b = int_operand(frame, right);
    if (op == OP_MUL) return integer((int64_t)((uint64_t)a * (uint64_t)b));
    if (b == 0) run_error(frame, "division by zero");
    if (b == -1) return integer(op == OP_DIV ? (int64_t)(0 - (uint64_t)a) : 0);
    return integer(op == OP_DIV ? a / b : a % b);
}

static struct value *array_item(const struct frame *frame, struct value array, struct value index) {
    int64_t at = int_operand(frame, index);
    if (at < 0 || at >= array.as.array->length) run_error(frame, "an array index is out of range");
    return &array.as.array->items[at];
}

static struct value index_value(const struct frame *frame, struct value whole, struct value index) {
    if (whole.tag == TAG_ARRAY) return retain(*array_item(frame, whole, index));
    if (whole.tag == TAG_STRING) {
        int64_t at = int_operand(frame, index);
        if (at < 0 || at >= whole.as.string->length) run_error(frame, "a string index is out of range");
        return integer((unsigned char)whole.as.string->bytes[at]);
    }
    if (whole.tag != TAG_TABLE) run_error(frame, "only strings, arrays and tables have items");
    struct value *found = table_find(whole.as.table, index);
    return found ? retain(*found) : nil();
}

/* Takes over all three references. */
static void set_index(const struct frame *frame, struct value whole, struct value index, struct value value) {
    if (whole.tag == TAG_ARRAY) {
        struct value *place = array_item(frame, whole, index);
        release(*place);
        *place = value;
    } else if (whole.tag == TAG_TABLE) {
        table_set(whole.as.table, index, value);
    } else {
        run_error(frame, "only arrays and tables can be written to");
    }
    release(whole);
}

/* Appends a value as text; takes over the reference to `string`. */
static struct string *append_value(const struct frame *frame, struct string *string, struct value value) {
    if (string->references > 1) {
        struct string *copy = string_new(string->length * 2 + 16);
        memcpy(copy->bytes, string->bytes, string->length);
        copy->length = string->length;
        string->references--;
        string = copy;
    }
    if (value.tag == TAG_STRING) return string_append(string, value.as.string->bytes, value.as.string->length);
    char digits[20];
    return string_append(string, digits, format_integer(int_operand(frame, value), digits));
}

static struct value concatenate(const struct frame *frame, struct value a, struct value b) {
    struct string *result = string_new((a.tag == TAG_STRING ? a.as.string->length : 20) +
                                       (b.tag == TAG_STRING ? b.as.string->length : 20));
    return string_value(append_value(frame, append_value(frame, result, a), b));
}

static void enter(struct machine *m, struct frame *frame, const struct function *function, struct value *locals) {
    if (frame == m->frames + FRAMES_MAX || locals + function->locals + 256 > m->stack + STACK_MAX) {
        workload_fail("the script's stack is full");
    }
    *frame = (struct frame){function, 0, locals};
    for (uint32_t i = function->parameters; i < function->locals; i++) locals[i] = nil();
}

/* Calls a function of the script with the integers as its arguments. */
static struct value run(struct machine *m, const char *name, const int64_t *arguments, uint32_t count) {
    const struct function *f = m->program.functions;
    while (f < m->program.functions + m->program.function_count && strcmp(f->name, name)) f++;
    if (f == m->program.functions + m->program.function_count || f->parameters != count) {
        workload_fail("the script lacks the function to start");
    }
    for (uint32_t i = 0; i < count; i++) m->stack[i] = integer(arguments[i]);
    struct frame *frame = m->frames;
    enter(m, frame, f, m->stack);
    struct value *locals = frame->locals, *top = locals + f->locals; /* top: the next free one */
    const uint32_t *code = f->code;
    uint64_t executed = 0;

    for (;;) {
        uint32_t instruction = code[frame->at++], operand = instruction >> 8;
        executed++;
        switch ((enum op)(instruction & 0xff)) {
        case OP_INT: *top++ = integer(operand); break;
        case OP_CONSTANT: *top++ = retain(m->program.constants[operand]); break;
        case OP_NIL: *top++ = nil(); break;
        case OP_LOCAL: *top++ = retain(locals[operand]); break;
        case OP_STORE:
            release(locals[operand]);
            locals[operand] = *--top;
            break;
        case OP_POP: release(*--top); break;
        case OP_COPY2:
            top[0] = retain(top[-2]);
            top[1] = retain(top[-1]);
            top += 2;
            break;
        case OP_ADD: {
            uint64_t a = (uint64_t)int_operand(frame, top[-2]);
            uint64_t b = (uint64_t)int_operand(frame, top[-1]);
            *(--top - 1) = integer((int64_t)(a + b));
            break;
        }
        case OP_SUB: {
            uint64_t a = (uint64_t)int_operand(frame, top[-2]);
            uint64_t b = (uint64_t)int_operand(frame, top[-1]);
            *(--top - 1) = integer((int64_t)(a - b));
            break;
        }
        case OP_ADD_INT:
            top[-1] = integer((int64_t)((uint64_t)int_operand(frame, top[-1]) +
                                        (uint64_t)((int32_t)instruction >> 8)));
            break;
        case OP_MUL: case OP_DIV: case OP_MOD:
            top--;
            top[-1] = arithmetic(frame, (enum op)(instruction & 0xff), top[-1], top[0]);
            break;
        case OP_NEG: top[-1] = integer((int64_t)(0 - (uint64_t)int_operand(frame, top[-1]))); break;
        case OP_NOT: {
            bool holds = is_true(top[-1]);
            release(top[-1]);
            top[-1] = integer(!holds);
            break;
        }
        case OP_EQ: case OP_NE: {
            bool equal = values_equal(top[-2], top[-1]);
            release(*--top);
            release(top[-1]);
            top[-1] = integer(equal == ((instruction & 0xff) == OP_EQ));
            break;
        }
        case OP_LT: case OP_LE: case OP_GT: case OP_GE: {
            int order = compare(frame, top[-2], top[-1]);
            enum op op = (enum op)(instruction & 0xff);
            release(*--top);
            release(top[-1]);
            top[-1] = integer(order == 0 ? op == OP_LE || op == OP_GE
                                         : (order < 0) == (op == OP_LT || op == OP_LE));
            break;
        }
        case OP_JUMP_NOT_LT: {
            int order = compare(frame, top[-2], top[-1]);
            release(*--top);
            release(*--top);
            if (order >= 0) frame->at = operand;
            break;
        }
        case OP_IN: {
            if (top[-1].tag != TAG_TABLE) run_error(frame, "in expects a table");
            bool found = table_find(top[-1].as.table, top[-2]) != NULL;
            release(*--top);
            release(top[-1]);
            top[-1] = integer(found);
            break;
        }
        case OP_CONCAT: {
            struct value joined = concatenate(frame, top[-2], top[-1]);
            release(*--top);
            release(top[-1]);
            top[-1] = joined;
            break;
        }
        case OP_APPEND:
            if (locals[operand].tag != TAG_STRING) run_error(frame, "..= expects a string");
            locals[operand].as.string = append_value(frame, locals[operand].as.string, *--top);
            release(*top);
            break;
        case OP_INDEX: {
            struct value item = index_value(frame, top[-2], top[-1]);
            release(*--top);
            release(top[-1]);
            top[-1] = item;
            break;
        }
        case OP_SET_INDEX:
            top -= 3;
            set_index(frame, top[0], top[1], top[2]);
            break;
        case OP_ARRAY: {
            struct array *array = array_new(operand);
            top -= operand;
            for (uint32_t i = 0; i < operand; i++) array_push(array, top[i]);
            *top++ = array_value(array);
            break;
        }
        case OP_TABLE: *top++ = (struct value){TAG_TABLE, {.table = table_new()}}; break;
        case OP_JUMP: frame->at = operand; break;
        case OP_JUMP_FALSE:
            if (!is_true(*--top)) frame->at = operand;
            release(*top);
            break;
        case OP_AND: case OP_OR:
            if (is_true(top[-1]) == ((instruction & 0xff) == OP_OR)) frame->at = operand;
            else release(*--top);
            break;
        case OP_CALL: {
            struct value *callee = top - operand - 1;
            if (callee->tag == TAG_BUILTIN) {
                const struct builtin *called = &builtins[callee->as.integer];
                if (called->parameters != operand) run_error(frame, "wrong number of arguments");
                struct value result = called->run(m, callee + 1);
                while (top > callee) release(*--top);
                *top++ = result;
                break;
            }
            if (callee->tag != TAG_FUNCTION) run_error(frame, "only functions can be called");
            f = &m->program.functions[callee->as.integer];
            if (f->parameters != operand) run_error(frame, "wrong number of arguments");
            enter(m, ++frame, f, callee + 1);
            locals = frame->locals;
            code = f->code;
            top = locals + f->locals;
            break;
        }
        case OP_RETURN: {
            struct value result = *--top;
            while (top > locals) release(*--top);
            if (frame == m->frames) {
                m->instructions += executed;
                return result;
            }
            top[-1] = result; /* over the callee */
            frame--;
            locals = frame->locals;
            code = frame->function->code;
            break;
        }
        }
    }
}

#endif
