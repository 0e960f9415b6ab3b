/* Texts, symbols, nodes and the parser. */
#include "dom.h"

bool text_equal(struct text a, struct text b) {
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

int32_t text_compare(struct text a, struct text b) {
    for (uint32_t i = 0; i < a.length && i < b.length; i++) {
        if (a.data[i] != b.data[i]) return (unsigned char)a.data[i] < (unsigned char)b.data[i] ? -1 : 1;
    }
    return a.length == b.length ? 0 : a.length < b.length ? -1 : 1;
}

int64_t text_number(struct text t) {
    int64_t number = 0;
    bool negative = t.length > 0 && t.data[0] == '-';
    for (uint32_t i = negative; i < t.length && i < 18; i++) {
        if (t.data[i] < '0' || t.data[i] > '9') break;
        number = number * 10 + (t.data[i] - '0');
    }
    return negative ? -number : number;
}

void buffer_add(struct buffer *b, struct text t) {
    if (b->length + t.length > b->capacity) {
        uint32_t capacity = (b->length + t.length) * 2 + 64;
        char *grown = realloc(b->data, capacity);
        if (!grown) workload_fail("out of memory");
        b->data = grown;
        b->capacity = capacity;
    }
    if (t.length > 0) memcpy(b->data + b->length, t.data, t.length);
    b->length += t.length;
}

void buffer_add_number(struct buffer *b, int64_t number) {
    char digits[24];
    uint32_t at = sizeof digits;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) digits[--at] = '-';
    buffer_add(b, (struct text){digits + at, (uint32_t)sizeof digits - at});
}

void *arena_take(struct arena *a, size_t size) {
    size = (size + 7) & ~(size_t)7;
    if (size > a->size - a->used) workload_fail("a document is too large");
    void *taken = a->memory + a->used;
    a->used += size;
    return memset(taken, 0, size);
}

struct text arena_text(struct arena *a, struct text t) {
    char *copy = arena_take(a, t.length);
    if (t.length > 0) memcpy(copy, t.data, t.length);
    return (struct text){copy, t.length};
}

/* ---- symbols ---- */

enum { BUCKETS = 1 << 12 };
static struct symbol *buckets[BUCKETS];

struct symbol *intern(struct text t) {
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < t.length; i++) hash = (hash ^ (unsigned char)t.data[i]) * 16777619u;
    struct symbol **bucket = &buckets[(hash ^ hash >> 16) % BUCKETS];
    for (struct symbol *s = *bucket; s; s = s->next) {
        if (s->hash == hash && text_equal(s->text, t)) return s;
    }
    struct symbol *s = workload_allocate(1, sizeof *s);
    char *copy = workload_allocate(t.length, 1);
    if (t.length > 0) memcpy(copy, t.data, t.length);
    *s = (struct symbol){.text = {copy, t.length}, .hash = hash, .next = *bucket};
    *bucket = s;
    return s;
}

/* ---- classes of nodes ---- */

struct symbol *attribute_value(const node *n, const struct symbol *name) {
    for (const struct attribute *a = n->attributes; a; a = a->next) {
        if (a->name == name) return a->value;
    }
    return NULL;
}

static void element_value(const node *n, struct buffer *b) {
    for (const node *c = n->first; c; c = c->next) {
        if (c->class->is_element || c->class->is_text) c->class->append_value(c, b);
    }
}

static void element_copy(const node *n, struct output *out) {
    out->class->start(out, n->name);
    for (const struct attribute *a = n->attributes; a; a = a->next) {
        out->class->attribute(out, a->name, a->value->text);
    }
    for (const node *c = n->first; c; c = c->next) c->class->copy(c, out);
    out->class->end(out, n->name);
}

static void element_visit(const node *n, struct visitor *v, uint32_t depth) {
    v->element(v, n, depth);
    for (const node *c = n->first; c; c = c->next) c->class->visit(c, v, depth + 1);
}

static void text_value(const node *n, struct buffer *b) { buffer_add(b, n->text); }
static void text_copy(const node *n, struct output *out) { out->class->characters(out, n->text); }
static void text_visit(const node *n, struct visitor *v, uint32_t depth) {
    (void)depth;
    v->words(v, n->text);
}

static void comment_copy(const node *n, struct output *out) { out->class->comment(out, n->text); }
static void comment_visit(const node *n, struct visitor *v, uint32_t depth) {
    (void)depth;
    v->comment(v, n->text);
}

static void root_copy(const node *n, struct output *out) {
    for (const node *c = n->first; c; c = c->next) c->class->copy(c, out);
}

static void root_visit(const node *n, struct visitor *v, uint32_t depth) {
    for (const node *c = n->first; c; c = c->next) c->class->visit(c, v, depth);
}

static const struct node_class element_class = {element_value, element_copy, element_visit, true, false};
static const struct node_class text_class = {text_value, text_copy, text_visit, false, true};
static const struct node_class comment_class = {text_value, comment_copy, comment_visit, false, false};
static const struct node_class root_class = {element_value, root_copy, root_visit, false, false};

/* ---- the parser ---- */

struct parser {
    struct document *document;
    const char *at, *end;
    const struct symbol *id;
};

static node *add_node(struct document *d, const struct node_class *class, node *parent) {
    node *n = arena_take(&d->arena, sizeof *n);
    n->class = class;
    n->order = d->nodes++;
    n->parent = parent;
    if (parent) {
        n->previous = parent->last;
        if (parent->last) parent->last->next = n;
        else parent->first = n;
        parent->last = n;
    }
    return n;
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' || c == '-';
}

static void expect(struct parser *p, char c) {
    if (p->at == p->end || *p->at != c) workload_fail("a document has bad markup");
    p->at++;
}

static bool looking_at(const struct parser *p, const char *string) {
    size_t length = strlen(string);
    return (size_t)(p->end - p->at) >= length && memcmp(p->at, string, length) == 0;
}

static struct symbol *parse_name(struct parser *p) {
    const char *begin = p->at;
    while (p->at < p->end && is_name(*p->at)) p->at++;
    if (p->at == begin) workload_fail("a document has a tag without a name");
    return intern((struct text){begin, (uint32_t)(p->at - begin)});
}

/* Characters up to `stop`, with entities replaced; without any the source is shared. */
static struct text parse_characters(struct parser *p, char stop) {
    static const struct {
        const char *entity;
        char meaning;
    } entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}};
    const char *begin = p->at;
    uint32_t found = 0;
    for (; p->at < p->end && *p->at != stop; p->at++) found += *p->at == '&';
    struct text raw = {begin, (uint32_t)(p->at - begin)};
    if (found == 0) return raw;
    char *decoded = arena_take(&p->document->arena, raw.length);
    uint32_t length = 0;
    struct parser inner = {p->document, begin, p->at, NULL};
    while (inner.at < inner.end) {
        char c = *inner.at;
        size_t skip = 1;
        for (uint32_t i = 0; c == '&' && i < 4 && skip == 1; i++) {
            if (!looking_at(&inner, entities[i].entity)) continue;
            c = entities[i].meaning;
            skip = strlen(entities[i].entity);
        }
        decoded[length++] = c;
        inner.at += skip;
    }
    return (struct text){decoded, length};
}

static void parse_attributes(struct parser *p, node *n) {
    struct attribute **tail = &n->attributes;
    while (p->at < p->end && *p->at == ' ') {
        p->at++;
        struct attribute *a = arena_take(&p->document->arena, sizeof *a);
        a->name = parse_name(p);
        expect(p, '=');
        char quote = p->at < p->end && *p->at == '\'' ? '\'' : '"';
        expect(p, quote);
        a->value = intern(parse_characters(p, quote));
        expect(p, quote);
        if (a->name == p->id) {
            a->value->owner = n;
            a->value->serial = p->document->serial;
        }
        *tail = a;
        tail = &a->next;
    }
}

/* One tag; returns the element that is open after it. */
static node *parse_tag(struct parser *p, node *open) {
    if (looking_at(p, "<!--")) {
        node *n = add_node(p->document, &comment_class, open);
        const char *begin = p->at += 4;
        while (p->at < p->end && !looking_at(p, "-->")) p->at++;
        n->text = (struct text){begin, (uint32_t)(p->at - begin)};
        p->at += 3;
        return open;
    }
    expect(p, '<');
    if (*p->at == '/') {
        p->at++;
        if (parse_name(p) != open->name) workload_fail("a document closes the wrong tag");
        expect(p, '>');
        return open->parent;
    }
    node *n = add_node(p->document, &element_class, open);
    n->name = parse_name(p);
    parse_attributes(p, n);
    bool closed = *p->at == '/';
    if (closed) p->at++;
    expect(p, '>');
    return closed ? open : n;
}

void parse(struct document *d, struct text source) {
    static uint32_t serials;
    d->arena.used = 0;
    d->nodes = 0;
    d->serial = ++serials;
    struct parser p = {d, source.data, source.data + source.length, intern(text_of("id"))};
    node *open = d->root = add_node(d, &root_class, NULL);
    while (p.at < p.end) {
        if (*p.at == '<') {
            open = parse_tag(&p, open);
        } else {
            node *n = add_node(d, &text_class, open);
            n->text = parse_characters(&p, '<');
        }
    }
    if (open != d->root) workload_fail("a document ends inside a tag");
}
