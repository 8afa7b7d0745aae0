/* SPDX-License-Identifier: MIT */
/* cupola tokenize --show and --diff: tokens beside the text that they stand for. */
#pragma once
#include "base/base.h"
#include "tokenizer/tokenizer.h"

/* Prints the tokens of a text: coloured pieces with their ids on a terminal (unless NO_COLOR is
 * set), else a line each: bytes of the text, id, piece. */
status tokenize_show(const struct tokenizer *tok, const struct str *text, struct err *err);

/* One side of a comparison. */
struct tokenize_side {
    const char *name;
    const struct tokenizer *tok;
};

/* Prints where two tokenizers cut a text differently. *equal: the same ids. */
status tokenize_diff(const struct tokenize_side sides[2], const struct str *text, bool *equal,
                     struct err *err);

/* ---- alignment: tokenize_align.c ---- */

/* A token and the bytes of the text that it stands for. */
struct placed_token {
    int32_t id;
    size_t start, end;     /* of the text; equal where it stands for nothing there */
    size_t piece, piece_n; /* of the pieces: the bytes that it adds to a decoded text */
    bool is_cut;           /* the text is known to be cut at `end` */
};

struct placed_tokens {
    struct placed_token *items; /* [n] */
    size_t n;
    struct str pieces;
};

/* Tokenizes a text, with what is added round it and special tokens read, and finds each token's
 * place. Where a normalizer changed the text, tokens up to the next one that is found share a
 * place. */
status place_tokens(const struct tokenizer *tok, const struct str *text, struct placed_tokens *out,
                    struct err *err);
void placed_tokens_fini(struct placed_tokens *p);
