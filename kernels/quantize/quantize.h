/* SPDX-License-Identifier: MIT */
/* Activations to int8, per row and block, for linear_q*_a8.
 *
 * For each block: scale = maxabs / 127, q = round-half-even(x * (127 / maxabs)); a block of zeros
 * (or of denormals too small to invert) has scale 0. A NaN or infinity in a block makes its scale
 * NaN (and q 0), so that a broken activation is seen in the output and not hidden.
 *
 * Rows are laid out in tiles of KERN_Q8_TILE; the last tile of a call has the m % 8 rows that are
 * left. In a tile of R rows, 4 values of each row stand side by side, so that a kernel reads one
 * forward stream whatever R is (R = 1 is a plain row). With blocks = ceil(k / block):
 *
 *     int8  q[blocks * block / 4][R][4]   zero past k
 *     f32   scale[blocks][R]
 *     i32   neg_sum[blocks][R]            minus the sum of the block's q
 *     i32   neg_sum8[blocks][R]           8 times that: where a symmetric int4 block begins
 *
 * Tile i begins at byte i * 8 * stride, stride = kern_q8_row_bytes(k, block), a multiple of 64; m
 * rows need m * stride bytes. linear_q*_a8 takes any run of whole tiles: it begins at a row that is
 * a multiple of 8 (x + row * stride). All variants give the same bits. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { KERN_Q8_TILE = 8 };

size_t kern_q8_row_bytes(size_t k, uint32_t block); /* 0 on overflow */

/* Quantises rows [first, first + count) of a matrix of m rows to their places in `out`. Threads may
 * share a matrix by rows, best by whole tiles. */
struct kern_quantize_args {
    const float *x;  /* row `first` of [m, k] */
    size_t x_stride; /* floats between rows */
    void *out;       /* of row 0: m * kern_q8_row_bytes(k, block) bytes, 4-byte aligned */
    size_t m;        /* rows of the whole matrix: they decide the tiles */
    size_t first, count;
    size_t k;
    uint32_t block; /* a multiple of 16, at most 256 */
};
typedef void kern_quantize_rows_q8_fn(const struct kern_quantize_args *a);
