/* Outputs: the writer, the checker and the indenter. */
#include "dom.h"

static void close_tag(struct writer *w) {
    if (w->open) buffer_string(&w->buffer, ">");
    w->open = false;
}

static void add_escaped(struct buffer *b, struct text t, bool quoted) {
    uint32_t begin = 0;
    for (uint32_t i = 0; i < t.length; i++) {
        const char *entity = NULL;
        switch (t.data[i]) {
        case '&': entity = "&amp;"; break;
        case '<': entity = "&lt;"; break;
        case '>': entity = "&gt;"; break;
        case '"': entity = quoted ? "&quot;" : NULL; break;
        }
        if (!entity) continue;
        buffer_add(b, (struct text){t.data + begin, i - begin});
        buffer_string(b, entity);
        begin = i + 1;
    }
    buffer_add(b, (struct text){t.data + begin, t.length - begin});
}

static void writer_start(struct output *o, const struct symbol *name) {
    struct writer *w = (struct writer *)o;
    close_tag(w);
    buffer_string(&w->buffer, "<");
    buffer_add(&w->buffer, name->text);
    w->open = true;
}

static void writer_attribute(struct output *o, const struct symbol *name, struct text value) {
    struct writer *w = (struct writer *)o;
    buffer_string(&w->buffer, " ");
    buffer_add(&w->buffer, name->text);
    buffer_string(&w->buffer, "=\"");
    add_escaped(&w->buffer, value, true);
    buffer_string(&w->buffer, "\"");
}

static void writer_characters(struct output *o, struct text t) {
    struct writer *w = (struct writer *)o;
    if (t.length == 0) return;
    close_tag(w);
    add_escaped(&w->buffer, t, false);
}

static void writer_comment(struct output *o, struct text t) {
    struct writer *w = (struct writer *)o;
    close_tag(w);
    buffer_string(&w->buffer, "<!--");
    buffer_add(&w->buffer, t);
    buffer_string(&w->buffer, "-->");
}

static void writer_end(struct output *o, const struct symbol *name) {
    struct writer *w = (struct writer *)o;
    if (w->open) {
        buffer_string(&w->buffer, "/>");
        w->open = false;
        return;
    }
    buffer_string(&w->buffer, "</");
    buffer_add(&w->buffer, name->text);
    buffer_string(&w->buffer, ">");
}

static const struct output_class writer_class = {writer_start, writer_attribute, writer_characters,
                                                 writer_comment, writer_end};

void writer_begin(struct writer *w) {
    w->base = (struct output){&writer_class, NULL};
    w->buffer.length = 0;
    w->open = false;
}

static void checker_start(struct output *o, const struct symbol *name) {
    struct checker *c = (struct checker *)o;
    if (c->depth == sizeof c->stack / sizeof c->stack[0]) workload_fail("an output is too deep");
    c->stack[c->depth++] = name;
    c->elements++;
    c->may_add = true;
    o->next->class->start(o->next, name);
}

static void checker_attribute(struct output *o, const struct symbol *name, struct text value) {
    struct checker *c = (struct checker *)o;
    if (!c->may_add) workload_fail("an output has an attribute after content");
    o->next->class->attribute(o->next, name, value);
}

static void checker_characters(struct output *o, struct text t) {
    struct checker *c = (struct checker *)o;
    if (c->depth == 0) workload_fail("an output has text outside of elements");
    c->may_add = false;
    o->next->class->characters(o->next, t);
}

static void checker_comment(struct output *o, struct text t) {
    ((struct checker *)o)->may_add = false;
    o->next->class->comment(o->next, t);
}

static void checker_end(struct output *o, const struct symbol *name) {
    struct checker *c = (struct checker *)o;
    if (c->depth == 0 || c->stack[--c->depth] != name) workload_fail("an output is not balanced");
    c->may_add = false;
    o->next->class->end(o->next, name);
}

static const struct output_class checker_class = {checker_start, checker_attribute,
                                                  checker_characters, checker_comment, checker_end};

void checker_begin(struct checker *c, struct output *next) {
    c->base = (struct output){&checker_class, next};
    c->depth = c->elements = 0;
    c->may_add = false;
}

static void new_line(struct indenter *i) {
    static const char blanks[] = "\n                                ";
    uint32_t length = 1 + (i->depth < 16 ? i->depth : 16) * 2;
    i->base.next->class->characters(i->base.next, (struct text){blanks, length});
}

static void indenter_start(struct output *o, const struct symbol *name) {
    struct indenter *i = (struct indenter *)o;
    if (!i->after_text && i->depth > 0) new_line(i);
    i->depth++;
    i->after_text = false;
    o->next->class->start(o->next, name);
}

static void indenter_attribute(struct output *o, const struct symbol *name, struct text value) {
    o->next->class->attribute(o->next, name, value);
}

static void indenter_characters(struct output *o, struct text t) {
    ((struct indenter *)o)->after_text = true;
    o->next->class->characters(o->next, t);
}

static void indenter_comment(struct output *o, struct text t) { o->next->class->comment(o->next, t); }

static void indenter_end(struct output *o, const struct symbol *name) {
    struct indenter *i = (struct indenter *)o;
    i->depth--;
    i->after_text = false;
    o->next->class->end(o->next, name);
}

static const struct output_class indenter_class = {
    indenter_start, indenter_attribute, indenter_characters, indenter_comment, indenter_end};

void indenter_begin(struct indenter *i, struct output *next) {
    i->base = (struct output){&indenter_class, next};
    i->depth = 0;
    i->after_text = false;
}
