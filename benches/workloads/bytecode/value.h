/* Values of the script language: integers, functions, and the counted objects
 * string, array and table. An object is freed when its last reference goes. */
#ifndef BYTECODE_VALUE_H
#define BYTECODE_VALUE_H

#include "../common/workload.h"

enum tag { TAG_NIL, TAG_INT, TAG_FUNCTION, TAG_BUILTIN, TAG_STRING, TAG_ARRAY, TAG_TABLE };

struct string {
    uint32_t references;
    uint32_t hash; /* 0: not made yet */
    uint32_t length, capacity;
    char bytes[];
};

struct value {
    enum tag tag;
    union {
        int64_t integer; /* also the number of a function or builtin */
        struct string *string;
        struct array *array;
        struct table *table;
        uint32_t *references; /* every object starts with its count */
    } as;
};

struct array {
    uint32_t references;
    uint32_t length, capacity;
    struct value *items;
};

/* A hash table that keeps the order of insertion: `slots` maps a hash to the number
 * of an entry plus 1, with linear probing. Entries are never removed. */
struct table {
    uint32_t references;
    uint32_t length, slot_count; /* slot_count is a power of two */
    struct entry *entries;
    uint32_t *slots;
};

struct entry {
    struct value key, value;
    uint32_t hash;
};

static inline struct value nil(void) {
    return (struct value){TAG_NIL, {.integer = 0}};
}

static inline struct value integer(int64_t number) {
    return (struct value){TAG_INT, {.integer = number}};
}

static inline struct value string_value(struct string *string) {
    return (struct value){TAG_STRING, {.string = string}};
}

static inline struct value array_value(struct array *array) {
    return (struct value){TAG_ARRAY, {.array = array}};
}

static void *resize(void *memory, size_t bytes) {
    memory = realloc(memory, bytes);
    if (!memory) workload_fail("out of memory");
    return memory;
}

static void destroy(struct value value);

static inline struct value retain(struct value value) {
    if (value.tag >= TAG_STRING) ++*value.as.references;
    return value;
}

static inline void release(struct value value) {
    if (value.tag >= TAG_STRING && --*value.as.references == 0) destroy(value);
}

static void destroy(struct value value) {
    if (value.tag == TAG_STRING) {
        free(value.as.string);
    } else if (value.tag == TAG_ARRAY) {
        struct array *array = value.as.array;
        for (uint32_t i = 0; i < array->length; i++) release(array->items[i]);
        free(array->items);
        free(array);
    } else {
        struct table *table = value.as.table;
        for (uint32_t i = 0; i < table->length; i++) {
            release(table->entries[i].key);
            release(table->entries[i].value);
        }
        free(table->entries);
        free(table->slots);
        free(table);
    }
}

/* Strings. */

static struct string *string_new(uint32_t capacity) {
    struct string *string = resize(NULL, sizeof *string + capacity);
    string->references = 1;
    string->hash = string->length = 0;
    string->capacity = capacity;
    return string;
}

static struct string *string_from(const char *bytes, uint32_t length) {
    struct string *string = string_new(length);
    memcpy(string->bytes, bytes, length);
    string->length = length;
    return string;
}

/* Appends to a string that nobody else holds; it may move. */
static struct string *string_append(struct string *string, const char *bytes, uint32_t length) {
    if (string->capacity - string->length < length) {
        string->capacity = (string->length + length) * 2;
        string = resize(string, sizeof *string + string->capacity);
    }
    memcpy(string->bytes + string->length, bytes, length);
    string->length += length;
    string->hash = 0;
    return string;
}

static uint32_t string_hash(struct string *string) {
    if (string->hash) return string->hash;
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < string->length; i++) {
        hash = (hash ^ (unsigned char)string->bytes[i]) * 16777619u;
    }
    string->hash = hash ? hash : 1;
    return string->hash;
}

static int string_compare(const struct string *a, const struct string *b) {
    uint32_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->bytes, b->bytes, shorter);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

/* The decimal digits of a number; gives how many bytes of the 20 were used. */
static uint32_t format_integer(int64_t number, char text[20]) {
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    char reversed[20];
    uint32_t count = 0, length = 0;
    do reversed[count++] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0) text[length++] = '-';
    while (count) text[length++] = reversed[--count];
    return length;
}

static bool values_equal(struct value a, struct value b) {
    if (a.tag != b.tag) return false;
    if (a.tag < TAG_STRING) return a.as.integer == b.as.integer;
    if (a.tag > TAG_STRING) return a.as.references == b.as.references;
    return a.as.string->length == b.as.string->length &&
           memcmp(a.as.string->bytes, b.as.string->bytes, a.as.string->length) == 0;
}

/* Arrays. */

static struct array *array_new(uint32_t capacity) {
    struct array *array = workload_allocate(1, sizeof *array);
    array->references = 1;
    array->capacity = capacity;
    if (capacity) array->items = resize(NULL, capacity * sizeof *array->items);
    return array;
}

/* Takes over the caller's reference. */
static void array_push(struct array *array, struct value item) {
    if (array->length == array->capacity) {
        array->capacity = array->capacity ? array->capacity * 2 : 4;
        array->items = resize(array->items, array->capacity * sizeof *array->items);
    }
    array->items[array->length++] = item;
}

/* Tables. */

static struct table *table_new(void) {
    struct table *table = workload_allocate(1, sizeof *table);
    table->references = 1;
    return table;
}

static uint32_t value_hash(struct value key) {
    if (key.tag == TAG_STRING) return string_hash(key.as.string);
    if (key.tag != TAG_INT) workload_fail("a table key must be a string or an integer");
    uint64_t mixed = (uint64_t)key.as.integer * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(mixed >> 32);
}

/* The slot that holds the key, or the free one where it belongs. */
static uint32_t *table_slot(const struct table *table, struct value key, uint32_t hash) {
    uint32_t mask = table->slot_count - 1, at = hash & mask;
    while (table->slots[at]) {
        const struct entry *entry = &table->entries[table->slots[at] - 1];
        if (entry->hash == hash && values_equal(entry->key, key)) break;
        at = (at + 1) & mask;
    }
    return &table->slots[at];
}

static struct value *table_find(const struct table *table, struct value key) {
    if (table->length == 0) return NULL;
    uint32_t slot = *table_slot(table, key, value_hash(key));
    return slot ? &table->entries[slot - 1].value : NULL;
}

static void table_grow(struct table *table) {
    table->slot_count = table->slot_count ? table->slot_count * 2 : 8;
    free(table->slots);
    table->slots = workload_allocate(table->slot_count, sizeof *table->slots);
    table->entries = resize(table->entries, table->slot_count / 2 * sizeof *table->entries);
    for (uint32_t i = 0; i < table->length; i++) {
        *table_slot(table, table->entries[i].key, table->entries[i].hash) = i + 1;
    }
}

/* Takes over the caller's references to key and value. */
static void table_set(struct table *table, struct value key, struct value value) {
    uint32_t hash = value_hash(key);
    if (table->length >= table->slot_count / 2) table_grow(table);
    uint32_t *slot = table_slot(table, key, hash);
    if (*slot) {
        struct value *old = &table->entries[*slot - 1].value;
        release(*old);
        release(key);
        *old = value;
        return;
    }
    table->entries[table->length++] = (struct entry){key, value, hash};
    *slot = table->length;
}

#endif
