/* compress [FILE [ROUNDS]]: pack and unpack a file, and check that it survived.
 *
 * The format is LZ77 followed by canonical Huffman coding. Matches are found
 * with hash chains over a window of 32 KiB. The literals and match lengths of
 * one block share an alphabet; distances have their own. A length or distance
 * is a bucket (its number of bits) and that many extra bits. Without FILE the
 * program packs a text that it makes up. */
#include "../common/common.h"

enum {
    WINDOW = 1 << 15,
    HASH_BITS = 15,
    MATCH_MIN = 4,
    MATCH_MAX = 1 << 10,
    CHAIN_MAX = 48,
    BLOCK_TOKENS = 1 << 15,
    END_OF_BLOCK = 256,
    LENGTH_BASE = 257,
    MAIN_SYMBOLS = LENGTH_BASE + 11,
    DISTANCE_SYMBOLS = 16,
    CODE_BITS_MAX = 15,
};

/* A literal when `distance` is 0, else a match. */
struct token {
    uint16_t value;
    uint16_t distance;
};

struct buffer {
    uint8_t *bytes;
    size_t size, capacity;
};

static void buffer_push(struct buffer *b, uint8_t byte) {
    if (b->size == b->capacity) {
        b->capacity = b->capacity ? b->capacity * 2 : 4096;
        b->bytes = realloc(b->bytes, b->capacity);
        if (!b->bytes) exit(EXIT_WRONG);
    }
    b->bytes[b->size++] = byte;
}

/* ---- bits, lowest first ------------------------------------------------- */

struct bit_writer {
    struct buffer out;
    uint64_t bits;
    uint32_t count;
};

static void write_bits(struct bit_writer *w, uint32_t value, uint32_t count) {
    w->bits |= (uint64_t)value << w->count;
    w->count += count;
    for (; w->count >= 8; w->count -= 8, w->bits >>= 8) buffer_push(&w->out, (uint8_t)w->bits);
}

static void flush_bits(struct bit_writer *w) {
    if (w->count) write_bits(w, 0, 8 - w->count);
}

struct bit_reader {
    const uint8_t *bytes;
    size_t size, position;
    uint64_t bits;
    uint32_t count;
};

static uint32_t read_bits(struct bit_reader *r, uint32_t count) {
    while (r->count < count) {
        uint64_t byte = r->position < r->size ? r->bytes[r->position] : 0;
        r->position++;
        r->bits |= byte << r->count;
        r->count += 8;
    }
    uint32_t value = (uint32_t)(r->bits & ((UINT64_C(1) << count) - 1));
    r->bits >>= count;
    r->count -= count;
    return value;
}

/* ---- canonical Huffman codes -------------------------------------------- */

struct code {
    uint8_t length[MAIN_SYMBOLS];
    uint16_t bits[MAIN_SYMBOLS]; /* mirrored, as the bit writer wants them */
    uint16_t count[CODE_BITS_MAX + 1];
    uint16_t sorted[MAIN_SYMBOLS];
    uint32_t symbols;
};

struct node {
    uint32_t weight;
    int16_t child[2]; /* nodes; a leaf has child[0] == -1 and its symbol in child[1] */
};

static int lightest(const struct node *nodes, const int16_t *alive, int count) {
    int best = 0;
    for (int i = 1; i < count; i++) {
        if (nodes[alive[i]].weight < nodes[alive[best]].weight) best = i;
    }
    return best;
}

/* Depths of the leaves below `root`; returns the greatest. */
static uint32_t leaf_depths(const struct node *nodes, int root, uint32_t depth, uint8_t *length) {
    if (nodes[root].child[0] < 0) {
        length[nodes[root].child[1]] = (uint8_t)(depth ? depth : 1);
        return depth;
    }
    uint32_t left = leaf_depths(nodes, nodes[root].child[0], depth + 1, length);
    uint32_t right = leaf_depths(nodes, nodes[root].child[1], depth + 1, length);
    return left > right ? left : right;
}

/* Code lengths for the weights. Weights are flattened until no code is longer
 * than CODE_BITS_MAX. */
static void code_lengths(struct code *c, uint32_t *weights, uint32_t symbols) {
    static struct node nodes[2 * MAIN_SYMBOLS];
    static int16_t alive[MAIN_SYMBOLS];
    for (;;) {
        int made = 0, living = 0;
        memset(c->length, 0, sizeof c->length);
        for (uint32_t s = 0; s < symbols; s++) {
            if (!weights[s]) continue;
            nodes[made] = (struct node){weights[s], {-1, (int16_t)s}};
            alive[living++] = (int16_t)made++;
        }
        if (living == 0) return;
        while (living > 1) {
            int at = lightest(nodes, alive, living);
            int16_t a = alive[at];
            alive[at] = alive[--living];
            at = lightest(nodes, alive, living);
            int16_t b = alive[at];
            nodes[made] = (struct node){nodes[a].weight + nodes[b].weight, {a, b}};
            alive[at] = (int16_t)made++;
        }
        if (leaf_depths(nodes, alive[0], 0, c->length) <= CODE_BITS_MAX) return;
        for (uint32_t s = 0; s < symbols; s++) weights[s] = (weights[s] + 1) / 2;
    }
}

/* Everything that follows from the lengths. */
static void code_finish(struct code *c, uint32_t symbols) {
    uint16_t next[CODE_BITS_MAX + 2] = {0}, first[CODE_BITS_MAX + 2] = {0};
    memset(c->count, 0, sizeof c->count);
    c->symbols = symbols;
    for (uint32_t s = 0; s < symbols; s++) c->count[c->length[s]]++;
    c->count[0] = 0;
    for (int bits = 1; bits <= CODE_BITS_MAX; bits++) {
        next[bits + 1] = (uint16_t)((next[bits] + c->count[bits]) << 1);
        first[bits + 1] = (uint16_t)(first[bits] + c->count[bits]);
    }
    for (uint32_t s = 0; s < symbols; s++) {
        uint32_t length = c->length[s];
        if (!length) continue;
        uint32_t code = next[length]++, mirrored = 0;
        for (uint32_t i = 0; i < length; i++) mirrored |= (code >> i & 1) << (length - 1 - i);
        c->bits[s] = (uint16_t)mirrored;
        c->sorted[first[length]++] = (uint16_t)s;
    }
}

static void write_code(struct bit_writer *w, const struct code *c) {
    for (uint32_t s = 0; s < c->symbols; s++) write_bits(w, c->length[s], 4);
}

static void read_code(struct bit_reader *r, struct code *c, uint32_t symbols) {
    for (uint32_t s = 0; s < symbols; s++) c->length[s] = (uint8_t)read_bits(r, 4);
    code_finish(c, symbols);
}

static void write_symbol(struct bit_writer *w, const struct code *c, uint32_t symbol) {
    write_bits(w, c->bits[symbol], c->length[symbol]);
}

static uint32_t read_symbol(struct bit_reader *r, const struct code *c) {
    int32_t code = 0, first = 0, index = 0;
    for (int bits = 1; bits <= CODE_BITS_MAX; bits++) {
        code |= (int32_t)read_bits(r, 1);
        int32_t count = c->count[bits];
        if (code - first < count) return c->sorted[index + code - first];
        index += count;
        first = (first + count) << 1;
        code <<= 1;
    }
    fprintf(stderr, "no such code\n");
    exit(EXIT_WRONG);
}

/* ---- numbers as bucket and extra bits ----------------------------------- */

static uint32_t bucket_of(uint32_t value) {
    uint32_t bits = 0;
    while (value >> bits) bits++;
    return bits - 1;
}

/* ---- finding matches ---------------------------------------------------- */

struct matcher {
    const uint8_t *data;
    size_t size;
    int32_t head[1 << HASH_BITS];
    int32_t previous[WINDOW];
};

static uint32_t hash_here(const uint8_t *p) {
    uint32_t word = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    return (word * 2654435761u) >> (32 - HASH_BITS);
}

static void remember(struct matcher *m, size_t at) {
    if (at + MATCH_MIN > m->size) return;
    uint32_t hash = hash_here(m->data + at);
    m->previous[at % WINDOW] = m->head[hash];
    m->head[hash] = (int32_t)at;
}

static struct token longest_match(const struct matcher *m, size_t at) {
    struct token best = {m->data[at], 0};
    if (at + MATCH_MIN > m->size) return best;
    size_t limit = m->size - at < MATCH_MAX ? m->size - at : MATCH_MAX, longest = MATCH_MIN - 1;
    int32_t candidate = m->head[hash_here(m->data + at)];
    for (int tries = 0; tries < CHAIN_MAX && candidate >= 0; tries++) {
        size_t distance = at - (size_t)candidate;
        if (distance >= WINDOW) break;
        const uint8_t *old = m->data + candidate, *new = m->data + at;
        size_t length = 0;
        if (old[longest < limit ? longest : 0] == new[longest < limit ? longest : 0]) {
            while (length < limit && old[length] == new[length]) length++;
        }
        if (length > longest) {
            longest = length;
            best = (struct token){(uint16_t)length, (uint16_t)distance};
            if (length == limit) break;
        }
        candidate = m->previous[candidate % WINDOW];
    }
    return best;
}

/* ---- packing ------------------------------------------------------------ */

static void count_token(const struct token *t, uint32_t *main_weights, uint32_t *distance_weights) {
    if (!t->distance) {
        main_weights[t->value]++;
    } else {
        main_weights[LENGTH_BASE + bucket_of(t->value)]++;
        distance_weights[bucket_of(t->distance)]++;
    }
}

static void write_token(struct bit_writer *w, const struct token *t, const struct code *main_code,
                        const struct code *distance_code) {
    if (!t->distance) {
        write_symbol(w, main_code, t->value);
        return;
    }
    uint32_t bucket = bucket_of(t->value);
    write_symbol(w, main_code, LENGTH_BASE + bucket);
    write_bits(w, t->value - (1u << bucket), bucket);
    bucket = bucket_of(t->distance);
    write_symbol(w, distance_code, bucket);
    write_bits(w, t->distance - (1u << bucket), bucket);
}

static void write_block(struct bit_writer *w, const struct token *tokens, uint32_t count, int last) {
    static struct code main_code, distance_code;
    uint32_t main_weights[MAIN_SYMBOLS] = {0}, distance_weights[DISTANCE_SYMBOLS] = {0};
    main_weights[END_OF_BLOCK] = 1;
    for (uint32_t i = 0; i < count; i++) count_token(&tokens[i], main_weights, distance_weights);
    code_lengths(&main_code, main_weights, MAIN_SYMBOLS);
    code_lengths(&distance_code, distance_weights, DISTANCE_SYMBOLS);
    code_finish(&main_code, MAIN_SYMBOLS);
    code_finish(&distance_code, DISTANCE_SYMBOLS);
    write_bits(w, (uint32_t)last, 1);
    write_code(w, &main_code);
    write_code(w, &distance_code);
    for (uint32_t i = 0; i < count; i++) write_token(w, &tokens[i], &main_code, &distance_code);
    write_symbol(w, &main_code, END_OF_BLOCK);
}

static struct buffer pack(const uint8_t *data, size_t size) {
    static struct matcher matcher;
    static struct token tokens[BLOCK_TOKENS];
    struct bit_writer writer = {{0}, 0, 0};
    uint32_t count = 0;
    matcher.data = data;
    matcher.size = size;
    memset(matcher.head, 0xff, sizeof matcher.head);
    for (size_t at = 0; at < size;) {
        struct token token = longest_match(&matcher, at);
        size_t covered = token.distance ? token.value : 1;
        tokens[count++] = token;
        for (size_t end = at + covered; at < end; at++) remember(&matcher, at);
        if (count == BLOCK_TOKENS) {
            write_block(&writer, tokens, count, 0);
            count = 0;
        }
    }
    write_block(&writer, tokens, count, 1);
    flush_bits(&writer);
    return writer.out;
}

/* ---- unpacking ---------------------------------------------------------- */

static void copy_match(struct buffer *out, uint32_t length, uint32_t distance) {
    if (distance > out->size) {
        fprintf(stderr, "match before the start\n");
        exit(EXIT_WRONG);
    }
    for (; length; length--) buffer_push(out, out->bytes[out->size - distance]);
}

static struct buffer unpack(const struct buffer *packed) {
    static struct code main_code, distance_code;
    struct bit_reader reader = {packed->bytes, packed->size, 0, 0, 0};
    struct buffer out = {0};
    uint32_t last;
    do {
        last = read_bits(&reader, 1);
        read_code(&reader, &main_code, MAIN_SYMBOLS);
        read_code(&reader, &distance_code, DISTANCE_SYMBOLS);
        uint32_t symbol;
        while ((symbol = read_symbol(&reader, &main_code)) != END_OF_BLOCK) {
            if (symbol < END_OF_BLOCK) {
                buffer_push(&out, (uint8_t)symbol);
                continue;
            }
            uint32_t bucket = symbol - LENGTH_BASE;
            uint32_t length = (1u << bucket) + read_bits(&reader, bucket);
            bucket = read_symbol(&reader, &distance_code);
            copy_match(&out, length, (1u << bucket) + read_bits(&reader, bucket));
        }
    } while (!last);
    return out;
}

/* ---- the program -------------------------------------------------------- */

/* Sentences from a small grammar: repetitive as prose is, but never the same. */
static struct buffer make_text(size_t size) {
    static const char *const words[] = {
        "the ",    "baseline ", "function ", "counts ",   "a ",       "loop ",   "quickly ",
        "while ",  "register ", "holds ",    "value ",    "branch ",  "to ",     "hot ",
        "and ",    "then ",     "optimizer ", "replaces ", "entry ",   "machine ", "code ",
        "without ", "stopping ", "every ",    "call ",     "returns ", "early, ", "however, ",
    };
    struct random random = {UINT64_C(0x7e47)};
    struct buffer out = {0};
    while (out.size < size) {
        uint32_t length = 4 + random_below(&random, 12);
        for (uint32_t i = 0; i < length; i++) {
            uint32_t a = random_below(&random, 28), b = random_below(&random, 28);
            for (const char *p = words[a < b ? a : b]; *p; p++) buffer_push(&out, (uint8_t)*p);
        }
        uint32_t number = random_below(&random, 1000);
        if (number < 300) {
            for (; number; number /= 10) buffer_push(&out, (uint8_t)('0' + number % 10));
        }
        buffer_push(&out, '.');
        buffer_push(&out, random_below(&random, 8) ? ' ' : '\n');
    }
    return out;
}

int main(int argc, char **argv) {
    uint32_t rounds = number_argument(argc, argv, 2, argc > 1 ? 800 : 10);
    struct buffer input = {0};
    if (argc > 1) {
        input.bytes = read_file(argv[1], &input.size);
    } else {
        input = make_text(600000);
    }
    uint64_t checksum = HASH_SEED;
    size_t packed_size = 0;
    for (uint32_t i = 0; i < rounds; i++) {
        struct buffer packed = pack(input.bytes, input.size);
        struct buffer unpacked = unpack(&packed);
        if (unpacked.size != input.size || (input.size && memcmp(unpacked.bytes, input.bytes, input.size))) {
            fprintf(stderr, "the text did not survive\n");
            return EXIT_WRONG;
        }
        checksum = hash_bytes(checksum, packed.bytes, packed.size);
        packed_size = packed.size;
        free(packed.bytes);
        free(unpacked.bytes);
    }
    printf("bytes %lu\npacked %lu\nrounds %lu\n", (unsigned long)input.size,
           (unsigned long)packed_size, (unsigned long)rounds);
    print_hash("content", hash_bytes(HASH_SEED, input.bytes, input.size));
    print_hash("checksum", checksum);
    free(input.bytes);
    return 0;
}
