/* SPDX-License-Identifier: MIT */
/* Reductions of one array, and selection for sampling. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Index of the largest element; the first one on ties; NaN is never chosen. n when there is no
 * element that is a number. */
typedef size_t kern_argmax_f32_fn(const float *x, size_t n);

/* Largest element, NaN ignored; -inf when there is none. */
typedef float kern_reduce_max_f32_fn(const float *x, size_t n);

/* Sum; summation order is free. */
typedef float kern_reduce_sum_f32_fn(const float *x, size_t n);

/* Indices of the k largest, largest first, the lower index first on ties (-0 equals 0); NaN never.
 * k <= n < 2^32. Returns how many were found: k, or fewer when there are NaN. index: [k].
 * O(n + hits log k), meant for k far below n. */
typedef size_t kern_topk_f32_fn(uint32_t *index, const float *x, size_t n, size_t k);
