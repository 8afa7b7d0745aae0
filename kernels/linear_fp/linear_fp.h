/* SPDX-License-Identifier: MIT */
/* Linear layers with plain weights in the [k][16] panels of linear_pack.h; f16 and bf16 weights
 * are widened in registers.
 *
 *     out[r][c] = sum over k of x[r][k] * w[c][k] + bias[c]
 *
 * Accumulation is fp32 (FMA, two interleaved chains over k in SIMD variants). Any m and n: the
 * kernel tiles rows itself (4..8 at a time), so it is both the GEMV of decode and a GEMM
 * micro-kernel with nr = 16 and kc = k. For m beyond about 64 call it on row chunks, so that
 * activations stay in L2. The result of a row does not depend on m.
 * Reads exactly k floats of each row of x; only columns < n of out are written. No overlap. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct kern_linear_fp_args {
    const void *w;     /* panels of this call's columns */
    const float *x;    /* [m, k] */
    size_t x_stride;   /* floats between rows */
    const float *bias; /* [n] or NULL */
    float *out;        /* [m, n] */
    size_t out_stride; /* floats between rows */
    size_t m, n, k;
};
typedef void kern_linear_f32_fn(const struct kern_linear_fp_args *a);
typedef void kern_linear_f16_fn(const struct kern_linear_fp_args *a);
typedef void kern_linear_bf16_fn(const struct kern_linear_fp_args *a);
