/* Hash tables with linear probing; quicksorted runs merged through a heap. */
#include "aggregate.h"

static uint32_t spread(uint64_t key) {
    key *= UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(key >> 32) ^ (uint32_t)(key >> 52);
}

/* ---- groups ---- */

void groups_make(struct groups *g) {
    *g = (struct groups){.mask = 255};
    g->slots = workload_allocate(256, sizeof *g->slots);
}

void groups_free(struct groups *g) { free(g->slots); }

void groups_clear(struct groups *g) {
    memset(g->slots, 0, (g->mask + (size_t)1) * sizeof *g->slots);
    g->used = 0;
}

static struct group *find_slot(struct groups *g, uint64_t key) {
    uint32_t at = spread(key) & g->mask;
    while (g->slots[at].key != 0 && g->slots[at].key != key) {
        at = (at + 1) & g->mask;
        g->probes++;
    }
    return &g->slots[at];
}

static void grow(struct groups *g) {
    struct group *old = g->slots;
    uint32_t old_mask = g->mask;
    g->mask = old_mask * 2 + 1;
    g->slots = workload_allocate(g->mask + (size_t)1, sizeof *g->slots);
    for (uint32_t i = 0; i <= old_mask; i++) {
        if (old[i].key != 0) *find_slot(g, old[i].key) = old[i];
    }
    free(old);
}

static void add_to_group(struct group *slot, int32_t value) {
    slot->count++;
    slot->sum += value;
    if (value < slot->least) slot->least = value;
    if (value > slot->most) slot->most = value;
}

void groups_add(struct groups *g, uint64_t key, int32_t value) {
    struct group *slot = find_slot(g, key);
    if (slot->key == 0) {
        if (++g->used > g->mask / 3 * 2) {
            grow(g);
            slot = find_slot(g, key);
        }
        *slot = (struct group){.key = key, .least = value, .most = value};
    }
    add_to_group(slot, value);
}

const struct group *groups_find(struct groups *g, uint64_t key) {
    const struct group *slot = find_slot(g, key);
    return slot->key == key ? slot : NULL;
}

/* ---- the join's table ---- */

void lookup_make(struct lookup *l, uint32_t rows_max) {
    uint32_t size = 16;
    while (size < rows_max * 2) size *= 2;
    *l = (struct lookup){.mask = size - 1};
    l->keys = workload_allocate(size, sizeof *l->keys);
    l->rows = workload_allocate(size, sizeof *l->rows);
}

void lookup_free(struct lookup *l) {
    free(l->keys);
    free(l->rows);
}

void lookup_clear(struct lookup *l) {
    memset(l->keys, 0, (l->mask + (size_t)1) * sizeof *l->keys);
    l->used = 0;
}

void lookup_put(struct lookup *l, uint32_t key, uint32_t row) {
    if (l->used++ > l->mask / 2) workload_fail("the table of a join is full");
    uint32_t at = spread(key) & l->mask;
    while (l->keys[at] != 0) {
        at = (at + 1) & l->mask;
        l->probes++;
    }
    l->keys[at] = key + 1;
    l->rows[at] = row;
}

bool lookup_get(struct lookup *l, uint32_t key, uint32_t *row) {
    for (uint32_t at = spread(key) & l->mask; l->keys[at] != 0; at = (at + 1) & l->mask) {
        if (l->keys[at] == key + 1) {
            *row = l->rows[at];
            return true;
        }
        l->probes++;
    }
    return false;
}

/* ---- sorting ---- */

void sorter_make(struct sorter *s, uint32_t capacity) {
    if (capacity > RUN_PAIRS * RUNS_MAX) capacity = RUN_PAIRS * RUNS_MAX;
    *s = (struct sorter){workload_allocate(capacity, sizeof(struct pair)), 0, capacity};
}

void sorter_free(struct sorter *s) { free(s->pairs); }

void sorter_add(struct sorter *s, uint64_t key, int32_t value) {
    if (s->count == s->capacity) workload_fail("there is too much to sort");
    s->pairs[s->count++] = (struct pair){key, value};
}

static void sort_short(struct pair *p, int32_t count) {
    for (int32_t i = 1; i < count; i++) {
        struct pair moved = p[i];
        int32_t at = i;
        for (; at > 0 && p[at - 1].key > moved.key; at--) p[at] = p[at - 1];
        p[at] = moved;
    }
}

static uint64_t middle_of(uint64_t a, uint64_t b, uint64_t c) {
    uint64_t low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

static void sort_run(struct pair *p, int32_t count) {
    while (count > 16) {
        uint64_t pivot = middle_of(p[0].key, p[count / 2].key, p[count - 1].key);
        int32_t i = 0, j = count - 1;
        while (i <= j) {
            while (p[i].key < pivot) i++;
            while (p[j].key > pivot) j--;
            if (i <= j) {
                struct pair swapped = p[i];
                p[i++] = p[j];
                p[j--] = swapped;
            }
        }
        /* The smaller part by recursion, the larger by going on. */
        if (j + 1 < count - i) {
            sort_run(p, j + 1);
            p += i;
            count -= i;
        } else {
            sort_run(p + i, count - i);
            count = j + 1;
        }
    }
    sort_short(p, count);
}

struct run {
    const struct pair *at, *end;
};

/* Restores the heap of runs below `at`. */
static void sink(struct run *heap, uint32_t count, uint32_t at) {
    struct run moved = heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count) break;
        if (child + 1 < count && heap[child + 1].at->key < heap[child].at->key) child++;
        if (heap[child].at->key >= moved.at->key) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

void sorter_groups(struct sorter *s, void (*emit)(void *data, const struct group *g), void *data) {
    static struct run heap[RUNS_MAX];
    uint32_t runs = 0;
    for (uint32_t begin = 0; begin < s->count; begin += RUN_PAIRS) {
        uint32_t count = s->count - begin < RUN_PAIRS ? s->count - begin : RUN_PAIRS;
        sort_run(s->pairs + begin, (int32_t)count);
        heap[runs++] = (struct run){s->pairs + begin, s->pairs + begin + count};
    }
    for (uint32_t i = runs / 2; i-- > 0;) sink(heap, runs, i);
    struct group open = {0};
    while (runs > 0) {
        const struct pair *p = heap[0].at++;
        if (p->key != open.key) {
            if (open.key != 0) emit(data, &open);
            open = (struct group){.key = p->key, .least = p->value, .most = p->value};
        }
        add_to_group(&open, p->value);
        if (heap[0].at == heap[0].end) heap[0] = heap[--runs];
        if (runs > 0) sink(heap, runs, 0);
    }
    if (open.key != 0) emit(data, &open);
    s->count = 0;
}
