/* SPDX-License-Identifier: MIT */
/* Cleaning up text that was made of words with blanks between them: no blank before . ? ! , and
 * before English contractions. */
#pragma once
#include "base/base.h"
#include <stdbool.h>
#include <stddef.h>

struct replacement {
    const char *from; /* [from_n], not empty */
    size_t from_n;
    const char *to; /* [to_n] */
    size_t to_n;
};
/* Appends text[0..n) with every `from` replaced, from left to right. */
void clean_up_replace(struct str *out, const char *p, size_t n, struct replacement r);

/* As the WordPiece and CTC decoders do it, in place. spare: scratch. */
void clean_up_piece(struct str *text, struct str *spare);

enum { CLEAN_UP_RULES = 11 };

/* As transformers' decode does it (which lacks one rule of the decoders), on a text that comes in
 * parts. Zero-initialised is a valid beginning. */
struct clean_up {
    struct str held[CLEAN_UP_RULES]; /* what a rule may yet change, shorter than its pattern */
    struct str text, next;
};

void clean_up_fini(struct clean_up *c);
/* Appends to *out what is certain of the text so far; with `last` all of it, and begins anew.
 * False when memory ran out. */
bool clean_up_push(struct clean_up *c, const char *p, size_t n, bool last, struct str *out);
