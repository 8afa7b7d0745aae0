/* SPDX-License-Identifier: MIT */
/* Token healing: where a prompt whose end belongs to the answer may end. */
#pragma once
#include "tokenizer/tokenizer.h"

/* A model was taught whole tokens: where the text that it would write next begins with the prompt's
 * last bytes (": {" after ": "), a prompt with these bytes in it is one that it never saw, and what
 * follows is arbitrary. So the prompt is taken back to the last token boundary at which no token
 * of the vocabulary can be under way, and the model writes the bytes behind it itself.
 *
 * ids: the prompt; its last tokens are those of text[0..n), the part that may be taken back. next:
 * the bytes that the answer may go on with behind the text. Takes ids off the end; *kept: the bytes
 * of the text that stay. Where the ids are not the text's own (a normalizer changed it) nothing is
 * taken off. ST_NOMEM: nothing either. */
status token_heal(const struct tokenizer *tok, struct token_ids *ids, const char *text, size_t n,
                  const char *next, size_t *kept);
