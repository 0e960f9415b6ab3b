/* A block-sorting compressor. Stands for bzip2.
 *
 * Each step makes a block of a file (common/text.h), compresses it, decompresses the
 * result and compares. A block goes through: shortening of long runs; the
 * Burrows-Wheeler transform, by a radix sort on two bytes, multikey quicksort on more
 * and, for rotations that agree for long, sorting by the ranks of their rests;
 * move-to-front with runs of zeros counted in binary; and canonical Huffman codes, of
 * which every 50 symbols choose the best out of up to six. Byte comparisons of the
 * sort dominate, then the inverse transform, which jumps about in memory, and the
 * bit-by-bit decoder.
 *
 * Sizes differ in the size and number of blocks. */

#include "../common/text.h"

enum {
    SORT_DEPTH = 48,     /* bytes that the quicksort compares before ranks do */
    SMALL_SORT = 12,     /* below this, insertion sort */
    RUN_MAX = 4 + 255,   /* a run of 4 bytes is followed by how many more */
    RUN_A = 0, RUN_B = 1,
    SYMBOLS_MAX = 258,   /* two run digits, 255 places of the list, the end */
    GROUP = 50, TABLES_MAX = 6, CODE_BITS_MAX = 17, REFINEMENTS = 4
};

struct codec {
    uint32_t capacity;
    uint8_t *bytes;          /* after run shortening, then SORT_DEPTH + 2 more of the start */
    uint8_t *last_column;    /* the transformed block */
    uint32_t *order, *ranks; /* rotations in order; also the links of the inverse */
    bool *group_start;       /* whether a rotation is known to differ from the one before */
    uint16_t *symbols;
    uint8_t *selectors;
    uint8_t *stream;
    uint32_t stream_capacity;
    uint64_t deep; /* rotations that needed their ranks */
};

static uint32_t minimum(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Bits, highest first. */

struct bits {
    uint8_t *at, *end;
    uint64_t buffer;
    uint32_t count;
};

static void put_bits(struct bits *b, uint32_t value, uint32_t count) {
    b->buffer = b->buffer << count | value;
    b->count += count;
    while (b->count >= 8) {
        if (b->at == b->end) workload_fail("the stream is too small");
        b->count -= 8;
        *b->at++ = (uint8_t)(b->buffer >> b->count);
    }
}

static uint32_t get_bits(struct bits *b, uint32_t count) {
    while (b->count < count) {
        if (b->at == b->end) workload_fail("the stream ends too early");
        b->buffer = b->buffer << 8 | *b->at++;
        b->count += 8;
    }
    b->count -= count;
    return (uint32_t)(b->buffer >> b->count) & ((UINT32_C(1) << count) - 1);
}

/* Runs: four equal bytes are followed by the number of further ones. */

static uint32_t shorten_runs(const uint8_t *in, uint32_t size, uint8_t *out) {
    uint32_t length = 0;
    for (uint32_t i = 0; i < size;) {
        uint32_t run = 1;
        while (run < RUN_MAX && i + run < size && in[i + run] == in[i]) run++;
        for (uint32_t j = 0; j < minimum(run, 4); j++) out[length++] = in[i];
        if (run >= 4) out[length++] = (uint8_t)(run - 4);
        i += run;
    }
    return length;
}

static uint32_t restore_runs(const uint8_t *in, uint32_t length, uint8_t *out, uint32_t capacity) {
    uint32_t size = 0, run = 0;
    for (uint32_t i = 0; i < length; i++) {
        run = i > 0 && run < 4 && in[i] == in[i - 1] ? run + 1 : 1;
        uint32_t more = 0;
        if (run == 4 && i + 1 < length) more = in[i + 1];
        if (size + 1 + more > capacity) workload_fail("a block is larger than it was");
        memset(out + size, in[i], 1 + more);
        size += 1 + more;
        if (run == 4) {
            i++;
            run = 4; /* the count is no part of a run */
        }
    }
    return size;
}

/* The Burrows-Wheeler transform. */

static void swap(uint32_t *a, uint32_t *b) {
    uint32_t held = *a;
    *a = *b;
    *b = held;
}

/* Whether rotation a comes before b, equal up to `depth`. */
static int compare_rotations(const uint8_t *bytes, uint32_t a, uint32_t b, uint32_t depth) {
    for (uint32_t i = depth; i < SORT_DEPTH; i++) {
        if (bytes[a + i] != bytes[b + i]) return bytes[a + i] < bytes[b + i] ? -1 : 1;
    }
    return 0;
}

/* Sorts rotations that agree in `depth` bytes by those up to SORT_DEPTH and marks
 * where groups of equal ones start. */
static void sort_rotations(struct codec *c, uint32_t from, uint32_t to, uint32_t depth) {
    const uint8_t *bytes = c->bytes;
    uint32_t *order = c->order;
    while (to - from > SMALL_SORT && depth < SORT_DEPTH) {
        uint8_t x = bytes[order[from] + depth], y = bytes[order[(from + to) / 2] + depth];
        uint8_t z = bytes[order[to - 1] + depth];
        uint8_t pivot = x < y ? (y < z ? y : x < z ? z : x) : (x < z ? x : y < z ? z : y);
        uint32_t less = from, at = from, greater = to;
        while (at < greater) {
            uint8_t byte = bytes[order[at] + depth];
            if (byte < pivot) swap(&order[less++], &order[at++]);
            else if (byte > pivot) swap(&order[at], &order[--greater]);
            else at++;
        }
        sort_rotations(c, from, less, depth);
        sort_rotations(c, greater, to, depth);
        from = less;
        to = greater;
        depth++;
    }
    if (from == to) return;
    c->group_start[from] = true;
    if (depth >= SORT_DEPTH) return;
    for (uint32_t i = from + 1; i < to; i++) {
        uint32_t moved = order[i], j = i;
        while (j > from && compare_rotations(bytes, moved, order[j - 1], depth) < 0) {
            order[j] = order[j - 1];
            j--;
        }
        order[j] = moved;
    }
    for (uint32_t i = from + 1; i < to; i++) {
        if (compare_rotations(bytes, order[i - 1], order[i], depth)) c->group_start[i] = true;
    }
}

/* The rank of what comes `depth` bytes after the start of rotation `at`. */
static uint32_t rest_rank(const struct codec *c, uint32_t length, uint32_t at, uint32_t depth) {
    uint32_t rest = at + depth % length;
    return c->ranks[rest < length ? rest : rest - length];
}

static void sort_by_ranks(struct codec *c, uint32_t length, uint32_t from, uint32_t to, uint32_t depth) {
    uint32_t *order = c->order;
    while (to - from > 1) {
        uint32_t pivot = rest_rank(c, length, order[(from + to) / 2], depth);
        uint32_t less = from, at = from, greater = to;
        while (at < greater) {
            uint32_t rank = rest_rank(c, length, order[at], depth);
            if (rank < pivot) swap(&order[less++], &order[at++]);
            else if (rank > pivot) swap(&order[at], &order[--greater]);
            else at++;
        }
        /* The smaller side by recursion keeps the stack low. */
        if (less - from < to - greater) {
            sort_by_ranks(c, length, from, less, depth);
            from = greater;
        } else {
            sort_by_ranks(c, length, greater, to, depth);
            to = less;
        }
    }
}

/* Splits a group, now sorted by the ranks of its rests, where these differ. The marks
 * are set before any rank of the group changes. */
static void split_group(struct codec *c, uint32_t length, uint32_t from, uint32_t to, uint32_t depth) {
    uint32_t before = rest_rank(c, length, c->order[from], depth);
    for (uint32_t i = from + 1; i < to; i++) {
        uint32_t rank = rest_rank(c, length, c->order[i], depth);
        c->group_start[i] = rank != before;
        before = rank;
    }
    uint32_t first = from;
    for (uint32_t i = from; i < to; i++) {
        if (c->group_start[i]) first = i;
        c->ranks[c->order[i]] = first;
    }
}

/* Finishes groups that agree in SORT_DEPTH bytes; each pass doubles the depth that is
 * known to be sorted. Rotations that are equal altogether stay as they are. */
static void sort_deep(struct codec *c, uint32_t length) {
    uint32_t first = 0;
    for (uint32_t i = 0; i < length; i++) {
        if (c->group_start[i]) first = i;
        else c->deep++;
        c->ranks[c->order[i]] = first;
    }
    bool open = true;
    for (uint32_t depth = SORT_DEPTH; open && depth < length; depth *= 2) {
        open = false;
        for (uint32_t from = 0; from < length;) {
            uint32_t to = from + 1;
            while (to < length && !c->group_start[to]) to++;
            if (to - from > 1) {
                open = true;
                sort_by_ranks(c, length, from, to, depth);
                split_group(c, length, from, to, depth);
            }
            from = to;
        }
    }
}

/* Gives the place of the original among the sorted rotations. */
static uint32_t transform(struct codec *c, uint32_t length) {
    for (uint32_t i = 0; i < SORT_DEPTH + 2; i++) c->bytes[length + i] = c->bytes[i % length];
    uint32_t *starts = workload_allocate(65536 + 1, sizeof *starts);
    for (uint32_t i = 0; i < length; i++) starts[(c->bytes[i] << 8 | c->bytes[i + 1]) + 1]++;
    for (uint32_t i = 0; i < 65536; i++) starts[i + 1] += starts[i];
    for (uint32_t i = 0; i < length; i++) c->order[starts[c->bytes[i] << 8 | c->bytes[i + 1]]++] = i;

    memset(c->group_start, 0, length * sizeof *c->group_start);
    for (uint32_t i = 0, from = 0; i < 65536; from = starts[i++]) { /* starts are ends by now */
        if (starts[i] > from) sort_rotations(c, from, starts[i], 2);
    }
    free(starts);
    sort_deep(c, length);

    uint32_t origin = 0;
    for (uint32_t i = 0; i < length; i++) {
        uint32_t at = c->order[i];
        if (at == 0) origin = i;
        c->last_column[i] = c->bytes[at ? at - 1 : length - 1];
    }
    return origin;
}

static void transform_back(struct codec *c, uint32_t length, uint32_t origin) {
    uint32_t starts[257] = {0};
    for (uint32_t i = 0; i < length; i++) starts[c->last_column[i] + 1]++;
    for (uint32_t i = 0; i < 256; i++) starts[i + 1] += starts[i];
    for (uint32_t i = 0; i < length; i++) c->order[starts[c->last_column[i]]++] = i;
    uint32_t at = origin;
    for (uint32_t i = 0; i < length; i++) {
        at = c->order[at];
        c->bytes[i] = c->last_column[at];
    }
}

/* Move to front. `used` gets the bytes that occur, in order; gives their number. */

static uint32_t list_used(const bool occurs[256], uint8_t used[256]) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < 256; i++) {
        if (occurs[i]) used[count++] = (uint8_t)i;
    }
    return count;
}

/* A run of `count` zeros in digits 1 and 2 of base two. */
static uint32_t put_run(uint16_t *symbols, uint32_t count, uint32_t run) {
    for (; run > 0; run = (run - 1) / 2) symbols[count++] = run % 2 ? RUN_A : RUN_B;
    return count;
}

/* Writes symbols with the end symbol; gives how many. */
static uint32_t move_to_front(struct codec *c, uint32_t length, const uint8_t *used, uint32_t used_count) {
    uint8_t list[256];
    memcpy(list, used, used_count);
    uint32_t count = 0, run = 0;
    for (uint32_t i = 0; i < length; i++) {
        uint8_t byte = c->last_column[i];
        if (list[0] == byte) {
            run++;
            continue;
        }
        count = put_run(c->symbols, count, run);
        run = 0;
        uint32_t place = 0;
        uint8_t carried = byte;
        do {
            uint8_t held = list[place];
            list[place++] = carried;
            carried = held;
        } while (carried != byte);
        c->symbols[count++] = (uint16_t)place; /* place is one past it, and 1 is the first */
    }
    count = put_run(c->symbols, count, run);
    c->symbols[count++] = (uint16_t)(used_count + 1);
    return count;
}

static uint32_t move_back(struct codec *c, uint32_t count, const uint8_t *used, uint32_t used_count) {
    uint8_t list[256];
    memcpy(list, used, used_count);
    uint32_t length = 0;
    for (uint32_t i = 0; i < count;) {
        uint32_t run = 0, digit = 1;
        for (; i < count && c->symbols[i] <= RUN_B; i++, digit *= 2) run += digit << c->symbols[i];
        if (run > c->capacity - length) workload_fail("a run is too long");
        memset(c->last_column + length, list[0], run);
        length += run;
        if (i == count) break;
        uint32_t place = c->symbols[i++] - 1u;
        if (place >= used_count || length == c->capacity) workload_fail("a symbol is out of range");
        uint8_t byte = list[place];
        memmove(list + 1, list, place);
        c->last_column[length++] = list[0] = byte;
    }
    return length;
}

/* Huffman codes. */

struct table {
    uint8_t lengths[SYMBOLS_MAX];
    uint32_t codes[SYMBOLS_MAX]; /* of the encoder */
    /* Of the decoder: codes of a length are first[length] up to, without, limit[length],
     * and the first of them means sorted[offset[length]]. */
    uint32_t first[CODE_BITS_MAX + 1], limit[CODE_BITS_MAX + 1], offset[CODE_BITS_MAX + 1];
    uint16_t sorted[SYMBOLS_MAX];
};

/* A heap of tree nodes by weight; equal weights by number, to have one answer. */

struct heap {
    uint32_t count;
    uint16_t nodes[SYMBOLS_MAX];
    uint32_t weights[2 * SYMBOLS_MAX];
};

static bool lighter(const struct heap *h, uint16_t a, uint16_t b) {
    return h->weights[a] != h->weights[b] ? h->weights[a] < h->weights[b] : a < b;
}

static void heap_push(struct heap *h, uint16_t node) {
    uint32_t at = h->count++;
    for (uint32_t above; at > 0; at = above) {
        above = (at - 1) / 2;
        if (!lighter(h, node, h->nodes[above])) break;
        h->nodes[at] = h->nodes[above];
    }
    h->nodes[at] = node;
}

static uint16_t heap_pop(struct heap *h) {
    uint16_t top = h->nodes[0], moved = h->nodes[--h->count];
    uint32_t at = 0;
    for (uint32_t child; (child = 2 * at + 1) < h->count; at = child) {
        if (child + 1 < h->count && lighter(h, h->nodes[child + 1], h->nodes[child])) child++;
        if (!lighter(h, h->nodes[child], moved)) break;
        h->nodes[at] = h->nodes[child];
    }
    h->nodes[at] = moved;
    return top;
}

/* Sets code lengths by frequency; flatter weights are tried until none is too long. */
static void make_lengths(struct table *table, const uint32_t *frequencies, uint32_t symbols) {
    for (uint32_t shift = 0;; shift++) {
        struct heap heap = {.count = 0};
        uint16_t parents[2 * SYMBOLS_MAX] = {0};
        for (uint16_t i = 0; i < symbols; i++) {
            heap.weights[i] = (frequencies[i] >> shift) + 1;
            heap_push(&heap, i);
        }
        uint16_t node = (uint16_t)symbols;
        for (; heap.count > 1; node++) {
            uint16_t a = heap_pop(&heap), b = heap_pop(&heap);
            parents[a] = parents[b] = node;
            heap.weights[node] = heap.weights[a] + heap.weights[b];
            heap_push(&heap, node);
        }
        uint8_t depths[2 * SYMBOLS_MAX] = {0};
        uint32_t longest = 0;
        for (uint32_t i = node - 1u; i-- > 0;) {
            depths[i] = (uint8_t)(depths[parents[i]] + 1);
            if (depths[i] > longest) longest = depths[i];
        }
        memcpy(table->lengths, depths, symbols);
        if (longest <= CODE_BITS_MAX) return;
    }
}

static void make_codes(struct table *table, uint32_t symbols) {
    uint32_t code = 0, offset = 0;
    for (uint32_t length = 1; length <= CODE_BITS_MAX; length++, code <<= 1) {
        table->first[length] = code;
        table->offset[length] = offset;
        for (uint32_t i = 0; i < symbols; i++) {
            if (table->lengths[i] != length) continue;
            table->codes[i] = code++;
            table->sorted[offset++] = (uint16_t)i;
        }
        table->limit[length] = code;
    }
}

/* Starts each table with a share of the symbols that are about equally frequent. */
static void guess_tables(struct table *tables, uint32_t table_count, const uint32_t *frequencies,
                         uint32_t symbols, uint32_t total) {
    uint32_t symbol = 0;
    for (uint32_t t = 0; t < table_count; t++) {
        uint32_t share = total / (table_count - t), sum = 0;
        memset(tables[t].lengths, 15, symbols);
        for (; symbol < symbols && (sum < share || t + 1 == table_count); symbol++) {
            sum += frequencies[symbol];
            tables[t].lengths[symbol] = 1;
        }
        total -= sum;
    }
}

/* Chooses for each group the table that takes the fewest bits, then fits the tables
 * to their groups; gives the number of groups. */
static uint32_t choose_tables(struct codec *c, uint32_t count, struct table *tables, uint32_t table_count,
                              uint32_t symbols) {
    uint32_t frequencies[TABLES_MAX][SYMBOLS_MAX] = {{0}}, groups = 0;
    for (uint32_t from = 0; from < count; from += GROUP) {
        uint32_t to = minimum(from + GROUP, count), best = 0, best_cost = UINT32_MAX;
        for (uint32_t t = 0; t < table_count; t++) {
            uint32_t cost = 0;
            for (uint32_t i = from; i < to; i++) cost += tables[t].lengths[c->symbols[i]];
            if (cost < best_cost) {
                best = t;
                best_cost = cost;
            }
        }
        for (uint32_t i = from; i < to; i++) frequencies[best][c->symbols[i]]++;
        c->selectors[groups++] = (uint8_t)best;
    }
    for (uint32_t t = 0; t < table_count; t++) make_lengths(&tables[t], frequencies[t], symbols);
    return groups;
}

static void put_lengths(struct bits *b, const struct table *table, uint32_t symbols) {
    uint32_t length = table->lengths[0];
    put_bits(b, length, 5);
    for (uint32_t i = 0; i < symbols; i++) {
        for (; length != table->lengths[i]; length += length < table->lengths[i] ? 1 : -1u) {
            put_bits(b, length < table->lengths[i] ? 2 : 3, 2);
        }
        put_bits(b, 0, 1);
    }
}

static void get_lengths(struct bits *b, struct table *table, uint32_t symbols) {
    uint32_t length = get_bits(b, 5);
    for (uint32_t i = 0; i < symbols; i++) {
        while (get_bits(b, 1)) length += get_bits(b, 1) ? -1u : 1;
        if (length < 1 || length > CODE_BITS_MAX) workload_fail("a code length is out of range");
        table->lengths[i] = (uint8_t)length;
    }
}

static void put_symbols(struct codec *c, struct bits *b, uint32_t count, uint32_t symbols) {
    static const uint32_t enough[] = {200, 600, 1200, 2400};
    struct table tables[TABLES_MAX];
    uint32_t frequencies[SYMBOLS_MAX] = {0}, table_count = 2, groups = 0;
    while (table_count < TABLES_MAX && count >= enough[table_count - 2]) table_count++;
    for (uint32_t i = 0; i < count; i++) frequencies[c->symbols[i]]++;
    guess_tables(tables, table_count, frequencies, symbols, count);
    for (uint32_t i = 0; i < REFINEMENTS; i++) {
        groups = choose_tables(c, count, tables, table_count, symbols);
    }

    put_bits(b, count, 24);
    put_bits(b, table_count, 3);
    for (uint32_t t = 0; t < table_count; t++) {
        put_lengths(b, &tables[t], symbols);
        make_codes(&tables[t], symbols);
    }
    for (uint32_t g = 0; g < groups; g++) {
        const struct table *table = &tables[c->selectors[g]];
        put_bits(b, c->selectors[g], 3);
        uint32_t to = minimum((g + 1) * GROUP, count);
        for (uint32_t i = g * GROUP; i < to; i++) {
            put_bits(b, table->codes[c->symbols[i]], table->lengths[c->symbols[i]]);
        }
    }
}

static uint16_t get_symbol(struct bits *b, const struct table *table) {
    uint32_t code = 0;
    for (uint32_t length = 1; length <= CODE_BITS_MAX; length++) {
        code = code << 1 | get_bits(b, 1);
        if (code >= table->limit[length]) continue;
        return table->sorted[table->offset[length] + code - table->first[length]];
    }
    workload_fail("a code has no meaning");
}

/* Gives the number of symbols without the end symbol. */
static uint32_t get_symbols(struct codec *c, struct bits *b, uint32_t symbols) {
    struct table tables[TABLES_MAX];
    uint32_t count = get_bits(b, 24), table_count = get_bits(b, 3);
    if (count > c->capacity + 1 || table_count > TABLES_MAX) workload_fail("the stream has a bad header");
    for (uint32_t t = 0; t < table_count; t++) {
        get_lengths(b, &tables[t], symbols);
        make_codes(&tables[t], symbols);
    }
    for (uint32_t from = 0; from < count; from += GROUP) {
        uint32_t to = minimum(from + GROUP, count), t = get_bits(b, 3);
        if (t >= table_count) workload_fail("a group has no table");
        for (uint32_t i = from; i < to; i++) c->symbols[i] = get_symbol(b, &tables[t]);
    }
    if (count == 0 || c->symbols[count - 1] != symbols - 1) workload_fail("the end symbol is missing");
    return count - 1;
}

/* Whole blocks. */

static struct codec codec_new(uint32_t block_bytes) {
    struct codec c = {.capacity = block_bytes + block_bytes / 4 + 16};
    c.bytes = workload_allocate(c.capacity + SORT_DEPTH + 2, 1);
    c.last_column = workload_allocate(c.capacity, 1);
    c.order = workload_allocate(c.capacity, sizeof *c.order);
    c.ranks = workload_allocate(c.capacity, sizeof *c.ranks);
    c.group_start = workload_allocate(c.capacity, sizeof *c.group_start);
    c.symbols = workload_allocate(c.capacity + 1, sizeof *c.symbols);
    c.selectors = workload_allocate(c.capacity / GROUP + 2, 1);
    c.stream_capacity = c.capacity * 2 + 4096;
    c.stream = workload_allocate(c.stream_capacity, 1);
    return c;
}

/* Gives the bytes of c->stream that were written. */
static uint32_t compress(struct codec *c, const uint8_t *block, uint32_t size) {
    struct bits b = {c->stream, c->stream + c->stream_capacity, 0, 0};
    uint32_t length = shorten_runs(block, size, c->bytes);
    put_bits(&b, transform(c, length), 24);
    bool occurs[256] = {false};
    for (uint32_t i = 0; i < length; i++) occurs[c->last_column[i]] = true;
    for (uint32_t i = 0; i < 256; i++) put_bits(&b, occurs[i], 1);
    uint8_t used[256];
    uint32_t used_count = list_used(occurs, used);
    uint32_t count = move_to_front(c, length, used, used_count);
    put_symbols(c, &b, count, used_count + 2);
    put_bits(&b, 0, 7); /* the last bits get their byte */
    return (uint32_t)(b.at - c->stream);
}

/* Gives the size of the block. */
static uint32_t decompress(struct codec *c, uint32_t stream_bytes, uint8_t *block, uint32_t capacity) {
    struct bits b = {c->stream, c->stream + stream_bytes, 0, 0};
    uint32_t origin = get_bits(&b, 24);
    bool occurs[256];
    for (uint32_t i = 0; i < 256; i++) occurs[i] = get_bits(&b, 1);
    uint8_t used[256];
    uint32_t used_count = list_used(occurs, used);
    uint32_t count = get_symbols(c, &b, used_count + 2);
    uint32_t length = move_back(c, count, used, used_count);
    if (origin >= length) workload_fail("the stream has a bad origin");
    transform_back(c, length, origin);
    return restore_runs(c->bytes, length, block, capacity);
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    uint32_t block_bytes = workload_pick(&w, 9000, 110000, 600000);
    uint32_t blocks = workload_pick(&w, 40, 80, 100);

    struct text_maker *maker = workload_allocate(1, sizeof *maker);
    text_begin(maker, 20250118);
    struct codec codec = codec_new(block_bytes);
    uint8_t *original = workload_allocate(block_bytes, 1), *restored = workload_allocate(block_bytes, 1);
    uint64_t compressed = 0;
    for (uint32_t i = 0; i < blocks; i++) {
        text_fill(maker, original, block_bytes);
        uint32_t size = compress(&codec, original, block_bytes);
        workload_hash_bytes(&w, codec.stream, size);
        compressed += size;
        uint32_t restored_size = decompress(&codec, size, restored, block_bytes);
        if (restored_size != block_bytes || memcmp(original, restored, block_bytes)) {
            workload_fail("a block is not the same after decompression");
        }
        workload_step(&w);
    }
    printf("%" PRIu32 " blocks of %" PRIu32 " bytes became %" PRIu64 " bytes\n", blocks, block_bytes,
           compressed);
    printf("%" PRIu64 " rotations agreed in %d bytes\n", codec.deep, SORT_DEPTH);
    return workload_end(&w);
}
