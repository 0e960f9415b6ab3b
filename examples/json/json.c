/* json [FILE [ROUNDS]]: parse a JSON text, print it indented, print it compact,
 * and check that parsing the printed text gives the same value.
 *
 * Values live in one arena. Numbers are kept exactly as an integer or as
 * mantissa and decimal exponent, since text to double and back is where
 * libraries differ. Without FILE the program makes up a document. */
#include "../common/common.h"

enum kind { NUL, BOOLEAN, NUMBER, STRING, ARRAY, OBJECT };

struct value {
    enum kind kind;
    uint32_t length;    /* of a string in bytes, of an array or object in members */
    int64_t mantissa;   /* of a number; of a boolean 0 or 1 */
    int32_t exponent;   /* of a number, to the base 10 */
    const char *text;   /* of a string */
    struct value *key;  /* of a member of an object */
    struct value *next; /* next member */
    struct value *first;
};

/* ---- arena -------------------------------------------------------------- */

struct chunk {
    struct chunk *older;
    size_t used, size;
};

struct arena {
    struct chunk *chunk;
};

static void *arena_take(struct arena *a, size_t size) {
    size = (size + 15) & ~(size_t)15;
    if (!a->chunk || a->chunk->size - a->chunk->used < size) {
        size_t room = size > 65536 ? size : 65536;
        struct chunk *chunk = malloc(sizeof *chunk + 16 + room);
        if (!chunk) exit(EXIT_WRONG);
        *chunk = (struct chunk){a->chunk, 0, room};
        a->chunk = chunk;
    }
    size_t header = (sizeof(struct chunk) + 15) & ~(size_t)15;
    void *memory = (char *)a->chunk + header + a->chunk->used;
    a->chunk->used += size;
    return memory;
}

static void arena_free(struct arena *a) {
    while (a->chunk) {
        struct chunk *older = a->chunk->older;
        free(a->chunk);
        a->chunk = older;
    }
}

/* ---- parsing ------------------------------------------------------------ */

enum { DEPTH_MAX = 200 };

struct parser {
    struct arena arena;
    const char *start, *at, *end;
    int depth;
};

static void fail(const struct parser *p, const char *expected) {
    fprintf(stderr, "byte %ld: expected %s\n", (long)(p->at - p->start), expected);
    exit(EXIT_WRONG);
}

static char peek(const struct parser *p) { return p->at < p->end ? *p->at : 0; }

static void skip_space(struct parser *p) {
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\r' || *p->at == '\t')) p->at++;
}

static struct value *new_value(struct parser *p, enum kind kind) {
    struct value *v = arena_take(&p->arena, sizeof *v);
    memset(v, 0, sizeof *v);
    v->kind = kind;
    return v;
}

static int accept_word(struct parser *p, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(p->end - p->at) < length || memcmp(p->at, word, length)) return 0;
    p->at += length;
    return 1;
}

static uint32_t hex_digit(struct parser *p) {
    char c = peek(p);
    p->at++;
    if (c >= '0' && c <= '9') return (uint32_t)(c - '0');
    if (c >= 'a' && c <= 'f') return (uint32_t)(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return (uint32_t)(c - 'A' + 10);
    fail(p, "a hexadecimal digit");
    return 0;
}

static uint32_t parse_unit(struct parser *p) {
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) unit = unit << 4 | hex_digit(p);
    return unit;
}

/* The code point after "\u", joining a surrogate pair. */
static uint32_t parse_code_point(struct parser *p) {
    uint32_t unit = parse_unit(p);
    if (unit < 0xd800 || unit > 0xdfff) return unit;
    if (unit > 0xdbff || !accept_word(p, "\\u")) fail(p, "a surrogate pair");
    uint32_t low = parse_unit(p);
    if (low < 0xdc00 || low > 0xdfff) fail(p, "the second half of a surrogate pair");
    return 0x10000 + ((unit - 0xd800) << 10 | (low - 0xdc00));
}

static char *put_utf8(char *out, uint32_t c) {
    if (c < 0x80) {
        *out++ = (char)c;
        return out;
    }
    int tail = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
    *out++ = (char)(lead[tail] | c >> (6 * tail));
    for (tail--; tail >= 0; tail--) *out++ = (char)(0x80 | (c >> (6 * tail) & 0x3f));
    return out;
}

static char parse_escape(struct parser *p) {
    char c = peek(p);
    p->at++;
    switch (c) {
    case '"': case '\\': case '/': return c;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: fail(p, "an escape"); return 0;
    }
}

static struct value *parse_string(struct parser *p) {
    struct value *v = new_value(p, STRING);
    const char *close = ++p->at;
    while (close < p->end && *close != '"') close += *close == '\\' ? 2 : 1;
    if (close >= p->end) fail(p, "a closing quote");
    /* No escape is shorter than what it stands for. */
    char *text = arena_take(&p->arena, (size_t)(close - p->at) + 1), *out = text;
    while (*p->at != '"') {
        if ((unsigned char)*p->at < 0x20) fail(p, "no control character");
        if (*p->at != '\\') {
            *out++ = *p->at++;
        } else if (p->at[1] == 'u') {
            p->at += 2;
            out = put_utf8(out, parse_code_point(p));
        } else {
            p->at++;
            *out++ = parse_escape(p);
        }
    }
    p->at++;
    v->text = text;
    v->length = (uint32_t)(out - text);
    return v;
}

static int digit(const struct parser *p) { return peek(p) >= '0' && peek(p) <= '9'; }

/* Up to 18 digits of the mantissa are kept; more are an error here. */
static int parse_digits(struct parser *p, int64_t *mantissa, int room) {
    int count = 0;
    if (!digit(p)) fail(p, "a digit");
    for (; digit(p); p->at++, count++) {
        if (count >= room) fail(p, "at most 18 digits");
        *mantissa = *mantissa * 10 + (*p->at - '0');
    }
    return count;
}

static struct value *parse_number(struct parser *p) {
    struct value *v = new_value(p, NUMBER);
    int negative = accept_word(p, "-");
    int whole = parse_digits(p, &v->mantissa, 18);
    if (accept_word(p, ".")) v->exponent = -parse_digits(p, &v->mantissa, 18 - whole);
    if (accept_word(p, "e") || accept_word(p, "E")) {
        int64_t exponent = 0;
        int down = accept_word(p, "-");
        if (!down) accept_word(p, "+");
        parse_digits(p, &exponent, 4);
        v->exponent += (int32_t)(down ? -exponent : exponent);
    }
    while (v->mantissa && v->mantissa % 10 == 0) {
        v->mantissa /= 10;
        v->exponent++;
    }
    if (!v->mantissa) v->exponent = 0;
    if (negative) v->mantissa = -v->mantissa;
    return v;
}

static struct value *parse_value(struct parser *p);

static struct value *parse_members(struct parser *p, enum kind kind, char close) {
    struct value *list = new_value(p, kind), **end = &list->first;
    if (++p->depth > DEPTH_MAX) fail(p, "less nesting");
    p->at++;
    skip_space(p);
    if (peek(p) != close) {
        for (;;) {
            struct value *key = NULL;
            skip_space(p);
            if (kind == OBJECT) {
                if (peek(p) != '"') fail(p, "a key");
                key = parse_string(p);
                skip_space(p);
                if (!accept_word(p, ":")) fail(p, "a colon");
            }
            *end = parse_value(p);
            (*end)->key = key;
            end = &(*end)->next;
            list->length++;
            if (peek(p) != ',') break;
            p->at++;
        }
    }
    if (peek(p) != close) fail(p, "a comma or the end of the list");
    p->at++;
    p->depth--;
    return list;
}

static struct value *parse_value(struct parser *p) {
    struct value *v = NULL;
    skip_space(p);
    switch (peek(p)) {
    case '{': v = parse_members(p, OBJECT, '}'); break;
    case '[': v = parse_members(p, ARRAY, ']'); break;
    case '"': v = parse_string(p); break;
    case 't': case 'f':
        v = new_value(p, BOOLEAN);
        v->mantissa = peek(p) == 't';
        if (!accept_word(p, v->mantissa ? "true" : "false")) fail(p, "true or false");
        break;
    case 'n':
        v = new_value(p, NUL);
        if (!accept_word(p, "null")) fail(p, "null");
        break;
    default: v = parse_number(p); break;
    }
    skip_space(p);
    return v;
}

static struct value *parse(struct parser *p, const char *text, size_t size) {
    *p = (struct parser){.start = text, .at = text, .end = text + size};
    struct value *v = parse_value(p);
    if (p->at != p->end) fail(p, "the end");
    return v;
}

/* ---- printing ----------------------------------------------------------- */

struct output {
    char *text;
    size_t size, capacity;
    int indent; /* spaces per level; 0 prints compact text */
};

static void put(struct output *o, const char *text, size_t size) {
    if (o->capacity - o->size < size) {
        o->capacity = (o->capacity + size) * 2;
        o->text = realloc(o->text, o->capacity);
        if (!o->text) exit(EXIT_WRONG);
    }
    memcpy(o->text + o->size, text, size);
    o->size += size;
}

static void put_char(struct output *o, char c) { put(o, &c, 1); }

static void put_line(struct output *o, int depth) {
    if (!o->indent) return;
    put_char(o, '\n');
    for (int i = 0; i < depth * o->indent; i++) put_char(o, ' ');
}

static void put_string(struct output *o, const struct value *v) {
    static const char hex[] = "0123456789abcdef", plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    put_char(o, '"');
    for (uint32_t i = 0; i < v->length; i++) {
        char c = v->text[i];
        const char *special = c ? strchr(plain, c) : NULL;
        if (special) {
            put_char(o, '\\');
            put_char(o, letter[special - plain]);
        } else if ((unsigned char)c < 0x20) {
            char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            put(o, escape, sizeof escape);
        } else {
            put_char(o, c);
        }
    }
    put_char(o, '"');
}

static void put_number(struct output *o, const struct value *v) {
    char text[48];
    int size = snprintf(text, sizeof text, "%lld", (long long)v->mantissa);
    if (v->exponent > 0 && v->exponent < 6) {
        for (int i = 0; i < v->exponent; i++) text[size++] = '0';
    } else if (v->exponent) {
        size += snprintf(text + size, sizeof text - (size_t)size, "e%d", (int)v->exponent);
    }
    put(o, text, (size_t)size);
}

static void put_value(struct output *o, const struct value *v, int depth);

static void put_members(struct output *o, const struct value *v, int depth) {
    put_char(o, v->kind == OBJECT ? '{' : '[');
    for (const struct value *member = v->first; member; member = member->next) {
        put_line(o, depth + 1);
        if (member->key) {
            put_string(o, member->key);
            put_char(o, ':');
            if (o->indent) put_char(o, ' ');
        }
        put_value(o, member, depth + 1);
        if (member->next) put_char(o, ',');
    }
    if (v->first) put_line(o, depth);
    put_char(o, v->kind == OBJECT ? '}' : ']');
}

static void put_value(struct output *o, const struct value *v, int depth) {
    switch (v->kind) {
    case NUL: put(o, "null", 4); break;
    case BOOLEAN: v->mantissa ? put(o, "true", 4) : put(o, "false", 5); break;
    case NUMBER: put_number(o, v); break;
    case STRING: put_string(o, v); break;
    case ARRAY: case OBJECT: put_members(o, v, depth); break;
    }
}

/* ---- comparing ---------------------------------------------------------- */

static int same(const struct value *a, const struct value *b) {
    if (!a || !b) return a == b;
    if (a->kind != b->kind || a->length != b->length) return 0;
    if (a->kind == STRING) return memcmp(a->text, b->text, a->length) == 0;
    if (a->mantissa != b->mantissa || a->exponent != b->exponent) return 0;
    const struct value *x = a->first, *y = b->first;
    for (; x && y; x = x->next, y = y->next) {
        if (!same(x->key, y->key) || !same(x, y)) return 0;
    }
    return x == y;
}

static uint32_t count_values(const struct value *v) {
    uint32_t count = 1;
    for (const struct value *member = v->first; member; member = member->next) count += count_values(member);
    return count;
}

/* ---- a made-up document ------------------------------------------------- */

static void make_record(struct output *o, struct random *r, uint32_t id) {
    static const char *const names[] = {"Ada", "Gr\\u00fcn", "\xe6\x9d\xb1\xe4\xba\xac", "O'Neil", "\\ud83d\\ude80", "tab\\there"};
    char text[256];
    /* The order in which arguments are evaluated is the compiler's choice, so
     * each random number is drawn in a statement of its own. */
    const char *name = names[random_below(r, 6)];
    uint32_t whole = random_below(r, 1000);
    uint32_t cents = random_below(r, 100);
    uint32_t big = random_next(r);
    uint32_t exponent = random_below(r, 30);
    const char *ok = random_below(r, 2) ? "true" : "false";
    int size = snprintf(text, sizeof text,
                        "{\"id\": %lu, \"name\": \"%s\",\n \"score\": -%lu.%02lu, \"big\": %lue%lu, \"ok\": %s, \"tags\": [",
                        (unsigned long)id, name, (unsigned long)whole, (unsigned long)cents, (unsigned long)big,
                        (unsigned long)exponent, ok);
    put(o, text, (size_t)size);
    for (uint32_t i = random_below(r, 6); i > 0; i--) {
        uint32_t tag = random_below(r, 50);
        uint32_t count = random_below(r, 100000);
        size = snprintf(text, sizeof text, "[\"t%lu\", null, {}, %lu]%s", (unsigned long)tag, (unsigned long)count,
                        i > 1 ? " , " : "");
        put(o, text, (size_t)size);
    }
    put(o, "]}", 2);
}

static struct output make_document(uint32_t records) {
    struct random random = {UINT64_C(0x150a)};
    struct output o = {0};
    put_char(&o, '[');
    for (uint32_t i = 0; i < records; i++) {
        if (i) put(&o, ",\r\n\t", 4);
        make_record(&o, &random, i);
    }
    put(&o, "]\n", 2);
    return o;
}

static struct output print_value(const struct value *v, int indent) {
    struct output o = {.indent = indent};
    put_value(&o, v, 0);
    return o;
}

/* Parse, print both ways, parse again; returns the continued checksum. */
static uint64_t round_trip(const char *text, size_t size, uint64_t checksum, struct output *compact) {
    struct parser first, second, third;
    struct value *v = parse(&first, text, size);
    struct output indented = print_value(v, 2);
    *compact = print_value(v, 0);
    struct value *from_indented = parse(&second, indented.text, indented.size);
    struct value *from_compact = parse(&third, compact->text, compact->size);
    if (!same(v, from_indented) || !same(v, from_compact)) {
        fprintf(stderr, "the value did not survive\n");
        exit(EXIT_WRONG);
    }
    checksum = hash_word(checksum, count_values(v));
    checksum = hash_bytes(checksum, indented.text, indented.size);
    free(indented.text);
    arena_free(&first.arena);
    arena_free(&second.arena);
    arena_free(&third.arena);
    return checksum;
}

int main(int argc, char **argv) {
    uint32_t rounds = number_argument(argc, argv, 2, argc > 1 ? 2000 : 10);
    struct output document = {0}, compact = {0};
    if (argc > 1) {
        document.text = (char *)read_file(argv[1], &document.size);
    } else {
        document = make_document(3000);
    }
    uint64_t checksum = HASH_SEED;
    for (uint32_t i = 0; i < rounds; i++) {
        free(compact.text);
        checksum = round_trip(document.text, document.size, checksum, &compact);
    }
    printf("bytes %lu\ncompact %lu\nrounds %lu\n", (unsigned long)document.size, (unsigned long)compact.size,
           (unsigned long)rounds);
    printf("%.60s\n", compact.size > 60 ? compact.text : "");
    print_hash("checksum", hash_bytes(checksum, compact.text, compact.size));
    free(document.text);
    free(compact.text);
    return 0;
}
