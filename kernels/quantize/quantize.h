/* SPDX-License-Identifier: MIT */
/* Activations to int8, per row and block, for linear_q*_a8.
 *
 * For each block: scale = maxabs / 127, q = round-half-even(x * (127 / maxabs)) clamped to
 * [-127, 127]; an all-zero block has scale 0. A NaN or infinity in a block makes its scale NaN
 * (and q 0), so that a broken activation is seen in the output and not hidden.
 *
 * A quantised row, blocks = ceil(k / block), is one record of kern_q8_row_bytes(k, block) bytes,
 * 64-byte aligned when the buffer is:
 *
 *     int8  q[blocks * block]     zero past k
 *     f32   scale[blocks]
 *     i32   neg_sum[blocks]       minus the sum of the block's q
 *
 * q has blocks * block bytes, a multiple of 16, so scale and neg_sum are 4-byte aligned.
 * The record's size is never a multiple of 4096 bytes, lest rows of a tile share L1 sets; use it
 * as the row stride. All variants give the same bits. */
#pragma once
#include <stddef.h>
#include <stdint.h>

size_t kern_q8_row_bytes(size_t k, uint32_t block); /* 0 on overflow */

struct kern_quantize_args {
    const float *x;    /* [m, k] */
    size_t x_stride;   /* floats between rows */
    void *out;         /* m records, 4-byte aligned */
    size_t out_stride; /* bytes between records, a multiple of 4 */
    size_t m, k;
    uint32_t block;    /* a multiple of 16 */
};
typedef void kern_quantize_rows_q8_fn(const struct kern_quantize_args *a);
