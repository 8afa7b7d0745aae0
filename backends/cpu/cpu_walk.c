/* SPDX-License-Identifier: MIT */
/* Walks over an index space with strided operands: broadcasting, transposition, slicing. */
#include <string.h>

#include "backends/cpu/cpu.h"

void cpu_walk_init(struct cpu_walk *w, const struct tensor *shape)
{
    memset(w, 0, sizeof *w);
    w->ndim = shape->type.ndim;
    w->n = cpu_elements(shape);
    for (int d = 0; d < w->ndim; d++) w->dim[d] = (size_t)shape->type.dim[d];
}

void cpu_walk_strides(struct cpu_walk *w, const int64_t *stride)
{
    for (int d = 0; d < w->ndim; d++) w->stride[w->n_operands][d] = stride[d];
    w->n_operands++;
}

bool cpu_walk_broadcast(struct cpu_walk *w, const struct tensor *x)
{
    int64_t stride[IR_DIMS_MAX] = { 0 }, step = 1;
    const int lead = w->ndim - x->type.ndim;

    if (lead < 0) return false;
    for (int d = w->ndim - 1; d >= lead; d--) {
        const size_t dim = (size_t)x->type.dim[d - lead];

        if (dim != w->dim[d] && dim != 1) return false;
        stride[d] = dim == 1 ? 0 : step;
        step *= (int64_t)dim;
    }
    cpu_walk_strides(w, stride);
    return true;
}

/* Whether dimension d can be walked as one with the kept dimension `to` outside it. */
static bool joins(const struct cpu_walk *w, int to, int d)
{
    for (int i = 0; i < w->n_operands; i++)
        if (w->stride[i][to] != w->stride[i][d] * (int64_t)w->dim[d]) return false;
    return true;
}

void cpu_walk_begin(struct cpu_walk *w, size_t begin, size_t end)
{
    int n = 0;

    for (int d = 0; d < w->ndim; d++) {
        if (w->dim[d] == 1) continue;
        const bool join = n > 0 && joins(w, n - 1, d);
        const int to = join ? n - 1 : n;

        w->dim[to] = join ? w->dim[to] * w->dim[d] : w->dim[d];
        for (int i = 0; i < w->n_operands; i++) w->stride[i][to] = w->stride[i][d];
        if (!join) n++;
    }
    if (n == 0) {
        w->dim[0] = 1;
        for (int i = 0; i < w->n_operands; i++) w->stride[i][0] = 0;
        n = 1;
    }
    w->ndim = n;
    w->at = begin;
    w->end = end < w->n ? end : w->n;
}

bool cpu_walk_next(struct cpu_walk *w, size_t n_max, struct cpu_piece *p)
{
    if (w->at >= w->end) return false;
    const int inner = w->ndim - 1;
    size_t rest = w->at / w->dim[inner], col = w->at % w->dim[inner];

    p->at = w->at;
    p->n = w->dim[inner] - col;
    if (p->n > w->end - w->at) p->n = w->end - w->at;
    if (p->n > n_max) p->n = n_max;
    for (int i = 0; i < w->n_operands; i++) {
        p->step[i] = w->stride[i][inner];
        p->off[i] = p->step[i] * (int64_t)col;
    }
    for (int d = inner - 1; d >= 0; d--) {
        const int64_t index = (int64_t)(rest % w->dim[d]);

        rest /= w->dim[d];
        for (int i = 0; i < w->n_operands; i++) p->off[i] += index * w->stride[i][d];
    }
    w->at += p->n;
    return true;
}
