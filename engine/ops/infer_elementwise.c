/* SPDX-License-Identifier: MIT */
/* Inference of operators that go element by element: one input, or several with broadcasting. */
#include "engine/ops/infer.h"
#include <string.h>

/* Scalar operands such as Clip's bounds: one element, of the type of input 0. */
static status infer_bound(const struct op_call *call, int i, struct err *err)
{
    size_t n;

    if (!infer_has_in(call, i)) return ST_OK;
    TRY(infer_same_dtype(call, 0, i, err));
    if (type_elements(&call->in[i].type, &n) && n != 1)
        return infer_fail(call, err, ST_SHAPE, "input %d has %zu elements, expected a scalar", i,
                          n);
    return ST_OK;
}

/* An index operand: one element, i32 or i64. */
static status infer_scalar_index(const struct op_call *call, int i, struct err *err)
{
    size_t n;

    TRY(infer_dtype_in(call, i, SET_INDEX, err));
    TRY(infer_rank(call, i, 0, 1, err));
    if (type_elements(&call->in[i].type, &n) && n != 1)
        return infer_fail(call, err, ST_SHAPE, "input %d has %zu elements, expected a scalar", i,
                          n);
    return ST_OK;
}

static status check_clip(const struct op_call *call, struct err *err)
{
    if (call->n_in > 1 && call->version < 11)
        return infer_fail(call, err, ST_FORMAT, "bounds as inputs need opset 11, the model has %d",
                          call->version);
    TRY(infer_bound(call, 1, err));
    return infer_bound(call, 2, err);
}

static status check_cumsum(const struct op_call *call, struct err *err)
{
    int64_t axis;
    int at;

    TRY(infer_scalar_index(call, 1, err));
    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    if (call->in[0].type.ndim < 0 || !infer_int_at(call, 1, 0, &axis)) return ST_OK;
    return infer_axis(call, "the axis", axis, call->in[0].type.ndim, &at, err);
}

/* Before opset 13 the default axis is 1 and the kernel works on the shape coerced to two
 * dimensions. */
static status check_softmax(const struct op_call *call, struct err *err)
{
    const struct attrs_softmax *a = &call->attr.softmax;
    const int64_t axis = a->has_axis ? a->axis : call->version < 13 ? 1 : -1;
    int at;

    if (call->in[0].type.ndim < 0) return ST_OK;
    return infer_axis(call, "axis", axis, call->in[0].type.ndim, &at, err);
}

static status check_gelu(const struct op_call *call, struct err *err)
{
    const char *a = call->attr.gelu.approximate;

    if (!strcmp(a, "none") || !strcmp(a, "tanh")) return ST_OK;
    return infer_fail(call, err, ST_UNSUPPORTED, "approximate is '%s', expected none or tanh", a);
}

static status check_trilu(const struct op_call *call, struct err *err)
{
    TRY(infer_rank(call, 0, 2, IR_DIMS_MAX, err));
    if (!infer_has_in(call, 1)) return ST_OK;
    TRY(infer_dtype_is(call, 1, DT_I64, err));
    return infer_scalar_index(call, 1, err);
}

static unsigned same_set(enum op_kind op)
{
    switch (op) {
    case OP_IDENTITY:
    case OP_TRILU: return SET_ANY;
    case OP_NEG: return SET_SIGNED;
    case OP_ABS:
    case OP_RELU:
    case OP_CLIP:
    case OP_SIGN:
    case OP_SHRINK:
    case OP_CUMPROD:
    case OP_CUMSUM: return SET_NUMBER;
    case OP_BITWISENOT: return SET_INT;
    case OP_NOT: return SET_BOOL;
    default: return SET_FLOAT;
    }
}

/* The output is of the input's type. */
status infer_same(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    status st = ST_OK;

    TRY(infer_dtype_in(call, 0, same_set(call->op), err));
    switch (call->op) {
    case OP_CLIP: st = check_clip(call, err); break;
    case OP_CUMPROD:
    case OP_CUMSUM: st = check_cumsum(call, err); break;
    case OP_LOGSOFTMAX:
    case OP_HARDMAX:
    case OP_SOFTMAX: st = check_softmax(call, err); break;
    case OP_GELU: st = check_gelu(call, err); break;
    case OP_TRILU: st = check_trilu(call, err); break;
    default: break;
    }
    if (st == ST_OK) call->out[0].type = call->in[0].type;
    return st;
}

status infer_test(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    if (!dtype_is_float(call->in[0].type.dtype)) TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    call->out[0].type = infer_typed(DT_BOOL, &call->in[0].type);
    return ST_OK;
}

/* x and an optional bias along the last axis. */
status infer_biasact(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;

    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    if (infer_has_in(call, 1)) {
        TRY(infer_same_dtype(call, 0, 1, err));
        TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
        TRY(infer_rank(call, 1, 1, 1, err));
        if (x->ndim > 0) TRY(infer_dim_is(call, 1, 0, x->dim[x->ndim - 1], err));
    }
    call->out[0].type = *x;
    return ST_OK;
}

/* ---- two inputs ---- */

/* Since this opset Mod with fmod = 0 takes floats. */
enum { MOD_FLOOR = 28 };

static status infer_binary(struct op_call *call, enum dtype out, struct err *err)
{
    struct tensor_type t = { .dtype = out };

    TRY(infer_broadcast(call, &call->in[0].type, &call->in[1].type, &t, err));
    call->out[0].type = t;
    return infer_size_check(call, 0, err);
}

status infer_arith(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(infer_dtype_in(call, 0, SET_NUMBER, err));
    TRY(infer_same_dtype(call, 0, 1, err));
    if (call->op == OP_MOD) {
        const int64_t fmod_attr = call->attr.mod.fmod;
        if (fmod_attr != 0 && fmod_attr != 1)
            return infer_fail(call, err, ST_FORMAT, "fmod is neither 0 nor 1");
        if (fmod_attr == 0 && dtype_is_float(call->in[0].type.dtype) && call->version < MOD_FLOOR)
            return infer_fail(call, err, ST_FORMAT, "fmod is 0 with floats, expected 1");
    }
    return infer_binary(call, call->in[0].type.dtype, err);
}

status infer_pow(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(infer_dtype_in(call, 0, SET_NUMBER, err));
    TRY(infer_dtype_in(call, 1, SET_NUMBER, err));
    if (call->version < 12) TRY(infer_same_dtype(call, 0, 1, err));
    return infer_binary(call, call->in[0].type.dtype, err);
}

status infer_compare(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    if (call->op != OP_EQUAL || call->in[0].type.dtype != DT_STRING)
        TRY(infer_dtype_in(call, 0, call->op == OP_EQUAL ? SET_NUMBER | SET_BOOL : SET_NUMBER,
                           err));
    TRY(infer_same_dtype(call, 0, 1, err));
    return infer_binary(call, DT_BOOL, err);
}

status infer_logic(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(infer_dtype_in(call, 0, SET_BOOL, err));
    TRY(infer_same_dtype(call, 0, 1, err));
    return infer_binary(call, DT_BOOL, err);
}

/* ---- more ---- */

status infer_variadic(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(infer_dtype_in(call, 0, SET_NUMBER, err));
    struct tensor_type t = call->in[0].type;
    for (int i = 1; i < call->n_in; i++) {
        TRY(infer_same_dtype(call, 0, i, err));
        TRY(infer_broadcast(call, &t, &call->in[i].type, &t, err));
    }
    call->out[0].type = t;
    return infer_size_check(call, 0, err);
}

status infer_where(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(infer_dtype_is(call, 0, DT_BOOL, err));
    TRY(infer_same_dtype(call, 1, 2, err));
    struct tensor_type t = { .dtype = call->in[1].type.dtype };
    TRY(infer_broadcast(call, &call->in[1].type, &call->in[2].type, &t, err));
    TRY(infer_broadcast(call, &t, &call->in[0].type, &t, err));
    call->out[0].type = t;
    return infer_size_check(call, 0, err);
}

static bool dtype_casts(enum dtype dt)
{
    return dt > DT_NONE && dt < DT_COUNT && dt != DT_STRING && dt != DT_C64 && dt != DT_C128;
}

static status infer_cast_to(struct op_call *call, int64_t to, struct err *err)
{
    if (to < 0 || to >= DT_COUNT || !dtype_casts((enum dtype)to) ||
        !dtype_casts(call->in[0].type.dtype))
        return infer_fail(
            call, err, ST_UNSUPPORTED, "a cast from %s to %s", dtype_name(call->in[0].type.dtype),
            to >= 0 && to < DT_COUNT ? dtype_name((enum dtype)to) : "an unknown type");
    call->out[0].type = infer_typed((enum dtype)to, &call->in[0].type);
    return ST_OK;
}

status infer_cast(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    return infer_cast_to(call, call->attr.cast.to, err);
}

status infer_castlike(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    return infer_cast_to(call, call->in[1].type.dtype, err);
}
