/* Two ways to group and sum: an open-addressing hash table, and sorting in runs that a
 * heap merges. Also the hash table of a join. */
#ifndef HASHJOIN_AGGREGATE_H
#define HASHJOIN_AGGREGATE_H

#include "../common/workload.h"

struct group {
    uint64_t key;     /* never 0 */
    uint32_t count;
    int32_t least, most;
    int64_t sum;
};

struct groups {
    struct group *slots;
    uint32_t mask, used;
    uint64_t probes;
};

void groups_make(struct groups *g);
void groups_free(struct groups *g);
void groups_clear(struct groups *g);
void groups_add(struct groups *g, uint64_t key, int32_t value);
const struct group *groups_find(struct groups *g, uint64_t key);

/* From a key to the row that has it. */
struct lookup {
    uint32_t *keys;   /* plus one; 0 is an empty slot */
    uint32_t *rows;
    uint32_t mask, used;
    uint64_t probes;
};

void lookup_make(struct lookup *l, uint32_t rows_max);
void lookup_free(struct lookup *l);
void lookup_clear(struct lookup *l);
void lookup_put(struct lookup *l, uint32_t key, uint32_t row);
bool lookup_get(struct lookup *l, uint32_t key, uint32_t *row);

struct pair {
    uint64_t key;
    int32_t value;
};

enum { RUN_PAIRS = 2048, RUNS_MAX = 1024 };

struct sorter {
    struct pair *pairs;
    uint32_t count, capacity;
};

void sorter_make(struct sorter *s, uint32_t capacity);
void sorter_free(struct sorter *s);
void sorter_add(struct sorter *s, uint64_t key, int32_t value);
/* Calls `emit` for every group in the order of the keys; empties the sorter. */
void sorter_groups(struct sorter *s, void (*emit)(void *data, const struct group *g), void *data);

#endif
