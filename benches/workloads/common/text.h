/* Input for the programs that work on files: prose, a log, markup, binary records and
 * quotes of earlier parts in turn, made of words of a random language. Frequent words are far more frequent
 * than rare ones and words have favourite successors, so that compressors find about
 * as much in it as in real files. */
#ifndef UPSHIFT_TEXT_H
#define UPSHIFT_TEXT_H

#include "workload.h"

enum { TEXT_WORDS = 4096, TEXT_WORD_BYTES = 12, TEXT_FOLLOWERS = 8, TEXT_LINE_BYTES = 256 };
enum { TEXT_HISTORY = 1 << 16, TEXT_QUOTE_BYTES = 40 };

struct text_maker {
    struct random random;
    char words[TEXT_WORDS][TEXT_WORD_BYTES];
    uint16_t followers[TEXT_WORDS][TEXT_FOLLOWERS];
    uint32_t word, clock, record, section, section_left;
    char line[TEXT_LINE_BYTES]; /* what text_fill has not given out yet */
    uint32_t line_length, line_given;
    char history[TEXT_HISTORY]; /* a ring of the last lines */
    uint32_t history_at, quote_back;
};

/* A word by rank: 0 is the most frequent one. */
static inline uint32_t text_common_word(struct random *r) {
    double u = random_unit(r);
    return (uint32_t)(u * u * u * TEXT_WORDS);
}

static inline void text_begin(struct text_maker *t, uint64_t seed) {
    static const char vowels[] = "aaeeeiioou", consonants[] = "bcddffgghjkllmmnnnppqrrrssstttvwxz";
    memset(t, 0, sizeof *t);
    t->random.state = seed;
    for (uint32_t i = 0; i < TEXT_WORDS; i++) {
        uint32_t length = 0, syllables = 1 + random_below(&t->random, i < 100 ? 2 : 3);
        while (syllables--) {
            char first = consonants[random_below(&t->random, sizeof consonants - 1)];
            char last = consonants[random_below(&t->random, sizeof consonants - 1)];
            if (random_below(&t->random, 5)) t->words[i][length++] = first;
            t->words[i][length++] = vowels[random_below(&t->random, sizeof vowels - 1)];
            if (random_below(&t->random, 3) == 0) t->words[i][length++] = last;
        }
        for (uint32_t j = 0; j < TEXT_FOLLOWERS; j++) t->followers[i][j] = (uint16_t)text_common_word(&t->random);
    }
}

/* The next word of the running text. */
static inline const char *text_word(struct text_maker *t) {
    struct random *r = &t->random;
    bool follows = random_below(r, 10) < 7;
    t->word = follows ? t->followers[t->word][random_below(r, TEXT_FOLLOWERS)] : text_common_word(r);
    return t->words[t->word];
}

static inline void text_put(struct text_maker *t, const char *text) {
    while (*text && t->line_length < TEXT_LINE_BYTES) t->line[t->line_length++] = *text++;
}

/* Decimal, with zeros in front up to `digits` (at most 10). */
static inline void text_put_number(struct text_maker *t, uint32_t number, uint32_t digits) {
    char text[11];
    uint32_t at = 10;
    text[at] = 0;
    while (number || at > 10 - digits) {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    }
    text_put(t, text + at);
}

static inline void text_prose(struct text_maker *t) {
    uint32_t words = 8 + random_below(&t->random, 12);
    for (uint32_t i = 0; i < words; i++) {
        uint32_t start = t->line_length;
        text_put(t, text_word(t));
        if (i == 0 && t->line[start] >= 'a') t->line[start] = (char)(t->line[start] - 'a' + 'A');
        text_put(t, i + 1 == words ? ".\n" : random_below(&t->random, 9) ? " " : ", ");
    }
}

static inline void text_log(struct text_maker *t) {
    static const char *const levels[] = {" INFO ", " INFO ", " INFO ", " DEBUG ", " WARN ", " ERROR "};
    t->clock += random_below(&t->random, 30);
    text_put(t, "2024-03-17 ");
    text_put_number(t, t->clock / 3600 % 24, 2);
    text_put(t, ":");
    text_put_number(t, t->clock / 60 % 60, 2);
    text_put(t, ":");
    text_put_number(t, t->clock % 60, 2);
    text_put(t, levels[random_below(&t->random, 6)]);
    text_put(t, t->words[100 + random_below(&t->random, 20)]);
    text_put(t, ": request from 10.0.");
    text_put_number(t, random_below(&t->random, 4), 1);
    text_put(t, ".");
    text_put_number(t, random_below(&t->random, 64), 1);
    text_put(t, " for /");
    text_put(t, t->words[text_common_word(&t->random)]);
    text_put(t, " took ");
    text_put_number(t, 1 + random_below(&t->random, 900), 1);
    text_put(t, " ms\n");
}

static inline void text_markup(struct text_maker *t) {
    const char *name = t->words[200 + random_below(&t->random, 12)];
    text_put(t, "    <");
    text_put(t, name);
    text_put(t, " id=\"");
    text_put_number(t, t->record++, 6);
    text_put(t, "\" class=\"");
    text_put(t, t->words[300 + random_below(&t->random, 8)]);
    text_put(t, "\">");
    for (uint32_t i = random_below(&t->random, 5); i > 0; i--) {
        text_put(t, text_word(t));
        text_put(t, i > 1 ? " " : "");
    }
    text_put(t, "</");
    text_put(t, name);
    text_put(t, ">\n");
}

/* A 24-byte record: a counter, a slowly changing reading, flags, a name, zeros. */
static inline void text_binary(struct text_maker *t) {
    t->record++;
    uint32_t reading = 70000 + t->record % 500 + random_below(&t->random, 16);
    uint32_t fields[3] = {t->record, reading, 1u << random_below(&t->random, 5)};
    memset(t->line, 0, 24);
    for (uint32_t i = 0; i < 12; i++) t->line[i] = (char)(fields[i / 4] >> i % 4 * 8 & 0xff);
    memcpy(t->line + 12, t->words[400 + random_below(&t->random, 30)], 8);
    t->line_length = 24;
}

/* Goes on with what came `quote_back` bytes ago. */
static inline void text_quote(struct text_maker *t) {
    for (uint32_t i = 0; i < TEXT_QUOTE_BYTES; i++) {
        t->line[i] = t->history[(t->history_at - t->quote_back + i) % TEXT_HISTORY];
    }
    t->line_length = TEXT_QUOTE_BYTES;
}

/* The next `size` bytes of the file. */
static inline void text_fill(struct text_maker *t, unsigned char *out, uint32_t size) {
    static void (*const kinds[])(struct text_maker *) = {text_prose, text_log, text_prose, text_markup,
                                                         text_quote, text_prose, text_binary};
    while (size > 0) {
        if (t->line_given == t->line_length) {
            if (t->section_left-- == 0) {
                t->section = (t->section + 1) % (sizeof kinds / sizeof kinds[0]);
                t->section_left = 20 + random_below(&t->random, 60);
                t->quote_back = 8000 + random_below(&t->random, TEXT_HISTORY - 8000);
            }
            t->line_length = t->line_given = 0;
            kinds[t->section](t);
            for (uint32_t i = 0; i < t->line_length; i++) {
                t->history[t->history_at++ % TEXT_HISTORY] = t->line[i];
            }
        }
        uint32_t part = t->line_length - t->line_given;
        if (part > size) part = size;
        memcpy(out, t->line + t->line_given, part);
        t->line_given += part;
        out += part;
        size -= part;
    }
}

#endif
