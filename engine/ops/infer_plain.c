/* SPDX-License-Identifier: MIT */
/* Inference of operators that keep or broadcast a shape and need no more than that: slopes, bit
 * operations, norms over channels, quantisation, losses, one-hot and the like. */
#include "engine/ops/infer.h"
#include <inttypes.h>
#include <string.h>

/* Input i is there and has the one dimension `n`. */
static status vector_of(const struct op_call *call, int i, int64_t n, struct err *err)
{
    TRY(infer_rank(call, i, 1, 1, err));
    return infer_dim_is(call, i, 0, n, err);
}

static int64_t dim_or_unknown(const struct tensor_type *t, int d)
{
    return t->ndim > d ? t->dim[d] : DIM_UNKNOWN;
}

/* ---- two inputs ---- */

status infer_prelu(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(infer_dtype_in(call, 0, SET_NUMBER, err));
    TRY(infer_same_dtype(call, 0, 1, err));
    TRY(infer_broadcasts_to(call, 1, &call->in[0].type, err));
    call->out[0].type = call->in[0].type;
    return ST_OK;
}

status infer_bits(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    struct tensor_type t = { .dtype = call->in[0].type.dtype };

    TRY(infer_dtype_in(call, 0, SET_INT, err));
    TRY(infer_same_dtype(call, 0, 1, err));
    if (call->op == OP_BITSHIFT && strcmp(call->attr.bitshift.direction, "LEFT") != 0 &&
        strcmp(call->attr.bitshift.direction, "RIGHT") != 0)
        return infer_fail(call, err, ST_FORMAT, "direction is '%s', expected LEFT or RIGHT",
                          call->attr.bitshift.direction);
    TRY(infer_broadcast(call, &call->in[0].type, &call->in[1].type, &t, err));
    call->out[0].type = t;
    return infer_size_check(call, 0, err);
}

/* The same bits as another type of as many. */
status infer_bitcast(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const int64_t to = call->attr.cast.to;
    const unsigned bits = dtype_bits(call->in[0].type.dtype);

    if (to <= DT_NONE || to >= DT_COUNT || bits == 0 || dtype_bits((enum dtype)to) != bits)
        return infer_fail(call, err, ST_UNSUPPORTED, "%s as type %" PRId64,
                          dtype_name(call->in[0].type.dtype), to);
    call->out[0].type = infer_typed((enum dtype)to, &call->in[0].type);
    return ST_OK;
}

/* data, ratio?, training_mode?: at inference everything passes, and the mask is true. */
status infer_dropout(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    size_t n;

    if (!dtype_is_float(call->in[0].type.dtype)) TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    if (infer_has_in(call, 2)) {
        TRY(infer_dtype_is(call, 2, DT_BOOL, err));
        if (type_elements(&call->in[2].type, &n) && n != 1)
            return infer_fail(call, err, ST_SHAPE, "training_mode is no scalar");
    }
    call->out[0].type = call->in[0].type;
    if (infer_has_out(call, 1))
        call->out[1].type =
            infer_typed(call->version < 10 ? call->in[0].type.dtype : DT_BOOL, &call->in[0].type);
    return ST_OK;
}

/* ---- norms ---- */

status infer_batchnorm(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;
    const int64_t channels = x->ndim == 1 ? 1 : dim_or_unknown(x, 1);

    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    for (int i = 0; i <= 4; i++) TRY(infer_dtype_in(call, i, SET_FLOAT, err));
    for (int i = 1; i <= 4; i++) TRY(vector_of(call, i, channels, err));
    call->out[0].type = *x;
    if (call->n_out > 1 && !call->attr.batchnorm.training_mode && call->version >= 14)
        return infer_fail(call, err, ST_FORMAT, "statistics as outputs need training_mode");
    for (int i = 1; i < call->n_out && i <= 2; i++) call->out[i].type = call->in[3].type;
    if (call->n_out > 3)
        return infer_fail(call, err, ST_UNSUPPORTED, "saved statistics of training");
    return ST_OK;
}

status infer_groupnorm(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;
    const int64_t channels = dim_or_unknown(x, 1), groups = call->attr.groupnorm.num_groups;
    const bool instance = call->op == OP_INSTANCENORM;

    TRY(infer_rank(call, 0, 3 - instance, IR_DIMS_MAX, err));
    for (int i = 0; i <= 2; i++) TRY(infer_dtype_in(call, i, SET_FLOAT, err));
    if (!instance && (groups < 1 || (channels >= 0 && channels % groups != 0)))
        return infer_fail(call, err, ST_SHAPE,
                          "num_groups is %" PRId64 " with %" PRId64 " channels", groups, channels);
    for (int i = 1; i <= 2; i++)
        TRY(vector_of(call, i, instance || call->version >= 21 ? channels : groups, err));
    call->out[0].type = *x;
    return ST_OK;
}

status infer_lrn(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    TRY(infer_rank(call, 0, 2, IR_DIMS_MAX, err));
    if (call->attr.lrn.size < 1)
        return infer_fail(call, err, ST_FORMAT, "size is %" PRId64, call->attr.lrn.size);
    call->out[0].type = call->in[0].type;
    return ST_OK;
}

/* ---- losses ---- */

/* scores [N, C, …], target [N, …], weights? [C]. */
status infer_loss(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;
    const char *reduction = call->attr.loss.reduction;
    const bool none = !strcmp(reduction, "none");

    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    TRY(infer_dtype_in(call, 1, SET_INDEX, err));
    TRY(infer_rank(call, 0, 2, IR_DIMS_MAX, err));
    if (!none && strcmp(reduction, "mean") != 0 && strcmp(reduction, "sum") != 0)
        return infer_fail(call, err, ST_FORMAT, "reduction is '%s'", reduction);
    if (x->ndim >= 0) {
        TRY(infer_rank(call, 1, x->ndim - 1, x->ndim - 1, err));
        TRY(infer_dim_is(call, 1, 0, x->dim[0], err));
        for (int d = 2; d < x->ndim; d++) TRY(infer_dim_is(call, 1, d - 1, x->dim[d], err));
    }
    if (infer_has_in(call, 2)) {
        TRY(infer_same_dtype(call, 0, 2, err));
        TRY(vector_of(call, 2, dim_or_unknown(x, 1), err));
    }
    call->out[0].type =
        none ? infer_typed(x->dtype, &call->in[1].type) : type_make(x->dtype, 0, NULL);
    if (infer_has_out(call, 1)) call->out[1].type = *x;
    return ST_OK;
}

/* ---- quantisation ---- */

static bool quantised(enum dtype dt)
{
    return (dtype_is_int(dt) && dtype_bits(dt) <= 32) ||
           (dtype_is_float(dt) && dtype_bits(dt) <= 8 && dt != DT_F8E8M0);
}

/* Scale: one number, one for each index of the axis, or one a block. */
static status quantize_scale(const struct op_call *call, struct err *err)
{
    const struct attrs_quantize *a = &call->attr.quantize;
    const struct tensor_type *x = &call->in[0].type, *s = &call->in[1].type;
    int axis;
    size_t n;

    if (a->block_size < 0)
        return infer_fail(call, err, ST_FORMAT, "block_size is %" PRId64, a->block_size);
    if (x->ndim < 0 || s->ndim < 0) return ST_OK;
    if (a->block_size == 0 && type_elements(s, &n) && n == 1) return ST_OK;
    TRY(infer_axis(call, "axis", a->axis, x->ndim, &axis, err));
    if (a->block_size == 0) return vector_of(call, 1, x->dim[axis], err);
    TRY(infer_rank(call, 1, x->ndim, x->ndim, err));
    for (int d = 0; d < x->ndim; d++) {
        const int64_t blocks =
            x->dim[d] < 0 ? DIM_UNKNOWN : (x->dim[d] + a->block_size - 1) / a->block_size;
        TRY(infer_dim_is(call, 1, d, d == axis ? blocks : x->dim[d], err));
    }
    return ST_OK;
}

status infer_quantize(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_quantize *a = &call->attr.quantize;
    const bool has_zero = infer_has_in(call, 2);
    enum dtype to = has_zero ? call->in[2].type.dtype : DT_U8;

    if (call->in[0].type.dtype != DT_I32) TRY(infer_dtype_in(call, 0, SET_F32_F16, err));
    if (call->in[1].type.dtype != DT_I32 && call->in[1].type.dtype != DT_F8E8M0)
        TRY(infer_dtype_in(call, 1, SET_F32_F16, err));
    TRY(quantize_scale(call, err));
    size_t n_scale, n_zero;
    if (has_zero && type_elements(&call->in[1].type, &n_scale) &&
        type_elements(&call->in[2].type, &n_zero) && n_scale != n_zero)
        return infer_fail(call, err, ST_SHAPE, "input 2 has %zu zero points for %zu scales", n_zero,
                          n_scale);
    if (a->output_dtype != 0) {
        if (a->output_dtype < 0 || a->output_dtype >= DT_COUNT ||
            (has_zero && to != (enum dtype)a->output_dtype))
            return infer_fail(call, err, ST_FORMAT, "output_dtype is %" PRId64, a->output_dtype);
        to = (enum dtype)a->output_dtype;
    }
    if (!quantised(to))
        return infer_fail(call, err, ST_UNSUPPORTED, "quantisation to %s", dtype_name(to));
    if (a->precision != 0 && a->precision != DT_F32 && a->precision != DT_F16 &&
        a->precision != DT_BF16)
        return infer_fail(call, err, ST_UNSUPPORTED, "precision is %" PRId64, a->precision);
    call->out[0].type = infer_typed(to, &call->in[0].type);
    return ST_OK;
}

/* a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero. */
status infer_qlinearmatmul(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor a = call->in[0], b = call->in[3];
    struct tensor pair[2] = { a, b };
    struct op_call product = *call;

    for (int i = 0; i <= 3; i += 3)
        if (!quantised(call->in[i].type.dtype))
            return infer_fail(call, err, ST_UNSUPPORTED, "input %d is %s", i,
                              dtype_name(call->in[i].type.dtype));
    TRY(infer_same_dtype(call, 0, 2, err));
    TRY(infer_same_dtype(call, 3, 5, err));
    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    TRY(infer_rank(call, 3, 1, IR_DIMS_MAX, err));
    call->out[0].type = infer_unranked(call->in[7].type.dtype);
    if (a.type.ndim < 0 || b.type.ndim < 0) return ST_OK;
    product.in = pair;
    product.n_in = 2;
    return infer_matmul_shape(&product, call->in[7].type.dtype, err);
}
