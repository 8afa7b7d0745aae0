/* SPDX-License-Identifier: MIT */
/* A row of keys or values on its way into a quantised cache:
 *
 *     q[i] = x[i] / scale[i * scale_step], to the nearest, halves to even, within [-128, 127] or
 *            [-8, 7]
 *
 * scale_step: 1: a scale a channel; 0: one for all. A scale of 0 counts as 1; a NaN becomes the
 * largest number. i8: n bytes. i4: (n + 1) / 2 bytes, q + 8, the low nibble first; the last high
 * nibble of an odd row is 0. No overlap. All variants give the same bits. */
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef void kern_kv_quant_i8_fn(int8_t *out, const float *x, const float *scale, size_t scale_step,
                                 size_t n);
typedef void kern_kv_quant_i4_fn(uint8_t *out, const float *x, const float *scale,
                                 size_t scale_step, size_t n);
