/* SPDX-License-Identifier: MIT */
/* Inference of dynamic quantisation and integer products: DynamicQuantizeLinear, MatMulInteger,
 * MatMulIntegerToFloat, DynamicQuantizeMatMul. */
#include "engine/ops/infer.h"

status infer_dynquant(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(infer_dtype_is(call, 0, DT_F32, err));
    call->out[0].type = infer_typed(DT_U8, &call->in[0].type);
    if (infer_has_out(call, 1)) call->out[1].type = type_make(DT_F32, 0, NULL);
    if (infer_has_out(call, 2)) call->out[2].type = type_make(DT_U8, 0, NULL);
    return ST_OK;
}

static status byte_input(const struct op_call *call, int i, struct err *err)
{
    const enum dtype dt = call->in[i].type.dtype;

    if (dt == DT_U8 || dt == DT_I8) return ST_OK;
    return infer_fail(call, err, ST_UNSUPPORTED, "input %d is %s, expected u8 or i8", i,
                      dtype_name(dt));
}

/* Input i, where it is there: one element, or one for each of `each` rows or columns. */
static status one_or_each(const struct op_call *call, int i, int64_t each, const char *what,
                          struct err *err)
{
    size_t n;

    if (!infer_has_in(call, i) || !type_elements(&call->in[i].type, &n) || n == 1) return ST_OK;
    if (each < 0 || n == (size_t)each) return ST_OK;
    return infer_fail(call, err, ST_SHAPE, "input %d (%s) has %zu elements, expected 1 or %lld", i,
                      what, n, (long long)each);
}

/* Places of the inputs, -1 where the operator has none. */
struct int_inputs {
    int a_scale, b_scale, a_zero, b_zero, bias;
};

static status zero_point(const struct op_call *call, int i, int of, int64_t each, struct err *err)
{
    if (!infer_has_in(call, i)) return ST_OK;
    TRY(infer_same_dtype(call, of, i, err));
    return one_or_each(call, i, each, "zero point", err);
}

static status infer_int_product(struct op_call *call, enum dtype out, const struct int_inputs *at,
                                struct err *err)
{
    const struct tensor_type *a = &call->in[0].type, *b = &call->in[1].type;
    int64_t rows = DIM_UNKNOWN, columns = DIM_UNKNOWN;

    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    TRY(infer_rank(call, 1, 1, IR_DIMS_MAX, err));
    TRY(byte_input(call, 1, err));
    call->out[0].type = infer_unranked(out);
    if (a->ndim < 0 || b->ndim < 0) return ST_OK;
    size_t count;
    if (a->ndim == 1)
        rows = 1;
    else if (type_span(a, 0, a->ndim - 1, &count))
        rows = (int64_t)count;
    columns = b->ndim > 1 ? b->dim[b->ndim - 1] : 1;
    if (at->a_zero >= 0) TRY(zero_point(call, at->a_zero, 0, b->ndim <= 2 ? rows : 1, err));
    TRY(zero_point(call, at->b_zero, 1, columns, err));
    if (at->a_scale >= 0) TRY(one_or_each(call, at->a_scale, 1, "scale", err));
    if (at->b_scale >= 0) TRY(one_or_each(call, at->b_scale, columns, "scale", err));
    if (at->bias >= 0 && infer_has_in(call, at->bias))
        TRY(infer_dim_is(call, at->bias, -1, columns, err));
    return infer_matmul_shape(call, out, err);
}

status infer_matmulinteger(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(byte_input(call, 0, err));
    return infer_int_product(call, DT_I32, &(struct int_inputs){ -1, -1, 2, 3, -1 }, err);
}

/* A, B, a_scale, b_scale, a_zero_point?, b_zero_point?, bias? */
status infer_matmulinttofloat(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(byte_input(call, 0, err));
    TRY(infer_dtype_in(call, 2, SET_F32_F16, err));
    TRY(infer_same_dtype(call, 2, 3, err));
    if (infer_has_in(call, 6)) {
        TRY(infer_same_dtype(call, 2, 6, err));
        TRY(infer_rank(call, 6, 1, 1, err));
    }
    return infer_int_product(call, call->in[2].type.dtype, &(struct int_inputs){ 2, 3, 4, 5, 6 },
                             err);
}

/* A, B, b_scale, b_zero_point?, bias? */
status infer_dynquantmatmul(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(infer_dtype_is(call, 0, DT_F32, err));
    TRY(infer_dtype_is(call, 2, DT_F32, err));
    if (infer_has_in(call, 4)) {
        TRY(infer_dtype_is(call, 4, DT_F32, err));
        TRY(infer_rank(call, 4, 1, 1, err));
    }
    return infer_int_product(call, DT_F32, &(struct int_inputs){ -1, 2, -1, 3, 4 }, err);
}
