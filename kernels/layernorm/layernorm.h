/* SPDX-License-Identifier: MIT */
/* Layer normalisation of independent rows, alone and after a residual addition. */
#pragma once
#include <stddef.h>

#include "kernels/rmsnorm/rmsnorm.h"

/* out[r][c] = (in[r][c] - mean) / sqrt(var + eps) * weight[c] + beta[c]
 *
 * var is the mean of squared deviations, in two passes (no E[x^2] - mean^2 cancellation). `out` may
 * be `in`; no other overlap. */
struct kern_layernorm_args {
    const float *in;     /* [rows, cols] */
    const float *weight; /* [cols] or NULL */
    const float *beta;   /* [cols] or NULL */
    float *out;          /* [rows, cols] */
    size_t rows, cols;
    float eps;
};
typedef void kern_layernorm_f32_fn(const struct kern_layernorm_args *a);
typedef void kern_skip_layernorm_f32_fn(const struct kern_skip_norm_args *a);
