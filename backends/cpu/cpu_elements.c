/* SPDX-License-Identifier: MIT */
/* GatherElements, ScatterElements, TensorScatter: elements by an index of their own, and rows of a
 * cache at the position of each sequence. */
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

/* Offset in `x` of the element that stands at `flat` of `index`, with its coordinate on `axis`
 * replaced by the index there. False when that is out of range. */
static bool element_at(const struct tensor *x, const struct tensor *index, int axis, size_t flat,
                       size_t *out)
{
    const int64_t n = x->type.dim[axis];
    int64_t at = cpu_int_at(index, flat);
    size_t stride = 1;

    if (at < 0) at += n;
    if (at < 0 || at >= n) return false;
    *out = 0;
    for (int d = x->type.ndim - 1; d >= 0; d--) {
        const size_t dim = (size_t)index->type.dim[d], c = flat % dim;

        flat /= dim;
        *out += stride * (d == axis ? (size_t)at : c);
        stride *= (size_t)x->type.dim[d];
    }
    return true;
}

/* index has the rank of x, and but on the axis no dimension beyond it. */
static bool index_ok(const struct tensor *x, const struct tensor *index, int axis)
{
    if (axis < 0 || index->type.ndim != x->type.ndim ||
        (index->type.dtype != DT_I32 && index->type.dtype != DT_I64) ||
        cpu_size(x->type.dtype) == 0)
        return false;
    for (int d = 0; d < x->type.ndim; d++)
        if (d != axis && index->type.dim[d] > x->type.dim[d]) return false;
    return true;
}

void cpu_gatherelements(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *index = cpu_in(t, 1), *out = cpu_out(t, 0);
    const int axis = cpu_axis(t->call->attr.axis.axis, x->type.ndim);
    const size_t size = cpu_size(x->type.dtype), n = cpu_elements(index);

    if (!index_ok(x, index, axis) || cpu_elements(out) != n) {
        cpu_fail(t, ST_SHAPE, "indices do not fit the input or the output");
        return;
    }
    const struct cpu_share s = cpu_share(t, n, 64);
    for (size_t i = s.begin; i < s.end; i++) {
        size_t from;

        if (!element_at(x, index, axis, i, &from)) {
            cpu_fail(t, ST_INVALID, "index %lld is out of range", (long long)cpu_int_at(index, i));
            return;
        }
        memcpy((char *)out->data + i * size, (const char *)x->data + from * size, size);
    }
}

/* ---- ScatterElements ---- */

enum reduction { RED_NONE, RED_ADD, RED_MUL, RED_MAX, RED_MIN, RED_UNKNOWN };

static enum reduction reduction_of(const char *name)
{
    static const char *const names[] = { "none", "add", "mul", "max", "min" };

    for (int i = 0; i < RED_UNKNOWN; i++)
        if (strcmp(names[i], name) == 0) return (enum reduction)i;
    return RED_UNKNOWN;
}

#define REDUCE(a, b)                                                                               \
    (how == RED_ADD   ? (a) + (b)                                                                  \
     : how == RED_MUL ? (a) * (b)                                                                  \
     : how == RED_MAX ? ((a) > (b) ? (a) : (b))                                                    \
                      : ((a) < (b) ? (a) : (b)))

/* out[at] = reduction of what is there and update i. */
static void reduce_one(const struct tensor *out, size_t at, const struct tensor *updates, size_t i,
                       enum reduction how)
{
    const enum dtype dt = out->type.dtype;
    union cpu_chunk a, b;

    cpu_load(&a, out->data, dt, (int64_t)at, 1, 1);
    cpu_load(&b, updates->data, dt, (int64_t)i, 1, 1);
    switch (cpu_class_of(dt)) {
    case CPU_F32: a.f32[0] = REDUCE(a.f32[0], b.f32[0]); break;
    case CPU_F64: a.f64[0] = REDUCE(a.f64[0], b.f64[0]); break;
    case CPU_U64: a.u64[0] = REDUCE(a.u64[0], b.u64[0]); break;
    case CPU_I64: /* sums and products wrap */
        if (how == RED_ADD || how == RED_MUL)
            a.i64[0] = (int64_t)REDUCE((uint64_t)a.i64[0], (uint64_t)b.i64[0]);
        else
            a.i64[0] = REDUCE(a.i64[0], b.i64[0]);
        break;
    case CPU_NONE: break;
    }
    cpu_store(out->data, dt, at, &a, 1);
}

bool cpu_reduce_into(const struct tensor *out, size_t at, const struct tensor *updates, size_t i,
                     const char *reduction)
{
    const enum reduction how = reduction_of(reduction);

    if (how == RED_UNKNOWN || how == RED_NONE) return false;
    reduce_one(out, at, updates, i, how);
    return true;
}

/* Updates may meet at one element, so one worker writes them in order. */
void cpu_scatterelements(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *index = cpu_in(t, 1), *updates = cpu_in(t, 2),
                        *out = cpu_out(t, 0);
    const struct attrs_scatter *a = &t->call->attr.scatter;
    const int axis = cpu_axis(a->axis, x->type.ndim);
    const enum reduction how = reduction_of(a->reduction);
    const size_t size = cpu_size(x->type.dtype), n = cpu_elements(index);

    if (!index_ok(x, index, axis) || how == RED_UNKNOWN || cpu_elements(updates) != n ||
        updates->type.dtype != x->type.dtype) {
        cpu_fail(t, ST_SHAPE, "indices and updates do not fit the input");
        return;
    }
    if (t->worker != 0) return;
    if (out->data != x->data) memcpy(out->data, x->data, cpu_bytes(x));
    for (size_t i = 0; i < n; i++) {
        size_t to;

        if (!element_at(x, index, axis, i, &to)) {
            cpu_fail(t, ST_INVALID, "index %lld is out of range", (long long)cpu_int_at(index, i));
            return;
        }
        if (how == RED_NONE)
            memcpy((char *)out->data + to * size, (const char *)updates->data + i * size, size);
        else
            reduce_one(out, to, updates, i, how);
    }
}

/* ---- TensorScatter ---- */

struct cache {
    const struct tensor *past, *update, *at, *out;
    size_t outer, rows, new_rows, row_bytes, per_batch;
    bool circular;
};

static bool read_cache(const struct cpu_task *t, struct cache *c)
{
    const struct attrs_tensorscatter *a = &t->call->attr.tensorscatter;

    *c = (struct cache){
        .past = cpu_in(t, 0), .update = cpu_in(t, 1), .at = cpu_in(t, 2), .out = cpu_out(t, 0)
    };
    const struct tensor_type *x = &c->past->type, *u = &c->update->type;
    const int axis = cpu_axis(a->axis, x->ndim);
    c->circular = strcmp(a->mode, "circular") == 0;
    if (axis < 1 || u->ndim != x->ndim || u->dtype != x->dtype || cpu_size(x->dtype) == 0 ||
        (!c->circular && strcmp(a->mode, "linear") != 0))
        return false;
    for (int d = 0; d < x->ndim; d++)
        if (d != axis && u->dim[d] != x->dim[d]) return false;
    if (c->at && (cpu_elements(c->at) != (size_t)x->dim[0] ||
                  (c->at->type.dtype != DT_I64 && c->at->type.dtype != DT_I32)))
        return false;
    c->outer = cpu_span(c->past, 0, axis);
    c->per_batch = cpu_span(c->past, 1, axis);
    c->rows = (size_t)x->dim[axis];
    c->new_rows = (size_t)u->dim[axis];
    c->row_bytes = cpu_span(c->past, axis + 1, x->ndim) * cpu_size(x->dtype);
    return c->new_rows <= c->rows;
}

/* Each new row at the position its sequence has come to. */
void cpu_tensorscatter(const struct cpu_task *t)
{
    struct cache c;

    if (!read_cache(t, &c)) {
        cpu_fail(t, ST_SHAPE, "past, update and write_indices do not fit each other");
        return;
    }
    const struct cpu_share s = cpu_share(t, c.outer, 1);
    for (size_t o = s.begin; o < s.end; o++) {
        const int64_t first = c.at ? cpu_int_at(c.at, o / c.per_batch) : 0;
        char *out = (char *)c.out->data + o * c.rows * c.row_bytes;
        const char *past = (const char *)c.past->data + o * c.rows * c.row_bytes;
        const char *update = (const char *)c.update->data + o * c.new_rows * c.row_bytes;

        if (first < 0 || first > INT32_MAX ||
            (!c.circular && (size_t)first > c.rows - c.new_rows)) {
            cpu_fail(t, ST_INVALID, "write_indices %lld with %zu new rows of %zu", (long long)first,
                     c.new_rows, c.rows);
            return;
        }
        if (out != past) memcpy(out, past, c.rows * c.row_bytes);
        for (size_t i = 0; i < c.new_rows; i++)
            memcpy(out + ((size_t)first + i) % c.rows * c.row_bytes, update + i * c.row_bytes,
                   c.row_bytes);
    }
}
