/* SPDX-License-Identifier: MIT */
/* Reference of rotary position embedding. */
#include "kernels/rope/rope.h"

#include "kernels/kernels.h"

void kern_rope_half_f32_scalar(float *x, size_t n_heads, size_t head_stride, const float *cos,
                               const float *sin, size_t rot_dim)
{
    const size_t half = rot_dim / 2;

    for (size_t h = 0; h < n_heads; h++, x += head_stride)
        for (size_t i = 0; i < half; i++) {
            const float a = x[i], b = x[i + half];

            x[i] = a * cos[i] - b * sin[i];
            x[i + half] = a * sin[i] + b * cos[i];
        }
}

void kern_rope_pair_f32_scalar(float *x, size_t n_heads, size_t head_stride, const float *cos,
                               const float *sin, size_t rot_dim)
{
    for (size_t h = 0; h < n_heads; h++, x += head_stride)
        for (size_t i = 0; i < rot_dim / 2; i++) {
            const float a = x[2 * i], b = x[2 * i + 1];

            x[2 * i] = a * cos[i] - b * sin[i];
            x[2 * i + 1] = a * sin[i] + b * cos[i];
        }
}
