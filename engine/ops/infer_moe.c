/* SPDX-License-Identifier: MIT */
/* Inference of mixtures of experts. Weights that are constants are checked in full when they are
 * packed. */
#include "engine/ops/infer.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

static status moe_attrs(const struct op_call *call, struct err *err)
{
    static const char *const acts[] = { "relu", "gelu", "silu", "identity", "swiglu", "geglu" };
    const struct attrs_moe *a = &call->attr.moe;
    size_t i = 0;

    while (i < COUNT(acts) && strcmp(acts[i], a->activation_type) != 0) i++;
    if (i == COUNT(acts))
        return infer_fail(call, err, ST_UNSUPPORTED, "activation_type is '%s'", a->activation_type);
    if (a->k < 1 || a->swiglu_fusion < 0 || a->swiglu_fusion > 2)
        return infer_fail(call, err, ST_FORMAT, "k is %" PRId64 ", swiglu_fusion %" PRId64, a->k,
                          a->swiglu_fusion);
    if (!isfinite(a->alpha) || !isfinite(a->beta) || isnan(a->swiglu_limit) || a->swiglu_limit < 0)
        return infer_fail(call, err, ST_FORMAT,
                          "activation_alpha, activation_beta or swiglu_limit "
                          "is no sensible number");
    if (strcmp(a->quant_type, "int") != 0 &&
        (call->op != OP_QMOE || strcmp(a->quant_type, "fp4") != 0))
        return infer_fail(call, err, ST_UNSUPPORTED, "quant_type is '%s', expected int or fp4",
                          a->quant_type);
    if (call->op == OP_QMOE && a->prepacked == 1)
        return infer_fail(call, err, ST_UNSUPPORTED,
                          "weights_prepacked: a layout private to one GPU library; export without "
                          "it");
    return ST_OK;
}

/* input [tokens, H] or [B, S, H]; router [tokens, E]. */
static status moe_rows(const struct op_call *call, struct err *err)
{
    const struct tensor_type *x = &call->in[0].type, *router = &call->in[1].type;
    int64_t tokens;

    TRY(infer_dtype_in(call, 0, SET_F32_F16, err));
    TRY(infer_dtype_in(call, 1, SET_F32_F16, err));
    TRY(infer_rank(call, 0, 2, 3, err));
    TRY(infer_rank(call, 1, 2, 2, err));
    if (x->ndim < 0) return ST_OK;
    tokens = x->dim[0];
    if (x->ndim == 3) TRY(infer_dim_mul(call, x->dim[0], x->dim[1], &tokens, err));
    TRY(infer_dim_is(call, 1, 0, tokens, err));
    if (router->ndim == 2 && router->dim[1] >= 0 && router->dim[1] < call->attr.moe.k)
        return infer_fail(call, err, ST_SHAPE, "k is %" PRId64 " of %" PRId64 " experts",
                          call->attr.moe.k, router->dim[1]);
    return ST_OK;
}

/* Weights of a projection: [E, N, …]. */
static status moe_weights(const struct op_call *call, int i, struct err *err)
{
    if (!infer_has_in(call, i)) return ST_OK;
    TRY(infer_rank(call, i, 3, 3, err));
    if (call->in[1].type.ndim == 2) TRY(infer_dim_is(call, i, 0, call->in[1].type.dim[1], err));
    if (call->op == OP_QMOE) return infer_dtype_is(call, i, DT_U8, err);
    return infer_dtype_in(call, i, SET_F32_F16, err);
}

static status moe_common(struct op_call *call, int fc1, int fc2, int fc3, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(moe_attrs(call, err));
    TRY(moe_rows(call, err));
    if (!infer_has_in(call, fc1) || !infer_has_in(call, fc2))
        return infer_fail(call, err, ST_FORMAT, "inputs %d and %d are required", fc1, fc2);
    TRY(moe_weights(call, fc1, err));
    TRY(moe_weights(call, fc2, err));
    TRY(moe_weights(call, fc3, err));
    call->out[0].type = call->in[0].type;
    return ST_OK;
}

status infer_moe(struct op_call *call, struct err *err) { return moe_common(call, 2, 4, 6, err); }

/* Scales are floats, or the exponents of 8 bits that some block formats have. */
static status moe_scales(const struct op_call *call, int i, struct err *err)
{
    if (!infer_has_in(call, i)) return ST_OK;
    if (call->in[i].type.dtype == DT_U8 || call->in[i].type.dtype == DT_F8E8M0) return ST_OK;
    return infer_dtype_in(call, i, SET_F32_F16, err);
}

status infer_qmoe(struct op_call *call, struct err *err)
{
    TRY(moe_common(call, 2, 5, 8, err));
    TRY(moe_scales(call, 3, err));
    TRY(moe_scales(call, 6, err));
    return moe_scales(call, 9, err);
}
