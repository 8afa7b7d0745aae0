/* SPDX-License-Identifier: MIT */
/* Which keys the masks of one attention let through. */
#pragma once
#include "engine/passes/encoder_rows.h"

/* Keys before and behind a token that all masks of the scores let through, -1: all of the text.
 * ST_UNSUPPORTED when a mask is neither open nor a window, or weighs keys. */
status enc_mask_span(struct enc *e, const struct graph_node *n, const struct enc_row *scores,
                     int64_t *left, int64_t *right, struct err *err);
/* A padding mask by its first form, one number a token or the length of each text: that nothing
 * is padding. */
bool enc_mask_open(const struct enc *e, int v);
