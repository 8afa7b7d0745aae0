/* SPDX-License-Identifier: MIT */
/* Fresh attention state. */
#include <math.h>
#include <string.h>

#include "kernels/attn/attn.h"

void kern_attn_begin(float *m, float *l, float *acc, size_t n_rows, size_t v_dim, size_t acc_stride,
                     const float *sink)
{
    for (size_t r = 0; r < n_rows; r++) {
        m[r] = sink ? sink[r] : -INFINITY;
        l[r] = sink ? 1.0f : 0.0f;
        memset(acc + r * acc_stride, 0, v_dim * sizeof *acc);
    }
}
