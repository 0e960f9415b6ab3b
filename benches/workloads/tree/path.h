/* Expressions and paths, in a small subset of XPath's spirit: steps along axes with
 * predicates, patterns, numbers, texts, comparisons and some functions. */
#ifndef TREE_PATH_H
#define TREE_PATH_H

#include "dom.h"

struct expression;

/* Where an expression is evaluated. */
struct context {
    const node *node;
    uint32_t position;            /* among the selected nodes, from 1 */
    const struct document *document;
    struct selection *selection;  /* shared: a stack of nodes */
    struct buffer *scratch;       /* shared: a stack of texts */
};

struct selection {
    const node **nodes;
    uint32_t count, capacity;
};

struct step {
    node *(*advance)(const node *origin, const node *current); /* the axis; NULL begins and ends */
    bool (*test)(const struct step *s, const node *n);
    const struct symbol *name;
    struct expression *predicate;
    struct step *next, *before;
};

struct path {
    struct expression *start;      /* NULL: the context's node, or the root when absolute */
    struct step *first, *last;
    bool absolute;
};

struct expression_class {
    int64_t (*number)(const struct expression *e, struct context *c);
    bool (*truth)(const struct expression *e, struct context *c);
    void (*string)(const struct expression *e, struct context *c, struct buffer *out);
};

struct expression {
    const struct expression_class *class;
    struct expression *left, *right;
    int64_t (*combine)(int64_t a, int64_t b); /* of two numbers */
    int64_t number;
    struct text text;
    const struct symbol *name;
    struct path path;
};

struct expression *expression_parse(struct arena *a, struct text source);
/* A path expression without start; fails on others. */
struct path pattern_parse(struct arena *a, struct text source);
bool pattern_matches(const struct path *p, const node *n, struct context *c);
/* Pushes the nodes of a path in document order; returns where they begin. */
uint32_t path_select(const struct expression *e, struct context *c);

struct sort_item {
    const node *node;
    struct text text;
    int64_t number;
};

typedef int32_t sort_compare(const struct sort_item *a, const struct sort_item *b);
/* Stable. */
void sort_items(struct sort_item *items, uint32_t count, sort_compare *compare);

#endif
