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
