/* Documents as trees of nodes: interned names, an arena, classes of nodes with tables
 * of functions, a parser, and outputs that take a document as a stream of events. */
#ifndef TREE_DOM_H
#define TREE_DOM_H

#include "../common/workload.h"

struct text {
    const char *data;
    uint32_t length;
};

static inline struct text text_of(const char *data) {
    return (struct text){data, (uint32_t)strlen(data)};
}
bool text_equal(struct text a, struct text b);
int32_t text_compare(struct text a, struct text b);
/* The number at the beginning, or 0. */
int64_t text_number(struct text t);

/* A text that grows. */
struct buffer {
    char *data;
    uint32_t length, capacity;
};

void buffer_add(struct buffer *b, struct text t);
void buffer_add_number(struct buffer *b, int64_t number);
static inline void buffer_string(struct buffer *b, const char *string) { buffer_add(b, text_of(string)); }
static inline struct text buffer_text(const struct buffer *b) {
    return (struct text){b->data, b->length};
}

/* Memory that is freed all at once. */
struct arena {
    char *memory;
    size_t used, size;
};

void *arena_take(struct arena *a, size_t size);
struct text arena_text(struct arena *a, struct text t);

typedef struct node node;

/* One per distinct name or attribute value, compared by address. */
struct symbol {
    struct text text;
    uint32_t hash;
    struct symbol *next;
    node *owner;           /* the element with this identifier, in the document `serial` */
    uint32_t serial;
};

struct symbol *intern(struct text t);

struct attribute {
    const struct symbol *name;
    struct symbol *value;
    struct attribute *next;
};

struct output;
struct visitor;

struct node_class {
    void (*append_value)(const node *n, struct buffer *b); /* the text inside */
    void (*copy)(const node *n, struct output *out);
    void (*visit)(const node *n, struct visitor *v, uint32_t depth);
    bool is_element, is_text;
};

struct node {
    const struct node_class *class;
    node *parent, *first, *last, *next, *previous;
    const struct symbol *name;      /* of elements */
    struct attribute *attributes;
    struct text text;               /* of texts and comments */
    uint32_t order;                 /* document order */
};

/* What is called for the nodes of a tree, by their class. */
struct visitor {
    void (*element)(struct visitor *v, const node *n, uint32_t depth);
    void (*words)(struct visitor *v, struct text t);
    void (*comment)(struct visitor *v, struct text t);
};

struct document {
    struct arena arena;
    node *root; /* has the top element as its child */
    uint32_t nodes, serial;
};

void parse(struct document *d, struct text source);
struct symbol *attribute_value(const node *n, const struct symbol *name);

/* A stream of events; outputs pass them on to the next one. */
struct output_class {
    void (*start)(struct output *o, const struct symbol *name);
    void (*attribute)(struct output *o, const struct symbol *name, struct text value);
    void (*characters)(struct output *o, struct text t);
    void (*comment)(struct output *o, struct text t);
    void (*end)(struct output *o, const struct symbol *name);
};

struct output {
    const struct output_class *class;
    struct output *next;
};

/* Writes markup into a buffer. */
struct writer {
    struct output base;
    struct buffer buffer;
    bool open; /* a start tag waits for its > */
};

/* Fails when the events make no document; counts elements. */
struct checker {
    struct output base;
    const struct symbol *stack[256];
    uint32_t depth, elements;
    bool may_add;
};

/* Puts elements that hold elements only on lines of their own. */
struct indenter {
    struct output base;
    uint32_t depth;
    bool after_text;
};

void writer_begin(struct writer *w);
void checker_begin(struct checker *c, struct output *next);
void indenter_begin(struct indenter *i, struct output *next);

#endif
