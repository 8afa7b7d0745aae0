/* SPDX-License-Identifier: MIT */
/* Rotary position embedding of all heads of one token, in place. */
#pragma once
#include <stddef.h>

/* For each head h < n_heads, x at h * head_stride floats, i < rot_dim / 2:
 *
 *     (a, b) -> (a * cos[i] - b * sin[i], a * sin[i] + b * cos[i])
 *
 * rope_half: a = x[i], b = x[i + rot_dim/2] (half split, most models);
 * rope_pair: a = x[2i], b = x[2i+1] (interleaved).
 * rot_dim is even; dimensions from rot_dim on are left alone (partial rotary). cos, sin:
 * [rot_dim / 2], any attention factor already multiplied in. */
typedef void kern_rope_half_f32_fn(float *x, size_t n_heads, size_t head_stride, const float *cos,
                                   const float *sin, size_t rot_dim);
typedef void kern_rope_pair_f32_fn(float *x, size_t n_heads, size_t head_stride, const float *cos,
                                   const float *sin, size_t rot_dim);
