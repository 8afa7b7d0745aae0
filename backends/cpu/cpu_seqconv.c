/* SPDX-License-Identifier: MIT */
/* SeqCausalConv: CausalConvWithState on rows of flattened tokens. A unit of work is a block of one
 * sequence's channels with all its tokens in order; its part of the sequence's state,
 * [(K - 1) * dilation][channels], is read and moved on in place. */
#include <string.h>

#include "backends/cpu/cpu_ops.h"

enum { CHANNELS = 128 }; /* of a unit */

/* The taps as the kernel walks them. */
struct conv_weights {
    struct prepared head; /* first */
    size_t channels, taps;
    float *w;    /* [taps][channels] */
    float *bias; /* [channels], or NULL */
};

struct seqconv {
    const struct tensor *x, *out;
    const struct conv_weights *weights;
    size_t channels, dilation, offset;
    bool silu;
};

static void weights_release(struct prepared *p)
{
    struct conv_weights *w = (struct conv_weights *)p;

    mem_free(w->w);
    mem_free(w->bias);
    mem_free(w);
}

/* [C, 1, K] -> [K][C], in f32. line: [K]. */
static void fill_weights(struct conv_weights *w, const struct tensor *from, float *line)
{
    for (size_t c = 0; c < w->channels; c++) {
        cpu_to_f32(line, from->data, from->type.dtype, c * w->taps, w->taps);
        for (size_t j = 0; j < w->taps; j++) w->w[j * w->channels + c] = line[j];
    }
}

static bool constant_ok(const struct tensor *x)
{
    return x && x->data && cpu_is_float(x->type.dtype) && type_known(&x->type);
}

status cpu_seqconv_prepare(struct cpu_backend *be, const struct op_call *call,
                           struct prepared **out, struct err *err)
{
    const struct tensor *from = cpu_call_in(call, 1), *bias = cpu_call_in(call, 2);

    (void)be;
    *out = NULL;
    if (!constant_ok(from) || from->type.ndim != 3 || from->type.dim[1] != 1 ||
        from->type.dim[2] < 1 ||
        (bias && (!constant_ok(bias) || cpu_elements(bias) != (size_t)from->type.dim[0])))
        return FAIL(err, ST_UNSUPPORTED, "%s: taps and bias are not constants", call->node);
    struct conv_weights *w = mem_calloc(1, sizeof *w);
    if (!w) return FAIL(err, ST_NOMEM, "%s: out of memory", call->node);
    w->head.release = weights_release;
    w->channels = (size_t)from->type.dim[0];
    w->taps = (size_t)from->type.dim[2];
    w->head.bytes = w->channels * (w->taps + 1) * sizeof *w->w;
    w->w = mem_calloc(w->channels * w->taps + 1, sizeof *w->w);
    if (bias) w->bias = mem_calloc(w->channels + 1, sizeof *w->bias);
    float *line = mem_calloc(w->taps, sizeof *line);
    if (!w->w || (bias && !w->bias) || !line) {
        mem_free(line);
        weights_release(&w->head);
        return FAIL(err, ST_NOMEM, "%s: out of memory", call->node);
    }
    fill_weights(w, from, line);
    mem_free(line);
    if (bias) cpu_to_f32(w->bias, bias->data, bias->type.dtype, 0, w->channels);
    *out = &w->head;
    return ST_OK;
}

static bool rows_ok(const struct cpu_task *t, const struct tensor *x, size_t channels)
{
    return x->type.dtype == DT_F32 && x->type.ndim == 2 && x->type.dim[0] == t->step->n_tokens &&
           (size_t)x->type.dim[1] == channels;
}

static bool read_call(const struct cpu_task *t, struct seqconv *c)
{
    const struct attrs_causalconv *a = &t->call->attr.causalconv;

    *c = (struct seqconv){ .x = cpu_in(t, 0),
                           .out = cpu_out(t, 0),
                           .weights = (const struct conv_weights *)t->prepared };
    if (!c->weights || a->ndim != 1 || a->dilation < 1 || a->dilation > INT16_MAX ||
        a->state_offset < 0)
        return false;
    c->silu = strcmp(a->activation, "silu") == 0 || strcmp(a->activation, "swish") == 0;
    if (!c->silu && strcmp(a->activation, "none") != 0) return false;
    c->channels = c->weights->channels;
    c->dilation = (size_t)a->dilation;
    c->offset = (size_t)a->state_offset;
    return rows_ok(t, c->x, c->channels) && rows_ok(t, c->out, c->channels);
}

static bool states_ok(const struct cpu_task *t, const struct seqconv *c)
{
    const size_t floats = (c->weights->taps - 1) * c->dilation * c->channels;

    for (int i = 0; i < t->step->n_seqs; i++)
        if (!checked_range(c->offset, floats, t->step->seqs[i].state->size / sizeof(float)))
            return false;
    return true;
}

/* Channels from `at` on of a sequence. */
static void run_block(const struct seqconv *c, const struct step_seq *seq, size_t at)
{
    const size_t n = c->channels - at < CHANNELS ? c->channels - at : CHANNELS;
    const size_t row = (size_t)seq->first * c->channels + at;
    const struct kern_causal_conv_args args = {
        .state = (float *)seq->state->host + c->offset + at,
        .x = (const float *)c->x->data + row,
        .w = c->weights->w + at,
        .bias = c->weights->bias ? c->weights->bias + at : NULL,
        .out = (float *)c->out->data + row,
        .state_stride = c->channels,
        .x_stride = c->channels,
        .w_stride = c->channels,
        .out_stride = c->channels,
        .n_tokens = (size_t)seq->n_tokens,
        .n_channels = n,
        .taps = c->weights->taps,
        .dilation = c->dilation,
    };

    kern.causal_conv_f32(&args);
    for (size_t i = 0; c->silu && i < args.n_tokens; i++)
        kern.silu_f32(args.out + i * c->channels, args.out + i * c->channels, n);
}

void cpu_seqconv(const struct cpu_task *t)
{
    struct seqconv c;

    if (!read_call(t, &c)) {
        cpu_fail(t, ST_SHAPE, "inputs, outputs and attributes do not fit each other");
        return;
    }
    if (!states_ok(t, &c)) {
        cpu_fail(t, ST_INVALID, "a sequence's state is too small");
        return;
    }
    const size_t blocks = (c.channels + CHANNELS - 1) / CHANNELS;
    const size_t units = (size_t)t->step->n_seqs * blocks;
    for (size_t u = cpu_take(t); u < units; u = cpu_take(t))
        run_block(&c, &t->step->seqs[u / blocks], u % blocks * CHANNELS);
}
