/* The back: liveness, linear-scan register allocation, phis as moves, assembly text,
 * and an interpreter that runs a function before or after all that. */
#ifndef CFRONT_ALLOCATE_H
#define CFRONT_ALLOCATE_H

#include "optimize.h"

/* Locations: registers, of which calls preserve the first ones, one more for moves,
 * then the stack. */
enum { REGISTERS = 10, PRESERVED = 5, SPARE = REGISTERS, STACK = REGISTERS + 1, NOWHERE = 0xffff };
enum { SOURCE_CONSTANT = 1 << 30 }; /* a source that is a constant's value number */

struct allocation {
    struct function *f;
    uint32_t *location, *first, *last; /* of each value */
    uint32_t location_count;           /* with the stack's */
    uint32_t spilled;
};

/* A block between a branch and a block with phis, so that moves have a place. */
static void split_edges(struct function *f) {
    for (uint32_t n = 0; n < f->block_count; n++) {
        struct block *block = f->blocks[n];
        for (uint32_t k = 0; k < 2 && block->ending == END_BRANCH; k++) {
            struct block *after = block->after[k];
            if (after->phis.count == 0) continue;
            struct block *middle = block_new(f);
            middle->ending = END_JUMP;
            middle->after[0] = after;
            add_before(f, middle, block);
            block->after[k] = middle;
            for (uint32_t i = 0; i < after->before_count; i++) {
                if (after->before[i] == block) after->before[i] = middle;
            }
        }
    }
    order_blocks(f);
}

/* Liveness. */

static void set_bit(uint64_t *set, uint32_t bit) { set[bit / 64] |= UINT64_C(1) << bit % 64; }
static void clear_bit(uint64_t *set, uint32_t bit) { set[bit / 64] &= ~(UINT64_C(1) << bit % 64); }

static void set_used(const struct function *f, uint64_t *set, uint32_t v) {
    if (v && !is_constant(f, v)) set_bit(set, v);
}

/* What lives at the end: what lives at the starts of blocks after, and phis' sources. */
static void find_live_out(const struct function *f, struct block *block, uint32_t words) {
    for (uint32_t k = 0; k < 2; k++) {
        const struct block *after = block->after[k];
        if (!after) continue;
        for (uint32_t i = 0; i < words; i++) block->live_out[i] |= after->live_in[i];
        uint32_t edge = 0;
        while (after->before[edge] != block) edge++;
        for (uint32_t p = 0; p < after->phis.count; p++) {
            set_used(f, block->live_out, f->values[after->phis.items[p]].arguments[edge]);
        }
    }
}

static bool find_live_in(struct function *f, struct block *block, uint64_t *live, uint32_t words) {
    memcpy(live, block->live_out, words * sizeof *live);
    set_used(f, live, block->value);
    for (uint32_t i = block->body.count; i-- > 0;) {
        struct instruction *value = &f->values[block->body.items[i]];
        clear_bit(live, block->body.items[i]);
        for (uint32_t k = 0; k < operand_count(value); k++) set_used(f, live, *operand(value, k));
    }
    for (uint32_t p = 0; p < block->phis.count; p++) clear_bit(live, block->phis.items[p]);
    if (!memcmp(live, block->live_in, words * sizeof *live)) return false;
    memcpy(block->live_in, live, words * sizeof *live);
    return true;
}

static void find_liveness(struct function *f) {
    uint32_t words = f->value_count / 64 + 1;
    uint64_t *live = take(f->arena, words, sizeof *live);
    for (uint32_t n = 0; n < f->block_count; n++) {
        f->blocks[n]->live_in = take(f->arena, words, sizeof *live);
        f->blocks[n]->live_out = take(f->arena, words, sizeof *live);
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t n = f->block_count; n-- > 0;) {
            find_live_out(f, f->blocks[n], words);
            changed |= find_live_in(f, f->blocks[n], live, words);
        }
    }
}

/* Intervals: from the first to the last position at which a value lives, whatever is
 * between. An instruction at position p reads at p and writes at p + 1. */

static void extend(struct allocation *a, uint32_t v, uint32_t position) {
    if (!v || is_constant(a->f, v)) return;
    if (position < a->first[v]) a->first[v] = position;
    if (position > a->last[v]) a->last[v] = position;
}

static void extend_set(struct allocation *a, const uint64_t *set, uint32_t position) {
    for (uint32_t i = 0; i <= a->f->value_count / 64; i++) {
        if (set[i] == 0) continue;
        for (uint32_t bit = 0; bit < 64; bit++) {
            if (set[i] >> bit & 1) extend(a, i * 64 + bit, position);
        }
    }
}

/* Gives the number of positions; `calls` gets how many calls are before each. */
static uint32_t find_intervals(struct allocation *a, uint32_t **calls) {
    struct function *f = a->f;
    uint32_t position = 0, count = 2;
    for (uint32_t n = 0; n < f->block_count; n++) count += 4 + 2 * f->blocks[n]->body.count;
    *calls = take(f->arena, count + 2, sizeof **calls);
    memset(a->first, 0xff, f->value_count * sizeof *a->first);
    for (uint32_t n = 0; n < f->block_count; n++) {
        struct block *block = f->blocks[n];
        block->start = position;
        extend_set(a, block->live_in, position);
        for (uint32_t p = 0; p < block->phis.count; p++) extend(a, block->phis.items[p], position);
        for (uint32_t i = 0; i < block->body.count; i++) {
            position += 2;
            struct instruction *value = &f->values[block->body.items[i]];
            for (uint32_t k = 0; k < operand_count(value); k++) extend(a, *operand(value, k), position);
            extend(a, block->body.items[i], position + 1);
            (*calls)[position + 1] += value->operation == OP_CALL;
        }
        position += 2;
        block->end = position;
        extend(a, block->value, position);
        extend_set(a, block->live_out, position);
        position += 2;
    }
    for (uint32_t i = 0; i < f->parameters.count; i++) {
        if (a->last[f->parameters.items[i]]) extend(a, f->parameters.items[i], 0);
    }
    for (uint32_t i = 1; i < count + 2; i++) (*calls)[i] += (*calls)[i - 1];
    return count;
}

/* Linear scan. */

struct interval {
    uint32_t first, value;
};

static int compare_intervals(const void *left, const void *right) {
    const struct interval *a = left, *b = right;
    if (a->first != b->first) return a->first < b->first ? -1 : 1;
    return (a->value > b->value) - (a->value < b->value);
}

static uint32_t stack_location(struct allocation *a) {
    a->spilled++;
    return a->location_count++;
}

static void place(struct allocation *a, uint32_t v, uint32_t holders[REGISTERS], bool crosses_call) {
    uint32_t allowed = crosses_call ? PRESERVED : REGISTERS, furthest = NOWHERE;
    for (uint32_t r = allowed; r-- > 0;) {
        if (!holders[r] || a->last[holders[r]] < a->first[v]) {
            holders[r] = v;
            a->location[v] = r;
            return;
        }
        if (furthest == NOWHERE || a->last[holders[r]] > a->last[holders[furthest]]) furthest = r;
    }
    if (a->last[holders[furthest]] > a->last[v]) {
        a->location[holders[furthest]] = stack_location(a);
        a->location[v] = furthest;
        holders[furthest] = v;
    } else {
        a->location[v] = stack_location(a);
    }
}

static struct allocation allocate(struct function *f) {
    struct allocation a = {f, NULL, NULL, NULL, STACK, 0};
    uint32_t *calls, count = 0;
    a.location = take(f->arena, f->value_count, sizeof *a.location);
    a.first = take(f->arena, f->value_count, sizeof *a.first);
    a.last = take(f->arena, f->value_count, sizeof *a.last);
    find_intervals(&a, &calls);
    struct interval *intervals = take(f->arena, f->value_count, sizeof *intervals);
    for (uint32_t v = 1; v < f->value_count; v++) {
        a.location[v] = NOWHERE;
        if (a.first[v] != UINT32_MAX) intervals[count++] = (struct interval){a.first[v], v};
    }
    qsort(intervals, count, sizeof *intervals, compare_intervals);
    uint32_t holders[REGISTERS] = {0};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t v = intervals[i].value;
        place(&a, v, holders, calls[a.last[v]] > calls[a.first[v] + 1]);
    }
    return a;
}

/* Phis. All moves at the end of a block happen at once; here they get an order, and a
 * cycle goes through the spare register. */

static void order_moves(struct function *f, struct block *block, uint32_t (*moves)[2], uint32_t count) {
    while (count > 0) {
        uint32_t ready = 0;
        for (; ready < count; ready++) {
            bool read = false;
            for (uint32_t i = 0; i < count; i++) {
                read = read || (i != ready && moves[i][1] == moves[ready][0]);
            }
            if (!read) break;
        }
        if (ready == count) { /* save what the first one overwrites */
            append(f->arena, &block->moves, SPARE);
            append(f->arena, &block->moves, moves[0][0]);
            for (uint32_t i = 0; i < count; i++) {
                if (moves[i][1] == moves[0][0]) moves[i][1] = SPARE;
            }
            ready = 0;
        }
        append(f->arena, &block->moves, moves[ready][0]);
        append(f->arena, &block->moves, moves[ready][1]);
        count--;
        moves[ready][0] = moves[count][0];
        moves[ready][1] = moves[count][1];
    }
}

static uint32_t source_of(const struct allocation *a, uint32_t v) {
    return is_constant(a->f, v) ? SOURCE_CONSTANT | v : a->location[v];
}

static void resolve_phis(struct allocation *a) {
    struct function *f = a->f;
    for (uint32_t n = 0; n < f->block_count; n++) {
        struct block *block = f->blocks[n];
        for (uint32_t k = 0; k < block->before_count && block->phis.count; k++) {
            uint32_t(*moves)[2] = take(f->arena, block->phis.count, sizeof *moves), count = 0;
            for (uint32_t p = 0; p < block->phis.count; p++) {
                uint32_t to = a->location[block->phis.items[p]];
                uint32_t from = source_of(a, f->values[block->phis.items[p]].arguments[k]);
                if (to == from) continue;
                moves[count][0] = to;
                moves[count++][1] = from;
            }
            order_moves(f, block->before[k], moves, count);
        }
    }
}

/* Assembly text. */

static const char *const mnemonics[] = {
    "none",  "const", "param", "copy",  "phi",   "add",   "sub",   "mul",  "div",  "rem",
    "and",   "or",    "xor",   "shl",   "sar",   "seteq", "setne", "setlt", "setle", "setgt",
    "setge", "neg",   "not",   "inv",   "zext8", "load",  "store", "loadx", "storex", "call"};

static void write_number(struct text *t, const char *before, int32_t number) {
    char digits[12], *at = digits + sizeof digits - 1;
    uint32_t rest = number < 0 ? 0 - (uint32_t)number : (uint32_t)number;
    *at = 0;
    do *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0) *--at = '-';
    append_text(t, before);
    append_text(t, at);
}

static void write_source(struct text *t, const struct allocation *a, uint32_t source) {
    if (source & SOURCE_CONSTANT) {
        write_number(t, "#", a->f->values[source & ~(uint32_t)SOURCE_CONSTANT].number);
    } else if (source < STACK) {
        write_number(t, "r", (int32_t)source);
    } else {
        write_number(t, "[sp+", (int32_t)(source - STACK) * 4);
        append_text(t, "]");
    }
}

static void write_symbol(struct text *t, const struct symbol *symbol) {
    char name[32];
    snprintf(name, sizeof name, "%.*s", (int)symbol->name->length, symbol->name->text);
    append_text(t, name);
}

static void write_instruction(struct text *t, const struct allocation *a, uint32_t v) {
    struct instruction *i = &a->f->values[v];
    const char *separator = " ";
    append_text(t, "    ");
    append_text(t, mnemonics[i->operation]);
    if (a->location[v] != NOWHERE && i->operation != OP_STORE && i->operation != OP_STORE_ITEM) {
        append_text(t, separator);
        write_source(t, a, a->location[v]);
        separator = ", ";
    }
    if (i->symbol) {
        append_text(t, separator);
        write_symbol(t, i->symbol);
        separator = ", ";
    }
    for (uint32_t k = 0; k < operand_count(i); k++) {
        append_text(t, separator);
        write_source(t, a, source_of(a, *operand(i, k)));
        separator = ", ";
    }
    append_text(t, "\n");
}

static void write_ending(struct text *t, const struct allocation *a, const struct block *block,
                         uint32_t next) {
    if (block->ending == END_RETURN) {
        append_text(t, "    ret ");
        write_source(t, a, source_of(a, block->value));
        append_text(t, "\n");
        return;
    }
    const struct block *other = block->after[0];
    if (block->ending == END_BRANCH) {
        bool falls = block->after[0]->number == next;
        append_text(t, falls ? "    jz " : "    jnz ");
        write_source(t, a, source_of(a, block->value));
        write_number(t, ", L", (int32_t)block->after[falls]->number);
        append_text(t, "\n");
        other = block->after[!falls];
    }
    if (other->number == next) return;
    write_number(t, "    jmp L", (int32_t)other->number);
    append_text(t, "\n");
}

static void write_function(struct text *t, const struct allocation *a) {
    const struct function *f = a->f;
    write_symbol(t, f->symbol);
    append_text(t, ":\n");
    for (uint32_t n = 0; n < f->block_count; n++) {
        const struct block *block = f->blocks[n];
        write_number(t, "L", (int32_t)n);
        append_text(t, ":\n");
        for (uint32_t i = 0; i < block->body.count; i++) write_instruction(t, a, block->body.items[i]);
        for (uint32_t i = 0; i < block->moves.count; i += 2) {
            append_text(t, "    mov ");
            write_source(t, a, block->moves.items[i]);
            append_text(t, ", ");
            write_source(t, a, block->moves.items[i + 1]);
            append_text(t, "\n");
        }
        write_ending(t, a, block, n + 1);
    }
}

/* The interpreter. It runs a function with or without an allocation; stores, calls and
 * the result go into a trace, which must be the same. What a call gives is made up. */

struct machine {
    int32_t memory[GLOBALS + ARRAYS][ARRAY_ITEMS];
    int32_t *locations;
    uint64_t trace;
};

static void trace(struct machine *m, uint32_t what) {
    m->trace = (m->trace ^ what) * UINT64_C(0x9e3779b97f4a7c15);
    m->trace ^= m->trace >> 29;
}

static int32_t *location_of(struct machine *m, const struct allocation *a, uint32_t v) {
    uint32_t at = a->location ? a->location[v] : v;
    return &m->locations[at == NOWHERE ? SPARE : at];
}

static int32_t read_value(struct machine *m, const struct allocation *a, uint32_t v) {
    return is_constant(a->f, v) ? a->f->values[v].number : *location_of(m, a, v);
}

static int32_t run_call(struct machine *m, const struct allocation *a, const struct instruction *i) {
    trace(m, i->symbol->number);
    for (uint32_t k = 0; k < i->argument_count; k++) {
        trace(m, (uint32_t)read_value(m, a, i->arguments[k]));
    }
    for (uint32_t r = PRESERVED; r < REGISTERS && a->location; r++) m->locations[r] = 1234567;
    return (int32_t)(m->trace % 100);
}

static void run_instruction(struct machine *m, const struct allocation *a, uint32_t v) {
    const struct instruction *i = &a->f->values[v];
    int32_t left = i->a && i->operation != OP_CALL ? read_value(m, a, i->a) : 0;
    int32_t right = i->b ? read_value(m, a, i->b) : 0, result;
    switch (i->operation) {
    case OP_LOAD: result = m->memory[i->symbol->number][0]; break;
    case OP_LOAD_ITEM: result = m->memory[i->symbol->number][left & (ARRAY_ITEMS - 1)]; break;
    case OP_STORE:
        m->memory[i->symbol->number][0] = left;
        trace(m, (uint32_t)left);
        return;
    case OP_STORE_ITEM:
        m->memory[i->symbol->number][left & (ARRAY_ITEMS - 1)] = right;
        trace(m, (uint32_t)left);
        trace(m, (uint32_t)right);
        return;
    case OP_CALL: result = run_call(m, a, i); break;
    default: result = calculate(i->operation, left, right);
    }
    *location_of(m, a, v) = result;
}

/* Without an allocation: all phis of a block at once. */
static void run_phis(struct machine *m, const struct allocation *a, const struct block *block,
                     uint32_t edge) {
    uint32_t count = block->phis.count;
    int32_t *held = &m->locations[a->f->value_count];
    for (uint32_t p = 0; p < count; p++) {
        held[p] = read_value(m, a, resolve(a->f, a->f->values[block->phis.items[p]].arguments[edge]));
    }
    for (uint32_t p = 0; p < count; p++) {
        if (a->f->values[block->phis.items[p]].operation != OP_PHI) continue;
        m->locations[block->phis.items[p]] = held[p];
    }
}

static uint64_t run(struct machine *m, const struct allocation *a) {
    const struct function *f = a->f;
    uint32_t locations = a->location ? a->location_count : f->value_count * 2;
    m->locations = take(f->arena, locations, sizeof *m->locations);
    m->trace = 1;
    for (uint32_t i = 0; i < GLOBALS + ARRAYS; i++) {
        for (uint32_t k = 0; k < ARRAY_ITEMS; k++) m->memory[i][k] = (int32_t)((i * 77 + k * 13) % 251);
    }
    for (uint32_t i = 0; i < f->parameters.count; i++) {
        *location_of(m, a, f->parameters.items[i]) = (int32_t)(i * 7 + 3);
    }
    for (const struct block *block = f->entry;;) {
        for (uint32_t i = 0; i < block->body.count; i++) run_instruction(m, a, block->body.items[i]);
        for (uint32_t i = 0; i < block->moves.count; i += 2) {
            uint32_t source = block->moves.items[i + 1], number = source & ~(uint32_t)SOURCE_CONSTANT;
            m->locations[block->moves.items[i]] =
                source & SOURCE_CONSTANT ? f->values[number].number : m->locations[source];
        }
        if (block->ending == END_RETURN) {
            trace(m, (uint32_t)read_value(m, a, block->value));
            return m->trace;
        }
        bool second = block->ending == END_BRANCH && read_value(m, a, block->value) == 0;
        const struct block *after = block->after[second];
        uint32_t edge = 0;
        while (after->before[edge] != block) edge++;
        if (!a->location) run_phis(m, a, after, edge);
        block = after;
    }
}

#endif
