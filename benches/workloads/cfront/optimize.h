/* The optimizer: constant folding, algebra, common subexpressions by value numbering
 * over the dominator tree, branches that are decided, blocks that can be joined, and
 * code whose result nobody uses; again until nothing changes. */
#ifndef CFRONT_OPTIMIZE_H
#define CFRONT_OPTIMIZE_H

#include "ir.h"

enum { PASSES_MAX = 6, NUMBER_BUCKETS = 1024 };

struct numbered {
    uint32_t value, memory, bucket;
    struct numbered *next;
};

struct optimizer {
    struct function *f;
    bool changed;
    uint32_t memory; /* what loads read from: a new number after each store and block start */
    struct numbered *buckets[NUMBER_BUCKETS], *stack[8192];
    uint32_t stacked;
    uint64_t folded, common, removed;
};

/* The order of blocks. */

static void visit(struct function *f, struct block *block, struct block **order, uint32_t *free_from) {
    block->visited = true;
    for (int i = 1; i >= 0; i--) {
        if (block->after[i] && !block->after[i]->visited) visit(f, block->after[i], order, free_from);
    }
    order[--*free_from] = block;
}

static uint32_t count_blocks(struct block *block) {
    uint32_t count = 1;
    block->visited = true;
    for (int i = 0; i < 2; i++) {
        if (block->after[i] && !block->after[i]->visited) count += count_blocks(block->after[i]);
    }
    return count;
}

static void clear_visited(struct block *block) {
    block->visited = false;
    for (int i = 0; i < 2; i++) {
        if (block->after[i] && block->after[i]->visited) clear_visited(block->after[i]);
    }
}

/* Forgets the block at `index` of those before. */
static void remove_before(struct function *f, struct block *block, uint32_t index) {
    block->before_count--;
    for (uint32_t i = index; i < block->before_count; i++) block->before[i] = block->before[i + 1];
    for (uint32_t p = 0; p < block->phis.count; p++) {
        struct instruction *phi = &f->values[block->phis.items[p]];
        if (phi->operation != OP_PHI) continue;
        phi->argument_count--;
        for (uint32_t i = index; i < phi->argument_count; i++) phi->arguments[i] = phi->arguments[i + 1];
    }
}

/* Puts the reachable blocks into reverse postorder and forgets edges from others. */
static void order_blocks(struct function *f) {
    uint32_t count = count_blocks(f->entry), free_from = count;
    clear_visited(f->entry);
    f->blocks = take(f->arena, count, sizeof(struct block *));
    f->block_count = count;
    visit(f, f->entry, f->blocks, &free_from);
    for (uint32_t i = 0; i < count; i++) {
        f->blocks[i]->number = i;
        for (uint32_t k = f->blocks[i]->before_count; k-- > 0;) {
            if (!f->blocks[i]->before[k]->visited) remove_before(f, f->blocks[i], k);
        }
    }
    for (uint32_t i = 0; i < count; i++) f->blocks[i]->visited = false;
}

static struct block *common_dominator(struct block *a, struct block *b) {
    while (a != b) {
        while (a->number > b->number) a = a->dominator;
        while (b->number > a->number) b = b->dominator;
    }
    return a;
}

static void find_dominators(struct function *f) {
    for (uint32_t i = 0; i < f->block_count; i++) {
        f->blocks[i]->dominator = f->blocks[i]->child = f->blocks[i]->sibling = NULL;
    }
    f->entry->dominator = f->entry;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 1; i < f->block_count; i++) {
            struct block *block = f->blocks[i], *found = NULL;
            for (uint32_t k = 0; k < block->before_count; k++) {
                struct block *before = block->before[k];
                if (before->dominator) found = found ? common_dominator(found, before) : before;
            }
            changed = changed || found != block->dominator;
            block->dominator = found;
        }
    }
    for (uint32_t i = f->block_count; i-- > 1;) {
        struct block *block = f->blocks[i];
        block->sibling = block->dominator->child;
        block->dominator->child = block;
    }
}

/* Algebra. */

static bool is_constant(const struct function *f, uint32_t v) { return f->values[v].operation == OP_CONST; }

static bool commutes(enum operation operation) {
    return operation == OP_ADD || operation == OP_MUL || (operation >= OP_AND && operation <= OP_XOR) ||
           operation == OP_EQ || operation == OP_NE;
}

/* What the operation gives on the same value twice, or 0 if nothing is known. */
static uint32_t simplify_same(struct function *f, enum operation operation, uint32_t a) {
    switch (operation) {
    case OP_SUB: case OP_XOR: case OP_NE: case OP_LT: case OP_GT: return constant(f, 0);
    case OP_EQ: case OP_LE: case OP_GE: return constant(f, 1);
    case OP_AND: case OP_OR: return a;
    default: return 0;
    }
}

/* The same with a constant on the right. May change the instruction instead. */
static uint32_t simplify_right(struct function *f, uint32_t v) {
    struct instruction *i = &f->values[v];
    int32_t right = f->values[i->b].number;
    const struct instruction *left = &f->values[i->a];
    switch (i->operation) {
    case OP_SUB:
        if (right == 0) return i->a;
        i->operation = OP_ADD;
        uint32_t negative = constant(f, calculate(OP_NEG, right, 0));
        f->values[v].b = negative; /* values may have moved */
        return 0;
    case OP_ADD:
        if (right == 0) return i->a;
        if (left->operation == OP_ADD && is_constant(f, left->b)) {
            uint32_t inner = left->a;
            uint32_t sum = constant(f, calculate(OP_ADD, f->values[left->b].number, right));
            f->values[v].a = inner;
            f->values[v].b = sum;
        }
        return 0;
    case OP_OR: case OP_XOR: case OP_SHL: case OP_SHR: return right == 0 ? i->a : 0;
    case OP_AND:
        if (left->operation == OP_AND && left->b == i->b) return i->a;
        return right == 0 ? i->b : right == -1 ? i->a : 0;
    case OP_DIV: return right == 1 ? i->a : 0;
    case OP_MOD: return right == 1 ? constant(f, 0) : 0;
    case OP_MUL:
        if (right == 0 || right == 1) return right ? i->a : i->b;
        for (int32_t shift = 1; shift < 31; shift++) {
            if (right != INT32_C(1) << shift) continue;
            uint32_t by = constant(f, shift);
            f->values[v].operation = OP_SHL;
            f->values[v].b = by;
            break;
        }
        return 0;
    default: return 0;
    }
}

/* The value that this instruction is equal to, or 0. */
static uint32_t simplify(struct function *f, uint32_t v) {
    struct instruction *i = &f->values[v];
    if (i->operation < OP_ADD || i->operation > OP_TO_BYTE) return 0;
    if (is_constant(f, i->a) && (!i->b || is_constant(f, i->b))) {
        int32_t right = i->b ? f->values[i->b].number : 0;
        return constant(f, calculate(i->operation, f->values[i->a].number, right));
    }
    const struct instruction *inner = &f->values[i->a];
    if (i->operation == OP_TO_BYTE) {
        bool is_bool = inner->operation >= OP_EQ && inner->operation <= OP_GE;
        return is_bool || inner->operation == OP_TO_BYTE ? i->a : 0;
    }
    if (!i->b) { /* twice - or ~ is nothing; twice ! is not */
        return i->operation != OP_NOT && inner->operation == i->operation ? inner->a : 0;
    }
    if (i->a == i->b) return simplify_same(f, i->operation, i->a);
    if (commutes(i->operation) && (is_constant(f, i->a) || (!is_constant(f, i->b) && i->a > i->b))) {
        uint32_t held = i->a;
        i->a = i->b;
        i->b = held;
    }
    return is_constant(f, i->b) ? simplify_right(f, v) : 0;
}

static uint32_t simplify_phi(struct function *f, uint32_t v) {
    uint32_t only = 0;
    for (uint32_t k = 0; k < f->values[v].argument_count; k++) {
        uint32_t value = f->values[v].arguments[k];
        if (value == v || value == only) continue;
        if (only) return 0;
        only = value;
    }
    return only;
}

/* Value numbering. */

static bool is_load(enum operation operation) { return operation == OP_LOAD || operation == OP_LOAD_ITEM; }

static uint32_t number_bucket(const struct instruction *i, uint32_t memory) {
    uint32_t hash = (uint32_t)i->operation * 31 + memory;
    hash = (hash ^ i->a) * 2654435761u;
    hash = (hash ^ i->b) * 2654435761u + (i->symbol ? i->symbol->number : 0);
    return (hash >> 16) % NUMBER_BUCKETS;
}

static void remember(struct optimizer *o, const struct instruction *as, uint32_t value, uint32_t memory) {
    if (o->stacked == sizeof o->stack / sizeof o->stack[0]) return;
    struct numbered *entry = take(o->f->arena, 1, sizeof *entry);
    uint32_t bucket = number_bucket(as, memory);
    *entry = (struct numbered){value, memory, bucket, o->buckets[bucket]};
    o->buckets[bucket] = o->stack[o->stacked++] = entry;
}

/* An earlier value that equals the instruction, or 0. A store of the same memory tells
 * what a load gives. */
static uint32_t find_equal(struct optimizer *o, const struct instruction *i, uint32_t memory) {
    for (struct numbered *entry = o->buckets[number_bucket(i, memory)]; entry; entry = entry->next) {
        const struct instruction *other = &o->f->values[entry->value];
        if (entry->memory != memory || other->symbol != i->symbol) continue;
        if (other->operation == i->operation && other->a == i->a && other->b == i->b) return entry->value;
        if (i->operation == OP_LOAD && other->operation == OP_STORE) return other->a;
        bool item = i->operation == OP_LOAD_ITEM && other->operation == OP_STORE_ITEM;
        if (item && other->a == i->a) return other->b;
    }
    return 0;
}

static void become(struct optimizer *o, uint32_t v, uint32_t value) {
    o->f->values[v].operation = OP_COPY;
    o->f->values[v].a = value;
    o->changed = true;
}

static void number_instruction(struct optimizer *o, uint32_t v) {
    struct function *f = o->f;
    for (uint32_t k = 0; k < operand_count(&f->values[v]); k++) {
        uint32_t *place = operand(&f->values[v], k);
        *place = resolve(f, *place);
    }
    uint32_t equal = simplify(f, v);
    if (equal) {
        o->folded++;
        become(o, v, equal);
        return;
    }
    struct instruction *i = &f->values[v];
    if (i->operation == OP_STORE || i->operation == OP_STORE_ITEM || i->operation == OP_CALL) {
        o->memory++;
        if (i->operation == OP_CALL) return;
        struct instruction load = *i;
        load.operation = i->operation == OP_STORE ? OP_LOAD : OP_LOAD_ITEM;
        load.b = 0;
        if (i->operation == OP_STORE) load.a = 0;
        remember(o, &load, v, o->memory);
        return;
    }
    uint32_t memory = is_load(i->operation) ? o->memory : 0;
    equal = find_equal(o, i, memory);
    if (equal) {
        o->common++;
        become(o, v, resolve(f, equal));
    } else {
        remember(o, i, v, memory);
    }
}

/* A block and those it dominates; what it found is forgotten afterwards. */
static void number_block(struct optimizer *o, struct block *block) {
    struct function *f = o->f;
    uint32_t mark = o->stacked;
    for (uint32_t p = 0; p < block->phis.count; p++) {
        uint32_t v = block->phis.items[p];
        if (f->values[v].operation != OP_PHI) continue;
        for (uint32_t k = 0; k < f->values[v].argument_count; k++) {
            f->values[v].arguments[k] = resolve(f, f->values[v].arguments[k]);
        }
        uint32_t equal = simplify_phi(f, v);
        if (equal) become(o, v, equal);
    }
    o->memory++;
    for (uint32_t i = 0; i < block->body.count; i++) number_instruction(o, block->body.items[i]);
    block->value = resolve(f, block->value);
    for (struct block *child = block->child; child; child = child->sibling) number_block(o, child);
    while (o->stacked > mark) {
        struct numbered *entry = o->stack[--o->stacked];
        o->buckets[entry->bucket] = entry->next;
    }
}

/* Decided branches become jumps. */
static void decide_branches(struct optimizer *o) {
    struct function *f = o->f;
    for (uint32_t n = 0; n < f->block_count; n++) {
        struct block *block = f->blocks[n];
        if (block->ending != END_BRANCH || !is_constant(f, block->value)) continue;
        uint32_t taken = f->values[block->value].number ? 0 : 1;
        struct block *other = block->after[1 - taken];
        for (uint32_t k = 0; k < other->before_count; k++) {
            if (other->before[k] != block) continue;
            remove_before(f, other, k);
            break;
        }
        block->ending = END_JUMP;
        block->after[0] = block->after[taken];
        block->after[1] = NULL;
        block->value = 0;
        o->changed = true;
    }
}

/* A block that jumps to one that nothing else goes to takes it over. */
static void join_blocks(struct optimizer *o) {
    struct function *f = o->f;
    for (uint32_t n = 0; n < f->block_count; n++) {
        struct block *block = f->blocks[n];
        while (block->ending == END_JUMP && block->after[0]->before_count == 1) {
            struct block *next = block->after[0];
            if (next == block) break;
            for (uint32_t p = 0; p < next->phis.count; p++) {
                struct instruction *phi = &f->values[next->phis.items[p]];
                if (phi->operation != OP_PHI) continue;
                phi->operation = OP_COPY;
                phi->a = phi->arguments[0];
            }
            for (uint32_t i = 0; i < next->body.count; i++) {
                f->values[next->body.items[i]].block = block;
                append(f->arena, &block->body, next->body.items[i]);
            }
            next->body.count = 0;
            block->ending = next->ending;
            block->value = next->value;
            for (uint32_t k = 0; k < 2; k++) {
                struct block *after = block->after[k] = next->after[k];
                for (uint32_t j = 0; after && j < after->before_count; j++) {
                    if (after->before[j] == next) after->before[j] = block;
                }
            }
            next->ending = END_NONE;
            next->before_count = 0;
            o->changed = true;
        }
    }
}

static void mark_used(struct function *f, struct list *work, uint32_t v) {
    v = resolve(f, v);
    if (f->values[v].used) return;
    f->values[v].used = true;
    append(f->arena, work, v);
}

static uint32_t keep_used(struct function *f, struct list *list, bool phis) {
    uint32_t kept = 0, before = list->count;
    for (uint32_t i = 0; i < before; i++) {
        const struct instruction *value = &f->values[list->items[i]];
        if (value->used && (value->operation == OP_PHI) == phis && value->operation != OP_COPY) {
            list->items[kept++] = list->items[i];
        }
    }
    list->count = kept;
    return before - kept;
}

static void remove_dead(struct optimizer *o) {
    struct function *f = o->f;
    struct list work = {NULL, 0, 0};
    for (uint32_t v = 0; v < f->value_count; v++) f->values[v].used = false;
    for (uint32_t n = 0; n < f->block_count; n++) {
        struct block *block = f->blocks[n];
        for (uint32_t i = 0; i < block->body.count; i++) {
            enum operation operation = f->values[block->body.items[i]].operation;
            if (operation == OP_STORE || operation == OP_STORE_ITEM || operation == OP_CALL) {
                mark_used(f, &work, block->body.items[i]);
            }
        }
        if (block->value) mark_used(f, &work, block->value = resolve(f, block->value));
    }
    while (work.count > 0) {
        struct instruction *i = &f->values[work.items[--work.count]];
        for (uint32_t k = 0; k < operand_count(i); k++) {
            uint32_t *place = operand(i, k);
            mark_used(f, &work, *place = resolve(f, *place));
        }
    }
    for (uint32_t n = 0; n < f->block_count; n++) {
        o->removed += keep_used(f, &f->blocks[n]->phis, true);
        o->removed += keep_used(f, &f->blocks[n]->body, false);
    }
}

static void optimize(struct optimizer *o, struct function *f) {
    o->f = f;
    o->changed = true;
    memset(o->buckets, 0, sizeof o->buckets);
    for (int pass = 0; pass < PASSES_MAX && o->changed; pass++) {
        o->changed = false;
        order_blocks(f);
        find_dominators(f);
        number_block(o, f->entry);
        decide_branches(o);
        order_blocks(f);
        join_blocks(o);
        order_blocks(f);
        remove_dead(o);
    }
}

#endif
