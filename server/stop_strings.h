/* SPDX-License-Identifier: MIT */
/* Stop strings across token boundaries: text is held back while it may still become one, and a stop
 * string's own text is never given out. The text ends before the stop string that is complete first
 * (of several complete at the same byte, the longest), so the result does not depend on how the
 * text was cut into pieces. */
#pragma once
#include "base/base.h"

enum { STOP_STRINGS_MAX = 4, STOP_STRING_BYTES_MAX = 1024 };

/* Zero-initialised: no stop strings. The strings are borrowed. */
struct stop_matcher {
    const char *stops[STOP_STRINGS_MAX];
    size_t lens[STOP_STRINGS_MAX];
    size_t n;
    struct str held; /* may be the beginning of a stop string */
    bool found;
};

void stop_matcher_init(struct stop_matcher *m, const char *const *stops, size_t n);
void stop_matcher_fini(struct stop_matcher *m);
/* Appends to *out what of the text so far is certain. True once a stop string was found: what
 * follows is dropped. out->failed or m->held.failed tell of exhausted memory. */
bool stop_matcher_push(struct stop_matcher *m, const char *text, size_t n, struct str *out);
/* The text is over: appends what was held back. */
void stop_matcher_finish(struct stop_matcher *m, struct str *out);
