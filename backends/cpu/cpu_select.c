/* SPDX-License-Identifier: MIT */
/* Elements chosen by indices or conditions: GatherND, ScatterND, OneHot, Compress, NonZero,
 * ReverseSequence. */
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

/* Flat index of the slice that the `depth` indices at `at` name, of dimensions `first`… of x. */
static bool nd_slice(const struct tensor *x, int first, const struct tensor *index, size_t at,
                     int depth, size_t *out)
{
    *out = 0;
    for (int k = 0; k < depth; k++) {
        const int64_t n = x->type.dim[first + k];
        int64_t i = cpu_int_at(index, at + (size_t)k);

        if (i < 0) i += n;
        if (i < 0 || i >= n) return false;
        *out = *out * (size_t)n + (size_t)i;
    }
    return true;
}

static int nd_depth(const struct tensor *index)
{
    return index->type.ndim > 0 ? (int)index->type.dim[index->type.ndim - 1] : -1;
}

void cpu_gathernd(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *index = cpu_in(t, 1), *out = cpu_out(t, 0);
    const int b = (int)t->call->attr.gathernd.batch_dims, depth = nd_depth(index);

    if (b < 0 || depth < 0 || b + depth > x->type.ndim || b >= index->type.ndim) {
        cpu_fail(t, ST_SHAPE, "indices do not fit the input");
        return;
    }
    const size_t slices = cpu_span(index, 0, index->type.ndim - 1);
    const size_t each = cpu_span(index, b, index->type.ndim - 1);
    const size_t outer = cpu_span(x, b, b + depth);
    const size_t bytes = cpu_span(x, b + depth, x->type.ndim) * cpu_size(x->type.dtype);
    if (cpu_elements(out) * cpu_size(x->type.dtype) != slices * bytes ||
        cpu_span(x, 0, b) != cpu_span(index, 0, b)) {
        cpu_fail(t, ST_SHAPE, "indices do not lead to the output's shape");
        return;
    }
    const struct cpu_share s = cpu_share(t, slices, 1);
    for (size_t i = s.begin; i < s.end; i++) {
        size_t from;

        if (!nd_slice(x, b, index, i * (size_t)depth, depth, &from)) {
            cpu_fail(t, ST_INVALID, "index %zu is out of range", i);
            return;
        }
        memcpy((char *)out->data + i * bytes,
               (const char *)x->data + (i / each * outer + from) * bytes, bytes);
    }
}

/* Updates may meet at one place, so one worker writes them in order. */
void cpu_scatternd(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *index = cpu_in(t, 1), *updates = cpu_in(t, 2);
    const struct tensor *out = cpu_out(t, 0);
    const int depth = nd_depth(index);
    const char *how = t->call->attr.scatter.reduction;

    if (t->worker != 0) return;
    if (depth < 0 || depth > x->type.ndim || updates->type.dtype != x->type.dtype ||
        cpu_elements(updates) !=
            cpu_span(index, 0, index->type.ndim - 1) * cpu_span(x, depth, x->type.ndim)) {
        cpu_fail(t, ST_SHAPE, "indices and updates do not fit the input");
        return;
    }
    const size_t inner = cpu_span(x, depth, x->type.ndim), size = cpu_size(x->type.dtype);
    if (out->data != x->data) memcpy(out->data, x->data, cpu_bytes(x));
    for (size_t i = 0; i < cpu_span(index, 0, index->type.ndim - 1); i++) {
        size_t to;

        if (!nd_slice(x, 0, index, i * (size_t)depth, depth, &to)) {
            cpu_fail(t, ST_INVALID, "index %zu is out of range", i);
            return;
        }
        for (size_t j = 0; strcmp(how, "none") != 0 && j < inner; j++)
            if (!cpu_reduce_into(out, to * inner + j, updates, i * inner + j, how)) {
                cpu_fail(t, ST_UNSUPPORTED, "reduction is '%s'", how);
                return;
            }
        if (strcmp(how, "none") == 0)
            memcpy((char *)out->data + to * inner * size,
                   (const char *)updates->data + i * inner * size, inner * size);
    }
}

/* indices, depth, values [off, on]; a new axis of `depth`. Indices out of range give off only. */
void cpu_onehot(const struct cpu_task *t)
{
    const struct tensor *index = cpu_in(t, 0), *values = cpu_in(t, 2), *out = cpu_out(t, 0);
    const int axis = cpu_axis(t->call->attr.axis_last.axis, out->type.ndim);
    const size_t size = cpu_size(out->type.dtype);

    if (axis < 0 || cpu_elements(values) != 2 || values->type.dtype != out->type.dtype) {
        cpu_fail(t, ST_SHAPE, "axis or values do not fit");
        return;
    }
    const int64_t depth = out->type.dim[axis];
    const size_t inner = cpu_span(out, axis + 1, out->type.ndim);
    if (depth < 1 || cpu_elements(index) * (size_t)depth != cpu_elements(out)) {
        if (depth > 0) cpu_fail(t, ST_SHAPE, "indices do not lead to the output's shape");
        return;
    }
    const struct cpu_share s = cpu_share(t, cpu_elements(out), 64);
    for (size_t i = s.begin; i < s.end; i++) {
        const size_t at = i / inner / (size_t)depth * inner + i % inner;
        double want = cpu_get(index, at);

        if (want < 0) want += (double)depth;
        const bool on = want == (double)(i / inner % (size_t)depth);
        memcpy((char *)out->data + i * size, (const char *)values->data + (on ? size : 0), size);
    }
}

/* Slices of the axis (or elements, without one) whose condition is true. */
void cpu_compress(const struct cpu_task *t)
{
    const struct attrs_compress *a = &t->call->attr.compress;
    const struct tensor *x = cpu_in(t, 0), *cond = cpu_in(t, 1), *out = cpu_out(t, 0);
    const int axis = a->has_axis ? cpu_axis(a->axis, x->type.ndim) : 0;
    const uint8_t *keep = cond->data;
    size_t n_keep = 0, to = 0;

    if (t->worker != 0 || axis < 0) return;
    const size_t dim = a->has_axis ? (size_t)x->type.dim[axis] : cpu_elements(x);
    const size_t outer = a->has_axis ? cpu_span(x, 0, axis) : 1;
    const size_t bytes =
        (a->has_axis ? cpu_span(x, axis + 1, x->type.ndim) : 1) * cpu_size(x->type.dtype);
    const size_t n = cpu_elements(cond) < dim ? cpu_elements(cond) : dim;
    for (size_t i = 0; i < n; i++) n_keep += keep[i] != 0;
    if (cpu_elements(out) * cpu_size(x->type.dtype) != outer * n_keep * bytes) {
        cpu_fail(t, ST_SHAPE, "the condition does not lead to the output's shape");
        return;
    }
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < n; i++)
            if (keep[i])
                memcpy((char *)out->data + to++ * bytes,
                       (const char *)x->data + (o * dim + i) * bytes, bytes);
}

/* x -> [rank, count]: the coordinates of what is not zero. */
void cpu_nonzero(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *out = cpu_out(t, 0);
    const size_t n = cpu_elements(x);
    const size_t count = out->type.ndim == 2 ? (size_t)out->type.dim[1] : 0;
    size_t at = 0;

    if (t->worker != 0) return;
    for (size_t i = 0; i < n; i++) {
        size_t rest = i;

        if (cpu_get(x, i) == 0) continue;
        if (at >= count) {
            cpu_fail(t, ST_SHAPE, "more elements than the output has room for");
            return;
        }
        for (int d = x->type.ndim - 1; d >= 0; d--) {
            ((int64_t *)out->data)[(size_t)d * count + at] =
                (int64_t)(rest % (size_t)x->type.dim[d]);
            rest /= (size_t)x->type.dim[d];
        }
        at++;
    }
}

/* The first sequence_lens[b] steps of each batch in reverse. */
void cpu_reversesequence(const struct cpu_task *t)
{
    const struct attrs_reversesequence *a = &t->call->attr.reversesequence;
    const struct tensor *x = cpu_in(t, 0), *lens = cpu_in(t, 1), *out = cpu_out(t, 0);
    const int time = (int)a->time_axis, batch = (int)a->batch_axis;

    if (time < 0 || time > 1 || batch != 1 - time || x->type.ndim < 2 ||
        cpu_elements(lens) != (size_t)x->type.dim[batch] || lens->type.dtype != DT_I64) {
        cpu_fail(t, ST_SHAPE, "axes or sequence_lens do not fit the input");
        return;
    }
    const size_t bytes = cpu_span(x, 2, x->type.ndim) * cpu_size(x->type.dtype);
    const size_t dim1 = (size_t)x->type.dim[1];
    const struct cpu_share s = cpu_share(t, cpu_span(x, 0, 2), 1);
    for (size_t i = s.begin; i < s.end; i++) {
        const size_t at[2] = { i / dim1, i % dim1 };
        const int64_t n = cpu_int_at(lens, at[batch]);
        size_t from[2] = { at[0], at[1] };

        if (n < 0 || n > x->type.dim[time]) {
            cpu_fail(t, ST_INVALID, "a sequence of %lld steps", (long long)n);
            return;
        }
        if ((int64_t)at[time] < n) from[time] = (size_t)n - 1 - at[time];
        memcpy((char *)out->data + i * bytes,
               (const char *)x->data + (from[0] * dim1 + from[1]) * bytes, bytes);
    }
}
