/* SPDX-License-Identifier: MIT */
/* What an attention mask lets through, found by computing it: exporters write masks in many ways,
 * but what comes out is causal, windowed, or everything. */
#pragma once
#include "engine/passes/passes.h"

/* Query at position p sees keys j <= p (causal) and j > p - window (0: no window). */
struct mask_shape {
    bool causal;
    int64_t window;
};

/* Computes `value` of the imported graph for several lengths, all of attention_mask ones, and fits
 * a shape to it. ST_UNSUPPORTED when it is none of these, or cannot be computed from lengths alone.
 */
status mask_probe(const struct graph *g, int value, const struct model_io_names *io,
                  struct backend *be, struct mask_shape *out, struct err *err);

/* Element i of a mask's values: 1 seen (true, or nothing is added), 0 hidden, -1 something else is
 * added. */
int mask_element(const struct tensor *t, size_t i);
