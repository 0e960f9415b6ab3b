/* An LZ compressor with a binary range coder. Stands for xz.
 *
 * An archive grows slice by slice (common/text.h). Each step compresses a slice, with
 * matches into everything before it up to the window, decompresses it next to what
 * was decompressed before, and compares. Matches are found by hash chains, with one
 * place of look-ahead; every decision is a bit with an adaptive probability: literals
 * in the context of the byte before, and after a match of the byte that the match
 * would have gone on with; lengths; distances by magnitude; and the last four
 * distances again. Walking the hash chains dominates, with cache misses on the large
 * sizes, then the coder's unpredictable branches.
 *
 * Sizes differ in the size and number of slices. */

#include "../common/text.h"

enum {
    WINDOW = 1 << 22,
    HASH_BITS = 17, SHORT_HASH_BITS = 14, /* of the next four and three bytes */
    CHAIN_MAX = 48,                       /* candidates per place */
    LENGTH_MIN = 2, LENGTH_MAX = LENGTH_MIN + 8 + 255,
    LENGTH_ENOUGH = 64, /* a match that ends the search */
    REPEATS = 4
};

/* The model: probabilities that a bit is 0, in 1/2048, by context. */

enum { PROBABILITY_BITS = 11, ADAPTION = 5 };
enum { KIND_LITERAL, KIND_MATCH, KIND_REPEAT, KINDS };
enum { STATES = KINDS * KINDS * KINDS }; /* the last three packets */

struct length_model {
    uint16_t is_long, low[4][8], high[256];
};

struct model {
    uint16_t is_match[STATES][4], is_repeat[STATES], repeat[4];
    uint16_t literal[8][3][256];
    struct length_model match_length, repeat_length;
    uint16_t slot[4][64], align[64][16];
    uint32_t state;
    uint32_t distances[REPEATS]; /* the last ones, latest first */
};

static void model_begin(struct model *m) {
    const uint16_t half = 1 << (PROBABILITY_BITS - 1);
    for (size_t at = 0; at < offsetof(struct model, state); at += sizeof half) {
        memcpy((uint8_t *)m + at, &half, sizeof half);
    }
    m->state = 0;
    for (uint32_t i = 0; i < REPEATS; i++) m->distances[i] = i + 1;
}

static void model_packet(struct model *m, uint32_t kind) {
    m->state = (m->state * KINDS + kind) % STATES;
}

/* Puts the distance with this index, or a new one in place of the last, in front. */
static void model_distance(struct model *m, uint32_t index, uint32_t distance) {
    for (; index > 0; index--) m->distances[index] = m->distances[index - 1];
    m->distances[0] = distance;
}

/* The range coder, both ways. A coder that decodes has `code`. */

struct coder {
    uint8_t *at, *start, *end;
    uint32_t low, range, code;
    bool decodes;
};

static void shift_out(struct coder *c) {
    if (c->at == c->end) workload_fail("the stream is too small");
    *c->at++ = (uint8_t)(c->low >> 24);
    c->low <<= 8;
}

static uint8_t shift_in(struct coder *c) {
    if (c->at == c->end) workload_fail("the stream ends too early");
    return *c->at++;
}

static struct coder encode_begin(uint8_t *start, uint8_t *end) {
    return (struct coder){start, start, end, 0, UINT32_MAX, 0, false};
}

static struct coder decode_begin(uint8_t *start, uint8_t *end) {
    struct coder c = {start, start, end, 0, UINT32_MAX, 0, true};
    for (int i = 0; i < 4; i++) c.code = c.code << 8 | shift_in(&c);
    return c;
}

/* Adds to `low`; a carry goes into the bytes already written. */
static void add_low(struct coder *c, uint32_t amount) {
    c->low += amount;
    if (c->low >= amount) return;
    for (uint8_t *byte = c->at; byte > c->start && ++*--byte == 0;) continue;
}

static void encode_bit(struct coder *c, uint16_t *probability, uint32_t bit) {
    uint32_t bound = (c->range >> PROBABILITY_BITS) * *probability;
    if (bit == 0) {
        c->range = bound;
        *probability += ((1 << PROBABILITY_BITS) - *probability) >> ADAPTION;
    } else {
        add_low(c, bound);
        c->range -= bound;
        *probability -= *probability >> ADAPTION;
    }
    for (; c->range < UINT32_C(1) << 24; c->range <<= 8) shift_out(c);
}

static uint32_t decode_bit(struct coder *c, uint16_t *probability) {
    uint32_t bound = (c->range >> PROBABILITY_BITS) * *probability, bit = c->code >= bound;
    if (bit == 0) {
        c->range = bound;
        *probability += ((1 << PROBABILITY_BITS) - *probability) >> ADAPTION;
    } else {
        c->code -= bound;
        c->range -= bound;
        *probability -= *probability >> ADAPTION;
    }
    for (; c->range < UINT32_C(1) << 24; c->range <<= 8) c->code = c->code << 8 | shift_in(c);
    return bit;
}

/* `count` bits without a context. */
static void encode_plain(struct coder *c, uint32_t value, uint32_t count) {
    while (count-- > 0) {
        c->range >>= 1;
        if (value >> count & 1) add_low(c, c->range);
        for (; c->range < UINT32_C(1) << 24; c->range <<= 8) shift_out(c);
    }
}

static uint32_t decode_plain(struct coder *c, uint32_t count) {
    uint32_t value = 0;
    while (count-- > 0) {
        c->range >>= 1;
        uint32_t bit = c->code >= c->range;
        if (bit) c->code -= c->range;
        value = value << 1 | bit;
        for (; c->range < UINT32_C(1) << 24; c->range <<= 8) c->code = c->code << 8 | shift_in(c);
    }
    return value;
}

/* `count` bits, highest first; the context is the bits so far. */
static void encode_tree(struct coder *c, uint16_t *tree, uint32_t value, uint32_t count) {
    uint32_t node = 1;
    while (count-- > 0) {
        uint32_t bit = value >> count & 1;
        encode_bit(c, &tree[node], bit);
        node = node << 1 | bit;
    }
}

static uint32_t decode_tree(struct coder *c, uint16_t *tree, uint32_t count) {
    uint32_t node = 1;
    for (uint32_t i = 0; i < count; i++) node = node << 1 | decode_bit(c, &tree[node]);
    return node - (UINT32_C(1) << count);
}

static void encode_length(struct coder *c, struct length_model *m, uint32_t length, uint32_t place) {
    uint32_t value = length - LENGTH_MIN;
    encode_bit(c, &m->is_long, value >= 8);
    if (value < 8) encode_tree(c, m->low[place % 4], value, 3);
    else encode_tree(c, m->high, value - 8, 8);
}

static uint32_t decode_length(struct coder *c, struct length_model *m, uint32_t place) {
    if (decode_bit(c, &m->is_long)) return LENGTH_MIN + 8 + decode_tree(c, m->high, 8);
    return LENGTH_MIN + decode_tree(c, m->low[place % 4], 3);
}

/* Distances less one: below 4 the slot says all; above it says the two highest bits
 * and how many follow, of which the lowest four have contexts. */

static uint32_t bit_length(uint32_t value) {
    uint32_t bits = 0;
    for (; value; value >>= 1) bits++;
    return bits;
}

static uint32_t length_context(uint32_t length) {
    return length - LENGTH_MIN < 3 ? length - LENGTH_MIN : 3;
}

static void encode_distance(struct coder *c, struct model *m, uint32_t distance, uint32_t length) {
    uint32_t value = distance - 1, bits = bit_length(value);
    uint32_t slot = bits <= 2 ? value : (bits - 1) * 2 + (value >> (bits - 2) & 1);
    encode_tree(c, m->slot[length_context(length)], slot, 6);
    if (slot < 4) return;
    uint32_t rest = bits - 2, low = rest < 4 ? rest : 4;
    encode_plain(c, value >> low & ((1u << (rest - low)) - 1), rest - low);
    encode_tree(c, m->align[slot], value & ((1u << low) - 1), low);
}

static uint32_t decode_distance(struct coder *c, struct model *m, uint32_t length) {
    uint32_t slot = decode_tree(c, m->slot[length_context(length)], 6);
    if (slot < 4) return slot + 1;
    uint32_t rest = slot / 2 - 1, low = rest < 4 ? rest : 4;
    uint32_t value = (2 | slot % 2) << (rest - low) | decode_plain(c, rest - low);
    return (value << low | decode_tree(c, m->align[slot], low)) + 1;
}

/* Literals. The context is the upper bits of the byte before and, as long as it
 * agrees, the byte that the last match would have gone on with. */

static bool after_match(const struct model *m) { return m->state % KINDS != KIND_LITERAL; }

static void encode_literal(struct coder *c, struct model *m, uint8_t before, uint8_t predicted,
                           uint8_t byte) {
    uint16_t(*trees)[256] = m->literal[before >> 5];
    bool agrees = after_match(m);
    uint32_t node = 1;
    for (int i = 7; i >= 0; i--) {
        uint32_t bit = byte >> i & 1, hint = predicted >> i & 1;
        encode_bit(c, &trees[agrees ? 1 + hint : 0][node], bit);
        node = node << 1 | bit;
        agrees = agrees && bit == hint;
    }
}

static uint8_t decode_literal(struct coder *c, struct model *m, uint8_t before, uint8_t predicted) {
    uint16_t(*trees)[256] = m->literal[before >> 5];
    bool agrees = after_match(m);
    uint32_t node = 1;
    for (int i = 7; i >= 0; i--) {
        uint32_t hint = predicted >> i & 1;
        uint32_t bit = decode_bit(c, &trees[agrees ? 1 + hint : 0][node]);
        node = node << 1 | bit;
        agrees = agrees && bit == hint;
    }
    return (uint8_t)node;
}

/* Finding matches. Places count from 1, so that 0 ends a chain. */

struct finder {
    const uint8_t *bytes; /* the archive; place p is bytes[p - 1] */
    uint32_t *heads, *short_heads, *chain;
    uint64_t candidates;
};

struct match {
    uint32_t length, distance;
    int repeat; /* the index among the last distances, or -1 */
    int gain;   /* roughly, bits saved against literals */
};

static uint32_t load(const uint8_t *at, int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; i++) value |= (uint32_t)at[i] << i * 8;
    return value;
}

static uint32_t common_length(const uint8_t *a, const uint8_t *b, uint32_t limit) {
    uint32_t length = 0;
    while (length < limit && a[length] == b[length]) length++;
    return length;
}

static uint32_t *head_of(const struct finder *f, uint32_t place) {
    return &f->heads[load(f->bytes + place - 1, 4) * 2654435761u >> (32 - HASH_BITS)];
}

static uint32_t *short_head_of(const struct finder *f, uint32_t place) {
    return &f->short_heads[load(f->bytes + place - 1, 3) * 2654435761u >> (32 - SHORT_HASH_BITS)];
}

/* Makes a place known, if `left` bytes from it on are enough to hash. */
static void insert(struct finder *f, uint32_t place, uint32_t left) {
    if (left < 4) return;
    uint32_t *head = head_of(f, place);
    f->chain[place % WINDOW] = *head;
    *head = place;
    *short_head_of(f, place) = place;
}

static void consider(struct match *best, uint32_t length, uint32_t distance, int repeat) {
    if (length < LENGTH_MIN) return;
    int cost = repeat >= 0 ? 3 + repeat : 6 + (int)bit_length(distance);
    int gain = (int)length * 5 - cost;
    if (gain > best->gain) *best = (struct match){length, distance, repeat, gain};
}

/* The best match at a place that is not inserted yet, with `left` bytes to match. */
static struct match find(struct finder *f, const struct model *m, uint32_t place, uint32_t left) {
    struct match best = {0, 0, -1, 0};
    const uint8_t *here = f->bytes + place - 1;
    uint32_t limit = left < LENGTH_MAX ? left : LENGTH_MAX;
    for (int i = 0; i < REPEATS; i++) {
        if (m->distances[i] >= place) continue;
        consider(&best, common_length(here, here - m->distances[i], limit), m->distances[i], i);
    }
    if (limit < 4 || best.length >= LENGTH_ENOUGH) return best;
    uint32_t other = *short_head_of(f, place);
    if (other && place - other < WINDOW) {
        consider(&best, common_length(here, f->bytes + other - 1, limit), place - other, -1);
    }
    uint32_t longest = 3;
    other = *head_of(f, place);
    for (int tries = CHAIN_MAX; other && place - other < WINDOW && tries > 0; tries--) {
        const uint8_t *there = f->bytes + other - 1;
        f->candidates++;
        if (there[longest] == here[longest] && there[longest - 1] == here[longest - 1]) {
            uint32_t length = common_length(here, there, limit);
            consider(&best, length, place - other, -1);
            if (length > longest) longest = length;
            if (length >= LENGTH_ENOUGH || length == limit) break;
        }
        other = f->chain[other % WINDOW];
    }
    return best;
}

/* Slices. Both ways start with everything before place `from` known. */

static void encode_match(struct coder *c, struct model *m, const struct match *match, uint32_t place) {
    encode_bit(c, &m->is_match[m->state][place % 4], 1);
    encode_bit(c, &m->is_repeat[m->state], match->repeat >= 0);
    if (match->repeat >= 0) {
        encode_tree(c, m->repeat, (uint32_t)match->repeat, 2);
        encode_length(c, &m->repeat_length, match->length, place);
    } else {
        encode_length(c, &m->match_length, match->length, place);
        encode_distance(c, m, match->distance, match->length);
    }
    model_packet(m, match->repeat >= 0 ? KIND_REPEAT : KIND_MATCH);
    model_distance(m, match->repeat >= 0 ? (uint32_t)match->repeat : REPEATS - 1, match->distance);
}

struct counts {
    uint64_t literals, matches, repeats;
};

/* Gives the bytes written. */
static uint32_t compress(struct finder *f, struct model *m, struct coder c, uint32_t from, uint32_t size,
                         struct counts *counts) {
    uint32_t place = from, end = from + size;
    struct match match = find(f, m, place, end - place);
    while (place < end) {
        insert(f, place, end - place);
        struct match next = {0, 0, -1, 0};
        /* A better match one place on is worth a literal. */
        if (place + 1 < end && match.length < LENGTH_ENOUGH) {
            next = find(f, m, place + 1, end - place - 1);
        }
        if (match.length == 0 || next.gain > match.gain + 2) {
            const uint8_t *here = f->bytes + place - 1;
            encode_bit(&c, &m->is_match[m->state][place % 4], 0);
            uint8_t before = place > 1 ? here[-1] : 0;
            uint8_t predicted = after_match(m) ? *(here - m->distances[0]) : 0;
            encode_literal(&c, m, before, predicted, *here);
            model_packet(m, KIND_LITERAL);
            counts->literals++;
            place++;
            match = next;
            continue;
        }
        encode_match(&c, m, &match, place);
        counts->matches++;
        counts->repeats += match.repeat >= 0;
        for (uint32_t i = 1; i < match.length; i++) insert(f, place + i, end - place - i);
        place += match.length;
        if (place < end) match = find(f, m, place, end - place);
    }
    for (int i = 0; i < 4; i++) shift_out(&c);
    return (uint32_t)(c.at - c.start);
}

static void decompress(struct model *m, struct coder c, uint8_t *bytes, uint32_t from, uint32_t size) {
    uint32_t place = from, end = from + size;
    while (place < end) {
        uint8_t *here = bytes + place - 1;
        if (!decode_bit(&c, &m->is_match[m->state][place % 4])) {
            uint8_t before = place > 1 ? here[-1] : 0;
            uint8_t predicted = after_match(m) ? *(here - m->distances[0]) : 0;
            *here = decode_literal(&c, m, before, predicted);
            model_packet(m, KIND_LITERAL);
            place++;
            continue;
        }
        bool repeats = decode_bit(&c, &m->is_repeat[m->state]);
        uint32_t index = REPEATS - 1, length, distance;
        if (repeats) {
            index = decode_tree(&c, m->repeat, 2);
            length = decode_length(&c, &m->repeat_length, place);
            distance = m->distances[index];
        } else {
            length = decode_length(&c, &m->match_length, place);
            distance = decode_distance(&c, m, length);
        }
        if (distance >= place || length > end - place) workload_fail("a match is out of range");
        model_packet(m, repeats ? KIND_REPEAT : KIND_MATCH);
        model_distance(m, index, distance);
        for (uint32_t i = 0; i < length; i++) here[i] = *(here + i - distance);
        place += length;
    }
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    uint32_t slice_bytes = workload_pick(&w, 9500, 27000, 150000);
    uint32_t slices = workload_pick(&w, 40, 80, 100);
    uint32_t total = slice_bytes * slices, stream_bytes = slice_bytes * 2 + 64;

    struct text_maker *maker = workload_allocate(1, sizeof *maker);
    text_begin(maker, 20250119);
    uint8_t *original = workload_allocate(total, 1), *restored = workload_allocate(total, 1);
    uint8_t *stream = workload_allocate(stream_bytes, 1);
    struct finder finder = {.bytes = original};
    finder.heads = workload_allocate(1 << HASH_BITS, sizeof *finder.heads);
    finder.short_heads = workload_allocate(1 << SHORT_HASH_BITS, sizeof *finder.short_heads);
    finder.chain = workload_allocate(WINDOW, sizeof *finder.chain);
    struct model *encoder = workload_allocate(1, sizeof *encoder);
    struct model *decoder = workload_allocate(1, sizeof *decoder);
    model_begin(encoder);
    model_begin(decoder);
    struct counts counts = {0, 0, 0};
    uint64_t compressed = 0;
    for (uint32_t i = 0; i < slices; i++) {
        uint32_t from = i * slice_bytes;
        text_fill(maker, original + from, slice_bytes);
        uint32_t size = compress(&finder, encoder, encode_begin(stream, stream + stream_bytes), from + 1,
                                 slice_bytes, &counts);
        workload_hash_bytes(&w, stream, size);
        compressed += size;
        decompress(decoder, decode_begin(stream, stream + size), restored, from + 1, slice_bytes);
        if (memcmp(original + from, restored + from, slice_bytes)) {
            workload_fail("a slice is not the same after decompression");
        }
        workload_step(&w);
    }
    printf("%" PRIu32 " bytes became %" PRIu64 "\n", total, compressed);
    printf("%" PRIu64 " literals, %" PRIu64 " matches, %" PRIu64 " of them repeat a distance\n", counts.literals,
           counts.matches, counts.repeats);
    printf("%" PRIu64 " candidates tried\n", finder.candidates);
    workload_hash(&w, finder.candidates);
    return workload_end(&w);
}
