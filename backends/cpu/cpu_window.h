/* SPDX-License-Identifier: MIT */
/* Walking the taps of a window (ir_window) at one output position. */
#pragma once
#include "backends/cpu/cpu.h"

/* The taps that stand on the input: on dimension d those in [lo, hi). */
struct cpu_taps {
    const struct ir_window *w;
    int64_t at[IR_SPACE_MAX], lo[IR_SPACE_MAX], hi[IR_SPACE_MAX];
    int64_t start[IR_SPACE_MAX]; /* where tap 0 stands */
    size_t in, kernel;           /* flat index of the tap's place in the input, in the kernel */
};

/* Window of the spatial dimensions of x [N, C, …] with a kernel of those of k (NULL: by
 * attributes); false when it does not lead to those of out. */
bool cpu_window_of(const struct cpu_task *t, const struct tensor *x, const struct tensor *k,
                   const struct tensor *out, bool transposed, struct ir_window *w);
/* First tap of output position `out` (flat); false when no tap stands on the input. */
bool cpu_taps_begin(struct cpu_taps *p, const struct ir_window *w, size_t out);
bool cpu_taps_next(struct cpu_taps *p);
/* Product of n numbers. */
size_t cpu_product(const int64_t *v, int n);
