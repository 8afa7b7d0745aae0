/* SPDX-License-Identifier: MIT */
/* Element-wise arithmetic and activations, fp32. `out` may be any of the inputs (same start);
 * no other overlap.
 *
 * Error bounds of SIMD variants against exact arithmetic, checked over wide ranges:
 *   add sub mul div sqrt neg abs relu max min: correctly rounded;
 *   exp <= 2 ulp (results below 2^-126 within one denormal step); inf, 0 and NaN as libm;
 *   tanh, erf, sigmoid <= 4 ulp;
 *   silu, quick_gelu <= 6 ulp;
 *   gelu_*: |error| <= 6 eps |x|, eps = 2^-24 (the tail toward -inf is absolute, not relative).
 * NaN in gives NaN out, except max and min. */
#pragma once
#include <stddef.h>

/* out[i] = f(x[i]), i < n */
typedef void kern_unary_f32_fn(float *out, const float *x, size_t n);
typedef kern_unary_f32_fn kern_neg_f32_fn;
typedef kern_unary_f32_fn kern_abs_f32_fn;
typedef kern_unary_f32_fn kern_relu_f32_fn;
typedef kern_unary_f32_fn kern_sqrt_f32_fn;
typedef kern_unary_f32_fn kern_exp_f32_fn;
typedef kern_unary_f32_fn kern_tanh_f32_fn;
typedef kern_unary_f32_fn kern_erf_f32_fn;
typedef kern_unary_f32_fn kern_sigmoid_f32_fn;
typedef kern_unary_f32_fn kern_silu_f32_fn;       /* x * sigmoid(x) */
typedef kern_unary_f32_fn kern_quick_gelu_f32_fn; /* x * sigmoid(1.702 x) */
typedef kern_unary_f32_fn kern_gelu_erf_f32_fn;   /* x/2 * (1 + erf(x / sqrt 2)) */
/* x/2 * (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
typedef kern_unary_f32_fn kern_gelu_tanh_f32_fn;

/* out[i] = f(a[i], b[i]) */
typedef void kern_binary_f32_fn(float *out, const float *a, const float *b, size_t n);
typedef kern_binary_f32_fn kern_add_f32_fn;
typedef kern_binary_f32_fn kern_sub_f32_fn;
typedef kern_binary_f32_fn kern_mul_f32_fn;
typedef kern_binary_f32_fn kern_div_f32_fn;
typedef kern_binary_f32_fn kern_max_f32_fn; /* a > b ? a : b; NaN in either gives either */
typedef kern_binary_f32_fn kern_min_f32_fn;
typedef kern_binary_f32_fn kern_silu_mul_f32_fn;      /* silu(a) * b: the gate of SwiGLU */
typedef kern_binary_f32_fn kern_gelu_erf_mul_f32_fn;  /* gelu_erf(a) * b */
typedef kern_binary_f32_fn kern_gelu_tanh_mul_f32_fn; /* gelu_tanh(a) * b */

/* out[i] = fma(x[i], scale, shift): also x + scalar and x * scalar */
typedef void kern_affine_f32_fn(float *out, const float *x, size_t n, float scale, float shift);

/* out[r][c] = fma(x[r][c], scale, row[c]), [rows, cols] contiguous: bias with an optional factor */
typedef void kern_scale_add_row_f32_fn(float *out, const float *x, const float *row, size_t rows,
                                       size_t cols, float scale);
/* out[r][c] = x[r][c] * row[c] */
typedef void kern_mul_row_f32_fn(float *out, const float *x, const float *row, size_t rows,
                                 size_t cols);
/* y[i] = fma(x[i], scale, y[i]) */
typedef void kern_axpy_f32_fn(float *y, const float *x, size_t n, float scale);
