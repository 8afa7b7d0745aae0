/* SPDX-License-Identifier: MIT */
/* Words of the text that is being encoded, with their ids: most words of a long text come again.
 * The cache belongs to one encoding and its size is bounded, so it holds no text longer than that.
 */
#pragma once
#include "tokenizer/tok_internal.h"

/* Makes a cache that suits n bytes of text; none for short ones, or when memory is short. */
void word_cache_init(struct enc *e, size_t n);
void word_cache_fini(struct enc *e);
/* Encodes a piece whose ids depend on nothing but its bytes: from the cache, or by `encode`. */
status word_cache_encode(struct enc *e, struct piece in,
                         status (*encode)(const struct tokenizer *tok, struct enc *e,
                                          struct piece in, struct err *err),
                         struct err *err);
