/* SPDX-License-Identifier: MIT */
/* Fresh attention state. */
#include <math.h>
#include <string.h>

#include "kernels/attn/attn.h"

void kern_attn_begin(const struct kern_attn_state *st, size_t n_rows, size_t v_dim,
                     const float *sink)
{
    for (size_t r = 0; r < n_rows; r++) {
        st->m[r] = sink ? sink[r] : -INFINITY;
        st->l[r] = sink ? 1.0f : 0.0f;
        memset(st->acc + r * st->acc_stride, 0, v_dim * sizeof *st->acc);
    }
}
