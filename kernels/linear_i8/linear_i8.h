/* SPDX-License-Identifier: MIT */
/* Integer matrix products with exact 32-bit sums, and what dynamic quantisation needs around them:
 * the range of an array, its bytes, and bytes as signed rows. Other than linear_q there are no
 * blocks: scales and zero points belong to whole tensors or columns and are applied by the caller.
 *
 * Weights lie in panels of KERN_NR columns; a panel is k in groups of 4, 64 bytes a group:
 *
 *     byte 4c+j of group g = w[column c][k = 4g+j], unsigned
 *
 * The last panel is padded with zeros, and so is k to a multiple of 4. */
#pragma once
#include <stddef.h>
#include <stdint.h>

size_t kern_i8_row_bytes(size_t k);   /* k rounded up to a multiple of 4; 0 on overflow */
size_t kern_i8_panel_bytes(size_t k); /* KERN_NR such rows; 0 on overflow */

/* Packs panel p of w [k][n] to out. Each byte is XORed with flip (0x80 makes signed bytes unsigned,
 * 128 more); padding is 0. sum [KERN_NR] gets the sum of each column's packed bytes over k. */
struct kern_i8_source {
    const uint8_t *w; /* [k][n] */
    size_t n, k;
    uint8_t flip;
};
void kern_pack_i8(uint8_t *out, int32_t *sum, const struct kern_i8_source *src, size_t p);
/* Of the panel only k in [first, first + count), in order: first 0 begins panel and sums. */
void kern_pack_i8_rows(uint8_t *out, int32_t *sum, const struct kern_i8_source *src, size_t p,
                       size_t first, size_t count);

/* out[r][c] = sum over k of w[c][k] * x[r][k], w unsigned, x signed, wrapping at 32 bits. */
struct kern_linear_i8_args {
    const uint8_t *w; /* panels of this call's columns */
    const int8_t *x;  /* [m] rows of kern_i8_row_bytes(k), zero beyond k */
    size_t x_stride;  /* bytes between rows */
    int32_t *out;     /* [m, n] */
    size_t out_stride;
    size_t m, n, k;
};
typedef void kern_linear_i8_fn(const struct kern_linear_i8_args *a);

/* range[0] = least, range[1] = largest element, 0 included and NaN ignored. */
typedef void kern_range_f32_fn(float range[2], const float *x, size_t n);

/* out[i] = x[i] / scale rounded to the nearest even integer, plus zero, kept within 0..255. A NaN
 * gives 0. All variants give the same bytes. */
typedef void kern_quantize_u8_fn(uint8_t *out, const float *x, size_t n, float scale, uint8_t zero);

/* out[i] = x[i] ^ flip as a signed byte; returns the sum of them. `out` may be `x`. */
typedef int32_t kern_signed_row_fn(int8_t *out, const uint8_t *x, size_t n, uint8_t flip);
