/* SPDX-License-Identifier: MIT */
/* TopK along any axis, of any number: the lower index first on ties; NaN counts as largest. */
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

/* An element in an order that integers have: `key` ascends with the value (descends when the
 * smallest are wanted). */
struct ranked {
    uint64_t key;
    size_t index;
};

static uint64_t key_of(const struct tensor *x, size_t at)
{
    const uint64_t top = (uint64_t)1 << 63;
    union cpu_chunk c;
    double v;
    uint64_t bits;

    cpu_load(&c, x->data, x->type.dtype, (int64_t)at, 1, 1);
    switch (cpu_class_of(x->type.dtype)) {
    case CPU_I64: return (uint64_t)c.i64[0] ^ top;
    case CPU_U64: return c.u64[0];
    case CPU_F32: v = (double)c.f32[0]; break;
    case CPU_F64: v = c.f64[0]; break;
    default: return 0;
    }
    if (v != v) return UINT64_MAX;
    v += 0.0; /* -0 equals 0 */
    memcpy(&bits, &v, sizeof bits);
    return bits & top ? ~bits : bits | top;
}

/* Whether a comes before b. */
static bool before(struct ranked a, struct ranked b)
{
    return a.key != b.key ? a.key > b.key : a.index < b.index;
}

/* Moves heap[i] down: the root is the one that goes first, the last in order. */
static void sift(struct ranked *heap, size_t n, size_t i)
{
    for (size_t child = 2 * i + 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && before(heap[child], heap[child + 1])) child++;
        if (!before(heap[i], heap[child])) return;
        const struct ranked x = heap[i];
        heap[i] = heap[child];
        heap[child] = x;
        i = child;
    }
}

/* n elements of x along the axis. */
struct lane {
    const struct tensor *x;
    size_t at, n, stride;
};

/* The first k of a lane, in order. */
static void best_of_lane(const struct lane *l, bool largest, struct ranked *heap, size_t k)
{
    for (size_t i = 0; i < l->n; i++) {
        const uint64_t key = key_of(l->x, l->at + i * l->stride);
        const struct ranked r = { largest ? key : ~key, i };

        if (i < k) {
            heap[i] = r;
            if (i + 1 == k)
                for (size_t j = k / 2; j-- > 0;) sift(heap, k, j);
        } else if (before(r, heap[0])) {
            heap[0] = r;
            sift(heap, k, 0);
        }
    }
    for (size_t m = k; m > 1; m--) { /* the last in order goes to the end */
        const struct ranked r = heap[0];
        heap[0] = heap[m - 1];
        heap[m - 1] = r;
        sift(heap, m - 1, 0);
    }
}

static bool fits(const struct tensor *x, const struct tensor *out, int axis)
{
    if (axis < 0 || !out || out->type.ndim != x->type.ndim ||
        out->type.dim[axis] > x->type.dim[axis])
        return false;
    for (int d = 0; d < x->type.ndim; d++)
        if (d != axis && out->type.dim[d] != x->type.dim[d]) return false;
    return true;
}

void cpu_topk(const struct cpu_task *t)
{
    const struct attrs_topk *a = &t->call->attr.topk;
    const struct tensor *x = cpu_in(t, 0), *values = cpu_out(t, 0), *indices = cpu_out(t, 1);
    const int axis = cpu_axis(a->axis, x->type.ndim);

    const struct tensor *out = values ? values : indices;

    if (!out || !fits(x, out, axis) || (values && values->type.dtype != x->type.dtype) ||
        (indices && (!fits(x, indices, axis) || indices->type.dtype != DT_I64 ||
                     indices->type.dim[axis] != out->type.dim[axis]))) {
        cpu_fail(t, ST_SHAPE, "input, outputs and axis do not fit each other");
        return;
    }
    const size_t n = (size_t)x->type.dim[axis], k = (size_t)out->type.dim[axis];
    const size_t inner = cpu_span(x, axis + 1, x->type.ndim), size = cpu_size(x->type.dtype);
    const struct cpu_share s = cpu_share(t, cpu_span(x, 0, axis) * inner, 1);
    struct ranked *heap = t->scratch;

    for (size_t lane = s.begin; k > 0 && lane < s.end; lane++) {
        const size_t from = lane / inner * n * inner + lane % inner;
        const size_t to = lane / inner * k * inner + lane % inner;

        best_of_lane(&(struct lane){ x, from, n, inner }, a->largest != 0, heap, k);
        for (size_t j = 0; j < k; j++) {
            const size_t at = to + j * inner;

            if (values)
                memcpy((char *)values->data + at * size,
                       (const char *)x->data + (from + heap[j].index * inner) * size, size);
            if (indices) ((int64_t *)indices->data)[at] = (int64_t)heap[j].index;
        }
    }
}

status cpu_topk_scratch(const struct op_call *call, const struct prepared *p,
                        const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const int which = call->out[0].type.dtype == DT_NONE && call->n_out > 1;
    const struct tensor_type *y = &call->out[which].type;
    const int axis = cpu_axis(call->attr.topk.axis, y->ndim);

    (void)p;
    (void)b;
    if (axis < 0 || y->dim[axis] < 0 ||
        !checked_mul((size_t)y->dim[axis], sizeof(struct ranked), &out->worker))
        return FAIL(err, ST_SHAPE, "%s: how many are wanted is not known", call->node);
    return ST_OK;
}
