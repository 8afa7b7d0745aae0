/* SPDX-License-Identifier: MIT */
/* Softmax of independent rows. */
#pragma once
#include <stddef.h>

/* out[r][c] = exp(in[r][c] - max(in[r])) / sum, [rows, cols] contiguous. -inf gives 0; a row that
 * is all -inf gives zeros. `out` may be `in`. */
typedef void kern_softmax_f32_fn(float *out, const float *in, size_t rows, size_t cols);
