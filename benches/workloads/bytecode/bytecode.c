/* A bytecode interpreter of a small dynamic language. Stands for perlbench.
 *
 * The program compiles the text of script.h with the lexer, parser and code
 * generator of compile.h and calls its function `round` once per step; machine.h
 * runs it. The script writes letters of random words and mails, counts words in
 * hash tables, sorts with comparison functions, matches patterns, finds edit
 * distances and evaluates formulas. The dispatch loop of `run` dominates: one large
 * switch over stack values with reference counts, with the hash table, string and
 * pattern code it calls; every object is one of malloc's.
 *
 * Sizes differ in the rounds and in how much text a round has. */

#include "machine.h"
#include "script.h"

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    uint32_t rounds = workload_pick(&w, 40, 100, 400);
    uint32_t scale = workload_pick(&w, 18, 215, 550);

    struct machine *m = workload_allocate(1, sizeof *m);
    m->random.state = 20250117;
    compile(&m->program, script, builtin_names);

    for (uint32_t i = 0; i < rounds; i++) {
        struct value report = run(m, "round", (int64_t[]){i, scale}, 2);
        if (report.tag != TAG_STRING) workload_fail("the script's round gives no text");
        workload_hash_bytes(&w, report.as.string->bytes, report.as.string->length);
        if (i == 0) printf("%.*s", (int)report.as.string->length, report.as.string->bytes);
        release(report);
        workload_step(&w);
    }
    printf("%" PRIu32 " rounds, %" PRIu64 " instructions\n", rounds, m->instructions);
    workload_hash(&w, m->instructions);
    return workload_end(&w);
}
