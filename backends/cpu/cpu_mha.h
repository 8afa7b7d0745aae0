/* SPDX-License-Identifier: MIT */
/* Multi-head attention over dense tensors, shared by com.microsoft's MultiHeadAttention and
 * Attention: operands gathered into f32 [B, N, rows, width] in shared scratch, then one task per
 * head and block of rows. */
#pragma once
#include "backends/cpu/cpu.h"

struct cpu_mha {
    size_t batch, heads, rows, past, keys, width, v_width; /* keys: new ones, without the past */
    float scale, filter;                                   /* filter: added where a mask says no */
    bool causal;
    const struct tensor *mask; /* i32: [B] or [2B] ends (and begins), [B,T], [B,S,T]; or NULL */
    const struct tensor *bias; /* [1|B, 1|N, S, T] floats, added to the scores; or NULL */
};

/* A tensor's rows of one head, by strides in elements. */
struct cpu_mha_source {
    const struct tensor *x;
    size_t offset, batch_step, row_step, head_step;
    const struct tensor *bias; /* [heads * width] from bias_offset, or NULL */
    size_t bias_offset;
};

/* Keys a score row has: past and new. */
size_t cpu_mha_total(const struct cpu_mha *m);
/* Whether mask and bias are of a form that this knows. */
bool cpu_mha_masks_fit(const struct cpu_mha *m);
/* Bytes of the three gathered operands in shared scratch, and of a worker's scratch; false on
 * overflow. */
bool cpu_mha_scratch_bytes(const struct cpu_mha *m, size_t *shared, size_t *worker);

/* The operands' places in shared scratch. */
struct cpu_mha_buffers {
    float *q, *k, *v; /* [B, N, rows, width], [B, N, total, width], [B, N, total, v_width] */
};
struct cpu_mha_buffers cpu_mha_buffers(const struct cpu_mha *m, void *shared);

/* Rows of every head in a gathered operand: `rows` from row `first` of `total` on. */
struct cpu_mha_rows {
    float *operand; /* [B, N, total, width] */
    size_t total, width;
    size_t first, rows;
};
/* Fills them from a tensor. */
void cpu_mha_gather(const struct cpu_task *t, const struct cpu_mha *m,
                    const struct cpu_mha_source *from, struct cpu_mha_rows to);
/* After a cpu_sync: attention of all heads to out [B, S, N * v_width]. */
void cpu_mha_run(const struct cpu_task *t, const struct cpu_mha *m, const struct cpu_mha_buffers *b,
                 const struct tensor *out);
/* All of a gathered operand to a tensor of as many elements. */
void cpu_mha_put(const struct cpu_task *t, const float *from, const struct tensor *out,
                 size_t offset, size_t n);
