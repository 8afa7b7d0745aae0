/* SPDX-License-Identifier: MIT */
/* Operators of the lowered form that look at a token's own sequence. */
#include "engine/ops/infer.h"
#include <inttypes.h>

/* Product of the dimensions behind the first; -1 when not known. */
static int64_t row_width(const struct tensor_type *t)
{
    size_t n = 0;

    return t->ndim >= 1 && type_span(t, 1, t->ndim, &n) && n <= INT32_MAX ? (int64_t)n : -1;
}

static status width_is(const struct op_call *call, int i, int64_t want, struct err *err)
{
    const int64_t have = row_width(&call->in[i].type);

    if (have < 0 || have == want) return ST_OK;
    return infer_fail(call, err, ST_SHAPE,
                      "input %d has rows of %" PRId64 " elements, expected %" PRId64, i, have,
                      want);
}

/* q, k, v, or q|k|v packed: rows of heads, in one dimension or more. */
status infer_selfattn(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_selfattn *a = &call->attr.selfattn;
    const int64_t most = INT16_MAX;

    if (a->num_heads < 1 || a->kv_num_heads < 1 || a->head_dim < 1 || a->num_heads > most ||
        a->head_dim > most || a->num_heads % a->kv_num_heads != 0)
        return infer_fail(call, err, ST_SHAPE,
                          "%" PRId64 " heads, %" PRId64 " KV heads of %" PRId64, a->num_heads,
                          a->kv_num_heads, a->head_dim);
    const int64_t q = a->num_heads * a->head_dim, kv = a->kv_num_heads * a->head_dim;
    const bool packed = !infer_has_in(call, 1);
    if (packed != !infer_has_in(call, 2))
        return infer_fail(call, err, ST_FORMAT, "keys and values go together");
    for (int i = 0; i < (packed ? 1 : 3); i++) {
        TRY(infer_dtype_is(call, i, DT_F32, err));
        TRY(infer_rank(call, i, 2, IR_DIMS_MAX, err));
        TRY(width_is(call, i, packed ? q + 2 * kv : i == 0 ? q : kv, err));
    }
    call->out[0].type = call->in[0].type;
    if (packed)
        call->out[0].type = type_make(
            DT_F32, 2,
            (int64_t[]){ call->in[0].type.ndim > 0 ? call->in[0].type.dim[0] : DIM_UNKNOWN, q });
    return ST_OK;
}

status infer_posrows(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    TRY(infer_rank(call, 1, 1, IR_DIMS_MAX, err));
    if (dtype_bits(call->in[1].type.dtype) < 8)
        return infer_fail(call, err, ST_UNSUPPORTED, "the table is %s",
                          dtype_name(call->in[1].type.dtype));
    call->out[0].type = call->in[1].type;
    if (call->out[0].type.ndim > 0)
        call->out[0].type.dim[0] =
            call->in[0].type.ndim > 0 ? call->in[0].type.dim[0] : DIM_UNKNOWN;
    return infer_size_check(call, 0, err);
}

status infer_seqquant(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(infer_dtype_is(call, 0, DT_F32, err));
    TRY(infer_rank(call, 0, 2, 2, err));
    const struct tensor_type *x = &call->in[0].type;
    const int64_t each[2] = { x->ndim > 0 ? x->dim[0] : DIM_UNKNOWN, 1 };

    call->out[0].type = infer_typed(DT_U8, x);
    call->out[1].type = type_make(DT_F32, 2, each);
    call->out[2].type = type_make(DT_U8, 2, each);
    return ST_OK;
}

status infer_seqcumsum(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(infer_dtype_in(call, 0, SET_INDEX, err));
    TRY(infer_rank(call, 0, 1, 1, err));
    call->out[0].type = call->in[0].type;
    return ST_OK;
}

/* Both operands have one type; each dimension is the better known one. */
status infer_pastchoice(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(infer_same_dtype(call, 0, 1, err));
    const struct tensor_type *x = &call->in[0].type, *y = &call->in[1].type;

    call->out[0].type = x->ndim >= 0 ? *x : *y;
    if (x->ndim < 0 || y->ndim < 0) return ST_OK;
    TRY(infer_rank(call, 1, x->ndim, x->ndim, err));
    for (int i = 0; i < x->ndim; i++) {
        TRY(infer_dim_is(call, 1, i, x->dim[i], err));
        call->out[0].type.dim[i] = infer_dim_merge(x->dim[i], y->dim[i]);
    }
    return ST_OK;
}
