/* SPDX-License-Identifier: MIT */
/* What an attention mask lets through, found by computing it: exporters write masks in many ways,
 * but what comes out is causal, windowed, or everything. */
#pragma once
#include "engine/passes/length_eval.h"

/* Query at position p sees keys j <= p (causal) and j > p - window (0: no window). */
struct mask_shape {
    bool causal;
    int64_t window;
};

/* Fits a shape to `value`, computed for several lengths, all of attention_mask ones. `inverted`: a
 * bool mask hides where it is true. ST_UNSUPPORTED when it is none of these, or cannot be computed
 * from lengths alone. */
status mask_probe(struct length_eval *e, int value, bool inverted, struct mask_shape *out,
                  struct err *err);

/* Element i of a mask's values: 1 seen (true, or nothing is added), 0 hidden, -1 something else is
 * added. */
int mask_element(const struct tensor *t, size_t i);
