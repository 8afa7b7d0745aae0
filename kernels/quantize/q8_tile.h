/* SPDX-License-Identifier: MIT */
/* Where the parts of a quantised tile are; for kernels and their checker. Layout in quantize.h. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct q8_tile {
    int8_t *q;
    float *scale;
    int32_t *neg_sum, *neg_sum8;
};

/* The tile of `rows` rows at `base`. */
struct q8_tile q8_tile_at(const void *base, size_t rows, size_t blocks, uint32_t block);

/* How many rows the tile of row r has, in a matrix of m rows. */
static inline size_t q8_tile_rows(size_t m, size_t r) { return m - r / 8 * 8 < 8 ? m % 8 : 8; }
