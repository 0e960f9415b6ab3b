/* hashjoin: a small relational database runs through its days.
 *
 * Stands for a database server, which SPEC CPU does not have. There are customers,
 * products and orders, with two B+tree indexes on the orders (by customer and day, by
 * day). Each day new orders come in, old and cancelled ones go, some customers look up
 * their last orders, and two reports run: one joins a range of days with the customers
 * of a region and with the products by hash tables and groups the result, one sums up
 * the turnover of every customer by sorting and merging. Operators of a query pull
 * tuples out of each other through function pointers.
 *
 * Time goes into binary searches in pages, moves inside them, hash probes that miss the
 * caches, and branchy sorting. One step is one day (or ten days of the first load, which
 * have no queries). Sizes differ in the number of customers, days and orders for a day.
 *
 * Sums by hashing and by sorting must agree, the indexes are checked as a whole every
 * few days, and in the end both must hold just the orders that are alive. */
#include "aggregate.h"
#include "btree.h"

enum { REGIONS = 8, SEGMENTS = 5, CATEGORIES = 24, LOAD_DAYS_PER_STEP = 10, CHECK_EVERY = 8 };

struct customer {
    uint32_t number; /* what orders refer to; rows are in another order */
    uint16_t region, segment;
};

struct product {
    uint16_t category;
    int32_t cents;
};

struct order {
    uint32_t customer, product, day;
    int32_t cents;
    uint16_t quantity;
    bool alive;
};

struct database {
    struct random random;
    struct customer *customers;
    struct product *products;
    struct order *orders;
    uint32_t customer_count, product_count, order_count, order_max;
    uint32_t *free_rows;
    uint32_t free_count;
    struct btree by_customer, by_day;
    struct lookup customer_rows;
    struct groups groups;
    struct sorter sorter;
    uint32_t orders_per_day, days_kept;
    uint64_t inserted, deleted, scanned, joined;
};

/* ---- keys and rows ---- */

/* Rows have 24 bits, days 14 and customers 26. */
static uint64_t customer_key(uint32_t customer, uint32_t day, uint32_t row) {
    return (uint64_t)customer << 38 | (uint64_t)day << 24 | row;
}

static uint64_t day_key(uint32_t day, uint32_t row) { return (uint64_t)day << 24 | row; }

/* Small numbers come far more often. */
static uint32_t skewed_below(struct random *r, uint32_t limit) {
    return random_below(r, 1 + random_below(r, 1 + random_below(r, limit)));
}

static void insert_order(struct database *d, uint32_t day) {
    uint32_t row = d->free_count > 0 ? d->free_rows[--d->free_count] : d->order_count++;
    if (row >= d->order_max) workload_fail("there is no row for an order");
    uint32_t rank = skewed_below(&d->random, d->customer_count);
    uint32_t product = skewed_below(&d->random, d->product_count);
    uint32_t quantity = 1 + skewed_below(&d->random, 20);
    d->orders[row] = (struct order){
        .customer = d->customers[rank].number,
        .product = product,
        .day = day,
        .cents = d->products[product].cents * (int32_t)quantity,
        .quantity = (uint16_t)quantity,
        .alive = true,
    };
    btree_insert(&d->by_customer, customer_key(d->orders[row].customer, day, row), row);
    btree_insert(&d->by_day, day_key(day, row), row);
    d->inserted++;
}

static void delete_order(struct database *d, uint32_t row) {
    struct order *o = &d->orders[row];
    if (!o->alive) workload_fail("an order is deleted twice");
    uint32_t found = btree_delete(&d->by_customer, customer_key(o->customer, o->day, row));
    if (found != row || btree_delete(&d->by_day, day_key(o->day, row)) != row) {
        workload_fail("an index knows another row");
    }
    o->alive = false;
    d->free_rows[d->free_count++] = row;
    d->deleted++;
}

static void delete_old(struct database *d, uint32_t day) {
    /* A cursor must not see deletions: collect first. */
    struct cursor c = btree_scan(&d->by_day, 0, day_key(day, 0));
    uint32_t *rows = workload_allocate(d->by_day.entries, sizeof *rows), count = 0, row;
    uint64_t key;
    while (cursor_next(&c, &key, &row)) rows[count++] = row;
    for (uint32_t i = 0; i < count; i++) delete_order(d, rows[i]);
    free(rows);
}

static void cancel_some(struct database *d, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = random_below(&d->random, d->order_count);
        if (d->orders[row].alive) delete_order(d, row);
    }
}

/* ---- operators ---- */

struct tuple {
    const struct order *order;
    const struct customer *customer;
    const struct product *product;
};

struct operator {
    bool (*next)(struct operator *self, struct tuple *t);
    struct operator *input;
    struct database *database;
    struct cursor cursor;                      /* of a scan */
    bool (*keeps)(const struct tuple *t, uint32_t parameter); /* of a filter */
    uint32_t parameter;
};

static bool scan_next(struct operator *self, struct tuple *t) {
    uint64_t key;
    uint32_t row;
    if (!cursor_next(&self->cursor, &key, &row)) return false;
    t->order = &self->database->orders[row];
    self->database->scanned++;
    return true;
}

static bool filter_next(struct operator *self, struct tuple *t) {
    while (self->input->next(self->input, t)) {
        if (self->keeps(t, self->parameter)) return true;
    }
    return false;
}

static bool join_customer_next(struct operator *self, struct tuple *t) {
    struct database *d = self->database;
    uint32_t row;
    while (self->input->next(self->input, t)) {
        if (!lookup_get(&d->customer_rows, t->order->customer, &row)) continue;
        t->customer = &d->customers[row];
        d->joined++;
        return true;
    }
    return false;
}

static bool join_product_next(struct operator *self, struct tuple *t) {
    if (!self->input->next(self->input, t)) return false;
    t->product = &self->database->products[t->order->product];
    return true;
}

static bool keeps_large(const struct tuple *t, uint32_t cents) { return t->order->cents >= (int32_t)cents; }
static bool keeps_few(const struct tuple *t, uint32_t quantity) { return t->order->quantity <= quantity; }

/* ---- queries ---- */

/* What some customers ordered lately. */
static void look_up_customers(struct database *d, uint32_t day, uint32_t count, struct workload *w) {
    uint64_t found = 0, cents = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t rank = skewed_below(&d->random, d->customer_count);
        uint32_t customer = d->customers[rank].number, since = day > 20 ? day - 20 : 0;
        struct cursor c = btree_scan(&d->by_customer, customer_key(customer, since, 0),
                                     customer_key(customer, day + 1, 0));
        uint64_t key, before = 0;
        uint32_t row;
        while (cursor_next(&c, &key, &row)) {
            if (key <= before || d->orders[row].customer != customer) {
                workload_fail("an index led to a wrong order");
            }
            before = key;
            found++;
            cents += (uint32_t)d->orders[row].cents;
        }
    }
    d->scanned += found;
    workload_hash(w, found << 40 ^ cents);
}

/* The turnover of a region by segment and category. */
static void report_region(struct database *d, uint32_t day, struct workload *w) {
    uint32_t region = day % REGIONS;
    lookup_clear(&d->customer_rows);
    for (uint32_t row = 0; row < d->customer_count; row++) {
        const struct customer *c = &d->customers[row];
        if (c->region == region) lookup_put(&d->customer_rows, c->number, row);
    }
    uint32_t since = day > d->days_kept / 2 ? day - d->days_kept / 2 : 0;
    struct operator scan = {.next = scan_next, .database = d};
    scan.cursor = btree_scan(&d->by_day, day_key(since, 0), day_key(day + 1, 0));
    struct operator large = {.next = filter_next, .input = &scan, .keeps = keeps_large, .parameter = 900};
    struct operator few = {.next = filter_next, .input = &large, .keeps = keeps_few, .parameter = 12};
    struct operator customers = {.next = join_customer_next, .input = &few, .database = d};
    struct operator all = {.next = join_product_next, .input = &customers, .database = d};
    groups_clear(&d->groups);
    struct tuple t = {0};
    while (all.next(&all, &t)) {
        if (t.customer->region != region) workload_fail("a join let a stranger in");
        groups_add(&d->groups, 1 + t.customer->segment * CATEGORIES + t.product->category, t.order->cents);
    }
    for (uint64_t key = 1; key <= SEGMENTS * CATEGORIES; key++) {
        const struct group *g = groups_find(&d->groups, key);
        if (g) workload_hash(w, (uint64_t)g->sum << 20 ^ g->count);
    }
}

struct merged {
    struct database *database;
    uint64_t groups, last;
    int64_t turnover;
};

/* A customer's sum has come out of sorting: compare it with the one by hashing. */
static void take_merged(void *data, const struct group *g) {
    struct merged *m = data;
    const struct group *hashed = groups_find(&m->database->groups, g->key);
    if (!hashed || hashed->sum != g->sum || hashed->count != g->count ||
        hashed->least != g->least || hashed->most != g->most) {
        workload_fail("sorting and hashing do not agree");
    }
    if (g->key <= m->last) workload_fail("groups come out of order");
    m->last = g->key;
    m->groups++;
    m->turnover += g->sum;
}

/* The turnover of every customer in some days, in two ways. */
static void report_turnover(struct database *d, uint32_t day, struct workload *w) {
    uint32_t since = day > d->days_kept / 4 ? day - d->days_kept / 4 : 0;
    struct operator scan = {.next = scan_next, .database = d};
    scan.cursor = btree_scan(&d->by_day, day_key(since, 0), day_key(day + 1, 0));
    struct merged m = {.database = d};
    struct tuple t = {0};
    groups_clear(&d->groups);
    while (scan.next(&scan, &t)) {
        groups_add(&d->groups, t.order->customer + UINT64_C(1), t.order->cents);
        sorter_add(&d->sorter, t.order->customer + UINT64_C(1), t.order->cents);
    }
    sorter_groups(&d->sorter, take_merged, &m);
    if (m.groups != d->groups.used) workload_fail("sorting lost a group");
    workload_hash(w, (uint64_t)m.turnover);
    workload_hash(w, m.groups);
}

/* ---- the database as a whole ---- */

static void make_tables(struct database *d) {
    d->customers = workload_allocate(d->customer_count, sizeof *d->customers);
    d->products = workload_allocate(d->product_count, sizeof *d->products);
    d->orders = workload_allocate(d->order_max, sizeof *d->orders);
    d->free_rows = workload_allocate(d->order_max, sizeof *d->free_rows);
    for (uint32_t i = 0; i < d->customer_count; i++) {
        struct customer *c = &d->customers[i];
        c->number = i;
        c->region = (uint16_t)random_below(&d->random, REGIONS);
        c->segment = (uint16_t)skewed_below(&d->random, SEGMENTS);
        /* Shuffled, so that good customers do not have neighbouring numbers. */
        uint32_t other = random_below(&d->random, i + 1);
        uint32_t number = d->customers[other].number;
        d->customers[other].number = c->number;
        c->number = number;
    }
    for (uint32_t i = 0; i < d->product_count; i++) {
        d->products[i].category = (uint16_t)random_below(&d->random, CATEGORIES);
        d->products[i].cents = 50 + (int32_t)skewed_below(&d->random, 20000);
    }
    btree_make(&d->by_customer, d->order_max);
    btree_make(&d->by_day, d->order_max);
    lookup_make(&d->customer_rows, d->customer_count);
    groups_make(&d->groups);
    sorter_make(&d->sorter, d->order_max);
}

static void free_tables(struct database *d) {
    free(d->customers);
    free(d->products);
    free(d->orders);
    free(d->free_rows);
    btree_free(&d->by_customer);
    btree_free(&d->by_day);
    lookup_free(&d->customer_rows);
    groups_free(&d->groups);
    sorter_free(&d->sorter);
}

static void run_day(struct database *d, uint32_t day, struct workload *w) {
    for (uint32_t i = 0; i < d->orders_per_day; i++) insert_order(d, day);
    if (day >= d->days_kept) delete_old(d, day - d->days_kept + 1);
    cancel_some(d, d->orders_per_day / 8);
    look_up_customers(d, day, d->orders_per_day / 2, w);
    report_region(d, day, w);
    report_turnover(d, day, w);
    if (day % CHECK_EVERY == 0) {
        btree_check(&d->by_customer);
        btree_check(&d->by_day);
    }
}

static void check_tables(const struct database *d) {
    uint64_t alive = 0;
    for (uint32_t row = 0; row < d->order_count; row++) {
        const struct order *o = &d->orders[row];
        if (!o->alive) continue;
        alive++;
        if (row % 8 != 0) continue; /* a look at some of them is enough */
        uint64_t key = customer_key(o->customer, o->day, row), found;
        uint32_t value;
        struct cursor c = btree_scan(&d->by_customer, key, key + 1);
        if (!cursor_next(&c, &found, &value) || value != row) workload_fail("an order is not indexed");
    }
    btree_check(&d->by_customer);
    btree_check(&d->by_day);
    if (alive != d->by_customer.entries || alive != d->by_day.entries || alive != d->inserted - d->deleted) {
        workload_fail("the indexes hold other orders than the table");
    }
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    struct database *d = workload_allocate(1, sizeof *d);
    d->random.state = UINT64_C(0xda7aba5e5eed);
    d->customer_count = workload_pick(&w, 3000, 25000, 150000);
    d->product_count = workload_pick(&w, 300, 2000, 8000);
    d->orders_per_day = workload_pick(&w, 450, 2700, 10500);
    d->days_kept = 80;
    d->order_max = d->orders_per_day * (d->days_kept + 2);
    uint32_t days = d->days_kept + workload_pick(&w, 35, 80, 120);
    make_tables(d);
    for (uint32_t day = 1; day <= days; day++) {
        if (day >= d->days_kept) {
            run_day(d, day, &w);
            workload_step(&w);
        } else {
            for (uint32_t i = 0; i < d->orders_per_day; i++) insert_order(d, day);
            if (day % LOAD_DAYS_PER_STEP == 0) workload_step(&w);
        }
    }
    check_tables(d);
    printf("%" PRIu64 " orders came, %" PRIu64 " went, indexes of height %u and %u\n", d->inserted,
           d->deleted, d->by_customer.height, d->by_day.height);
    printf("%" PRIu64 " rows scanned, %" PRIu64 " joined, %" PRIu64 " probes; %" PRIu64 " splits, %" PRIu64
           " merges, %" PRIu64 " borrows\n", d->scanned, d->joined, d->customer_rows.probes + d->groups.probes,
           d->by_customer.splits, d->by_customer.merges, d->by_customer.borrows);
    workload_hash(&w, d->scanned);
    workload_hash(&w, d->joined);
    workload_hash(&w, d->by_customer.splits << 40 ^ d->by_customer.merges << 20 ^ d->by_customer.borrows);
    free_tables(d);
    free(d);
    return workload_end(&w);
}
