/* Evaluation of paths and expressions, and their parser. */
#include "path.h"

/* ---- axes and tests ---- */

static node *axis_child(const node *origin, const node *current) {
    return current ? current->next : origin->first;
}

static node *axis_descendant(const node *origin, const node *current) {
    const node *n = current ? current : origin;
    if (n->first) return n->first;
    while (n != origin && !n->next) n = n->parent;
    return n == origin ? NULL : n->next;
}

static node *axis_parent(const node *origin, const node *current) {
    return current ? NULL : origin->parent;
}

static node *axis_ancestor(const node *origin, const node *current) {
    return current ? current->parent : origin->parent;
}

static node *axis_following(const node *origin, const node *current) {
    return current ? current->next : origin->next;
}

static node *axis_preceding(const node *origin, const node *current) {
    return current ? current->previous : origin->previous;
}

static bool test_name(const struct step *s, const node *n) { return n->name == s->name; }
static bool test_element(const struct step *s, const node *n) {
    (void)s;
    return n->class->is_element;
}
static bool test_text(const struct step *s, const node *n) {
    (void)s;
    return n->class->is_text;
}

/* ---- sorting ---- */

void sort_items(struct sort_item *items, uint32_t count, sort_compare *compare) {
    struct sort_item *from = items;
    struct sort_item *spare = workload_allocate(count, sizeof *spare), *to = spare;
    for (uint32_t width = 1; width < count; width *= 2) {
        for (uint32_t begin = 0; begin < count; begin += 2 * width) {
            uint32_t middle = begin + width < count ? begin + width : count;
            uint32_t end = middle + width < count ? middle + width : count;
            for (uint32_t a = begin, b = middle, n = begin; n < end; n++) {
                bool left = a < middle && (b == end || compare(&from[a], &from[b]) <= 0);
                to[n] = left ? from[a++] : from[b++];
            }
        }
        struct sort_item *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != items) memcpy(items, from, count * sizeof *items);
    free(spare);
}

static int32_t by_order(const struct sort_item *a, const struct sort_item *b) {
    return a->node->order < b->node->order ? -1 : a->node->order > b->node->order;
}

/* ---- selection ---- */

static void push_node(struct selection *s, const node *n) {
    if (s->count == s->capacity) {
        s->capacity = s->capacity * 2 + 256;
        const node **grown = realloc(s->nodes, s->capacity * sizeof *grown);
        if (!grown) workload_fail("out of memory");
        s->nodes = grown;
    }
    s->nodes[s->count++] = n;
}

static bool holds(const struct expression *predicate, const struct context *c, const node *n,
                  uint32_t position) {
    if (!predicate) return true;
    struct context inner = *c;
    inner.node = n;
    inner.position = position;
    return predicate->class->truth(predicate, &inner);
}

static void select_from(const struct step *s, const node *origin, const struct context *c) {
    if (!s) {
        push_node(c->selection, origin);
        return;
    }
    if (!s->advance) { /* the node itself */
        select_from(s->next, origin, c);
        return;
    }
    uint32_t position = 0;
    for (const node *n = NULL; (n = s->advance(origin, n)) != NULL;) {
        if (s->test(s, n) && holds(s->predicate, c, n, ++position)) select_from(s->next, n, c);
    }
}

/* Paths over several axes may find nodes twice or out of order. */
static void put_in_order(struct selection *s, uint32_t begin) {
    bool ordered = true;
    for (uint32_t i = begin + 1; i < s->count; i++) {
        ordered = ordered && s->nodes[i - 1]->order < s->nodes[i]->order;
    }
    if (ordered) return;
    uint32_t count = s->count - begin;
    struct sort_item *items = workload_allocate(count, sizeof *items);
    for (uint32_t i = 0; i < count; i++) items[i].node = s->nodes[begin + i];
    sort_items(items, count, by_order);
    s->count = begin;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || items[i].node != items[i - 1].node) s->nodes[s->count++] = items[i].node;
    }
    free(items);
}

static node *id_owner(const struct expression *start, struct context *c) {
    uint32_t mark = c->scratch->length;
    start->class->string(start, c, c->scratch);
    struct text name = {c->scratch->data + mark, c->scratch->length - mark};
    const struct symbol *s = intern(name);
    c->scratch->length = mark;
    return s->serial == c->document->serial ? s->owner : NULL;
}

uint32_t path_select(const struct expression *e, struct context *c) {
    uint32_t begin = c->selection->count;
    const node *origin = c->node;
    if (e->path.absolute) origin = c->document->root;
    if (e->path.start) origin = id_owner(e->path.start, c);
    if (!origin) return begin;
    select_from(e->path.first, origin, c);
    put_in_order(c->selection, begin);
    return begin;
}

static bool matches_up(const struct path *p, const struct step *s, const node *n,
                       const struct context *c) {
    if (!s->test(s, n) || !holds(s->predicate, c, n, 1)) return false;
    if (!s->before) return !p->absolute || !n->parent->parent;
    if (s->advance == axis_child) return n->parent && matches_up(p, s->before, n->parent, c);
    for (const node *above = n->parent; above; above = above->parent) {
        if (matches_up(p, s->before, above, c)) return true;
    }
    return false;
}

bool pattern_matches(const struct path *p, const node *n, struct context *c) {
    return matches_up(p, p->last, n, c);
}

/* ---- paths as values ---- */

static bool path_truth(const struct expression *e, struct context *c) {
    uint32_t begin = path_select(e, c);
    bool any = c->selection->count > begin;
    c->selection->count = begin;
    return any;
}

static void path_string(const struct expression *e, struct context *c, struct buffer *out) {
    uint32_t begin = path_select(e, c);
    if (c->selection->count > begin) {
        const node *first = c->selection->nodes[begin];
        first->class->append_value(first, out);
    }
    c->selection->count = begin;
}

/* The number of what an expression gives as text; common to all texts. */
static int64_t string_number(const struct expression *e, struct context *c) {
    uint32_t mark = c->scratch->length;
    e->class->string(e, c, c->scratch);
    int64_t number = text_number((struct text){c->scratch->data + mark, c->scratch->length - mark});
    c->scratch->length = mark;
    return number;
}

static bool string_truth(const struct expression *e, struct context *c) {
    uint32_t mark = c->scratch->length;
    e->class->string(e, c, c->scratch);
    bool any = c->scratch->length > mark;
    c->scratch->length = mark;
    return any;
}

static const struct expression_class path_class = {string_number, path_truth, path_string};

/* The value of an attribute of the context's node, or of the first node of a path. */
static const struct symbol *find_attribute(const struct expression *e, struct context *c) {
    if (!e->left) return attribute_value(c->node, e->name);
    uint32_t begin = path_select(e->left, c);
    const struct symbol *value = NULL;
    if (c->selection->count > begin) value = attribute_value(c->selection->nodes[begin], e->name);
    c->selection->count = begin;
    return value;
}

static int64_t attribute_number(const struct expression *e, struct context *c) {
    const struct symbol *value = find_attribute(e, c);
    return value ? text_number(value->text) : 0;
}
static bool attribute_truth(const struct expression *e, struct context *c) {
    return find_attribute(e, c) != NULL;
}
static void attribute_string(const struct expression *e, struct context *c, struct buffer *out) {
    const struct symbol *value = find_attribute(e, c);
    if (value) buffer_add(out, value->text);
}
static const struct expression_class attribute_class = {attribute_number, attribute_truth,
                                                        attribute_string};

/* ---- texts ---- */

static void literal_string(const struct expression *e, struct context *c, struct buffer *out) {
    (void)c;
    buffer_add(out, e->text);
}
static const struct expression_class literal_class = {string_number, string_truth, literal_string};

static void name_string(const struct expression *e, struct context *c, struct buffer *out) {
    (void)e;
    if (c->node->name) buffer_add(out, c->node->name->text);
}
static const struct expression_class name_class = {string_number, string_truth, name_string};

static void concat_string(const struct expression *e, struct context *c, struct buffer *out) {
    e->left->class->string(e->left, c, out);
    e->right->class->string(e->right, c, out);
}
static const struct expression_class concat_class = {string_number, string_truth, concat_string};

/* ---- numbers ---- */

static bool number_truth(const struct expression *e, struct context *c) {
    return e->class->number(e, c) != 0;
}
static void number_string(const struct expression *e, struct context *c, struct buffer *out) {
    buffer_add_number(out, e->class->number(e, c));
}

static int64_t constant_number(const struct expression *e, struct context *c) {
    (void)c;
    return e->number;
}
static const struct expression_class number_class = {constant_number, number_truth, number_string};

static int64_t position_number(const struct expression *e, struct context *c) {
    (void)e;
    return c->position;
}
static const struct expression_class position_class = {position_number, number_truth, number_string};

static int64_t count_number(const struct expression *e, struct context *c) {
    uint32_t begin = path_select(e->left, c);
    int64_t count = c->selection->count - begin;
    c->selection->count = begin;
    return count;
}
static const struct expression_class count_class = {count_number, number_truth, number_string};

/* sum(path, expression): the expression's value at every node, added up. */
static int64_t sum_number(const struct expression *e, struct context *c) {
    uint32_t begin = path_select(e->left, c);
    uint32_t end = c->selection->count;
    struct context inner = *c;
    int64_t sum = 0;
    for (uint32_t i = begin; i < end; i++) {
        inner.node = c->selection->nodes[i];
        inner.position = i - begin + 1;
        sum += e->right->class->number(e->right, &inner);
    }
    c->selection->count = begin;
    return sum;
}
static const struct expression_class sum_class = {sum_number, number_truth, number_string};

static int64_t length_number(const struct expression *e, struct context *c) {
    uint32_t mark = c->scratch->length;
    e->left->class->string(e->left, c, c->scratch);
    int64_t length = c->scratch->length - mark;
    c->scratch->length = mark;
    return length;
}
static const struct expression_class length_class = {length_number, number_truth, number_string};

static int64_t combined_number(const struct expression *e, struct context *c) {
    int64_t left = e->left->class->number(e->left, c);
    return e->combine(left, e->right->class->number(e->right, c));
}
static const struct expression_class combined_class = {combined_number, number_truth, number_string};

static int64_t plus(int64_t a, int64_t b) { return a + b; }
static int64_t minus(int64_t a, int64_t b) { return a - b; }
static int64_t times(int64_t a, int64_t b) { return a * b; }
static int64_t divided(int64_t a, int64_t b) { return b == 0 ? 0 : a / b; }
static int64_t modulo(int64_t a, int64_t b) { return b == 0 ? 0 : a % b; }
static int64_t less(int64_t a, int64_t b) { return a < b; }
static int64_t greater(int64_t a, int64_t b) { return a > b; }
static int64_t same(int64_t a, int64_t b) { return a == b; }
static int64_t different(int64_t a, int64_t b) { return a != b; }

/* ---- truths ---- */

static int64_t truth_number(const struct expression *e, struct context *c) {
    return e->class->truth(e, c);
}
static void truth_string(const struct expression *e, struct context *c, struct buffer *out) {
    buffer_string(out, e->class->truth(e, c) ? "true" : "false");
}

static bool and_truth(const struct expression *e, struct context *c) {
    return e->left->class->truth(e->left, c) && e->right->class->truth(e->right, c);
}
static const struct expression_class and_class = {truth_number, and_truth, truth_string};

static bool or_truth(const struct expression *e, struct context *c) {
    return e->left->class->truth(e->left, c) || e->right->class->truth(e->right, c);
}
static const struct expression_class or_class = {truth_number, or_truth, truth_string};

static bool not_truth(const struct expression *e, struct context *c) {
    return !e->left->class->truth(e->left, c);
}
static const struct expression_class not_class = {truth_number, not_truth, truth_string};

/* Texts are equal; `number` says which answer counts. */
static bool match_truth(const struct expression *e, struct context *c) {
    struct buffer *b = c->scratch;
    uint32_t begin = b->length;
    e->left->class->string(e->left, c, b);
    uint32_t middle = b->length;
    e->right->class->string(e->right, c, b);
    struct text left = {b->data + begin, middle - begin}, right = {b->data + middle, b->length - middle};
    bool equal = text_equal(left, right);
    b->length = begin;
    return equal == (e->number != 0);
}
static const struct expression_class match_class = {truth_number, match_truth, truth_string};

static bool contains_truth(const struct expression *e, struct context *c) {
    struct buffer *b = c->scratch;
    uint32_t begin = b->length;
    e->left->class->string(e->left, c, b);
    uint32_t middle = b->length;
    e->right->class->string(e->right, c, b);
    uint32_t length = b->length - middle;
    bool found = false;
    for (uint32_t i = begin; i + length <= middle && !found; i++) {
        found = memcmp(b->data + i, b->data + middle, length) == 0;
    }
    b->length = begin;
    return found;
}
static const struct expression_class contains_class = {truth_number, contains_truth, truth_string};

/* ---- the parser ---- */

struct reader {
    const char *at, *end;
    struct arena *arena;
};

static struct expression *read_or(struct reader *r);

static void skip_blanks(struct reader *r) {
    while (r->at < r->end && *r->at == ' ') r->at++;
}

static bool accept(struct reader *r, const char *token) {
    skip_blanks(r);
    size_t length = strlen(token);
    if ((size_t)(r->end - r->at) < length || memcmp(r->at, token, length) != 0) return false;
    r->at += length;
    return true;
}

static void require(struct reader *r, const char *token) {
    if (!accept(r, token)) workload_fail("an expression has an unexpected character");
}

static bool is_letter(char c) { return c >= 'a' && c <= 'z'; }

static struct text read_word(struct reader *r) {
    skip_blanks(r);
    const char *begin = r->at;
    while (r->at < r->end && is_letter(*r->at)) r->at++;
    if (r->at == begin) workload_fail("an expression lacks a name");
    return (struct text){begin, (uint32_t)(r->at - begin)};
}

static struct expression *make_expression(struct reader *r, const struct expression_class *class,
                                          struct expression *left, struct expression *right) {
    struct expression *e = arena_take(r->arena, sizeof *e);
    e->class = class;
    e->left = left;
    e->right = right;
    return e;
}

static void read_axis(struct reader *r, struct step *s) {
    static const struct {
        const char *name;
        node *(*advance)(const node *origin, const node *current);
    } axes[] = {{"ancestor::", axis_ancestor}, {"following::", axis_following},
                {"preceding::", axis_preceding}};
    for (size_t i = 0; i < sizeof axes / sizeof axes[0]; i++) {
        if (accept(r, axes[i].name)) s->advance = axes[i].advance;
    }
}

static void read_step(struct reader *r, struct path *p, bool deep) {
    struct step *s = arena_take(r->arena, sizeof *s);
    s->advance = deep ? axis_descendant : axis_child;
    s->before = p->last;
    if (p->last) p->last->next = s;
    else p->first = s;
    p->last = s;
    s->test = test_element;
    if (accept(r, "..")) {
        s->advance = axis_parent;
        return;
    }
    if (accept(r, ".")) {
        s->advance = NULL;
        return;
    }
    read_axis(r, s);
    if (accept(r, "text()")) {
        s->test = test_text;
    } else if (!accept(r, "*")) {
        s->test = test_name;
        s->name = intern(read_word(r));
    }
    if (accept(r, "[")) {
        s->predicate = read_or(r);
        require(r, "]");
    }
}

static struct expression *read_attribute(struct reader *r, struct expression *path) {
    struct expression *e = make_expression(r, &attribute_class, path, NULL);
    e->name = intern(read_word(r));
    return e;
}

static struct expression *read_path(struct reader *r, struct expression *start) {
    struct expression *e = make_expression(r, &path_class, NULL, NULL);
    struct path *p = &e->path;
    p->start = start;
    bool deep = false;
    if (start) {
        require(r, "/");
    } else if (accept(r, "//")) {
        p->absolute = deep = true;
    } else if (accept(r, "/")) {
        p->absolute = true;
    }
    for (;;) {
        if (accept(r, "@")) return read_attribute(r, p->first || start || p->absolute ? e : NULL);
        read_step(r, p, deep);
        deep = accept(r, "//");
        if (!deep && !accept(r, "/")) return e;
    }
}

static struct expression *read_call(struct reader *r) {
    static const struct {
        const char *name;
        const struct expression_class *class;
        uint32_t arguments;
    } functions[] = {{"count(", &count_class, 1},   {"sum(", &sum_class, 2},
                     {"length(", &length_class, 1}, {"not(", &not_class, 1},
                     {"name(", &name_class, 0},     {"position(", &position_class, 0},
                     {"concat(", &concat_class, 2}, {"contains(", &contains_class, 2}};
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (!accept(r, functions[i].name)) continue;
        struct expression *left = NULL, *right = NULL;
        if (functions[i].arguments > 0) left = read_or(r);
        if (functions[i].arguments > 1) {
            require(r, ",");
            right = read_or(r);
        }
        require(r, ")");
        return make_expression(r, functions[i].class, left, right);
    }
    if (!accept(r, "id(")) return NULL;
    struct expression *start = read_or(r);
    require(r, ")");
    return read_path(r, start);
}

static struct expression *read_primary(struct reader *r) {
    skip_blanks(r);
    if (accept(r, "(")) {
        struct expression *inner = read_or(r);
        require(r, ")");
        return inner;
    }
    if (accept(r, "'")) {
        const char *begin = r->at;
        while (r->at < r->end && *r->at != '\'') r->at++;
        struct expression *e = make_expression(r, &literal_class, NULL, NULL);
        e->text = (struct text){begin, (uint32_t)(r->at - begin)};
        require(r, "'");
        return e;
    }
    if (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        struct expression *e = make_expression(r, &number_class, NULL, NULL);
        e->number = text_number((struct text){r->at, (uint32_t)(r->end - r->at)});
        while (r->at < r->end && *r->at >= '0' && *r->at <= '9') r->at++;
        return e;
    }
    struct expression *call = read_call(r);
    return call ? call : read_path(r, NULL);
}

struct operator_row {
    const char *token;
    int64_t (*combine)(int64_t a, int64_t b);
};

static struct expression *read_combined(struct reader *r, struct expression *(*operand)(struct reader *),
                                        const struct operator_row *rows) {
    struct expression *left = operand(r);
    for (uint32_t i = 0; rows[i].token; i++) {
        if (!accept(r, rows[i].token)) continue;
        left = make_expression(r, &combined_class, left, operand(r));
        left->combine = rows[i].combine;
        i = UINT32_MAX; /* once more from the first row */
    }
    return left;
}

static struct expression *read_product(struct reader *r) {
    static const struct operator_row rows[] = {
        {"*", times}, {"div ", divided}, {"mod ", modulo}, {NULL, NULL}};
    return read_combined(r, read_primary, rows);
}

static struct expression *read_sum(struct reader *r) {
    static const struct operator_row rows[] = {{"+ ", plus}, {"- ", minus}, {NULL, NULL}};
    return read_combined(r, read_product, rows);
}

/* Whether a comparison with this is one of numbers. */
static bool is_number(const struct expression *e) { return e->class->truth == number_truth; }

static struct expression *read_comparison(struct reader *r) {
    struct expression *left = read_sum(r);
    bool unequal = accept(r, "!=");
    if (unequal || accept(r, "=")) {
        struct expression *right = read_sum(r);
        bool numbers = is_number(left) || is_number(right);
        struct expression *e =
            make_expression(r, numbers ? &combined_class : &match_class, left, right);
        e->combine = unequal ? different : same;
        e->number = !unequal;
        return e;
    }
    bool is_less = accept(r, "<");
    if (!is_less && !accept(r, ">")) return left;
    struct expression *e = make_expression(r, &combined_class, left, read_sum(r));
    e->combine = is_less ? less : greater;
    return e;
}

static struct expression *read_and(struct reader *r) {
    struct expression *left = read_comparison(r);
    while (accept(r, "and ")) left = make_expression(r, &and_class, left, read_comparison(r));
    return left;
}

static struct expression *read_or(struct reader *r) {
    struct expression *left = read_and(r);
    while (accept(r, "or ")) left = make_expression(r, &or_class, left, read_and(r));
    return left;
}

struct expression *expression_parse(struct arena *a, struct text source) {
    struct reader r = {source.data, source.data + source.length, a};
    struct expression *e = read_or(&r);
    skip_blanks(&r);
    if (r.at != r.end) workload_fail("an expression does not end where it should");
    return e;
}

struct path pattern_parse(struct arena *a, struct text source) {
    struct expression *e = expression_parse(a, source);
    if (e->class != &path_class || e->path.start) workload_fail("a pattern is not a path");
    return e->path;
}
