/* A B+tree from 64-bit keys to 32-bit values, its pages in one array. */
#ifndef HASHJOIN_BTREE_H
#define HASHJOIN_BTREE_H

#include "../common/workload.h"

enum { PAGE_KEYS = 60, PAGE_LEAST = PAGE_KEYS / 2, NO_PAGE = 0 };

/* In a leaf slots[i] is the value of keys[i]. In an inner page slots[i] is the child with
 * the keys below keys[i], and from keys[i - 1] on. One key more than allowed has room
 * until the page is split. */
struct page {
    uint16_t count;   /* of keys */
    bool leaf;
    uint32_t next;    /* the leaf to the right, or the next free page */
    uint64_t keys[PAGE_KEYS + 1];
    uint32_t slots[PAGE_KEYS + 2];
};

struct btree {
    struct page *pages;   /* page 0 is not used */
    uint32_t capacity, used, free;
    uint32_t root, height;
    uint64_t entries, splits, merges, borrows;
};

/* Where a scan is. */
struct cursor {
    const struct btree *tree;
    uint32_t page, at;
    uint64_t end;         /* the first key behind the range */
};

void btree_make(struct btree *t, uint32_t entries_max);
void btree_free(struct btree *t);
/* The key must be new. */
void btree_insert(struct btree *t, uint64_t key, uint32_t value);
/* The key must be there; returns its value. */
uint32_t btree_delete(struct btree *t, uint64_t key);
struct cursor btree_scan(const struct btree *t, uint64_t begin, uint64_t end);
bool cursor_next(struct cursor *c, uint64_t *key, uint32_t *value);
/* Fails unless order, fill, links and counts are right. */
void btree_check(const struct btree *t);

#endif
