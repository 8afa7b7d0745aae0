/* SPDX-License-Identifier: MIT */
/* ConvTranspose: for each output channel the products of its weights with the input, a block of
 * input positions at a time, added up where each tap puts them. Floats of up to 32 bits in f32,
 * doubles in f64. */
#include <string.h>

#include "backends/cpu/cpu_conv.h"
#include "backends/cpu/cpu_ops.h"

enum { BLOCK = 1024 }; /* input positions */

/* Elements of a worker's scratch: products [taps, BLOCK], input [c_each, BLOCK], weights
 * [c_each, taps], sums [out_space]; the last three only where the tensors' own are not used. */
struct plan {
    bool is_double, in_place;
    size_t size, products, input, weights, sums;
};

static bool plan_of(struct plan *p, const struct tensor_type *k, const struct tensor_type *out,
                    int64_t groups)
{
    size_t taps, space, c_each;

    if (groups < 1 || k->ndim < 2 || out->ndim != k->ndim || k->dim[0] < 0 ||
        !type_span(k, 2, k->ndim, &taps) || !type_span(out, 2, out->ndim, &space))
        return false;
    c_each = (size_t)(k->dim[0] / groups);
    p->is_double = !cpu_is_float(k->dtype);
    p->in_place = k->dtype == DT_F32 || p->is_double;
    p->size = p->is_double ? sizeof(double) : sizeof(float);
    p->sums = p->in_place ? 0 : space;
    return checked_mul(taps, BLOCK, &p->products) &&
           checked_mul(p->in_place ? 0 : c_each, BLOCK, &p->input) &&
           checked_mul(p->in_place ? 0 : c_each, taps, &p->weights) && taps <= INT32_MAX &&
           c_each <= INT32_MAX;
}

/* One output channel of one batch. */
struct channel {
    const struct conv *c;
    const struct plan *p;
    size_t n, m; /* batch, output channel of all groups */
    char *products, *input, *weights, *sums;
    size_t weights_stride;
};

/* Input positions [at, end): products of all taps, then each run to its place. */
static void add_block(const struct channel *ch, size_t at, size_t end)
{
    const struct conv *c = ch->c;
    const struct plan *p = ch->p;
    const size_t n = end - at, g = ch->m / c->m_each;
    const size_t x0 = (ch->n * c->groups + g) * c->c_each * c->space + at;
    const void *x = (const char *)c->x->data + x0 * p->size;
    const struct conv_gemm gemm = {
        p->is_double, true, c->taps, n, c->c_each, ch->weights_stride, p->in_place ? c->space : n, n
    };
    struct conv_tap_run run;

    if (!p->in_place) {
        x = ch->input;
        for (size_t i = 0; i < c->c_each; i++)
            conv_load_run(c->x, x0 + i * c->space, 1, n, false, ch->input + i * n * p->size);
    }
    memset(ch->products, 0, c->taps * n * p->size);
    if (c->c_each > 0) conv_gemm_add(&gemm, ch->weights, x, ch->products);
    for (size_t tap = 0; tap < c->taps; tap++) {
        struct conv_tap_walk walk = { &c->w, c->w.in, c->w.out, tap, at, end };

        while (conv_tap_next(&walk, &run)) {
            const void *from = ch->products + (tap * n + run.from - at) * p->size;
            void *to = ch->sums + run.to * p->size;

            for (size_t i = 0; i < run.n; i++) {
                if (p->is_double)
                    ((double *)to)[i * run.step] += ((const double *)from)[i];
                else
                    ((float *)to)[i * run.step] += ((const float *)from)[i];
            }
        }
    }
}

static void run_channel(const struct cpu_task *t, struct channel *ch)
{
    const struct conv *c = ch->c;
    const struct plan *p = ch->p;
    const size_t g = ch->m / c->m_each, mg = ch->m % c->m_each;
    const size_t out_at = (ch->n * c->groups * c->m_each + ch->m) * c->out_space;
    const size_t k0 = (g * c->c_each * c->m_each + mg) * c->taps;
    const double bias = c->bias ? cpu_get(c->bias, ch->m) : 0;

    ch->products = t->scratch;
    ch->input = ch->products + p->products * p->size;
    ch->sums = ch->input + p->input * p->size;
    ch->weights = ch->sums + p->sums * p->size;
    ch->weights_stride = c->taps;
    if (p->in_place) {
        ch->sums = (char *)c->out->data + out_at * p->size;
        ch->weights = (char *)c->k->data + k0 * p->size;
        ch->weights_stride = c->m_each * c->taps;
    }
    for (size_t i = 0; !p->in_place && i < c->c_each; i++)
        conv_load_run(c->k, k0 + i * c->m_each * c->taps, 1, c->taps, false,
                      ch->weights + i * c->taps * p->size);
    for (size_t i = 0; i < c->out_space; i++) {
        if (p->is_double)
            ((double *)(void *)ch->sums)[i] = bias;
        else
            ((float *)(void *)ch->sums)[i] = (float)bias;
    }
    for (size_t at = 0; at < c->space; at += BLOCK)
        add_block(ch, at, c->space - at < BLOCK ? c->space : at + BLOCK);
    if (!p->in_place)
        cpu_from_f32(c->out->data, c->out->type.dtype, out_at, (void *)ch->sums, c->out_space);
}

void cpu_conv_transpose(const struct cpu_task *t)
{
    struct conv c = { .x = cpu_in(t, 0),
                      .k = cpu_in(t, 1),
                      .bias = cpu_in(t, 2),
                      .out = cpu_out(t, 0),
                      .transposed = true };
    struct plan p;

    if (!conv_shapes(t, &c) || c.k->type.dtype != c.x->type.dtype ||
        !plan_of(&p, &c.k->type, &c.out->type, t->call->attr.window.group) || c.space > INT32_MAX ||
        c.m_each * c.taps > INT32_MAX) {
        cpu_fail(t, ST_SHAPE, "input, weights and output do not fit each other");
        return;
    }
    const size_t channels = c.groups * c.m_each;
    const struct cpu_share s = cpu_share(t, (size_t)c.x->type.dim[0] * channels, 1);
    for (size_t i = s.begin; i < s.end; i++) {
        struct channel ch = { .c = &c, .p = &p, .n = i / channels, .m = i % channels };

        run_channel(t, &ch);
    }
}

status cpu_conv_transpose_scratch(const struct op_call *call, const struct prepared *prepared,
                                  const struct cpu_bounds *bounds, struct cpu_scratch *out,
                                  struct err *err)
{
    const struct tensor *k = cpu_call_in(call, 1);
    struct plan p;
    size_t n;

    (void)prepared;
    (void)bounds;
    if (!k || !plan_of(&p, &k->type, &call->out[0].type, call->attr.window.group) ||
        !checked_add(p.products, p.input, &n) || !checked_add(n, p.weights, &n) ||
        !checked_add(n, p.sums, &n) || !checked_mul(n, p.size, &out->worker))
        return FAIL(err, ST_LIMIT, "%s: weights of unknown or too large shape", call->node);
    return ST_OK;
}
