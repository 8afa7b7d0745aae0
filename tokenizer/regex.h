/* SPDX-License-Identifier: MIT */
/* Regular expressions of tokenizer files: the well-known patterns by scanners of our own (chosen by
 * exact pattern), all others by PCRE2 with limits. Patterns are written for Oniguruma (Ruby
 * syntax): what differs is translated. */
#pragma once
#include "base/base.h"
#include <stdbool.h>
#include <stddef.h>

struct regex;

/* Per thread and encoding: PCRE2's work space. Zero-initialised is valid. */
struct regex_scratch {
    void *match_data;
    void *match_context;
    void *jit_stack;
};
void regex_scratch_fini(struct regex_scratch *s);

enum {
    REGEX_NO_SCANNER = 1u << 0, /* PCRE2 even for a well-known pattern (tests compare both) */
};

/* ST_FORMAT: the pattern does not compile; the text says where. */
status regex_create(struct regex **out, const char *pattern, size_t n, unsigned flags,
                    struct err *err);
void regex_destroy(struct regex *re);
/* A search: where it begins, and whether and where (may be empty) it found a match. */
struct regex_match {
    size_t from;
    bool found;
    size_t start, end;
};
/* The first match in text[0..n) at or after m->from. ST_LIMIT: the pattern needs too much work on
 * this text. The text must be valid UTF-8. */
status regex_next(const struct regex *re, struct regex_scratch *s, const char *text, size_t n,
                  struct regex_match *m, struct err *err);
/* The translation to PCRE2's syntax, for tests. */
status regex_translate(const char *pattern, size_t n, struct str *out, struct err *err);

/* Does this PCRE2 know \p{sc:Han} (10.40 and later)? */
bool regex_has_script_names(void);

/* A scanner gives the length of the match that begins at text[pos], 0 for none. */
typedef size_t scan_fn(const char *text, size_t n, size_t pos);
scan_fn *scan_find(const char *pattern, size_t n);
