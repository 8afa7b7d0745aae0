/* SPDX-License-Identifier: MIT */
/* Linear layers with packed constant weights: what prepare keeps. */
#pragma once
#include "backends/cpu/cpu.h"

enum cpu_linear_kind {
    CPU_LIN_F32,
    CPU_LIN_F16,
    CPU_LIN_BF16,
    CPU_LIN_Q4_F32, /* block-quantised weights, float activations */
    CPU_LIN_Q8_F32,
    CPU_LIN_Q4_A8, /* block-quantised weights, activations quantised by row and block */
    CPU_LIN_Q8_A8,
};

/* y[m][n] = x[m][k] * W[n][k]^T + bias. Weights lie in the panels of kernels/linear_pack. */
struct cpu_linear {
    struct prepared head;
    enum cpu_linear_kind kind;
    size_t n, k, n_panels, panel_bytes;
    uint32_t block, zp;        /* quantised kinds; zp: enum kern_zp */
    char *panels;              /* [n_panels] */
    struct cpu_shared *shared; /* whose the panels are; NULL: this layer's own */
    float *bias;               /* [n] or NULL */
};

/* Rows of activations as the kernels want them: f32, or quantised records (kernels/quantize). */
struct cpu_rows {
    const char *data;
    size_t stride; /* bytes */
};
size_t cpu_linear_row_bytes(const struct cpu_linear *l);
/* A block of the product: m rows from `row` on (quantised: a multiple of KERN_Q8_TILE), n columns
 * from the first of `panel` on. */
struct cpu_block {
    size_t row, m, panel, n;
};
/* out[m][n] */
void cpu_linear_block(const struct cpu_linear *l, const struct cpu_rows *x,
                      const struct cpu_block *b, float *out, size_t out_stride);

static inline bool cpu_linear_is_a8(const struct cpu_linear *l)
{
    return l->kind == CPU_LIN_Q4_A8 || l->kind == CPU_LIN_Q8_A8;
}
static inline bool cpu_linear_is_quantised(const struct cpu_linear *l)
{
    return l->kind >= CPU_LIN_Q4_F32;
}

/* A plain matrix as linear layer. */
struct cpu_plain_layer {
    struct kern_plain_source w; /* W element (n, k) at n * stride_n + k * stride_k */
    enum dtype dtype;           /* of W */
    const struct tensor *bias;  /* any float tensor of n elements, or NULL */
};
status cpu_linear_pack_plain(struct cpu_backend *be, const struct op_call *call,
                             const struct cpu_plain_layer *layer, struct prepared **out,
                             struct err *err);
