/* Style sheets: rules with patterns, compiled to instructions, applied to documents. */
#ifndef TREE_STYLE_H
#define TREE_STYLE_H

#include "path.h"

struct instruction;

struct rule {
    struct path pattern;
    const struct symbol *mode;
    int64_t priority;
    struct instruction *body;
    struct rule *next; /* the order in which rules are tried */
};

struct sheet {
    struct document document; /* the sheet is a document itself */
    struct rule *rules;
    uint32_t count;
};

struct transform {
    const struct sheet *sheet;
    struct output *output;
    struct context context;
    uint64_t applied, tried; /* rules */
};

void sheet_compile(struct sheet *s, const char *source);
/* Writes what the rules make of the document to the transform's output. */
void transform_run(struct transform *t, const struct document *d);

#endif
