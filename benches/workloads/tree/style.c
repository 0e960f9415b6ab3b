/* The compiler of style sheets and the instructions. */
#include "style.h"

typedef void run_instruction(const struct instruction *i, struct transform *t);

struct instruction {
    run_instruction *run;
    struct instruction *next, *body, *otherwise;
    struct expression *select, *key;
    const struct symbol *name; /* of an element or attribute made, or a mode */
    struct text text;
    sort_compare *compare;
};

enum { SHEET_BYTES = 1 << 18 };

/* ---- running ---- */

static void run_all(const struct instruction *i, struct transform *t) {
    for (; i; i = i->next) i->run(i, t);
}

static void apply_to(const struct symbol *mode, struct transform *t);

/* Evaluates a text and hands it to one of the output's functions. */
static void with_text(const struct expression *e, struct transform *t, const struct symbol *attribute) {
    struct buffer *b = t->context.scratch;
    uint32_t mark = b->length;
    e->class->string(e, &t->context, b);
    struct text value = {b->data + mark, b->length - mark};
    if (attribute) t->output->class->attribute(t->output, attribute, value);
    else if (value.length > 0) t->output->class->characters(t->output, value);
    b->length = mark;
}

static void run_text(const struct instruction *i, struct transform *t) {
    t->output->class->characters(t->output, i->text);
}

static void run_value(const struct instruction *i, struct transform *t) {
    with_text(i->select, t, NULL);
}

static void run_attribute(const struct instruction *i, struct transform *t) {
    if (i->select) with_text(i->select, t, i->name);
    else t->output->class->attribute(t->output, i->name, i->text);
}

static void run_element(const struct instruction *i, struct transform *t) {
    t->output->class->start(t->output, i->name);
    run_all(i->body, t);
    t->output->class->end(t->output, i->name);
}

/* The context's node without its children; the body says what is inside. */
static void run_shallow(const struct instruction *i, struct transform *t) {
    const node *n = t->context.node;
    if (!n->class->is_element) {
        n->class->copy(n, t->output);
        return;
    }
    t->output->class->start(t->output, n->name);
    for (const struct attribute *a = n->attributes; a; a = a->next) {
        t->output->class->attribute(t->output, a->name, a->value->text);
    }
    run_all(i->body, t);
    t->output->class->end(t->output, n->name);
}

static void run_if(const struct instruction *i, struct transform *t) {
    bool holds = i->select->class->truth(i->select, &t->context);
    run_all(holds ? i->body : i->otherwise, t);
}

static void run_choose(const struct instruction *i, struct transform *t) {
    for (const struct instruction *when = i->body; when; when = when->next) {
        if (when->select && !when->select->class->truth(when->select, &t->context)) continue;
        run_all(when->body, t);
        return;
    }
}

static void run_copy(const struct instruction *i, struct transform *t) {
    uint32_t begin = path_select(i->select, &t->context);
    uint32_t end = t->context.selection->count;
    for (uint32_t n = begin; n < end; n++) {
        const node *selected = t->context.selection->nodes[n];
        selected->class->copy(selected, t->output);
    }
    t->context.selection->count = begin;
}

static int32_t by_text(const struct sort_item *a, const struct sort_item *b) {
    return text_compare(a->text, b->text);
}

static int32_t by_number(const struct sort_item *a, const struct sort_item *b) {
    return a->number < b->number ? -1 : a->number > b->number;
}

static int32_t by_number_down(const struct sort_item *a, const struct sort_item *b) {
    return by_number(b, a);
}

/* Sorts the selected nodes from `begin` on by the instruction's key. */
static void sort_selection(const struct instruction *i, struct transform *t, uint32_t begin) {
    struct context *c = &t->context, inner = *c;
    uint32_t count = c->selection->count - begin, mark = c->scratch->length;
    struct sort_item *items = workload_allocate(count, sizeof *items);
    for (uint32_t n = 0; n < count; n++) {
        inner.node = items[n].node = c->selection->nodes[begin + n];
        items[n].text.length = c->scratch->length;
        i->key->class->string(i->key, &inner, c->scratch);
    }
    /* The buffer may move while it grows: find the keys in it afterwards. */
    for (uint32_t n = 0; n < count; n++) {
        uint32_t from = items[n].text.length;
        uint32_t to = n + 1 < count ? items[n + 1].text.length : c->scratch->length;
        items[n].text = (struct text){c->scratch->data + from, to - from};
        items[n].number = text_number(items[n].text);
    }
    sort_items(items, count, i->compare);
    for (uint32_t n = 0; n < count; n++) c->selection->nodes[begin + n] = items[n].node;
    c->scratch->length = mark;
    free(items);
}

/* Runs something for every selected node, each becoming the context's. */
static void for_each(const struct instruction *i, struct transform *t, bool apply) {
    uint32_t begin = path_select(i->select, &t->context);
    if (i->key) sort_selection(i, t, begin);
    uint32_t end = t->context.selection->count;
    struct context saved = t->context;
    for (uint32_t n = begin; n < end; n++) {
        t->context.node = t->context.selection->nodes[n];
        t->context.position = n - begin + 1;
        if (apply) apply_to(i->name, t);
        else run_all(i->body, t);
    }
    t->context = saved;
    t->context.selection->count = begin;
}

static void run_each(const struct instruction *i, struct transform *t) { for_each(i, t, false); }

static void apply_children(const struct symbol *mode, struct transform *t) {
    struct context saved = t->context;
    t->context.position = 0;
    for (const node *n = saved.node->first; n; n = n->next) {
        t->context.node = n;
        t->context.position++;
        apply_to(mode, t);
    }
    t->context = saved;
}

static void run_apply(const struct instruction *i, struct transform *t) {
    if (i->select) for_each(i, t, true);
    else apply_children(i->name, t);
}

/* The first rule that matches the context's node; without one the built-in rule. */
static void apply_to(const struct symbol *mode, struct transform *t) {
    const node *n = t->context.node;
    for (const struct rule *r = t->sheet->rules; r; r = r->next) {
        if (r->mode != mode) continue;
        t->tried++;
        if (!pattern_matches(&r->pattern, n, &t->context)) continue;
        t->applied++;
        run_all(r->body, t);
        return;
    }
    if (n->class->is_text) n->class->copy(n, t->output);
    else apply_children(mode, t);
}

void transform_run(struct transform *t, const struct document *d) {
    t->context.node = d->root;
    t->context.document = d;
    t->context.position = 1;
    apply_to(NULL, t);
}

/* ---- compiling ---- */

struct compiler {
    struct arena *arena;
};

static struct instruction *compile_children(struct compiler *c, const node *n);

static struct instruction *make_instruction(struct compiler *c, run_instruction *run) {
    struct instruction *i = arena_take(c->arena, sizeof *i);
    i->run = run;
    return i;
}

static const struct symbol *attribute_of(const node *n, const char *name) {
    return attribute_value(n, intern(text_of(name)));
}

static struct expression *expression_of(struct compiler *c, const node *n, const char *name) {
    const struct symbol *value = attribute_of(n, name);
    return value ? expression_parse(c->arena, value->text) : NULL;
}

static struct instruction *compile_value(struct compiler *c, const node *n) {
    struct instruction *i = make_instruction(c, run_value);
    i->select = expression_of(c, n, "of");
    return i;
}

static void compile_sort(struct compiler *c, const node *n, struct instruction *i) {
    i->key = expression_of(c, n, "sort");
    const struct symbol *as = attribute_of(n, "as");
    if (!as) i->compare = by_text;
    else i->compare = text_equal(as->text, text_of("up")) ? by_number : by_number_down;
}

static struct instruction *compile_apply(struct compiler *c, const node *n) {
    struct instruction *i = make_instruction(c, run_apply);
    i->select = expression_of(c, n, "select");
    i->name = attribute_of(n, "mode");
    compile_sort(c, n, i);
    return i;
}

static struct instruction *compile_each(struct compiler *c, const node *n) {
    struct instruction *i = make_instruction(c, run_each);
    i->select = expression_of(c, n, "select");
    compile_sort(c, n, i);
    i->body = compile_children(c, n);
    return i;
}

static struct instruction *compile_if(struct compiler *c, const node *n) {
    struct instruction *i = make_instruction(c, run_if);
    i->select = expression_of(c, n, "test");
    i->body = compile_children(c, n);
    return i;
}

static struct instruction *compile_choose(struct compiler *c, const node *n) {
    struct instruction *i = make_instruction(c, run_choose);
    i->body = compile_children(c, n); /* t:when, which run_choose looks into itself */
    return i;
}

static struct instruction *compile_copy(struct compiler *c, const node *n) {
    struct instruction *i = make_instruction(c, run_copy);
    i->select = expression_of(c, n, "of");
    return i;
}

static struct instruction *compile_shallow(struct compiler *c, const node *n) {
    struct instruction *i = make_instruction(c, run_shallow);
    i->body = compile_children(c, n);
    return i;
}

static struct instruction *compile_attribute(struct compiler *c, const node *n) {
    struct instruction *i = make_instruction(c, run_attribute);
    i->name = attribute_of(n, "name");
    i->select = expression_of(c, n, "of");
    return i;
}

/* An element that is not the sheet's is made in the output. An attribute's value in
 * braces is an expression. */
static struct instruction *compile_literal(struct compiler *c, const node *n) {
    struct instruction *i = make_instruction(c, run_element);
    i->name = n->name;
    struct instruction **tail = &i->body;
    for (const struct attribute *a = n->attributes; a; a = a->next) {
        struct instruction *made = make_instruction(c, run_attribute);
        struct text value = a->value->text;
        made->name = a->name;
        made->text = value;
        if (value.length > 1 && value.data[0] == '{') {
            made->select = expression_parse(c->arena, (struct text){value.data + 1, value.length - 2});
        }
        *tail = made;
        tail = &made->next;
    }
    *tail = compile_children(c, n);
    return i;
}

static struct instruction *compile_element(struct compiler *c, const node *n) {
    static const struct {
        const char *name;
        struct instruction *(*compile)(struct compiler *c, const node *n);
    } forms[] = {{"t:value", compile_value},     {"t:apply", compile_apply}, {"t:each", compile_each},
                 {"t:if", compile_if},           {"t:when", compile_if},     {"t:choose", compile_choose},
                 {"t:shallow", compile_shallow}, {"t:copy", compile_copy},   {"t:attribute", compile_attribute}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (text_equal(n->name->text, text_of(forms[i].name))) return forms[i].compile(c, n);
    }
    return compile_literal(c, n);
}

static bool is_blank(struct text t) {
    for (uint32_t i = 0; i < t.length; i++) {
        if (t.data[i] != ' ' && t.data[i] != '\n') return false;
    }
    return true;
}

static struct instruction *compile_children(struct compiler *c, const node *n) {
    struct instruction *first = NULL, **tail = &first;
    for (const node *child = n->first; child; child = child->next) {
        struct instruction *made = NULL;
        if (child->class->is_element) {
            made = compile_element(c, child);
        } else if (child->class->is_text && !is_blank(child->text)) {
            made = make_instruction(c, run_text);
            made->text = child->text;
        }
        if (!made) continue;
        *tail = made;
        tail = &made->next;
    }
    return first;
}

/* Higher priorities first, and of equal ones the later first. */
static void add_rule(struct sheet *s, struct rule *r) {
    struct rule **at = &s->rules;
    while (*at && (*at)->priority > r->priority) at = &(*at)->next;
    r->next = *at;
    *at = r;
    s->count++;
}

void sheet_compile(struct sheet *s, const char *source) {
    s->document.arena = (struct arena){workload_allocate(SHEET_BYTES, 1), 0, SHEET_BYTES};
    s->rules = NULL;
    s->count = 0;
    parse(&s->document, text_of(source));
    struct compiler c = {&s->document.arena};
    for (const node *n = s->document.root->first->first; n; n = n->next) {
        if (!n->class->is_element) continue;
        struct rule *r = arena_take(c.arena, sizeof *r);
        r->pattern = pattern_parse(c.arena, attribute_of(n, "match")->text);
        r->mode = attribute_of(n, "mode");
        const struct symbol *priority = attribute_of(n, "priority");
        r->priority = priority ? text_number(priority->text) : 1;
        r->body = compile_children(&c, n);
        add_rule(s, r);
    }
}
