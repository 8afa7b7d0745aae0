/* SPDX-License-Identifier: MIT */
/* Values for chat templates: a tree that a request is turned into once, without going through JSON
 * text. Integers and floats stay apart, dicts keep their order. */
#pragma once
#include "base/base.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum jvalue_type {
    JVALUE_NONE,
    JVALUE_BOOL,
    JVALUE_INT,
    JVALUE_BIG, /* an integer beyond int64, in u.string: its decimal digits, a minus before them */
    JVALUE_DOUBLE,
    JVALUE_STRING,
    JVALUE_LIST,
    JVALUE_DICT,
};

struct jvalue_pair;

/* A node; it and everything beneath it live in one arena (or longer). Read freely; build with the
 * functions below. */
struct jvalue {
    enum jvalue_type type;
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct {
            const char *text; /* UTF-8, NUL-terminated after n bytes; may hold NULs */
            size_t n;
        } string;
        struct {
            struct jvalue **items; /* [n] */
            size_t n, cap;
        } list;
        struct {
            struct jvalue_pair *pairs; /* [n], in insertion order, keys unique */
            size_t n, cap;
            uint32_t *index; /* hash of key to position + 1 once there are many pairs, else NULL */
            size_t index_cap;
        } dict;
    } u;
};

struct jvalue_pair {
    const char *key; /* UTF-8, NUL-terminated after key_n bytes */
    size_t key_n;
    struct jvalue *value;
};

/* Constructors: NULL when the arena is exhausted. Strings are copied. */
struct jvalue *jvalue_none(struct arena *a);
struct jvalue *jvalue_bool(struct arena *a, bool v);
struct jvalue *jvalue_int(struct arena *a, int64_t v);
struct jvalue *jvalue_big(struct arena *a, const char *digits, size_t n);
struct jvalue *jvalue_double(struct arena *a, double v);
struct jvalue *jvalue_string(struct arena *a, const char *text);
/* Bytes that are not UTF-8 become U+FFFD. */
struct jvalue *jvalue_string_n(struct arena *a, const char *text, size_t n);
struct jvalue *jvalue_list(struct arena *a);
struct jvalue *jvalue_dict(struct arena *a);

/* Appends; false when the arena is exhausted or item is NULL (so constructors may be nested
 * unchecked). The item is shared, not copied. */
bool jvalue_append(struct arena *a, struct jvalue *list, struct jvalue *item);
/* Sets a key (replaces in place); false as above. */
bool jvalue_set(struct arena *a, struct jvalue *dict, const char *key, struct jvalue *value);
bool jvalue_set_n(struct arena *a, struct jvalue *dict, const char *key, size_t n,
                  struct jvalue *value);
/* NULL if absent or not a dict. */
struct jvalue *jvalue_get(const struct jvalue *dict, const char *key);
struct jvalue *jvalue_get_n(const struct jvalue *dict, const char *key, size_t n);

/* Parses strict JSON text (RFC 8259; of a key given twice the last one wins; depth at most 256;
 * numbers with '.', 'e' or 'E' are floats, others integers of up to 4,300 digits, as in Python).
 * Errors give the byte offset.
 * Everything lives in the arena, whose limit is the budget. */
status jvalue_parse(struct arena *a, const char *text, size_t n, struct jvalue **out,
                    struct err *err);
