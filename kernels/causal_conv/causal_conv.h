/* SPDX-License-Identifier: MIT */
/* Causal convolution, each channel with taps of its own: one sequence's tokens, channels side by
 * side, from its state and into it.
 *
 *     out[t][c]  = bias[c] + sum_j w[j][c] * in(t - (taps - 1 - j) * dilation)[c]
 *     in(u)      = x[u] for u >= 0, else state[span + u], span = (taps - 1) * dilation
 *
 * Afterwards the state holds the last span inputs. Summation runs over j in order after the bias,
 * so that a channel's result depends on the variant by the rounding of FMA only, and not on how
 * tokens are split into calls. Any sizes, taps and dilation at least 1; nothing overlaps. */
#pragma once
#include <stddef.h>

struct kern_causal_conv_args {
    float *state;                                        /* [span][n_channels], read and written */
    const float *x;                                      /* [n_tokens][n_channels] */
    const float *w;                                      /* [taps][n_channels] */
    const float *bias;                                   /* [n_channels], NULL: none */
    float *out;                                          /* [n_tokens][n_channels] */
    size_t state_stride, x_stride, w_stride, out_stride; /* floats between rows */
    size_t n_tokens, n_channels, taps, dilation;
};
typedef void kern_causal_conv_f32_fn(const struct kern_causal_conv_args *a);

/* Input row of position t - back. */
static inline const float *kern_causal_conv_row(const struct kern_causal_conv_args *a, size_t t,
                                                size_t back)
{
    const size_t span = (a->taps - 1) * a->dilation;

    return t >= back ? a->x + (t - back) * a->x_stride
                     : a->state + (span + t - back) * a->state_stride;
}

/* The last step of every variant: the state moves on by n_tokens. */
void kern_causal_conv_advance(const struct kern_causal_conv_args *a);
