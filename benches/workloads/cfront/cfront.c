/* A compiler for a small C, from text to assembly. Stands for gcc.
 *
 * Each step makes a unit of random source text (source.h) and compiles it, one
 * function after the other: lexer, scopes, parser and type checks (parse.h),
 * three-address code in SSA form (ir.h), folding, value numbering, branch and dead
 * code removal (optimize.h), liveness, linear-scan register allocation and assembly
 * text (allocate.h). Each function is interpreted before optimization and after
 * register allocation, and must do the same. No part dominates: the time goes to many
 * small functions that follow pointers and branch on node and operation kinds, to
 * hash tables and bit sets.
 *
 * Sizes differ in the length of functions and units. */

#include "allocate.h"

struct totals {
    uint64_t source_bytes, tokens, functions, values, kept, spilled, assembly_bytes;
};

static uint32_t count_values(const struct function *f) {
    uint32_t count = 0;
    for (uint32_t n = 0; n < f->block_count; n++) {
        count += f->blocks[n]->phis.count + f->blocks[n]->body.count;
    }
    return count;
}

static void compile_function(struct function *f, struct optimizer *optimizer, struct machine *machine,
                             struct text *assembly, struct totals *totals) {
    order_blocks(f);
    totals->values += count_values(f);
    for (uint32_t n = 0; n < f->block_count; n++) {
        for (uint32_t i = 0; i < f->blocks[n]->body.count; i++) {
            struct instruction *value = &f->values[f->blocks[n]->body.items[i]];
            for (uint32_t k = 0; k < operand_count(value); k++) {
                *operand(value, k) = resolve(f, *operand(value, k));
            }
        }
        f->blocks[n]->value = resolve(f, f->blocks[n]->value);
    }
    struct allocation none = {f, NULL, NULL, NULL, 0, 0};
    uint64_t expected = run(machine, &none);

    optimize(optimizer, f);
    totals->kept += count_values(f);
    split_edges(f);
    find_liveness(f);
    struct allocation allocation = allocate(f);
    resolve_phis(&allocation);
    write_function(assembly, &allocation);
    totals->spilled += allocation.spilled;
    totals->functions++;
    if (run(machine, &allocation) != expected) workload_fail("a function was compiled wrongly");
}

static void compile_unit(const char *text, struct arena *arena, struct optimizer *optimizer,
                         struct text *assembly, struct totals *totals) {
    static struct machine machine;
    arena->used = 0;
    assembly->length = 0;
    struct parser parser = parse_begin(arena, text);
    struct node *body;
    for (struct symbol *symbol; (symbol = next_function(&parser, &body));) {
        size_t used = arena->used;
        compile_function(lower(arena, symbol, body, parser.locals), optimizer, &machine, assembly, totals);
        arena->used = used;
    }
    totals->tokens += parser.tokens;
    totals->assembly_bytes += assembly->length;
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    uint32_t units = workload_pick(&w, 40, 100, 200);
    uint32_t functions = workload_pick(&w, 14, 64, 165);
    uint32_t statements = workload_pick(&w, 40, 60, 100);

    struct arena arena = {workload_allocate(1, 64 << 20), 0, 64 << 20};
    struct optimizer *optimizer = workload_allocate(1, sizeof *optimizer);
    struct source source = {.random = {20250120}};
    struct text assembly = {NULL, 0, 0};
    struct totals totals = {0};
    for (uint32_t i = 0; i < units; i++) {
        put_unit(&source, functions, statements);
        totals.source_bytes += source.text.length;
        compile_unit(source.text.bytes, &arena, optimizer, &assembly, &totals);
        workload_hash_bytes(&w, assembly.bytes, assembly.length);
        workload_step(&w);
    }
    printf("%" PRIu64 " functions, %" PRIu64 " bytes of source, %" PRIu64 " tokens\n", totals.functions,
           totals.source_bytes, totals.tokens);
    printf("%" PRIu64 " instructions, %" PRIu64 " after optimization (%" PRIu64 " folded, %" PRIu64
           " common, %" PRIu64 " removed)\n",
           totals.values, totals.kept, optimizer->folded, optimizer->common, optimizer->removed);
    printf("%" PRIu64 " values spilled, %" PRIu64 " bytes of assembly\n", totals.spilled,
           totals.assembly_bytes);
    return workload_end(&w);
}
