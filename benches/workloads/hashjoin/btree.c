/* The B+tree: splits on the way up from an insertion, borrows or merges on the way up
 * from a deletion. */
#include "btree.h"

static struct page *page_at(const struct btree *t, uint32_t number) { return &t->pages[number]; }

static uint32_t new_page(struct btree *t, bool leaf) {
    uint32_t number = t->free;
    if (number != NO_PAGE) {
        t->free = page_at(t, number)->next;
    } else {
        if (t->used == t->capacity) workload_fail("an index is out of pages");
        number = t->used++;
    }
    struct page *p = page_at(t, number);
    p->count = 0;
    p->leaf = leaf;
    p->next = NO_PAGE;
    return number;
}

static void free_page(struct btree *t, uint32_t number) {
    page_at(t, number)->next = t->free;
    t->free = number;
}

void btree_make(struct btree *t, uint32_t entries_max) {
    memset(t, 0, sizeof *t);
    /* Leaves are at least half full, and inner pages few. */
    t->capacity = entries_max / PAGE_LEAST + entries_max / (PAGE_LEAST * PAGE_LEAST / 2) + 16;
    t->pages = workload_allocate(t->capacity, sizeof(struct page));
    t->used = 1;
    t->root = new_page(t, true);
    t->height = 1;
}

void btree_free(struct btree *t) { free(t->pages); }

/* How many keys of the page are below (or, with `equal`, not above) the key. */
static uint32_t rank(const struct page *p, uint64_t key, bool equal) {
    uint32_t low = 0, high = p->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (p->keys[middle] < key || (equal && p->keys[middle] == key)) low = middle + 1;
        else high = middle;
    }
    return low;
}

static void open_gap(struct page *p, uint32_t key_at, uint32_t slot_at) {
    uint32_t slots = p->count + (p->leaf ? 0u : 1u);
    memmove(p->keys + key_at + 1, p->keys + key_at, (p->count - key_at) * sizeof *p->keys);
    memmove(p->slots + slot_at + 1, p->slots + slot_at, (slots - slot_at) * sizeof *p->slots);
    p->count++;
}

static void close_gap(struct page *p, uint32_t key_at, uint32_t slot_at) {
    uint32_t slots = p->count + (p->leaf ? 0u : 1u);
    memmove(p->keys + key_at, p->keys + key_at + 1, (p->count - key_at - 1) * sizeof *p->keys);
    memmove(p->slots + slot_at, p->slots + slot_at + 1, (slots - slot_at - 1) * sizeof *p->slots);
    p->count--;
}

/* Moves the upper half into a new page on the right; `key` gets what separates them. */
static uint32_t split(struct btree *t, uint32_t number, uint64_t *key) {
    uint32_t right_number = new_page(t, page_at(t, number)->leaf);
    struct page *left = page_at(t, number), *right = page_at(t, right_number);
    uint32_t middle = left->count / 2;
    *key = left->keys[middle];
    /* The separator moves up from an inner page, and stays in a leaf. */
    uint32_t from = left->leaf ? middle : middle + 1;
    right->count = (uint16_t)(left->count - from);
    memcpy(right->keys, left->keys + from, right->count * sizeof *right->keys);
    memcpy(right->slots, left->slots + from, (right->count + (left->leaf ? 0u : 1u)) * sizeof *right->slots);
    left->count = (uint16_t)middle;
    if (left->leaf) {
        right->next = left->next;
        left->next = right_number;
    }
    t->splits++;
    return right_number;
}

/* Inserts below a page; returns the page that was split off it, or none. */
static uint32_t insert_below(struct btree *t, uint32_t number, uint64_t *key, uint32_t value) {
    struct page *p = page_at(t, number);
    uint32_t at = rank(p, *key, !p->leaf);
    if (p->leaf) {
        if (at < p->count && p->keys[at] == *key) workload_fail("a key is inserted twice");
        open_gap(p, at, at);
        p->slots[at] = value;
    } else {
        uint32_t added = insert_below(t, p->slots[at], key, value);
        if (added == NO_PAGE) return NO_PAGE;
        open_gap(p, at, at + 1);
        p->slots[at + 1] = added;
    }
    p->keys[at] = *key;
    return p->count > PAGE_KEYS ? split(t, number, key) : (uint32_t)NO_PAGE;
}

void btree_insert(struct btree *t, uint64_t key, uint32_t value) {
    uint32_t added = insert_below(t, t->root, &key, value);
    if (added != NO_PAGE) {
        uint32_t root = new_page(t, false);
        struct page *p = page_at(t, root);
        p->count = 1;
        p->keys[0] = key;
        p->slots[0] = t->root;
        p->slots[1] = added;
        t->root = root;
        t->height++;
    }
    t->entries++;
}

static void borrow_from_left(struct page *parent, uint32_t at, struct page *left, struct page *p) {
    open_gap(p, 0, 0);
    if (p->leaf) {
        p->keys[0] = left->keys[left->count - 1];
        p->slots[0] = left->slots[left->count - 1];
        parent->keys[at - 1] = p->keys[0];
    } else {
        p->keys[0] = parent->keys[at - 1];
        p->slots[0] = left->slots[left->count];
        parent->keys[at - 1] = left->keys[left->count - 1];
    }
    left->count--;
}

static void borrow_from_right(struct page *parent, uint32_t at, struct page *p, struct page *right) {
    if (p->leaf) {
        p->keys[p->count] = right->keys[0];
        p->slots[p->count] = right->slots[0];
        p->count++;
        close_gap(right, 0, 0);
        parent->keys[at] = right->keys[0];
    } else {
        p->keys[p->count] = parent->keys[at];
        p->count++;
        p->slots[p->count] = right->slots[0];
        parent->keys[at] = right->keys[0];
        close_gap(right, 0, 0);
    }
}

/* Joins the children on both sides of a key of their parent. */
static void merge(struct btree *t, struct page *parent, uint32_t at) {
    uint32_t gone = parent->slots[at + 1];
    struct page *left = page_at(t, parent->slots[at]), *right = page_at(t, gone);
    if (!left->leaf) left->keys[left->count++] = parent->keys[at];
    memcpy(left->keys + left->count, right->keys, right->count * sizeof *right->keys);
    memcpy(left->slots + left->count, right->slots,
           (right->count + (left->leaf ? 0u : 1u)) * sizeof *right->slots);
    left->count = (uint16_t)(left->count + right->count);
    if (left->leaf) left->next = right->next;
    close_gap(parent, at, at + 1);
    free_page(t, gone);
    t->merges++;
}

/* Fills up a child that has too few keys. */
static void refill(struct btree *t, struct page *parent, uint32_t at) {
    struct page *p = page_at(t, parent->slots[at]);
    struct page *left = at > 0 ? page_at(t, parent->slots[at - 1]) : NULL;
    struct page *right = at < parent->count ? page_at(t, parent->slots[at + 1]) : NULL;
    if (left && left->count > PAGE_LEAST) {
        borrow_from_left(parent, at, left, p);
        t->borrows++;
    } else if (right && right->count > PAGE_LEAST) {
        borrow_from_right(parent, at, p, right);
        t->borrows++;
    } else {
        merge(t, parent, left ? at - 1 : at);
    }
}

static uint32_t delete_below(struct btree *t, uint32_t number, uint64_t key) {
    struct page *p = page_at(t, number);
    uint32_t at = rank(p, key, !p->leaf);
    if (!p->leaf) {
        uint32_t child = p->slots[at], value = delete_below(t, child, key);
        if (page_at(t, child)->count < PAGE_LEAST) refill(t, p, at);
        return value;
    }
    if (at == p->count || p->keys[at] != key) workload_fail("a key to be deleted is missing");
    uint32_t value = p->slots[at];
    close_gap(p, at, at);
    return value;
}

uint32_t btree_delete(struct btree *t, uint64_t key) {
    uint32_t value = delete_below(t, t->root, key);
    struct page *root = page_at(t, t->root);
    if (!root->leaf && root->count == 0) {
        uint32_t old = t->root;
        t->root = root->slots[0];
        t->height--;
        free_page(t, old);
    }
    t->entries--;
    return value;
}

struct cursor btree_scan(const struct btree *t, uint64_t begin, uint64_t end) {
    uint32_t number = t->root;
    const struct page *p = page_at(t, number);
    while (!p->leaf) {
        number = p->slots[rank(p, begin, true)];
        p = page_at(t, number);
    }
    return (struct cursor){t, number, rank(p, begin, false), end};
}

bool cursor_next(struct cursor *c, uint64_t *key, uint32_t *value) {
    while (c->page != NO_PAGE) {
        const struct page *p = page_at(c->tree, c->page);
        if (c->at < p->count) {
            if (p->keys[c->at] >= c->end) return false;
            *key = p->keys[c->at];
            *value = p->slots[c->at++];
            return true;
        }
        c->page = p->next;
        c->at = 0;
    }
    return false;
}

struct check {
    uint64_t entries;
    uint32_t last_leaf;
};

/* All keys of a page must lie from `low` on and below `high`. */
static void check_page(const struct btree *t, uint32_t number, uint32_t level, uint64_t low,
                       uint64_t high, struct check *c) {
    const struct page *p = page_at(t, number);
    if (p->leaf != (level == 1)) workload_fail("an index is not balanced");
    if (p->count > PAGE_KEYS || (number != t->root && p->count < PAGE_LEAST)) {
        workload_fail("a page of an index is badly filled");
    }
    for (uint32_t i = 0; i < p->count; i++) {
        bool ordered = p->keys[i] >= low && p->keys[i] < high && (i == 0 || p->keys[i - 1] < p->keys[i]);
        if (!ordered) workload_fail("the keys of an index are out of order");
    }
    if (p->leaf) {
        if (c->last_leaf != NO_PAGE && page_at(t, c->last_leaf)->next != number) {
            workload_fail("the leaves of an index are badly linked");
        }
        c->last_leaf = number;
        c->entries += p->count;
        return;
    }
    for (uint32_t i = 0; i <= p->count; i++) {
        check_page(t, p->slots[i], level - 1, i == 0 ? low : p->keys[i - 1],
                   i == p->count ? high : p->keys[i], c);
    }
}

void btree_check(const struct btree *t) {
    struct check c = {0, NO_PAGE};
    check_page(t, t->root, t->height, 0, UINT64_MAX, &c);
    if (c.entries != t->entries) workload_fail("an index lost entries");
}
