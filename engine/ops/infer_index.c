/* SPDX-License-Identifier: MIT */
/* Inference of operators that join, cut and pick: Concat, Split, Slice, Gather, and reductions
 * along axes. */
#include "engine/ops/infer.h"
#include <inttypes.h>
#include <string.h>

/* ---- concat, split ---- */

status infer_concat(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    struct tensor_type out = { .dtype = call->in[0].type.dtype, .ndim = -1 };
    int axis = 0;

    for (int i = 0; i < call->n_in; i++) {
        const struct tensor_type *x = &call->in[i].type;

        if (!infer_has_in(call, i))
            return infer_fail(call, err, ST_FORMAT, "input %d is missing", i);
        TRY(infer_same_dtype(call, 0, i, err));
        TRY(infer_rank(call, i, 1, IR_DIMS_MAX, err));
        if (x->ndim < 0) {
            call->out[0].type = infer_unranked(out.dtype);
            return ST_OK;
        }
        if (i == 0) {
            out = *x;
            if (!call->attr.axis.has_axis)
                return infer_fail(call, err, ST_FORMAT, "attribute 'axis' is missing");
            TRY(infer_axis(call, "axis", call->attr.axis.axis, x->ndim, &axis, err));
            continue;
        }
        TRY(infer_rank(call, i, out.ndim, out.ndim, err));
        for (int d = 0; d < out.ndim; d++) {
            if (d == axis) {
                TRY(infer_dim_add(call, out.dim[d], x->dim[d], &out.dim[d], err));
                continue;
            }
            TRY(infer_dim_is(call, i, d, out.dim[d], err));
            out.dim[d] = infer_dim_merge(out.dim[d], x->dim[d]);
        }
    }
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}

/* Sizes given as a list: element i, or DIM_UNKNOWN. The list, where its length is known, has one
 * entry an output. */
static status split_listed(const struct op_call *call, int i, int64_t *size, struct err *err)
{
    const struct ir_ints *attr = &call->attr.split.split;

    bool known = attr->v != NULL;

    *size = known ? attr->v[i] : DIM_UNKNOWN;
    if (!known) known = infer_int_at(call, 1, (size_t)i, size);
    if (known && *size < 0)
        return infer_fail(call, err, ST_SHAPE, "part %d would have %" PRId64 " elements", i, *size);
    return ST_OK;
}

/* Equal parts; since opset 18 the last may be smaller. */
static status split_even(const struct op_call *call, int64_t dim, int i, int64_t *size,
                         struct err *err)
{
    const int64_t n = call->n_out;

    *size = n == 1 ? dim : DIM_UNKNOWN;
    if (dim < 0 || n == 1) return ST_OK;
    const int64_t part = dim / n + (dim % n != 0);
    if (call->version < 18 && dim % n != 0)
        return infer_fail(call, err, ST_SHAPE, "%" PRId64 " elements into %" PRId64 " equal parts",
                          dim, n);
    *size = i < n - 1 ? part : dim - part * (n - 1);
    if (*size >= 0) return ST_OK;
    return infer_fail(call, err, ST_SHAPE, "%" PRId64 " elements into %" PRId64 " parts", dim, n);
}

static status split_check_list(const struct op_call *call, bool *listed, struct err *err)
{
    const struct attrs_split *a = &call->attr.split;
    int64_t count = a->split.n;

    *listed = a->split.v || infer_has_in(call, 1);
    if (a->split.v && (infer_has_in(call, 1) || call->version >= 13))
        return infer_fail(call, err, ST_FORMAT, "attribute 'split' with opset %d", call->version);
    if (infer_has_in(call, 1)) {
        TRY(infer_dtype_is(call, 1, DT_I64, err));
        TRY(infer_index_list(call, 1, false, &count, err));
    }
    if (*listed && count >= 0 && count != call->n_out)
        return infer_fail(call, err, ST_SHAPE, "%" PRId64 " sizes for %d outputs", count,
                          call->n_out);
    if (a->has_num_outputs && (*listed || a->num_outputs != call->n_out))
        return infer_fail(call, err, ST_FORMAT, "num_outputs is %" PRId64 " with %d outputs",
                          a->num_outputs, call->n_out);
    return ST_OK;
}

status infer_split(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;
    int64_t sum = 0;
    bool listed;
    int axis = 0;

    TRY(split_check_list(call, &listed, err));
    if (x->ndim >= 0) TRY(infer_axis(call, "axis", call->attr.split.axis, x->ndim, &axis, err));
    for (int i = 0; i < call->n_out; i++) {
        int64_t size = DIM_UNKNOWN;

        call->out[i].type = *x;
        if (listed)
            TRY(split_listed(call, i, &size, err));
        else if (x->ndim >= 0)
            TRY(split_even(call, x->dim[axis], i, &size, err));
        if (x->ndim >= 0) call->out[i].type.dim[axis] = size;
        if (size < 0 || sum < 0)
            sum = -1;
        else if (!checked_add_i64(sum, size, &sum))
            return infer_fail(call, err, ST_SHAPE, "the sizes overflow");
    }
    if (x->ndim < 0 || sum < 0 || infer_dim_compare(sum, x->dim[axis]) >= 0) return ST_OK;
    return infer_fail(call, err, ST_SHAPE,
                      "the parts have %" PRId64 " elements, the input %" PRId64, sum, x->dim[axis]);
}

/* ---- slice ---- */

struct slice_lists {
    int64_t starts[IR_DIMS_MAX], ends[IR_DIMS_MAX], axes[IR_DIMS_MAX], steps[IR_DIMS_MAX];
    int n_starts, n_ends, n_axes, n_steps; /* -1: not known */
};

static status slice_attr(const struct op_call *call, const struct ir_ints *list,
                         int64_t v[IR_DIMS_MAX], int *n, struct err *err)
{
    if (list->n > IR_DIMS_MAX)
        return infer_fail(call, err, ST_UNSUPPORTED, "a list of %d axes", list->n);
    if (list->n > 0) memcpy(v, list->v, (size_t)list->n * sizeof *v);
    *n = list->n;
    return ST_OK;
}

static status slice_input(const struct op_call *call, int i, int64_t v[IR_DIMS_MAX], int *n,
                          struct err *err)
{
    int64_t count;

    TRY(infer_index_list(call, i, false, &count, err));
    TRY(infer_same_dtype(call, 1, i, err));
    return infer_ints(call, i, v, n, err);
}

static void slice_defaults(struct slice_lists *s, bool axes, bool steps)
{
    if (!axes) s->n_axes = s->n_starts;
    if (!steps) s->n_steps = s->n_starts;
    for (int i = 0; i < IR_DIMS_MAX; i++) {
        if (!axes) s->axes[i] = i;
        if (!steps) s->steps[i] = 1;
    }
}

static status slice_read(const struct op_call *call, struct slice_lists *s, struct err *err)
{
    const struct attrs_slice *a = &call->attr.slice;

    if (call->version < 10) {
        if (call->n_in > 1 || !a->starts.v || !a->ends.v)
            return infer_fail(call, err, ST_FORMAT,
                              "starts and ends are attributes before opset 10");
        TRY(slice_attr(call, &a->starts, s->starts, &s->n_starts, err));
        TRY(slice_attr(call, &a->ends, s->ends, &s->n_ends, err));
        TRY(slice_attr(call, &a->axes, s->axes, &s->n_axes, err));
        slice_defaults(s, a->axes.v != NULL, false);
        return ST_OK;
    }
    if (!infer_has_in(call, 1) || !infer_has_in(call, 2) || a->starts.v || a->ends.v)
        return infer_fail(call, err, ST_FORMAT,
                          "starts and ends are inputs 1 and 2 since opset 10");
    TRY(slice_input(call, 1, s->starts, &s->n_starts, err));
    TRY(slice_input(call, 2, s->ends, &s->n_ends, err));
    if (infer_has_in(call, 3)) TRY(slice_input(call, 3, s->axes, &s->n_axes, err));
    if (infer_has_in(call, 4)) TRY(slice_input(call, 4, s->steps, &s->n_steps, err));
    slice_defaults(s, infer_has_in(call, 3), infer_has_in(call, 4));
    /* values not known, but how many there are: the leading dimensions change, others do not */
    const struct tensor_type *starts = &call->in[1].type;
    if (!infer_has_in(call, 3) && s->n_axes < 0 && starts->ndim == 1 && starts->dim[0] >= 0)
        s->n_axes = (int)starts->dim[0];
    return ST_OK;
}

static int64_t slice_clamp(int64_t at, int64_t dim, int64_t low, int64_t high)
{
    if (at < 0) at = at < -dim ? low : at + dim;
    return at < low ? low : at > high ? high : at;
}

/* Elements of [start, end) by step in a dimension of `dim`. */
static int64_t slice_length(int64_t dim, int64_t start, int64_t end, int64_t step)
{
    if (step > 0) {
        start = slice_clamp(start, dim, 0, dim);
        end = slice_clamp(end, dim, 0, dim);
        return end > start ? (end - start - 1) / step + 1 : 0;
    }
    if (dim == 0) return 0;
    start = slice_clamp(start, dim, 0, dim - 1);
    end = slice_clamp(end, dim, -1, dim - 1);
    const uint64_t stride = 0 - (uint64_t)step;
    return start > end ? (int64_t)(((uint64_t)(start - end) - 1) / stride) + 1 : 0;
}

static status slice_dims(const struct op_call *call, const struct slice_lists *s,
                         struct tensor_type *out, struct err *err)
{
    bool seen[IR_DIMS_MAX] = { false };
    const bool values = s->n_starts >= 0 && s->n_ends >= 0 && s->n_steps >= 0;

    for (int i = 0; i < s->n_axes; i++) {
        int at;
        TRY(infer_axis(call, "an axis", s->axes[i], out->ndim, &at, err));
        if (seen[at]) return infer_fail(call, err, ST_SHAPE, "axis %d is cut twice", at);
        seen[at] = true;
        const int64_t dim = out->dim[at];
        if (values && s->steps[i] == 0) return infer_fail(call, err, ST_SHAPE, "a step is 0");
        if (values && dim >= 0)
            out->dim[at] = slice_length(dim, s->starts[i], s->ends[i], s->steps[i]);
        else if (!values || s->starts[i] != 0 || s->ends[i] < INT32_MAX || s->steps[i] != 1)
            out->dim[at] = DIM_UNKNOWN;
    }
    return ST_OK;
}

status infer_slice(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    struct slice_lists s = { .n_starts = -1, .n_ends = -1, .n_axes = -1, .n_steps = -1 };
    struct tensor_type out = call->in[0].type;

    TRY(slice_read(call, &s, err));
    const int lengths[] = { s.n_ends, s.n_axes, s.n_steps };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        if (s.n_starts >= 0 && lengths[i] >= 0 && lengths[i] != s.n_starts)
            return infer_fail(call, err, ST_SHAPE, "starts, ends, axes and steps differ in length");
    }
    if (out.ndim >= 0 && s.n_axes >= 0) {
        TRY(slice_dims(call, &s, &out, err));
    } else {
        for (int i = 0; i < out.ndim; i++) out.dim[i] = DIM_UNKNOWN;
    }
    call->out[0].type = out;
    return ST_OK;
}

/* ---- gather ---- */

/* Indices that are known lie within the axis. */
static status gather_known_ids(const struct op_call *call, int64_t dim, struct err *err)
{
    int64_t v;

    if (dim < 0) return ST_OK;
    for (size_t i = 0; infer_int_at(call, 1, i, &v); i++) {
        if (v < -dim || v >= dim)
            return infer_fail(call, err, ST_SHAPE,
                              "input 1 holds index %" PRId64 ", the axis has %" PRId64 " elements",
                              v, dim);
    }
    return ST_OK;
}

/* W [K, N] floats; ids of any shape, which the K elements of a column follow. */
status infer_gathercols(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *w = &call->in[0].type, *ids = &call->in[1].type;

    TRY(infer_dtype_in(call, 0, SET_F32_F16, err));
    TRY(infer_dtype_in(call, 1, SET_INDEX, err));
    TRY(infer_rank(call, 0, 2, 2, err));
    call->out[0].type = infer_unranked(w->dtype);
    if (w->ndim < 0 || ids->ndim < 0) return ST_OK;
    struct tensor_type out = infer_typed(w->dtype, ids);
    if (!infer_push_dim(&out, w->dim[0]))
        return infer_fail(call, err, ST_UNSUPPORTED, "the result has more than %d dimensions",
                          IR_DIMS_MAX);
    TRY(gather_known_ids(call, w->dim[1], err));
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}

status infer_gather(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type, *ids = &call->in[1].type;
    struct tensor_type out = { .dtype = x->dtype };
    int axis;

    TRY(infer_dtype_in(call, 1, SET_INDEX, err));
    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    if (x->ndim >= 0) TRY(infer_axis(call, "axis", call->attr.axis.axis, x->ndim, &axis, err));
    if (x->ndim < 0 || ids->ndim < 0) {
        call->out[0].type = infer_unranked(x->dtype);
        return ST_OK;
    }
    bool fits = true;
    for (int i = 0; i < axis; i++) fits = fits && infer_push_dim(&out, x->dim[i]);
    for (int i = 0; i < ids->ndim; i++) fits = fits && infer_push_dim(&out, ids->dim[i]);
    for (int i = axis + 1; i < x->ndim; i++) fits = fits && infer_push_dim(&out, x->dim[i]);
    TRY(gather_known_ids(call, x->dim[axis], err));
    if (!fits)
        return infer_fail(call, err, ST_UNSUPPORTED, "the result has more than %d dimensions",
                          IR_DIMS_MAX);
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}

/* ---- reductions ---- */

/* Which axes go: *n = -1 when not known; an empty list means all, or none with
 * noop_with_empty_axes. */
static status reduce_axes(const struct op_call *call, int64_t v[IR_DIMS_MAX], int *n,
                          int64_t *count, struct err *err)
{
    const struct attrs_reduce *a = &call->attr.reduce;
    const int since = call->op == OP_REDUCESUM ? 13 : 18;

    if (infer_has_in(call, 1)) {
        if (call->version < since)
            return infer_fail(call, err, ST_FORMAT,
                              "axes as an input need opset %d, the model has %d", since,
                              call->version);
        TRY(infer_dtype_is(call, 1, DT_I64, err));
        TRY(infer_index_list(call, 1, true, count, err));
        return infer_ints(call, 1, v, n, err);
    }
    if (a->axes.v && call->version >= since)
        return infer_fail(call, err, ST_FORMAT, "attribute 'axes' with opset %d", call->version);
    if (a->axes.n > IR_DIMS_MAX) return infer_fail(call, err, ST_UNSUPPORTED, "%d axes", a->axes.n);
    if (a->axes.n > 0) memcpy(v, a->axes.v, (size_t)a->axes.n * sizeof *v);
    *count = *n = a->axes.n;
    return ST_OK;
}

static status reduce_known(struct op_call *call, const int64_t *v, int n, struct err *err)
{
    const struct tensor_type *x = &call->in[0].type;
    const struct attrs_reduce *a = &call->attr.reduce;
    struct tensor_type out = { .dtype = x->dtype };
    bool gone[IR_DIMS_MAX] = { false };

    for (int i = 0; i < n; i++) {
        int at;
        TRY(infer_axis(call, "an axis", v[i], x->ndim, &at, err));
        if (gone[at]) return infer_fail(call, err, ST_SHAPE, "axis %d is given twice", at);
        gone[at] = true;
    }
    const bool all = n == 0 && !a->noop_with_empty_axes;
    for (int i = 0; i < x->ndim; i++) {
        if (!gone[i] && !all)
            (void)infer_push_dim(&out, x->dim[i]);
        else if (a->keepdims)
            (void)infer_push_dim(&out, 1);
    }
    call->out[0].type = out;
    return ST_OK;
}

status infer_reduce(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;
    int64_t v[IR_DIMS_MAX], count;
    int n;

    const bool extreme = call->op == OP_REDUCEMAX || call->op == OP_REDUCEMIN;
    TRY(infer_dtype_in(call, 0, extreme ? SET_NUMBER | SET_BOOL : SET_NUMBER, err));
    TRY(reduce_axes(call, v, &n, &count, err));
    if (x->ndim >= 0 && n >= 0) return reduce_known(call, v, n, err);
    struct tensor_type out = infer_unranked(x->dtype);
    if (x->ndim >= 0 && call->attr.reduce.keepdims)
        out.ndim = x->ndim;
    else if (x->ndim >= 0 && count > 0 && count <= x->ndim)
        out.ndim = x->ndim - (int)count;
    for (int i = 0; i < out.ndim; i++) out.dim[i] = DIM_UNKNOWN;
    call->out[0].type = out;
    return ST_OK;
}

status infer_arg(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;
    struct tensor_type out = { .dtype = DT_I64 };
    int axis;

    TRY(infer_dtype_in(call, 0, SET_NUMBER, err));
    if (x->ndim < 0) {
        call->out[0].type = infer_unranked(DT_I64);
        return ST_OK;
    }
    TRY(infer_axis(call, "axis", call->attr.arg.axis, x->ndim, &axis, err));
    if (x->dim[axis] == 0) return infer_fail(call, err, ST_SHAPE, "the axis is empty");
    for (int i = 0; i < x->ndim; i++) {
        if (i != axis)
            (void)infer_push_dim(&out, x->dim[i]);
        else if (call->attr.arg.keepdims)
            (void)infer_push_dim(&out, 1);
    }
    call->out[0].type = out;
    return ST_OK;
}
