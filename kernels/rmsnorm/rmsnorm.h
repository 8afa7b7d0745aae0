/* SPDX-License-Identifier: MIT */
/* RMS normalisation of independent rows, alone and after a residual addition. */
#pragma once
#include <stddef.h>

/* out[r][c] = in[r][c] * weight[c] / sqrt(mean(in[r]^2) + eps)
 *
 * in, out: [rows, cols], contiguous. weight: [cols], or NULL for ones. `out` may be `in`; no other
 * overlap. Variants differ only in summation order. */
typedef void kern_rmsnorm_f32_fn(float *out, const float *in, const float *weight, size_t rows,
                                 size_t cols, float eps);

/* s = x + skip + bias;  out = norm(s), for RMS and layer normalisation alike.
 *
 * All matrices are [rows, cols], contiguous. sum may be x or skip, out may be x, skip or sum (then
 * it ends as the norm); no other overlap. */
struct kern_skip_norm_args {
    const float *x;
    const float *skip;
    size_t skip_rows;    /* row r uses skip row r % skip_rows; give `rows` for no broadcast */
    const float *bias;   /* [cols] or NULL */
    const float *weight; /* [cols] or NULL */
    const float *beta;   /* [cols] or NULL; layer norm only, ignored by RMS */
    float *sum;          /* s, or NULL when it is not wanted */
    float *out;
    size_t rows, cols;
    float eps;
};
typedef void kern_skip_rmsnorm_f32_fn(const struct kern_skip_norm_args *a);
