/* SPDX-License-Identifier: MIT */
/* What every variant of the causal convolution ends with. */
#include <string.h>

#include "kernels/kernels.h"

void kern_causal_conv_advance(const struct kern_causal_conv_args *a)
{
    const size_t span = (a->taps - 1) * a->dilation, n = a->n_tokens;

    if (n == 0) return;
    /* Row i becomes the input `n` further on; ascending, so that nothing is overwritten unread. */
    for (size_t i = 0; i < span; i++) {
        const float *from = i + n < span ? a->state + (i + n) * a->state_stride
                                         : a->x + (i + n - span) * a->x_stride;

        memcpy(a->state + i * a->state_stride, from, a->n_channels * sizeof *from);
    }
}
