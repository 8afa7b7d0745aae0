/* SPDX-License-Identifier: MIT */
/* Reference of the causal convolution: channel by channel. */
#include "kernels/kernels.h"

void kern_causal_conv_f32_scalar(const struct kern_causal_conv_args *a)
{
    for (size_t t = 0; t < a->n_tokens; t++)
        for (size_t c = 0; c < a->n_channels; c++) {
            float sum = a->bias ? a->bias[c] : 0;

            for (size_t j = 0; j < a->taps; j++)
                sum += a->w[j * a->w_stride + c] *
                       kern_causal_conv_row(a, t, (a->taps - 1 - j) * a->dilation)[c];
            a->out[t * a->out_stride + c] = sum;
        }
    kern_causal_conv_advance(a);
}
