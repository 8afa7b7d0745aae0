/* SPDX-License-Identifier: MIT */
/* Causal convolution against double precision; the state must be the last inputs, bit by bit, and
 * tokens fed in two calls must give what one call gives, bit by bit. */
#include <math.h>
#include <string.h>

#include "tests/checkkernel/check.h"

struct shape {
    size_t n_tokens, n_channels, taps, dilation,
        gap; /* gap: floats between rows, more than needed */
    bool bias;
};

static double input_at(const float *state, const struct kern_causal_conv_args *a, size_t t,
                       size_t back, size_t c)
{
    const size_t span = (a->taps - 1) * a->dilation;

    return (double)(t >= back ? a->x[(t - back) * a->x_stride + c]
                              : state[(span + t - back) * a->state_stride + c]);
}

/* taps products and sums, each within EPS of the sizes summed. */
static void check_values(struct check *t, const float *state, const struct kern_causal_conv_args *a)
{
    const size_t span = (a->taps - 1) * a->dilation;

    for (size_t i = 0; i < a->n_tokens; i++)
        for (size_t c = 0; c < a->n_channels; c++) {
            double want = a->bias ? (double)a->bias[c] : 0, size = fabs(want);

            for (size_t j = 0; j < a->taps; j++) {
                const double w = (double)a->w[j * a->w_stride + c];
                const double x = input_at(state, a, i, (a->taps - 1 - j) * a->dilation, c);
                want += w * x;
                size += fabs(w * x);
            }
            check_near(t, (double)a->out[i * a->out_stride + c], want,
                       (double)(a->taps + 2) * EPS * size, AT("out", i, c));
        }
    for (size_t i = 0; i < span; i++)
        for (size_t c = 0; c < a->n_channels; c++) {
            const float want = i + a->n_tokens < span
                                   ? state[(i + a->n_tokens) * a->state_stride + c]
                                   : a->x[(i + a->n_tokens - span) * a->x_stride + c];
            check_same(t, &a->state[i * a->state_stride + c], &want, sizeof want,
                       AT("state", i, c));
        }
}

static void run_shape(struct check *t, kern_causal_conv_f32_fn *fn, const struct shape *s)
{
    const size_t n = s->n_tokens, stride = s->n_channels + s->gap,
                 span = (s->taps - 1) * s->dilation, half = n / 2;
    const size_t rows = n ? (n - 1) * stride + s->n_channels : 0;
    const size_t state_n = span ? (span - 1) * stride + s->n_channels : 0;
    float *before = check_floats(t, state_n, -1, 1);
    struct kern_causal_conv_args a = { .state = check_output(t, state_n),
                                       .x = check_floats(t, rows, -1, 1),
                                       .w = check_floats(t, s->taps * stride, -1, 1),
                                       .bias =
                                           s->bias ? check_floats(t, s->n_channels, -1, 1) : NULL,
                                       .out = check_output(t, rows),
                                       .state_stride = stride,
                                       .x_stride = stride,
                                       .w_stride = stride,
                                       .out_stride = stride,
                                       .n_tokens = n,
                                       .n_channels = s->n_channels,
                                       .taps = s->taps,
                                       .dilation = s->dilation };
    float *two = check_output(t, rows);

    memcpy(a.state, before, state_n * sizeof *before);
    fn(&a);
    check_values(t, before, &a);

    struct kern_causal_conv_args part = a;
    memcpy(a.state, before, state_n * sizeof *before);
    part.out = two;
    part.n_tokens = half;
    fn(&part);
    part.x += half * stride;
    part.out += half * stride;
    part.n_tokens = n - half;
    fn(&part);
    for (size_t i = 0; i < n; i++)
        check_same(t, two + i * stride, a.out + i * stride, s->n_channels * sizeof *two,
                   AT("two calls", i, 0));
    check_free(t);
}

void check_causal_conv_f32(struct check *t, kern_causal_conv_f32_fn *fn)
{
    static const struct shape shapes[] = {
        { 1, 1, 1, 1, 0, false },  { 1, 7, 3, 1, 0, false },  { 2, 16, 4, 1, 0, true },
        { 5, 33, 4, 1, 3, true },  { 9, 64, 3, 2, 0, false }, { 3, 128, 4, 3, 64, true },
        { 0, 8, 4, 1, 0, false },  { 6, 100, 2, 5, 0, true }, { 17, 31, 8, 1, 1, false },
        { 4, 129, 1, 7, 0, true },
    };

    for (size_t i = 0; i < COUNT(shapes); i++) run_shape(t, fn, &shapes[i]);

    enum { C = 2048, K = 4, N = 64 };
    struct kern_causal_conv_args a = { .state = check_floats(t, (K - 1) * C, -1, 1),
                                       .x = check_floats(t, N * C, -1, 1),
                                       .w = check_floats(t, K * C, -1, 1),
                                       .bias = check_floats(t, C, -1, 1),
                                       .out = check_output(t, N * C),
                                       .state_stride = C,
                                       .x_stride = C,
                                       .w_stride = C,
                                       .out_stride = C,
                                       .n_tokens = N,
                                       .n_channels = C,
                                       .taps = K,
                                       .dilation = 1 };
    CHECK_BENCH(t, "64 tokens", 2.0 * N * C * sizeof(float), 2.0 * K * N * C, fn(&a));
    a.n_tokens = 1;
    CHECK_BENCH(t, "1 token", (4.0 * K) * C * sizeof(float), 2.0 * K * C, fn(&a));
    check_free(t);
}
