/* SPDX-License-Identifier: MIT */
#include "backends/cpu/cpu_window.h"

#include <string.h>

size_t cpu_product(const int64_t *v, int n)
{
    size_t p = 1;

    for (int i = 0; i < n; i++) p *= (size_t)v[i];
    return p;
}

bool cpu_window_of(const struct cpu_task *t, const struct tensor *x, const struct tensor *k,
                   const struct tensor *out, bool transposed, struct ir_window *w)
{
    const struct attrs_window *a = &t->call->attr.window;

    memset(w, 0, sizeof *w);
    w->n = x->type.ndim - 2;
    if (w->n < 0 || w->n > IR_SPACE_MAX || out->type.ndim != x->type.ndim ||
        (k && k->type.ndim != x->type.ndim))
        return false;
    for (int d = 0; d < w->n; d++) {
        w->in[d] = x->type.dim[d + 2];
        if (k) w->kernel[d] = k->type.dim[d + 2];
        if (k && w->kernel[d] < 1) return false;
    }
    if (!(transposed ? ir_window_transposed(w, a) : ir_window_fill(w, a))) return false;
    for (int d = 0; d < w->n; d++)
        if (w->out[d] != out->type.dim[d + 2] || w->kernel[d] < 1) return false;
    return true;
}

/* Flat indices of the present tap. */
static void taps_index(struct cpu_taps *p)
{
    p->in = p->kernel = 0;
    for (int d = 0; d < p->w->n; d++) {
        const int64_t pos = p->start[d] + p->at[d] * p->w->dilation[d];

        p->in = p->in * (size_t)p->w->in[d] + (size_t)pos;
        p->kernel = p->kernel * (size_t)p->w->kernel[d] + (size_t)p->at[d];
    }
}

bool cpu_taps_begin(struct cpu_taps *p, const struct ir_window *w, size_t out)
{
    p->w = w;
    for (int d = w->n - 1; d >= 0; d--) {
        const int64_t step = w->dilation[d];
        const int64_t start = (int64_t)(out % (size_t)w->out[d]) * w->stride[d] - w->pad[d];

        out /= (size_t)w->out[d];
        p->start[d] = start;
        p->lo[d] = start < 0 ? (-start + step - 1) / step : 0;
        p->hi[d] = start < w->in[d] ? (w->in[d] - 1 - start) / step + 1 : 0;
        if (p->hi[d] > w->kernel[d]) p->hi[d] = w->kernel[d];
        if (p->lo[d] >= p->hi[d]) return false;
        p->at[d] = p->lo[d];
    }
    taps_index(p);
    return true;
}

bool cpu_taps_next(struct cpu_taps *p)
{
    for (int d = p->w->n - 1; d >= 0; d--) {
        if (++p->at[d] < p->hi[d]) {
            taps_index(p);
            return true;
        }
        p->at[d] = p->lo[d];
    }
    return false;
}
