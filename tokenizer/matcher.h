/* SPDX-License-Identifier: MIT */
/* Many fixed strings in one text, leftmost first and the longest of those that begin there; linear
 * in the text whatever the strings are. An automaton of the reversed strings (Aho-Corasick) reads
 * the text backwards, a block at a time, and finds for each place the longest string that begins
 * there. */
#pragma once
#include "base/base.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct matcher;

/* Everything lives in the arena. Empty strings never match; of equal ones the first counts. */
status matcher_create(struct matcher **out, struct arena *a, const char *const *patterns,
                      const size_t *lens, size_t n, struct err *err);

struct match {
    size_t start, end, pattern;
};

/* A walk through one text. */
struct match_scan {
    const struct matcher *m;
    const char *text;
    size_t n;
    size_t block_end;    /* matches that begin before it are in `found` */
    struct match *found; /* [n_found], the leftmost last */
    size_t n_found, cap;
    uint64_t steps; /* of the automaton so far, for tests */
};

void match_scan_init(struct match_scan *s, const struct matcher *m, const char *text, size_t n);
void match_scan_fini(struct match_scan *s);
/* The first match that begins at or after `from`, which never goes back from call to call. *found
 * false at the end of the text. ST_NOMEM. */
status match_scan_next(struct match_scan *s, size_t from, bool *found, struct match *out,
                       struct err *err);
