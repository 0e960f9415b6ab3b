/* wordcount FILE [ROUNDS]: count lines, words and bytes of a file, and print the
 * words that occur most often. FILE "-" is standard input, which is read once.
 *
 * The file is opened and read again in every round, a line at a time. Words are
 * runs of letters, digits and apostrophes, folded to lower case; they are kept
 * in a hash table with chains that doubles as it fills. */
#include "../common/common.h"

enum { WORD_LENGTH_MAX = 63, SHOWN = 12 };

struct word {
    struct word *next;
    uint64_t hash;
    uint32_t count;
    char text[WORD_LENGTH_MAX + 1];
};

struct table {
    struct word **buckets;
    uint32_t bucket_count; /* a power of two */
    uint32_t words;
};

struct totals {
    uint64_t lines, words, bytes;
};

static void table_grow(struct table *t) {
    uint32_t wider = t->bucket_count ? t->bucket_count * 2 : 64;
    struct word **buckets = allocate(wider * sizeof *buckets);
    for (uint32_t i = 0; i < t->bucket_count; i++) {
        for (struct word *w = t->buckets[i]; w;) {
            struct word *next = w->next;
            w->next = buckets[w->hash & (wider - 1)];
            buckets[w->hash & (wider - 1)] = w;
            w = next;
        }
    }
    free(t->buckets);
    t->buckets = buckets;
    t->bucket_count = wider;
}

static void table_add(struct table *t, const char *text, size_t length) {
    if (t->words >= t->bucket_count) table_grow(t);
    uint64_t hash = hash_bytes(HASH_SEED, text, length);
    struct word **bucket = &t->buckets[hash & (t->bucket_count - 1)];
    for (struct word *w = *bucket; w; w = w->next) {
        if (w->hash == hash && strncmp(w->text, text, length) == 0 && !w->text[length]) {
            w->count++;
            return;
        }
    }
    struct word *w = allocate(sizeof *w);
    w->hash = hash;
    w->count = 1;
    memcpy(w->text, text, length);
    w->next = *bucket;
    *bucket = w;
    t->words++;
}

static void table_free(struct table *t) {
    for (uint32_t i = 0; i < t->bucket_count; i++) {
        for (struct word *w = t->buckets[i]; w;) {
            struct word *next = w->next;
            free(w);
            w = next;
        }
    }
    free(t->buckets);
    memset(t, 0, sizeof *t);
}

static int word_letter(int c) {
    if (c >= 'A' && c <= 'Z') return c - 'A' + 'a';
    int letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '\'';
    return letter ? c : 0;
}

static void count_line(struct table *t, struct totals *totals, const char *line) {
    char word[WORD_LENGTH_MAX + 1];
    size_t length = 0;
    for (;; line++) {
        int letter = word_letter((unsigned char)*line);
        if (letter) {
            if (length < WORD_LENGTH_MAX) word[length++] = (char)letter;
            continue;
        }
        if (length) {
            table_add(t, word, length);
            totals->words++;
            length = 0;
        }
        if (*line == '\n') totals->lines++;
        if (!*line) break;
    }
}

static void count_file(struct table *t, struct totals *totals, const char *path) {
    int standard_input = strcmp(path, "-") == 0;
    FILE *file = standard_input ? stdin : fopen(path, "r");
    if (!file) {
        fprintf(stderr, "cannot open %s\n", path);
        exit(EXIT_USAGE);
    }
    char line[512];
    while (fgets(line, sizeof line, file)) {
        totals->bytes += strlen(line);
        count_line(t, totals, line);
    }
    if (!standard_input) fclose(file);
}

/* Most frequent first, then by the alphabet: a total order, so that the result
 * does not depend on the library's qsort. */
static int compare_words(const void *left, const void *right) {
    const struct word *a = *(const struct word *const *)left;
    const struct word *b = *(const struct word *const *)right;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    return strcmp(a->text, b->text);
}

static uint64_t report(const struct table *t, int print) {
    struct word **sorted = allocate((t->words + 1) * sizeof *sorted);
    uint32_t found = 0;
    for (uint32_t i = 0; i < t->bucket_count; i++) {
        for (struct word *w = t->buckets[i]; w; w = w->next) sorted[found++] = w;
    }
    qsort(sorted, found, sizeof *sorted, compare_words);
    uint64_t checksum = HASH_SEED;
    for (uint32_t i = 0; i < found; i++) {
        checksum = hash_bytes(checksum, sorted[i]->text, strlen(sorted[i]->text));
        checksum = hash_word(checksum, sorted[i]->count);
        if (print && i < SHOWN) {
            printf("%6lu %s\n", (unsigned long)sorted[i]->count, sorted[i]->text);
        }
    }
    free(sorted);
    return checksum;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: wordcount FILE [ROUNDS]\n");
        return EXIT_USAGE;
    }
    uint32_t rounds = number_argument(argc, argv, 2, strcmp(argv[1], "-") ? 2500 : 1);
    uint64_t checksum = 0;
    for (uint32_t round = 1; round <= rounds; round++) {
        struct table table = {0};
        struct totals totals = {0};
        count_file(&table, &totals, argv[1]);
        uint64_t found = report(&table, round == rounds);
        if (round > 1 && found != checksum) {
            fprintf(stderr, "round %lu differs\n", (unsigned long)round);
            return EXIT_WRONG;
        }
        checksum = found;
        if (round == rounds) {
            printf("lines %lu\nwords %lu\nbytes %lu\ndistinct %lu\n",
                   (unsigned long)totals.lines, (unsigned long)totals.words,
                   (unsigned long)totals.bytes, (unsigned long)table.words);
        }
        table_free(&table);
    }
    print_hash("checksum", checksum);
    return 0;
}
