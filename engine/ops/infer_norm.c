/* SPDX-License-Identifier: MIT */
/* Inference of norms, gates, row selection and control flow. */
#include "engine/ops/infer.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* The first normalised axis; -1 with an unknown rank. */
static status norm_axis(const struct op_call *call, int64_t axis, int *at, struct err *err)
{
    const int ndim = call->in[0].type.ndim;

    *at = -1;
    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    return ndim < 0 ? ST_OK : infer_axis(call, "axis", axis, ndim, at, err);
}

static status norm_epsilon(const struct op_call *call, float epsilon, struct err *err)
{
    if (isfinite(epsilon) && epsilon >= 0) return ST_OK;
    return infer_fail(call, err, ST_FORMAT, "epsilon is %g", (double)epsilon);
}

/* Input i is a vector as long as the last axis of input 0. */
static status norm_vector(const struct op_call *call, int i, struct err *err)
{
    const struct tensor_type *x = &call->in[0].type;

    TRY(infer_dtype_in(call, i, SET_F32_F16, err));
    TRY(infer_rank(call, i, 1, 1, err));
    return x->ndim > 0 ? infer_dim_is(call, i, 0, x->dim[x->ndim - 1], err) : ST_OK;
}

/* Input i broadcasts to input 0; most have its dimensions from the axis on. */
static status norm_weight(const struct op_call *call, int i, struct err *err)
{
    TRY(infer_dtype_in(call, i, SET_FLOAT, err));
    return infer_broadcasts_to(call, i, &call->in[0].type, err);
}

/* Statistics a norm may give: one number a row, in f32. */
static void norm_statistics(struct op_call *call, int axis, int first, int last)
{
    struct tensor_type t = infer_typed(DT_F32, &call->in[0].type);

    for (int d = axis; d < t.ndim; d++) t.dim[d] = 1;
    for (int i = first; i <= last && infer_has_out(call, i); i++) call->out[i].type = t;
}

status infer_rmsnorm(struct op_call *call, struct err *err)
{
    int axis;

    TRY(infer_begin(call, err));
    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    TRY(norm_axis(call, call->attr.rmsnorm.axis, &axis, err));
    TRY(norm_epsilon(call, call->attr.rmsnorm.epsilon, err));
    TRY(norm_weight(call, 1, err));
    call->out[0].type = infer_typed(call->in[1].type.dtype, &call->in[0].type);
    norm_statistics(call, axis, 1, 1);
    return ST_OK;
}

status infer_layernorm(struct op_call *call, struct err *err)
{
    int axis;

    TRY(infer_begin(call, err));
    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    TRY(norm_axis(call, call->attr.layernorm.axis, &axis, err));
    TRY(norm_epsilon(call, call->attr.layernorm.epsilon, err));
    TRY(norm_weight(call, 1, err));
    TRY(infer_same_dtype(call, 0, 1, err));
    if (infer_has_in(call, 2)) {
        TRY(norm_weight(call, 2, err));
        TRY(infer_same_dtype(call, 0, 2, err));
    }
    call->out[0].type = call->in[0].type;
    norm_statistics(call, axis, 1, 2);
    return ST_OK;
}

/* input and skip of one shape, or skip [1, S, H] or [S, H] for input [B, S, H]. */
static status skip_shape(const struct op_call *call, struct err *err)
{
    const struct tensor_type *x = &call->in[0].type, *skip = &call->in[1].type;

    TRY(infer_same_dtype(call, 0, 1, err));
    TRY(infer_rank(call, 0, 2, 3, err));
    TRY(infer_rank(call, 1, 2, 3, err));
    if (x->ndim < 0 || skip->ndim < 0) return ST_OK;
    if (skip->ndim > x->ndim)
        return infer_fail(call, err, ST_SHAPE, "skip has more dimensions than the input");
    for (int i = 1; i <= skip->ndim; i++) {
        if (i == 3 && skip->dim[0] == 1) continue;
        TRY(infer_dim_is(call, 1, -i, x->dim[x->ndim - i], err));
    }
    return ST_OK;
}

static status infer_skipnorm(struct op_call *call, int vectors, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(infer_dtype_in(call, 0, SET_F32_F16, err));
    TRY(norm_epsilon(call, call->attr.skipnorm.epsilon, err));
    TRY(skip_shape(call, err));
    for (int i = 2; i < 2 + vectors; i++) {
        if (!infer_has_in(call, i)) continue;
        TRY(norm_vector(call, i, err));
        TRY(infer_same_dtype(call, 0, i, err));
    }
    call->out[0].type = call->in[0].type;
    norm_statistics(call, call->in[0].type.ndim - 1, 1, 2);
    if (infer_has_out(call, 3)) call->out[3].type = call->in[0].type;
    return ST_OK;
}

status infer_skiprmsnorm(struct op_call *call, struct err *err)
{
    return infer_skipnorm(call, 2, err);
}

status infer_skiplayernorm(struct op_call *call, struct err *err)
{
    return infer_skipnorm(call, 3, err);
}

/* ---- lowered form ---- */

status infer_headnorm(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_headnorm *a = &call->attr.headnorm;
    const struct tensor_type *x = &call->in[0].type;

    TRY(infer_dtype_in(call, 0, SET_F32_F16, err));
    TRY(infer_dtype_in(call, 1, SET_F32_F16, err));
    TRY(norm_epsilon(call, a->epsilon, err));
    TRY(infer_rank(call, 0, 2, 2, err));
    TRY(infer_rank(call, 1, 1, 1, err));
    if (a->head_dim <= 0)
        return infer_fail(call, err, ST_FORMAT, "head_dim is %" PRId64, a->head_dim);
    TRY(infer_dim_is(call, 1, 0, a->head_dim, err));
    if (x->ndim == 2 && x->dim[1] >= 0 && x->dim[1] % a->head_dim != 0)
        return infer_fail(call, err, ST_SHAPE,
                          "%" PRId64 " columns are no multiple of head_dim %" PRId64, x->dim[1],
                          a->head_dim);
    call->out[0].type = *x;
    return ST_OK;
}

status infer_gatedact(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    static const char *const acts[] = {
        "silu", "gelu", "gelu_tanh", "quick_gelu", "relu", "sigmoid"
    };
    struct tensor_type out = call->in[0].type;
    size_t i = 0;

    while (i < COUNT(acts) && strcmp(acts[i], call->attr.gated.act) != 0) i++;
    if (i == COUNT(acts))
        return infer_fail(call, err, ST_UNSUPPORTED, "act is '%s'", call->attr.gated.act);
    TRY(infer_dtype_in(call, 0, SET_F32_F16, err));
    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    if (infer_has_in(call, 1)) {
        TRY(infer_same_dtype(call, 0, 1, err));
        TRY(infer_rank(call, 1, out.ndim, out.ndim, err));
        for (int d = 0; d < out.ndim; d++) TRY(infer_dim_is(call, 1, d, out.dim[d], err));
    } else if (out.ndim >= 1 && out.dim[out.ndim - 1] >= 0) {
        if (out.dim[out.ndim - 1] % 2 != 0)
            return infer_fail(call, err, ST_SHAPE, "%" PRId64 " columns do not halve",
                              out.dim[out.ndim - 1]);
        out.dim[out.ndim - 1] /= 2;
    }
    call->out[0].type = out;
    return ST_OK;
}

status infer_selectrows(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(infer_rank(call, 0, 2, IR_DIMS_MAX, err));
    if (call->in[0].type.ndim > 0) TRY(infer_dim_is(call, 0, 0, DIM_TOKENS, err));
    call->out[0].type = call->in[0].type;
    if (call->out[0].type.ndim > 0) call->out[0].type.dim[0] = DIM_ROWS;
    return ST_OK;
}

/* ---- control flow ---- */

/* The condition only: what the branches give is the graph's to say (graph_infer). */
status infer_branch(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    size_t n;

    TRY(infer_dtype_is(call, 0, DT_BOOL, err));
    if (type_elements(&call->in[0].type, &n) && n != 1)
        return infer_fail(call, err, ST_SHAPE, "the condition has %zu elements, expected 1", n);
    return ST_OK;
}

/* Trip count and condition; what the body gives is the graph's to say. */
status infer_loop(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    size_t n;

    if (call->n_in < 2)
        return infer_fail(call, err, ST_FORMAT, "%d inputs, expected at least 2", call->n_in);
    if (infer_has_in(call, 0)) TRY(infer_dtype_is(call, 0, DT_I64, err));
    if (infer_has_in(call, 1)) TRY(infer_dtype_is(call, 1, DT_BOOL, err));
    for (int i = 0; i < 2; i++)
        if (infer_has_in(call, i) && type_elements(&call->in[i].type, &n) && n != 1)
            return infer_fail(call, err, ST_SHAPE, "input %d has %zu elements, expected 1", i, n);
    for (int i = 2; i < call->n_in; i++)
        if (!infer_has_in(call, i))
            return infer_fail(call, err, ST_FORMAT, "input %d is required", i);
    return ST_OK;
}

/* Axes and directions of what a Scan walks over and of what it stacks: none, or one for each. */
static status scan_lists(const struct op_call *call, struct err *err)
{
    const struct attrs_scan *a = &call->attr.scan;
    const int n_scan = (int)a->num_scan_inputs, states = call->n_in - n_scan;
    const struct {
        const char *name;
        const struct ir_ints *list;
        int n; /* how many; at least so many where the body may give more than is used */
        bool axes;
    } lists[] = { { "scan_input_axes", &a->in_axes, n_scan, true },
                  { "scan_input_directions", &a->in_directions, n_scan, false },
                  { "scan_output_axes", &a->out_axes, call->n_out - states, true },
                  { "scan_output_directions", &a->out_directions, call->n_out - states, false } };

    for (size_t i = 0; i < COUNT(lists); i++) {
        const struct ir_ints *l = lists[i].list;

        if (l->n != 0 && (i < 2 ? l->n != lists[i].n : l->n < lists[i].n))
            return infer_fail(call, err, ST_FORMAT, "%s has %d numbers, expected %d", lists[i].name,
                              l->n, lists[i].n);
        for (int k = 0; k < l->n; k++) {
            const int rank = i == 0 && call->in[states + k].type.ndim >= 0
                                 ? call->in[states + k].type.ndim
                                 : IR_DIMS_MAX;

            if (lists[i].axes ? l->v[k] >= rank || l->v[k] < -rank : l->v[k] != 0 && l->v[k] != 1)
                return infer_fail(call, err, ST_FORMAT, "%s holds %" PRId64, lists[i].name,
                                  l->v[k]);
        }
    }
    return ST_OK;
}

status infer_scan(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const int64_t m = call->attr.scan.num_scan_inputs;

    if (m < 1 || m > call->n_in)
        return infer_fail(call, err, ST_FORMAT, "num_scan_inputs is %" PRId64 " of %d inputs", m,
                          call->n_in);
    for (int i = 0; i < call->n_in; i++)
        if (!infer_has_in(call, i))
            return infer_fail(call, err, ST_FORMAT, "input %d is required", i);
    for (int i = call->n_in - (int)m; i < call->n_in; i++)
        TRY(infer_rank(call, i, 1, IR_DIMS_MAX, err));
    return scan_lists(call, err);
}
