/* The middle: three-address code in SSA form, made from the tree. Each value is one
 * instruction, named by its number. Local variables become values on the fly: every
 * block knows the latest value of a variable, and asks the blocks before it for others;
 * where these may differ a phi stands. While not all blocks before are known (at the
 * top of a loop), an open phi stands for the answer. */
#ifndef CFRONT_IR_H
#define CFRONT_IR_H

#include "parse.h"

struct instruction {
    enum operation operation;
    int32_t number; /* of a constant or parameter; the memory that a load or store is of */
    uint32_t a, b;  /* 0: none */
    uint32_t *arguments, argument_count; /* of calls and, one per block before, phis */
    struct symbol *symbol;
    struct block *block;
    bool used;
};

/* A vector of numbers in the arena. */
struct list {
    uint32_t *items, count, capacity;
};

enum ending { END_NONE, END_JUMP, END_BRANCH, END_RETURN };

struct block {
    uint32_t number; /* in reverse postorder, after it was made */
    struct list phis, body;
    struct block **before;
    uint32_t before_count, before_capacity;
    struct block *after[2]; /* where END_BRANCH goes if true, if false */
    enum ending ending;
    uint32_t value; /* the condition or result */
    bool sealed, visited;
    uint32_t *latest;        /* value of each local variable */
    struct list open;        /* pairs of variable and open phi */
    struct block *dominator, *child, *sibling;
    uint32_t start, end;     /* positions, for the allocator */
    uint64_t *live_in, *live_out;
    struct list moves;       /* pairs of location and source, done at the end for phis */
};

struct function {
    struct arena *arena;
    struct symbol *symbol;
    struct instruction *values;
    uint32_t value_count, value_capacity, local_count, parameter_count;
    struct list parameters;
    struct block **blocks; /* reachable ones in reverse postorder */
    uint32_t block_count;
    struct block *entry;
    uint32_t constants[64]; /* chains of constants through b */
};

static void append(struct arena *arena, struct list *list, uint32_t item) {
    if (list->count == list->capacity) {
        uint32_t *items = take(arena, list->capacity * 2 + 4, sizeof *items);
        if (list->count) memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = list->capacity * 2 + 4;
    }
    list->items[list->count++] = item;
}

static uint32_t value_new(struct function *f, enum operation operation, uint32_t a, uint32_t b) {
    if (f->value_count == f->value_capacity) {
        struct instruction *values = take(f->arena, f->value_capacity * 2 + 64, sizeof *values);
        if (f->value_count) memcpy(values, f->values, f->value_count * sizeof *values);
        f->values = values;
        f->value_capacity = f->value_capacity * 2 + 64;
    }
    f->values[f->value_count].operation = operation;
    f->values[f->value_count].a = a;
    f->values[f->value_count].b = b;
    return f->value_count++;
}

static uint32_t constant(struct function *f, int32_t number) {
    uint32_t *chain = &f->constants[(uint32_t)number % 64];
    for (uint32_t v = *chain; v; v = f->values[v].b) {
        if (f->values[v].number == number) return v;
    }
    uint32_t v = value_new(f, OP_CONST, 0, *chain);
    f->values[v].number = number;
    return *chain = v;
}

/* What a value is after copies were found. */
static uint32_t resolve(struct function *f, uint32_t v) {
    while (f->values[v].operation == OP_COPY) v = f->values[v].a;
    return v;
}

static uint32_t operand_count(const struct instruction *i) {
    if (i->operation == OP_PHI || i->operation == OP_CALL) return i->argument_count;
    if (i->operation == OP_CONST) return 0;
    return i->b ? 2 : i->a ? 1 : 0;
}

static uint32_t *operand(struct instruction *i, uint32_t index) {
    if (i->operation == OP_PHI || i->operation == OP_CALL) return &i->arguments[index];
    return index ? &i->b : &i->a;
}

/* 32-bit arithmetic that wraps; x / 0 is 0 and x % 0 is x. */
static int32_t calculate(enum operation operation, int32_t left, int32_t right) {
    uint32_t a = (uint32_t)left, b = (uint32_t)right;
    switch (operation) {
    case OP_ADD: return (int32_t)(a + b);
    case OP_SUB: return (int32_t)(a - b);
    case OP_MUL: return (int32_t)(a * b);
    case OP_DIV: return right == 0 ? 0 : right == -1 ? (int32_t)(0 - a) : left / right;
    case OP_MOD: return right == 0 ? left : right == -1 ? 0 : left % right;
    case OP_AND: return (int32_t)(a & b);
    case OP_OR: return (int32_t)(a | b);
    case OP_XOR: return (int32_t)(a ^ b);
    case OP_SHL: return (int32_t)(a << (b & 31));
    case OP_SHR: return left >> (b & 31);
    case OP_EQ: return left == right;
    case OP_NE: return left != right;
    case OP_LT: return left < right;
    case OP_LE: return left <= right;
    case OP_GT: return left > right;
    case OP_GE: return left >= right;
    case OP_NEG: return (int32_t)(0 - a);
    case OP_NOT: return left == 0;
    case OP_INVERT: return (int32_t)~a;
    case OP_TO_BYTE: return left & 255;
    default: workload_fail("an operation has no result");
    }
}

/* Building. */

struct builder {
    struct function *f;
    struct block *block, *break_to, *continue_to;
};

static struct block *block_new(struct function *f) {
    struct block *block = take(f->arena, 1, sizeof *block);
    block->latest = take(f->arena, f->local_count, sizeof *block->latest);
    return block;
}

static void add_before(struct function *f, struct block *block, struct block *before) {
    if (block->before_count == block->before_capacity) {
        struct block **all = take(f->arena, block->before_capacity * 2 + 2, sizeof *all);
        if (block->before_count) memcpy(all, block->before, block->before_count * sizeof(struct block *));
        block->before = all;
        block->before_capacity = block->before_capacity * 2 + 2;
    }
    block->before[block->before_count++] = before;
}

/* Ends the current block, unless it has ended, and goes on in none. */
static void end_block(struct builder *b, enum ending ending, uint32_t value, struct block *yes,
                      struct block *no) {
    if (b->block->ending != END_NONE) return;
    b->block->ending = ending;
    b->block->value = value;
    b->block->after[0] = yes;
    b->block->after[1] = no;
    if (yes) add_before(b->f, yes, b->block);
    if (no) add_before(b->f, no, b->block);
}

static uint32_t read_variable(struct function *f, struct block *block, uint32_t variable);

static uint32_t phi_new(struct function *f, struct block *block) {
    uint32_t phi = value_new(f, OP_PHI, 0, 0);
    f->values[phi].block = block;
    append(f->arena, &block->phis, phi);
    return phi;
}

/* Asks all blocks before; a phi of one value other than itself is that value. */
static uint32_t fill_phi(struct function *f, uint32_t phi, uint32_t variable) {
    struct block *block = f->values[phi].block;
    uint32_t *arguments = take(f->arena, block->before_count, sizeof *arguments), only = 0;
    bool differ = false;
    for (uint32_t i = 0; i < block->before_count; i++) {
        uint32_t value = arguments[i] = resolve(f, read_variable(f, block->before[i], variable));
        if (value == phi || value == only) continue;
        differ = differ || only;
        only = value;
    }
    f->values[phi].arguments = arguments;
    f->values[phi].argument_count = block->before_count;
    if (differ) return phi;
    f->values[phi].operation = OP_COPY;
    f->values[phi].a = only ? only : constant(f, 0);
    return f->values[phi].a;
}

static uint32_t read_variable(struct function *f, struct block *block, uint32_t variable) {
    if (block->latest[variable]) {
        return block->latest[variable] = resolve(f, block->latest[variable]);
    }
    uint32_t value;
    if (!block->sealed) {
        value = phi_new(f, block);
        append(f->arena, &block->open, variable);
        append(f->arena, &block->open, value);
    } else if (block->before_count == 0) {
        value = constant(f, 0); /* never runs, or never reads it */
    } else if (block->before_count == 1) {
        value = read_variable(f, block->before[0], variable);
    } else {
        value = block->latest[variable] = phi_new(f, block);
        value = fill_phi(f, value, variable);
    }
    return block->latest[variable] = value;
}

/* All blocks before this one are known. */
static void seal(struct function *f, struct block *block) {
    block->sealed = true;
    for (uint32_t i = 0; i < block->open.count; i += 2) {
        fill_phi(f, block->open.items[i + 1], block->open.items[i]);
    }
}

static uint32_t emit(struct builder *b, enum operation operation, uint32_t left, uint32_t right,
                     struct symbol *symbol) {
    uint32_t v = value_new(b->f, operation, left, right);
    b->f->values[v].symbol = symbol;
    b->f->values[v].block = b->block;
    append(b->f->arena, &b->block->body, v);
    return v;
}

static uint32_t lower_value(struct builder *b, const struct node *node);

/* Goes on in `yes` if the condition holds, else in `no`. */
static void lower_condition(struct builder *b, const struct node *node, struct block *yes, struct block *no) {
    if (node->kind == N_UNARY && node->operation == OP_NOT) {
        lower_condition(b, node->a, no, yes);
    } else if (node->kind == N_ANDAND || node->kind == N_OROR) {
        struct block *second = block_new(b->f);
        if (node->kind == N_ANDAND) lower_condition(b, node->a, second, no);
        else lower_condition(b, node->a, yes, second);
        seal(b->f, second);
        b->block = second;
        lower_condition(b, node->b, yes, no);
    } else {
        uint32_t value = lower_value(b, node);
        end_block(b, END_BRANCH, value, yes, no);
    }
}

/* The 0 or 1 of && and || by way of a variable of its own. */
static uint32_t lower_logical(struct builder *b, const struct node *node) {
    struct block *yes = block_new(b->f), *no = block_new(b->f), *join = block_new(b->f);
    uint32_t variable = (uint32_t)node->number;
    lower_condition(b, node, yes, no);
    for (int32_t result = 0; result < 2; result++) {
        b->block = result ? yes : no;
        seal(b->f, b->block);
        b->block->latest[variable] = constant(b->f, result);
        end_block(b, END_JUMP, 0, join, NULL);
    }
    seal(b->f, join);
    b->block = join;
    return read_variable(b->f, join, variable);
}

static uint32_t lower_call(struct builder *b, const struct node *node) {
    uint32_t count = 0, *arguments = take(b->f->arena, node->symbol->parameter_count, sizeof *arguments);
    for (const struct node *item = node->a; item; item = item->next) {
        arguments[count++] = lower_value(b, item);
    }
    uint32_t v = emit(b, OP_CALL, 0, 0, node->symbol);
    b->f->values[v].arguments = arguments;
    b->f->values[v].argument_count = count;
    return v;
}

static uint32_t lower_value(struct builder *b, const struct node *node) {
    uint32_t left, right;
    switch (node->kind) {
    case N_NUMBER: return constant(b->f, node->number);
    case N_NAME:
        if (node->symbol->kind == SYMBOL_GLOBAL) return emit(b, OP_LOAD, 0, 0, node->symbol);
        return read_variable(b->f, b->block, node->symbol->number);
    case N_INDEX: left = lower_value(b, node->a); return emit(b, OP_LOAD_ITEM, left, 0, node->symbol);
    case N_CALL: return lower_call(b, node);
    case N_UNARY: left = lower_value(b, node->a); return emit(b, node->operation, left, 0, NULL);
    case N_BINARY:
        left = lower_value(b, node->a);
        right = lower_value(b, node->b);
        return emit(b, node->operation, left, right, NULL);
    case N_ANDAND: case N_OROR: return lower_logical(b, node);
    default: workload_fail("a statement is used as a value");
    }
}

static void lower_statement(struct builder *b, const struct node *node);

static void lower_if(struct builder *b, const struct node *node) {
    struct block *yes = block_new(b->f), *join = block_new(b->f);
    struct block *no = node->c ? block_new(b->f) : join;
    lower_condition(b, node->a, yes, no);
    seal(b->f, yes);
    b->block = yes;
    lower_statement(b, node->b);
    end_block(b, END_JUMP, 0, join, NULL);
    if (node->c) {
        seal(b->f, no);
        b->block = no;
        lower_statement(b, node->c);
        end_block(b, END_JUMP, 0, join, NULL);
    }
    seal(b->f, join);
    b->block = join;
}

static void lower_for(struct builder *b, const struct node *node) {
    struct builder outer = *b;
    struct block *top = block_new(b->f), *body = block_new(b->f);
    struct block *step = block_new(b->f), *leave = block_new(b->f);
    lower_statement(b, node->a);
    end_block(b, END_JUMP, 0, top, NULL);
    b->block = top;
    lower_condition(b, node->b, body, leave);
    seal(b->f, body);
    b->block = body;
    b->break_to = leave;
    b->continue_to = step;
    lower_statement(b, node->d);
    end_block(b, END_JUMP, 0, step, NULL);
    seal(b->f, step);
    b->block = step;
    lower_statement(b, node->c);
    end_block(b, END_JUMP, 0, top, NULL);
    seal(b->f, top);
    seal(b->f, leave);
    b->block = leave;
    b->break_to = outer.break_to;
    b->continue_to = outer.continue_to;
}

static void lower_assignment(struct builder *b, const struct node *target,
                             const struct node *value_node) {
    struct symbol *symbol = target->symbol;
    if (target->kind == N_INDEX) {
        uint32_t index = lower_value(b, target->a), value = lower_value(b, value_node);
        emit(b, OP_STORE_ITEM, index, value, symbol);
        return;
    }
    uint32_t value = lower_value(b, value_node);
    if (symbol->kind == SYMBOL_GLOBAL) emit(b, OP_STORE, value, 0, symbol);
    else b->block->latest[symbol->number] = value;
}

/* What follows a return, break or continue gets a block that nothing goes to. */
static void start_unreachable(struct builder *b) {
    b->block = block_new(b->f);
    seal(b->f, b->block);
}

static void lower_statement(struct builder *b, const struct node *node) {
    switch (node->kind) {
    case N_BLOCK:
        for (const struct node *item = node->a; item; item = item->next) lower_statement(b, item);
        return;
    case N_ASSIGN: lower_assignment(b, node->a, node->b); return;
    case N_IF: lower_if(b, node); return;
    case N_FOR: lower_for(b, node); return;
    case N_RETURN: {
        uint32_t value = lower_value(b, node->a);
        end_block(b, END_RETURN, value, NULL, NULL);
        start_unreachable(b);
        return;
    }
    case N_BREAK: case N_CONTINUE: {
        struct block *to = node->kind == N_BREAK ? b->break_to : b->continue_to;
        if (!to) workload_fail("break or continue outside a loop");
        end_block(b, END_JUMP, 0, to, NULL);
        start_unreachable(b);
        return;
    }
    default: workload_fail("a value is used as a statement");
    }
}

static struct function *lower(struct arena *arena, struct symbol *symbol, const struct node *body,
                              uint32_t locals) {
    struct function *f = take(arena, 1, sizeof *f);
    f->arena = arena;
    f->symbol = symbol;
    f->local_count = locals;
    value_new(f, OP_NONE, 0, 0); /* the number 0 means no value */
    f->entry = block_new(f);
    struct builder b = {f, f->entry, NULL, NULL};
    seal(f, f->entry);
    for (uint32_t i = 0; i < symbol->parameter_count; i++) {
        uint32_t v = value_new(f, OP_PARAMETER, 0, 0);
        f->values[v].number = (int32_t)i;
        append(arena, &f->parameters, v);
        f->entry->latest[i] = v;
    }
    lower_statement(&b, body);
    end_block(&b, END_RETURN, constant(f, 0), NULL, NULL);
    return f;
}

#endif
