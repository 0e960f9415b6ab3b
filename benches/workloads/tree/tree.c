/* tree: transforms documents by style sheets.
 *
 * Stands for SPEC's xalancbmk. Catalogues in an XML-like markup are parsed into trees
 * of nodes with interned names, copied back (must give the source), visited, and
 * transformed by three style sheets, which are documents themselves: a page with
 * contents and links, price lists with sorting and sums, and a revised catalogue.
 * Rules are chosen by patterns that look up the tree; expressions, instructions, node
 * classes, axes, sort orders and outputs are called through tables of functions of
 * several signatures, and outputs stand in a chain (checker, indenter, writer).
 *
 * Time goes into indirect calls, walks along pointers, short text comparisons and
 * appends. One step is one document through everything. Sizes differ in the number and
 * the length of the documents. */
#include "style.h"

enum { ARENA_BYTES = 32 << 20, VOCABULARY = 600, KINDS = 5 };

/* ---- documents ---- */

static const char *const kinds[KINDS] = {"book", "map", "tool", "seed", "print"};

struct author {
    struct random random;
    struct buffer buffer;
    char words[VOCABULARY][16];
    uint32_t items, items_wanted, sections, elements;
};

/* Words of syllables; the first in the list will be used most. */
static void make_words(struct author *a) {
    static const char syllables[] = "ba de fi go lu ma ne pi ro su ta ve wi zo ka en ar ol ";
    for (uint32_t i = 0; i < VOCABULARY; i++) {
        uint32_t count = 1 + random_below(&a->random, i < 60 ? 2 : 4), length = 0;
        for (uint32_t k = 0; k < count; k++) {
            const char *from = syllables + 3 * random_below(&a->random, 18);
            a->words[i][length++] = from[0];
            a->words[i][length++] = from[1];
        }
    }
}

static const char *pick_word(struct author *a) {
    uint32_t range = 1 + random_below(&a->random, VOCABULARY);
    return a->words[random_below(&a->random, range)];
}

static void add_string(struct author *a, const char *string) { buffer_string(&a->buffer, string); }

static void add_words(struct author *a, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) add_string(a, " ");
        add_string(a, pick_word(a));
        if (random_below(&a->random, 60) == 0) add_string(a, " &amp; co");
        if (random_below(&a->random, 120) == 0) add_string(a, " &lt;new&gt;");
    }
}

static void add_number(struct author *a, const char *before, uint32_t number, const char *after) {
    add_string(a, before);
    buffer_add_number(&a->buffer, number);
    add_string(a, after);
}

static void add_element(struct author *a, const char *open, uint32_t words, const char *close) {
    a->elements++;
    add_string(a, open);
    add_words(a, words);
    add_string(a, close);
}

static void add_paragraph(struct author *a) {
    a->elements++;
    add_string(a, "<para>");
    uint32_t pieces = 1 + random_below(&a->random, 4);
    for (uint32_t i = 0; i < pieces; i++) {
        add_words(a, 4 + random_below(&a->random, 12));
        add_string(a, " ");
        switch (random_below(&a->random, 5)) {
        case 0: add_element(a, "<em>", 1 + random_below(&a->random, 3), "</em> "); break;
        case 1:
            add_element(a, "<em>", 2, " ");
            add_element(a, "<em>", 1, "</em></em> ");
            break;
        case 2:
            a->elements++;
            add_number(a, "<ref to=\"i", random_below(&a->random, a->items_wanted), "\"/> ");
            break;
        }
    }
    add_string(a, "</para>");
}

static void add_item(struct author *a) {
    a->elements++;
    add_number(a, "<item id=\"i", a->items++, "\" kind=\"");
    add_string(a, kinds[random_below(&a->random, KINDS)]);
    add_number(a, "\" price=\"", 5 + random_below(&a->random, 990), "\"");
    add_number(a, " count=\"", random_below(&a->random, 30), "\">");
    add_element(a, "<title>", 2 + random_below(&a->random, 3), "</title>");
    uint32_t paragraphs = 1 + random_below(&a->random, 3);
    for (uint32_t i = 0; i < paragraphs; i++) add_paragraph(a);
    if (random_below(&a->random, 3) == 0) {
        a->elements++;
        add_string(a, "<list>");
        uint32_t points = 2 + random_below(&a->random, 4);
        for (uint32_t i = 0; i < points; i++) add_element(a, "<point>", 3, "</point>");
        add_string(a, "</list>");
    }
    if (random_below(&a->random, 8) == 0) add_string(a, "<!-- check the stock -->");
    add_string(a, "</item>");
}

static void add_section(struct author *a, uint32_t depth) {
    a->elements++;
    add_number(a, "<section id=\"s", a->sections++, "\">");
    add_element(a, "<title>", 1 + random_below(&a->random, 3), "</title>");
    uint32_t parts = 3 + random_below(&a->random, 6);
    for (uint32_t i = 0; i < parts && a->items < a->items_wanted; i++) {
        if (depth < 4 && random_below(&a->random, 3) == 0) add_section(a, depth + 1);
        else add_item(a);
    }
    add_string(a, "</section>");
}

static void write_catalogue(struct author *a, uint32_t items) {
    a->buffer.length = 0;
    a->items = a->sections = 0;
    a->elements = 1;
    a->items_wanted = items;
    add_string(a, "<catalog name=\"");
    add_words(a, 3);
    add_string(a, "\">");
    while (a->items < items) add_section(a, 1);
    add_string(a, "</catalog>");
}

/* ---- style sheets ---- */

static const char sheet_page[] =
    "<t:sheet>"
    "<t:rule match='catalog'><html><head><title><t:value of='@name'/></title></head><body>"
    "<ul><t:apply select='section' mode='contents'/></ul><t:apply/></body></html></t:rule>"
    "<t:rule match='section' mode='contents'><li><a href='{@id}'><t:value of='title'/></a> "
    "(<t:value of='count(.//item)'/>)<t:if test='section'><ul>"
    "<t:apply select='section' mode='contents' sort='title'/></ul></t:if></li></t:rule>"
    "<t:rule match='section'><div id='{@id}'><t:apply/></div></t:rule>"
    "<t:rule match='title'><h4><t:apply/></h4></t:rule>"
    "<t:rule match='section/title' priority='2'><h3><t:apply/></h3></t:rule>"
    "<t:rule match='/catalog/section/title' priority='3'><h2><t:apply/></h2></t:rule>"
    "<t:rule match='item'><div class='{@kind}' id='{@id}'><t:apply/><hr/></div></t:rule>"
    "<t:rule match='item[@price &gt; 800]' priority='2'><div class='dear' id='{@id}'><b>only "
    "<t:value of='@count'/></b><t:apply/></div></t:rule>"
    "<t:rule match=\"item[@kind = 'tool' and @count = 0]\" priority='3'/>"
    "<t:rule match='para'><p><t:apply/></p></t:rule>"
    "<t:rule match='para//em'><i><t:apply/></i></t:rule>"
    "<t:rule match='em/em' priority='2'><b><t:apply/></b></t:rule>"
    "<t:rule match='section//section//section//em' priority='2'><u><t:apply/></u></t:rule>"
    "<t:rule match='ref'><t:choose><t:when test='id(@to)/title'><a href='{@to}'>"
    "<t:value of='id(@to)/title'/></a></t:when><t:when><s>missing</s></t:when></t:choose></t:rule>"
    "<t:rule match='list'><ol><t:each select='point' sort='.'><li><t:value of='position()'/>"
    "<t:value of=\"concat(': ', .)\"/></li></t:each></ol></t:rule>"
    "</t:sheet>";

static const char sheet_prices[] =
    "<t:sheet>"
    "<t:rule match='catalog'><prices><t:apply select='.//section[item]' sort='@id'/>"
    "<t:each select='//item[@price * @count &gt; 20000]' sort='@price * @count' as='down'><top "
    "rank='{position()}' worth='{@price * @count}' kind='{@kind}'><t:value of='title'/></top></t:each>"
    "</prices></t:rule>"
    "<t:rule match='section'><group of='{title}' path='{concat(../title, .//title)}'>"
    "<total><t:value of='sum(item, @price * @count)'/></total>"
    "<mean><t:value of='sum(item, @price) div count(item)'/></mean>"
    "<t:apply select='item' sort='@price' as='up'/></group></t:rule>"
    "<t:rule match='item'><line n='{position()}' even='{position() mod 2}'><t:choose>"
    "<t:when test=\"@kind = 'book' or @kind = 'print'\"><paper/></t:when>"
    "<t:when test=\"@kind = 'seed'\"><living cheaper='{count(preceding::item[@price &lt; 100])}'/></t:when>"
    "<t:when><thing size='{length(para)}'/></t:when></t:choose>"
    "<t:value of='title'/><in depth='{count(ancestor::section)}'><t:value of='ancestor::section/title'/></in>"
    "<t:if test=\"contains(para, 'ma')\"><mark/></t:if>"
    "<t:if test='not(following::item)'><last/></t:if></line></t:rule>"
    "</t:sheet>";

static const char sheet_revise[] =
    "<t:sheet>"
    "<t:rule match='*' priority='0'><t:shallow><t:apply/></t:shallow></t:rule>"
    "<t:rule match='item'><t:shallow><t:attribute name='worth' of='@price * @count'/><t:apply/>"
    "<seen><t:each select='.//ref'><by name='{name()}' kind='{id(@to)/@kind}'/></t:each></seen>"
    "</t:shallow></t:rule>"
    "<t:rule match='item[@count = 0]' priority='2'><sold><t:copy of='title'/></sold></t:rule>"
    "<t:rule match='para[em]'><t:shallow><t:each select='.//text()[length(.) &gt; 20]'><t:value of='.'/>"
    "</t:each></t:shallow></t:rule>"
    "<t:rule match='section[count(item) &lt; 2]/item/list' priority='3'><t:copy of='point[position() = 1]'/>"
    "</t:rule>"
    "</t:sheet>";

/* ---- visiting ---- */

struct statistics {
    struct visitor base;
    uint32_t elements, words, comments, deepest;
};

static void count_element(struct visitor *v, const node *n, uint32_t depth) {
    struct statistics *s = (struct statistics *)v;
    s->elements++;
    if (depth > s->deepest) s->deepest = depth;
    if (n->first && n->last->next) workload_fail("a list of children does not end");
}

static void count_words(struct visitor *v, struct text t) {
    struct statistics *s = (struct statistics *)v;
    for (uint32_t i = 0; i < t.length; i++) {
        s->words += t.data[i] != ' ' && (i == 0 || t.data[i - 1] == ' ');
    }
}

static void count_comment(struct visitor *v, struct text t) {
    ((struct statistics *)v)->comments += t.length > 0;
}

/* ---- the whole ---- */

struct bench {
    struct author author;
    struct document document;
    struct sheet sheets[3];
    struct writer writer;
    struct selection selection;
    struct buffer scratch;
    uint64_t nodes, words, bytes, tried, applied, elements;
};

/* What was parsed must give the source again, and hold what the author wrote. */
static void check_document(struct bench *b, struct workload *w) {
    struct checker checker;
    writer_begin(&b->writer);
    checker_begin(&checker, &b->writer.base);
    b->document.root->class->copy(b->document.root, &checker.base);
    if (!text_equal(buffer_text(&b->writer.buffer), buffer_text(&b->author.buffer))) {
        workload_fail("a document copied differs from its source");
    }
    struct statistics s = {.base = {count_element, count_words, count_comment}};
    b->document.root->class->visit(b->document.root, &s.base, 0);
    if (s.elements != b->author.elements || checker.elements != s.elements) {
        workload_fail("a document lost elements");
    }
    b->nodes += b->document.nodes;
    b->words += s.words;
    workload_hash(w, (uint64_t)s.words << 32 | s.deepest << 16 | s.comments);
}

static void transform_document(struct bench *b, const struct sheet *sheet, struct workload *w) {
    struct checker checker;
    struct indenter indenter;
    writer_begin(&b->writer);
    indenter_begin(&indenter, &b->writer.base);
    checker_begin(&checker, &indenter.base);
    struct transform t = {.sheet = sheet, .output = &checker.base};
    t.context.selection = &b->selection;
    t.context.scratch = &b->scratch;
    transform_run(&t, &b->document);
    if (checker.depth != 0 || b->selection.count != 0 || b->scratch.length != 0) {
        workload_fail("a transformation left something open");
    }
    b->tried += t.tried;
    b->applied += t.applied;
    b->elements += checker.elements;
    b->bytes += b->writer.buffer.length;
    workload_hash_bytes(w, b->writer.buffer.data, b->writer.buffer.length);
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    struct bench *b = workload_allocate(1, sizeof *b);
    uint32_t documents = workload_pick(&w, 40, 140, 280), items = workload_pick(&w, 90, 500, 2200);
    b->document.arena = (struct arena){workload_allocate(ARENA_BYTES, 1), 0, ARENA_BYTES};
    b->author.random.state = UINT64_C(0x7ee5eed);
    make_words(&b->author);
    sheet_compile(&b->sheets[0], sheet_page);
    sheet_compile(&b->sheets[1], sheet_prices);
    sheet_compile(&b->sheets[2], sheet_revise);
    for (uint32_t i = 0; i < documents; i++) {
        write_catalogue(&b->author, items);
        parse(&b->document, buffer_text(&b->author.buffer));
        check_document(b, &w);
        for (uint32_t s = 0; s < 3; s++) transform_document(b, &b->sheets[s], &w);
        workload_step(&w);
    }
    printf("%u documents, %" PRIu64 " nodes, %" PRIu64 " words\n", documents, b->nodes, b->words);
    printf("%" PRIu64 " rules tried, %" PRIu64 " applied, %" PRIu64 " elements and %" PRIu64
           " bytes made\n", b->tried, b->applied, b->elements, b->bytes);
    workload_hash(&w, b->tried);
    workload_hash(&w, b->applied);
    return workload_end(&w);
}
