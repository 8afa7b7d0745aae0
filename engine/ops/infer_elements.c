/* SPDX-License-Identifier: MIT */
/* Inference of GatherElements, ScatterElements, TensorScatter and TopK. */
#include "engine/ops/infer.h"
#include <inttypes.h>
#include <string.h>

/* indices have the rank of the data, and but on the axis no dimension beyond it; values that are
 * known lie on the axis. */
static status elements_index(const struct op_call *call, int64_t axis_given, struct err *err)
{
    const struct tensor_type *x = &call->in[0].type, *index = &call->in[1].type;
    int axis;
    int64_t v;

    TRY(infer_dtype_in(call, 1, SET_INDEX, err));
    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    TRY(infer_rank(call, 1, 1, IR_DIMS_MAX, err));
    if (x->ndim < 0) return ST_OK;
    TRY(infer_axis(call, "axis", axis_given, x->ndim, &axis, err));
    TRY(infer_rank(call, 1, x->ndim, x->ndim, err));
    for (int d = 0; index->ndim >= 0 && d < x->ndim; d++)
        if (d != axis && x->dim[d] >= 0 && index->dim[d] > x->dim[d])
            return infer_fail(call, err, ST_SHAPE,
                              "indices: dimension %d is %" PRId64 ", the data's %" PRId64, d,
                              index->dim[d], x->dim[d]);
    for (size_t k = 0; x->dim[axis] >= 0 && infer_int_at(call, 1, k, &v); k++)
        if (v < -x->dim[axis] || v >= x->dim[axis])
            return infer_fail(call, err, ST_SHAPE,
                              "index %" PRId64 " on an axis of %" PRId64 " elements", v,
                              x->dim[axis]);
    return ST_OK;
}

status infer_gatherelements(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(elements_index(call, call->attr.axis.axis, err));
    call->out[0].type = infer_typed(call->in[0].type.dtype, &call->in[1].type);
    return ST_OK;
}

status infer_scatter_reduction(const struct op_call *call, struct err *err)
{
    static const char *const reductions[] = { "none", "add", "mul", "max", "min" };
    const char *name = call->attr.scatter.reduction;
    size_t i = 0;

    while (i < COUNT(reductions) && strcmp(reductions[i], name) != 0) i++;
    if (i == COUNT(reductions))
        return infer_fail(call, err, ST_UNSUPPORTED, "reduction is '%s'", name);
    return i > 0 ? infer_dtype_in(call, 0, SET_NUMBER | SET_BOOL, err) : ST_OK;
}

status infer_scatterelements(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_scatter *a = &call->attr.scatter;
    const struct tensor_type *index = &call->in[1].type;

    TRY(infer_scatter_reduction(call, err));
    TRY(elements_index(call, a->axis, err));
    TRY(infer_same_dtype(call, 0, 2, err));
    if (index->ndim >= 0) {
        TRY(infer_rank(call, 2, index->ndim, index->ndim, err));
        for (int d = 0; d < index->ndim; d++) TRY(infer_dim_is(call, 2, d, index->dim[d], err));
    }
    call->out[0].type = call->in[0].type;
    return ST_OK;
}

/* past_cache, update (the same but on the axis, where it is shorter), write_indices? [batch]. */
status infer_tensorscatter(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_tensorscatter *a = &call->attr.tensorscatter;
    const struct tensor_type *x = &call->in[0].type, *u = &call->in[1].type;
    int axis;

    if (strcmp(a->mode, "linear") != 0 && strcmp(a->mode, "circular") != 0)
        return infer_fail(call, err, ST_UNSUPPORTED, "mode is '%s'", a->mode);
    TRY(infer_same_dtype(call, 0, 1, err));
    TRY(infer_rank(call, 0, 2, IR_DIMS_MAX, err));
    call->out[0].type = *x;
    if (infer_has_in(call, 2)) {
        TRY(infer_dtype_in(call, 2, SET_INDEX, err));
        TRY(infer_rank(call, 2, 1, 1, err));
    }
    if (x->ndim < 0) return ST_OK;
    TRY(infer_axis(call, "axis", a->axis, x->ndim, &axis, err));
    if (axis == 0) return infer_fail(call, err, ST_SHAPE, "axis is the batch");
    TRY(infer_rank(call, 1, x->ndim, x->ndim, err));
    for (int d = 0; d < x->ndim; d++)
        if (d != axis) TRY(infer_dim_is(call, 1, d, x->dim[d], err));
    if (u->ndim >= 0 && x->dim[axis] >= 0 && u->dim[axis] > x->dim[axis])
        return infer_fail(call, err, ST_SHAPE, "%" PRId64 " new rows for a cache of %" PRId64,
                          u->dim[axis], x->dim[axis]);
    return infer_has_in(call, 2) ? infer_dim_is(call, 2, 0, x->dim[0], err) : ST_OK;
}

/* How many: the attribute before opset 10, since then input 1. */
static status topk_count(const struct op_call *call, int64_t *k, struct err *err)
{
    size_t n;

    *k = DIM_UNKNOWN;
    if (call->version < 10) {
        *k = call->attr.topk.k;
        if (call->n_in > 1 || *k < 0) return infer_fail(call, err, ST_FORMAT, "k is %" PRId64, *k);
        return ST_OK;
    }
    if (!infer_has_in(call, 1)) return infer_fail(call, err, ST_FORMAT, "input 1 is required");
    TRY(infer_dtype_is(call, 1, DT_I64, err));
    TRY(infer_rank(call, 1, 0, 1, err));
    if (type_elements(&call->in[1].type, &n) && n != 1)
        return infer_fail(call, err, ST_SHAPE, "k has %zu elements, expected 1", n);
    if (infer_int_at(call, 1, 0, k) && *k < 0)
        return infer_fail(call, err, ST_SHAPE, "k is %" PRId64, *k);
    return ST_OK;
}

status infer_topk(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    struct tensor_type t = call->in[0].type;
    int axis;
    int64_t k;

    TRY(infer_dtype_in(call, 0, SET_NUMBER, err));
    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    TRY(topk_count(call, &k, err));
    if (t.ndim >= 0) {
        TRY(infer_axis(call, "axis", call->attr.topk.axis, t.ndim, &axis, err));
        if (k >= 0 && t.dim[axis] >= 0 && k > t.dim[axis])
            return infer_fail(call, err, ST_SHAPE, "k is %" PRId64 " of %" PRId64 " elements", k,
                              t.dim[axis]);
        t.dim[axis] = k;
    }
    call->out[0].type = t;
    if (infer_has_out(call, 1)) call->out[1].type = infer_typed(DT_I64, &t);
    return ST_OK;
}
