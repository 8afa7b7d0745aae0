/* SPDX-License-Identifier: MIT */
/* Linear layers with block-quantised weights in the panels of linear_pack.h.
 *
 *     out[r][c] = bias[c] + sum over blocks b of
 *                     scale[c][b] * sum over k in b of x[r][k] * (q[c][k] - zp[c][b])
 *
 * Any m and n: kernels tile rows by themselves. A caller splits work over panels (w, bias and out
 * advance by 16 columns, n shrinks); for m beyond about 64 rows also over rows, so that activations
 * stay in L2. The result of a row does not depend on m or on the other rows.
 *
 * a8: x is quantised by quantize_rows_q8 with the same block (quantize.h). Within a block
 * everything is integer and exact, and blocks are added in order as
 *     acc = fma((float)dot, scale_x * scale_w, acc);  out = acc + bias
 * with dot = sum q_x * q_w - zp * sum q_x, so all variants give the same bits. zp: NONE or U8.
 *
 * f32: x is float; per block  acc = fma(s, scale, acc)  with s = sum of x * (q - zp) in float, or
 * of x * e2m1(q). Variants differ in the summation order of s only. Reads exactly k floats of each
 * row.
 *
 * w, x, out, bias do not overlap. Only columns < n of out are written. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "kernels/linear_pack/linear_pack.h"

struct kern_linear_a8_args {
    const void *w;     /* panels of this call's columns */
    const void *x;     /* m rows of quantize_rows_q8: whole tiles, see quantize.h */
    const float *bias; /* [n] or NULL */
    float *out;        /* [m, n] */
    size_t out_stride; /* floats between rows */
    size_t m, n, k;
    uint32_t block;
    uint32_t zp; /* enum kern_zp: NONE or U8 */
};
typedef void kern_linear_q4_a8_fn(const struct kern_linear_a8_args *a);
typedef void kern_linear_q8_a8_fn(const struct kern_linear_a8_args *a);

struct kern_linear_qf_args {
    const void *w;     /* panels of this call's columns */
    const float *x;    /* [m, k] */
    size_t x_stride;   /* floats between rows */
    const float *bias; /* [n] or NULL */
    float *out;        /* [m, n] */
    size_t out_stride; /* floats between rows */
    size_t m, n, k;
    uint32_t block;
    uint32_t zp; /* enum kern_zp: any */
};
typedef void kern_linear_q4_f32_fn(const struct kern_linear_qf_args *a);
typedef void kern_linear_q8_f32_fn(const struct kern_linear_qf_args *a);

/* Dequantises panels to a row-major [k][n] matrix for a foreign sgemm:
 * out[k][c] = (q - zp) * scale or e2m1(q) * scale, columns c < n, row stride out_stride floats. */
struct kern_dequant_panel_args {
    const void *w;
    float *out;
    size_t out_stride;
    size_t n, k;
    uint32_t block;
    uint32_t zp; /* enum kern_zp: any */
};
typedef void kern_dequant_panel_q4_fn(const struct kern_dequant_panel_args *a);
typedef void kern_dequant_panel_q8_fn(const struct kern_dequant_panel_args *a);
