/* SPDX-License-Identifier: MIT */
/* Pools, plain: MaxPool, AveragePool, LpPool, their global forms, MaxUnpool. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"
#include "backends/cpu/cpu_window.h"

struct pool {
    const struct tensor *x, *out, *indices;
    struct ir_window w;
    size_t space, out_space;
};

static bool is_global(enum op_kind op)
{
    return op == OP_GLOBALMAXPOOL || op == OP_GLOBALAVERAGEPOOL || op == OP_GLOBALLPPOOL;
}

/* A global pool is one window over everything. */
static bool pool_window(const struct cpu_task *t, struct pool *p)
{
    if (!is_global(t->call->op)) return cpu_window_of(t, p->x, NULL, p->out, false, &p->w);
    p->w.n = p->x->type.ndim - 2;
    if (p->w.n < 0 || p->out->type.ndim != p->x->type.ndim) return false;
    for (int d = 0; d < p->w.n; d++) {
        p->w.in[d] = p->w.kernel[d] = p->x->type.dim[d + 2];
        p->w.out[d] = p->w.stride[d] = p->w.dilation[d] = 1;
        if (p->out->type.dim[d + 2] != 1) return false;
    }
    return true;
}

/* Taps of the window, those on pads included (but not those behind the last pad). */
static double padded_count(const struct cpu_taps *p)
{
    double n = 1;

    for (int d = 0; d < p->w->n; d++) {
        const int64_t room = p->w->in[d] + p->w->pad_end[d] - 1 - p->start[d];
        const int64_t taps = room / p->w->dilation[d] + 1;

        n *= (double)(taps < p->w->kernel[d] ? taps : p->w->kernel[d]);
    }
    return n;
}

/* Index of a place in a plane with its first dimension running fastest. */
static size_t column_major(const struct ir_window *w, size_t at)
{
    size_t coord[IR_SPACE_MAX] = { 0 }, out = 0;

    for (int d = w->n - 1; d >= 0; d--) {
        coord[d] = at % (size_t)w->in[d];
        at /= (size_t)w->in[d];
    }
    for (int d = w->n - 1; d >= 0; d--) out = out * (size_t)w->in[d] + coord[d];
    return out;
}

struct pooled {
    double max, sum, n;
    size_t arg;
};

static double power_of(double x, int64_t p)
{
    x = fabs(x);
    return p == 1 ? x : p == 2 ? x * x : pow(x, (double)p);
}

static struct pooled pool_window_at(const struct pool *p, const struct op_call *c, size_t plane,
                                    size_t o)
{
    const bool lp = c->op == OP_LPPOOL || c->op == OP_GLOBALLPPOOL;
    struct pooled r = { .max = -INFINITY };
    struct cpu_taps taps;

    for (bool more = cpu_taps_begin(&taps, &p->w, o); more; more = cpu_taps_next(&taps)) {
        const double v = cpu_get(p->x, plane * p->space + taps.in);

        if (r.n == 0 || v > r.max || v != v) {
            r.max = v;
            r.arg = taps.in;
        }
        r.sum += lp ? power_of(v, c->attr.window.p) : v;
        r.n++;
    }
    if (c->attr.window.count_include_pad && r.n > 0) r.n = padded_count(&taps);
    return r;
}

static double pool_value(const struct op_call *c, const struct pooled *r)
{
    switch (c->op) {
    case OP_MAXPOOL:
    case OP_GLOBALMAXPOOL: return r->max;
    case OP_LPPOOL:
    case OP_GLOBALLPPOOL: return pow(r->sum, 1.0 / (double)c->attr.window.p);
    default: return r->n > 0 ? r->sum / r->n : 0;
    }
}

void cpu_pool(const struct cpu_task *t)
{
    struct pool p = { .x = cpu_in(t, 0), .out = cpu_out(t, 0), .indices = cpu_out(t, 1) };
    const struct tensor *any = p.out ? p.out : p.indices;

    if (!p.out) p.out = any;
    if (!any || !pool_window(t, &p) || cpu_span(p.x, 0, 2) != cpu_span(any, 0, 2) ||
        (p.indices &&
         (p.indices->type.dtype != DT_I64 || cpu_elements(p.indices) != cpu_elements(any)))) {
        cpu_fail(t, ST_SHAPE, "the window does not lead to the output's shape");
        return;
    }
    p.space = cpu_product(p.w.in, p.w.n);
    p.out_space = cpu_product(p.w.out, p.w.n);
    const struct cpu_share s = cpu_share(t, cpu_elements(any), 64);
    for (size_t i = s.begin; i < s.end; i++) {
        const size_t plane = i / p.out_space;
        const struct pooled r = pool_window_at(&p, t->call, plane, i % p.out_space);

        if (cpu_out(t, 0)) cpu_put(p.out, i, pool_value(t->call, &r));
        if (!p.indices) continue;
        const size_t at = t->call->attr.window.storage_order ? column_major(&p.w, r.arg) : r.arg;
        ((int64_t *)p.indices->data)[i] = (int64_t)(plane * p.space + at);
    }
}

/* Index `flat` of a tensor of the pooled shape, as an index of `out`; false beyond it. */
static bool unpool_to(const struct tensor *out, const int64_t *plain, size_t flat, size_t *to)
{
    size_t stride = 1;

    *to = 0;
    for (int d = out->type.ndim - 1; d >= 0; d--) {
        const size_t c = flat % (size_t)plain[d];

        flat /= (size_t)plain[d];
        if (c >= (size_t)out->type.dim[d]) return false;
        *to += c * stride;
        stride *= (size_t)out->type.dim[d];
    }
    return flat == 0;
}

/* Indices count in the shape that undoes the pool, whatever output_shape says. */
void cpu_maxunpool(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *index = cpu_in(t, 1), *out = cpu_out(t, 0);
    struct ir_window w = { .n = x->type.ndim - 2 };
    int64_t plain[IR_DIMS_MAX] = { 0 };
    size_t to;

    if (t->worker != 0) return;
    memset(out->data, 0, cpu_bytes(out));
    for (int d = 0; d < w.n; d++) w.in[d] = x->type.dim[d + 2];
    if (w.n < 1 || out->type.ndim != x->type.ndim || cpu_elements(index) != cpu_elements(x) ||
        index->type.dtype != DT_I64 || !ir_window_transposed(&w, &t->call->attr.window)) {
        cpu_fail(t, ST_SHAPE, "input, indices and output do not fit each other");
        return;
    }
    for (int d = 0; d < x->type.ndim; d++) plain[d] = d < 2 ? x->type.dim[d] : w.out[d - 2];
    for (int d = 0; d < x->type.ndim; d++)
        if (plain[d] < 1) return;
    for (size_t i = 0; i < cpu_elements(x); i++) {
        const int64_t at = cpu_int_at(index, i);

        if (at < 0 || !unpool_to(out, plain, (size_t)at, &to)) {
            cpu_fail(t, ST_INVALID, "index %lld is out of range", (long long)at);
            return;
        }
        cpu_put(out, to, cpu_get(x, i));
    }
}
