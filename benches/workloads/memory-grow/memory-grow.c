/* Memory that grows in many small steps under a program that uses all of it.
 *
 * Stands for: programs whose working set is not known in advance and grows for as
 * long as they run, as caches, logs and databases in memory. An engine must grow
 * cheaply, must not lose or move what is there, and must give zeroed pages.
 *
 * An arena takes pages of 64 KiB from the system, one to four at a time: on
 * WebAssembly by memory.grow, natively by calloc. It gives them out as records of
 * 128 bytes and takes none back. The records form a treap, a search tree balanced
 * by random priorities, with sizes of subtrees. Between insertions it looks up old
 * keys, which lie anywhere in the memory of so far.
 *
 * What dominates: cache and TLB misses on the way down the tree.
 * Sizes: the number of records, which take 8, 44 and 170 MB. Later steps cost more,
 * since the tree is deeper and fits less into caches. The checks: fresh pages are
 * zero, each found record has the contents it was made with, ranks and keys agree,
 * and at the end the tree is in order and holds every record. */
#include "../common/workload.h"

enum {
    STEPS = 100,
    PAGE_BYTES = 65536,
    PAGES_MAX = 4096,
    GROW_MAX = 4, /* pages at a time */
    CARGO = 12,
    LOOKUPS = 2, /* per insertion */
};

/* ---- pages from the system ------------------------------------------------ */

/* The address of `count` new pages. */
static unsigned char *pages_from_system(size_t count) {
#ifdef __wasm__
    size_t before = __builtin_wasm_memory_grow(0, count);
    if (before == SIZE_MAX) workload_fail("memory does not grow");
    if (__builtin_wasm_memory_size(0) != before + count) workload_fail("memory has a wrong size");
    return (unsigned char *)(before * PAGE_BYTES);
#else
    return workload_allocate(count, PAGE_BYTES);
#endif
}

/* ---- the arena ------------------------------------------------------------ */

struct record {
    uint64_t key;
    uint32_t priority;
    uint32_t left, right; /* references; 0 is none */
    uint32_t count;       /* of records in this subtree */
    uint32_t visits;
    uint32_t unused;
    uint64_t cargo[CARGO];
};

enum { PAGE_RECORDS = PAGE_BYTES / sizeof(struct record) };

/* References number the records in the order of their making, from 1. */
struct arena {
    struct record *pages[PAGES_MAX];
    uint32_t page_count;
    uint32_t records;
    uint32_t grown; /* times */
    struct random random;
};

static struct record *at(const struct arena *arena, uint32_t reference) {
    uint32_t index = reference - 1;
    return &arena->pages[index / PAGE_RECORDS][index % PAGE_RECORDS];
}

static void grow(struct arena *arena) {
    uint32_t count = 1 + random_below(&arena->random, GROW_MAX);
    if (arena->page_count + count > PAGES_MAX) workload_fail("the arena is full");
    unsigned char *fresh = pages_from_system(count);
    for (uint32_t page = 0; page < count; page++) {
        const uint64_t *words = (const void *)(fresh + (size_t)page * PAGE_BYTES);
        uint64_t any = 0;
        for (uint32_t i = 0; i < PAGE_BYTES / sizeof *words; i += 64) any |= words[i];
        if (any != 0) workload_fail("a fresh page is not zero");
        arena->pages[arena->page_count++] = (void *)(fresh + (size_t)page * PAGE_BYTES);
    }
    arena->grown++;
}

/* What belongs into a record of this key. */
static uint64_t cargo_of(uint64_t key, uint32_t index) {
    return (key + index) * UINT64_C(0x9e3779b97f4a7c15) ^ key >> 17;
}

static uint32_t make(struct arena *arena, uint64_t key) {
    if (arena->records == arena->page_count * PAGE_RECORDS) grow(arena);
    uint32_t reference = ++arena->records;
    struct record *record = at(arena, reference);
    record->key = key;
    record->priority = random_next(&arena->random);
    record->count = 1;
    for (uint32_t i = 0; i < CARGO; i++) record->cargo[i] = cargo_of(key, i);
    return reference;
}

/* ---- the treap ------------------------------------------------------------ */

static uint32_t count_of(const struct arena *arena, uint32_t tree) {
    return tree == 0 ? 0 : at(arena, tree)->count;
}

static void recount(const struct arena *arena, struct record *record) {
    record->count = 1 + count_of(arena, record->left) + count_of(arena, record->right);
}

/* Splits `tree` into keys before `key` and the others. */
static void split(struct arena *arena, uint32_t tree, uint64_t key, uint32_t *before,
                  uint32_t *after) {
    if (tree == 0) {
        *before = *after = 0;
        return;
    }
    struct record *record = at(arena, tree);
    if (record->key < key) {
        split(arena, record->right, key, &record->right, after);
        *before = tree;
    } else {
        split(arena, record->left, key, before, &record->left);
        *after = tree;
    }
    recount(arena, record);
}

/* `fresh` goes where the first record of a lower priority is. */
static void insert(struct arena *arena, uint32_t *root, uint32_t fresh) {
    struct record *record = at(arena, fresh);
    uint32_t *place = root;
    while (*place != 0) {
        struct record *here = at(arena, *place);
        if (here->priority < record->priority) break;
        here->count++;
        place = record->key < here->key ? &here->left : &here->right;
    }
    split(arena, *place, record->key, &record->left, &record->right);
    recount(arena, record);
    *place = fresh;
}

/* The record with the key, and how many keys come before it. */
static struct record *find(const struct arena *arena, uint32_t root, uint64_t key,
                           uint32_t *rank) {
    *rank = 0;
    while (root != 0) {
        struct record *here = at(arena, root);
        if (key < here->key) {
            root = here->left;
        } else {
            *rank += count_of(arena, here->left);
            if (key == here->key) return here;
            *rank += 1;
            root = here->right;
        }
    }
    workload_fail("a key is lost");
}

static struct record *of_rank(const struct arena *arena, uint32_t root, uint32_t rank) {
    while (root != 0) {
        struct record *here = at(arena, root);
        uint32_t before = count_of(arena, here->left);
        if (rank == before) return here;
        if (rank < before) {
            root = here->left;
        } else {
            rank -= before + 1;
            root = here->right;
        }
    }
    workload_fail("a rank is lost");
}

/* ---- all together --------------------------------------------------------- */

/* Distinct for distinct indexes, in no order: an odd factor permutes the words. */
static uint64_t key_of(uint32_t index) {
    return (index + UINT64_C(1)) * UINT64_C(0xd1342543de82ef95);
}

static uint64_t look_up(struct arena *arena, uint32_t root, struct workload *w) {
    uint64_t key = key_of(random_below(&arena->random, arena->records));
    uint32_t rank;
    struct record *found = find(arena, root, key, &rank);
    uint32_t index = key % CARGO;
    if (found->cargo[index] != cargo_of(key, index)) workload_fail("a record was overwritten");
    if (++found->visits % 8 == 0) {
        if (of_rank(arena, root, rank) != found) workload_fail("rank and key do not agree");
        workload_hash(w, rank);
    }
    return rank;
}

/* Takes the records of a subtree into the checksum, in order. */
static void walk(const struct arena *arena, uint32_t tree, uint64_t *last, struct workload *w) {
    while (tree != 0) {
        const struct record *here = at(arena, tree);
        walk(arena, here->left, last, w);
        if (here->key < *last) workload_fail("the tree is out of order");
        *last = here->key;
        workload_hash(w, here->key ^ here->visits);
        tree = here->right;
    }
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    static struct arena arena;
    arena.random.state = UINT64_C(0x6d656d6f72792121);
    const uint32_t records = workload_pick(&w, 60000, 340000, 1300000) / STEPS;

    uint32_t root = 0;
    uint64_t ranks = 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        for (uint32_t i = 0; i < records; i++) {
            insert(&arena, &root, make(&arena, key_of(arena.records)));
            for (uint32_t j = 0; j < LOOKUPS; j++) ranks += look_up(&arena, root, &w);
        }
        workload_step(&w);
    }

    if (count_of(&arena, root) != arena.records) workload_fail("records were miscounted");
    uint64_t last = 0;
    walk(&arena, root, &last, &w);
    workload_hash(&w, ranks);
    printf("%" PRIu32 " records on %" PRIu32 " pages, grown %" PRIu32 " times\n", arena.records,
           arena.page_count, arena.grown);
    printf("sum of ranks %" PRIu64 "\n", ranks);
    return workload_end(&w);
}
