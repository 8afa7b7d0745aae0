/* SPDX-License-Identifier: MIT */
/* CausalConvWithState, one spatial dimension: each channel is convolved with taps of its own over
 * its own past. Output position l reads inputs l - (K - 1 - j) * dilation for tap j; what lies
 * before the first comes from the state, which holds the last (K - 1) * dilation inputs. */
#include <string.h>

#include "backends/cpu/cpu_ops.h"

struct conv {
    const struct tensor *x, *w, *bias, *past, *out, *present;
    size_t batch, channels, length, taps, dilation, state;
    bool silu;
};

static bool shape_is(const struct tensor *x, size_t a, size_t b, size_t c)
{
    return x && cpu_is_float(x->type.dtype) && x->type.ndim == 3 && (size_t)x->type.dim[0] == a &&
           (size_t)x->type.dim[1] == b && (size_t)x->type.dim[2] == c;
}

static bool read_call(const struct cpu_task *t, struct conv *c)
{
    const struct attrs_causalconv *a = &t->call->attr.causalconv;

    *c = (struct conv){ .x = cpu_in(t, 0),
                        .w = cpu_in(t, 1),
                        .bias = cpu_in(t, 2),
                        .past = cpu_in(t, 3),
                        .out = cpu_out(t, 0),
                        .present = cpu_out(t, 1) };
    if (a->ndim != 1 || a->dilation < 1 || a->dilation > INT16_MAX || a->state_window != 0 ||
        a->channels_last != 0 || c->x->type.ndim != 3 || c->w->type.ndim != 3 ||
        c->w->type.dim[2] < 1)
        return false;
    c->silu = strcmp(a->activation, "silu") == 0 || strcmp(a->activation, "swish") == 0;
    if (!c->silu && strcmp(a->activation, "none") != 0) return false;
    c->batch = (size_t)c->x->type.dim[0];
    c->channels = (size_t)c->x->type.dim[1];
    c->length = (size_t)c->x->type.dim[2];
    c->taps = (size_t)c->w->type.dim[2];
    c->dilation = (size_t)a->dilation;
    c->state = (c->taps - 1) * c->dilation;
    return shape_is(c->x, c->batch, c->channels, c->length) &&
           shape_is(c->out, c->batch, c->channels, c->length) &&
           shape_is(c->w, c->channels, 1, c->taps) &&
           (!c->bias ||
            (cpu_is_float(c->bias->type.dtype) && cpu_elements(c->bias) == c->channels)) &&
           (!c->past || shape_is(c->past, c->batch, c->channels, c->state)) &&
           (!c->present || shape_is(c->present, c->batch, c->channels, c->state));
}

/* Worker scratch: [state + length] inputs, [length] outputs, [taps]. */
static void run_channel(const struct conv *c, size_t b, size_t ch, float *in)
{
    float *out = in + c->state + c->length, *w = out + c->length;
    const size_t row = b * c->channels + ch;
    float bias = 0;

    if (c->past)
        cpu_to_f32(in, c->past->data, c->past->type.dtype, row * c->state, c->state);
    else
        memset(in, 0, c->state * sizeof *in);
    cpu_to_f32(in + c->state, c->x->data, c->x->type.dtype, row * c->length, c->length);
    cpu_to_f32(w, c->w->data, c->w->type.dtype, ch * c->taps, c->taps);
    if (c->bias) cpu_to_f32(&bias, c->bias->data, c->bias->type.dtype, ch, 1);
    for (size_t i = 0; i < c->length; i++) out[i] = bias;
    for (size_t j = 0; j < c->taps; j++) kern.axpy_f32(out, in + j * c->dilation, c->length, w[j]);
    if (c->silu) kern.silu_f32(out, out, c->length);
    cpu_from_f32(c->out->data, c->out->type.dtype, row * c->length, out, c->length);
    if (c->present)
        cpu_from_f32(c->present->data, c->present->type.dtype, row * c->state, in + c->length,
                     c->state);
}

void cpu_causalconv(const struct cpu_task *t)
{
    struct conv c;

    if (!read_call(t, &c)) {
        cpu_fail(t, ST_SHAPE, "inputs, outputs and attributes do not fit each other");
        return;
    }
    const struct cpu_share s = cpu_share(t, c.batch * c.channels, 1);
    for (size_t u = s.begin; u < s.end; u++)
        run_channel(&c, u / c.channels, u % c.channels, t->scratch);
}

status cpu_causalconv_scratch(const struct op_call *call, const struct prepared *p,
                              const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const struct tensor_type *x = &call->in[0].type, *w = &call->in[1].type;
    const int64_t dilation = call->attr.causalconv.dilation;
    size_t floats;

    (void)p;
    (void)b;
    if (x->ndim != 3 || w->ndim != 3 || dilation < 1 || dilation > INT16_MAX || w->dim[2] < 1 ||
        x->dim[2] < 0 || !checked_mul((size_t)w->dim[2], (size_t)dilation + 1, &floats) ||
        !checked_add(floats, 2 * (size_t)x->dim[2], &floats) ||
        !checked_mul(floats, sizeof(float), &out->worker))
        return FAIL(err, ST_SHAPE, "%s: shape of the convolution is not known", call->node);
    return ST_OK;
}
