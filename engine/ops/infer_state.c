/* SPDX-License-Identifier: MIT */
/* Inference of recurrences (a state goes in, a state comes out) and of the gates beside them. */
#include "engine/ops/infer.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define INFER_STATE_FLOATS_MAX (INT64_C(1) << 32) /* of all layers of one sequence */

/* Input i is float; its dimension d is `want`. */
static status float_input(const struct op_call *call, int i, int ndim, struct err *err)
{
    TRY(infer_dtype_in(call, i, SET_F32_F16, err));
    return infer_rank(call, i, ndim, ndim, err);
}

static status same_dims(const struct op_call *call, int i, const int64_t *dim, int n,
                        struct err *err)
{
    for (int d = 0; d < n; d++) TRY(infer_dim_is(call, i, d, dim[d], err));
    return ST_OK;
}

/* ---- LinearAttention ---- */

enum linattn_in { LA_Q, LA_K, LA_V, LA_PAST, LA_DECAY, LA_BETA };

struct linattn {
    int rank; /* 3: [batch, seq, columns]; 2: [tokens, columns] of the lowered form */
    int64_t batch, seq, heads, kv_heads, dk, dv;
};

/* Where a layer's part of a sequence's state begins: the lowered form's own attribute. */
static status state_offset(const struct op_call *call, int64_t offset, struct err *err)
{
    const bool lowered = call->op == OP_SEQCONV || call->op == OP_SEQLINATTN;

    if (offset >= 0 && offset <= INFER_STATE_FLOATS_MAX && (lowered || offset == 0)) return ST_OK;
    return infer_fail(call, err, ST_FORMAT, "state_offset is %" PRId64, offset);
}

static status linattn_attrs(const struct op_call *call, bool *gated, bool *delta, struct err *err)
{
    const struct attrs_linattn *a = &call->attr.linattn;

    *gated = strcmp(a->update_rule, "gated") == 0 || strcmp(a->update_rule, "gated_delta") == 0;
    *delta = strcmp(a->update_rule, "delta") == 0 || strcmp(a->update_rule, "gated_delta") == 0;
    if (!*gated && !*delta && strcmp(a->update_rule, "linear") != 0)
        return infer_fail(call, err, ST_UNSUPPORTED, "update_rule is '%s'", a->update_rule);
    if (a->q_num_heads < 1 || a->kv_num_heads < 1 || a->q_num_heads > INT16_MAX ||
        a->kv_num_heads > INT16_MAX ||
        (a->q_num_heads % a->kv_num_heads != 0 && a->kv_num_heads % a->q_num_heads != 0))
        return infer_fail(call, err, ST_FORMAT,
                          "q_num_heads %" PRId64 ", kv_num_heads %" PRId64 ", expected one a "
                          "multiple of the other",
                          a->q_num_heads, a->kv_num_heads);
    if (a->state_window != 0)
        return infer_fail(call, err, ST_UNSUPPORTED, "state_window is %" PRId64, a->state_window);
    TRY(state_offset(call, a->state_offset, err));
    if (!isfinite(a->scale)) return infer_fail(call, err, ST_FORMAT, "scale is no number");
    return ST_OK;
}

/* Last dimension of input i; DIM_UNKNOWN without a rank. */
static int64_t columns_of(const struct op_call *call, int i)
{
    const struct tensor_type *t = &call->in[i].type;

    return t->ndim > 0 ? t->dim[t->ndim - 1] : DIM_UNKNOWN;
}

/* Columns of input i in heads: the width of one. */
static status head_width(const struct op_call *call, int i, int64_t heads, int64_t *width,
                         struct err *err)
{
    const int64_t columns = columns_of(call, i);

    *width = DIM_UNKNOWN;
    if (columns < 0) return ST_OK;
    if (columns == 0 || columns % heads != 0)
        return infer_fail(call, err, ST_SHAPE,
                          "input %d: %" PRId64 " columns for %" PRId64 " heads", i, columns, heads);
    *width = columns / heads;
    return ST_OK;
}

static status linattn_rows(const struct op_call *call, struct linattn *s, struct err *err)
{
    const struct tensor_type *q = &call->in[LA_Q].type;

    for (int i = LA_Q; i <= LA_BETA; i++)
        if (i != LA_PAST && infer_has_in(call, i)) TRY(float_input(call, i, s->rank, err));
    if (q->ndim == s->rank) {
        s->batch = q->dim[0];
        s->seq = q->dim[1];
        for (int i = LA_K; i <= LA_BETA; i++)
            if (i != LA_PAST && infer_has_in(call, i))
                TRY(same_dims(call, i, q->dim, s->rank - 1, err));
    }
    TRY(head_width(call, LA_Q, s->heads, &s->dk, err));
    TRY(head_width(call, LA_V, s->kv_heads, &s->dv, err));
    const int64_t k = columns_of(call, LA_K);
    if (k >= 0 && s->dk > 0 && (k == 0 || k % s->dk != 0 || s->kv_heads % (k / s->dk) != 0))
        return infer_fail(call, err, ST_SHAPE,
                          "keys of %" PRId64 " columns, queries have heads of %" PRId64, k, s->dk);
    return ST_OK;
}

static status linattn_gates(const struct op_call *call, const struct linattn *s, bool gated,
                            bool delta, struct err *err)
{
    if (gated && !infer_has_in(call, LA_DECAY))
        return infer_fail(call, err, ST_FORMAT, "decay is required");
    if (delta && !infer_has_in(call, LA_BETA))
        return infer_fail(call, err, ST_FORMAT, "beta is required");
    const int64_t decay = gated ? columns_of(call, LA_DECAY) : DIM_UNKNOWN;
    const int64_t beta = delta ? columns_of(call, LA_BETA) : DIM_UNKNOWN;
    if (decay >= 0 && decay != s->kv_heads && s->dk >= 0 && decay != s->kv_heads * s->dk)
        return infer_fail(call, err, ST_SHAPE, "decay has %" PRId64 " columns", decay);
    if (beta >= 0 && beta != 1 && beta != s->kv_heads)
        return infer_fail(call, err, ST_SHAPE, "beta has %" PRId64 " columns", beta);
    return ST_OK;
}

/* What both forms have: sizes, checked, and output 0. */
static status linattn_common(struct op_call *call, int rank, struct linattn *s, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_linattn *a = &call->attr.linattn;
    bool gated, delta;
    int64_t columns = DIM_UNKNOWN;

    *s = (struct linattn){ .rank = rank,
                           .batch = DIM_UNKNOWN,
                           .seq = DIM_UNKNOWN,
                           .heads = a->q_num_heads,
                           .kv_heads = a->kv_num_heads };
    TRY(linattn_attrs(call, &gated, &delta, err));
    TRY(linattn_rows(call, s, err));
    TRY(linattn_gates(call, s, gated, delta, err));
    if (s->dv >= 0)
        TRY(infer_dim_mul(call, s->heads > s->kv_heads ? s->heads : s->kv_heads, s->dv, &columns,
                          err));
    call->out[0].type =
        (struct tensor_type){ .dtype = call->in[LA_Q].type.dtype,
                              .ndim = rank,
                              .dim = { s->batch, rank == 2 ? columns : s->seq, columns } };
    return infer_size_check(call, 0, err);
}

status infer_linattn(struct op_call *call, struct err *err)
{
    struct linattn s;

    TRY(linattn_common(call, 3, &s, err));
    const struct tensor_type state = { .dtype = infer_has_in(call, LA_PAST)
                                                    ? call->in[LA_PAST].type.dtype
                                                    : call->in[LA_Q].type.dtype,
                                       .ndim = 4,
                                       .dim = { s.batch, s.kv_heads, s.dk, s.dv } };
    if (infer_has_in(call, LA_PAST)) {
        TRY(float_input(call, LA_PAST, 4, err));
        TRY(same_dims(call, LA_PAST, state.dim, 4, err));
    }
    if (!infer_has_out(call, 1)) return ST_OK;
    call->out[1].type = state;
    return infer_size_check(call, 1, err);
}

/* Rows of tokens; the past is in the sequences' states, decay and beta where LinearAttention has
 * them. */
status infer_seqlinattn(struct op_call *call, struct err *err)
{
    struct linattn s;

    if (infer_has_in(call, LA_PAST))
        return infer_fail(call, err, ST_FORMAT, "a past state, which sequences have");
    return linattn_common(call, 2, &s, err);
}

/* a [B, T, H], dt_bias [H], decay_scale [H], b? [B, T, H] -> decay, beta. */
status infer_linattngate(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *a = &call->in[0].type;

    TRY(infer_dtype_in(call, 0, SET_F32_F16, err));
    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    for (int i = 1; i <= 2; i++) {
        TRY(float_input(call, i, 1, err));
        if (a->ndim > 0) TRY(infer_dim_is(call, i, 0, a->dim[a->ndim - 1], err));
    }
    call->out[0].type = *a;
    if (!infer_has_out(call, 1)) return ST_OK;
    if (!infer_has_in(call, 3)) return infer_fail(call, err, ST_FORMAT, "beta without input b");
    TRY(infer_dtype_in(call, 3, SET_F32_F16, err));
    TRY(infer_rank(call, 3, a->ndim < 0 ? 1 : a->ndim, a->ndim < 0 ? IR_DIMS_MAX : a->ndim, err));
    if (a->ndim >= 0) TRY(same_dims(call, 3, a->dim, a->ndim, err));
    call->out[1].type = infer_typed(call->in[3].type.dtype, a);
    return ST_OK;
}

/* ---- CausalConvWithState ---- */

static status conv_attrs(const struct op_call *call, struct err *err)
{
    const struct attrs_causalconv *a = &call->attr.causalconv;
    const char *act = a->activation;

    if (a->ndim != 1)
        return infer_fail(call, err, ST_UNSUPPORTED, "ndim is %" PRId64 ", expected 1", a->ndim);
    if (a->dilation < 1 || a->dilation > INT16_MAX)
        return infer_fail(call, err, ST_FORMAT, "dilation is %" PRId64, a->dilation);
    if (a->state_window != 0 || a->channels_last != 0 || a->state_channels_last == 1 ||
        a->state_length != 0 || a->input_channels != 0 || a->input_channel_offset != 0 ||
        a->state_update_capacity != 0)
        return infer_fail(call, err, ST_UNSUPPORTED,
                          "state_window, channels_last and the extended attributes of one GPU "
                          "provider");
    TRY(state_offset(call, a->state_offset, err));
    if (strcmp(act, "none") != 0 && strcmp(act, "silu") != 0 && strcmp(act, "swish") != 0)
        return infer_fail(call, err, ST_UNSUPPORTED, "activation is '%s'", act);
    return ST_OK;
}

/* weight [C, 1, K] and bias? [C] of `channels` channels (DIM_UNKNOWN: not known). */
static status conv_weights(const struct op_call *call, int64_t channels, struct err *err)
{
    const struct tensor_type *w = &call->in[1].type;

    TRY(float_input(call, 1, 3, err));
    TRY(infer_dim_is(call, 1, 0, channels, err));
    TRY(infer_dim_is(call, 1, 1, 1, err));
    if (w->ndim == 3 && w->dim[2] == 0) return infer_fail(call, err, ST_SHAPE, "no taps");
    if (!infer_has_in(call, 2)) return ST_OK;
    TRY(float_input(call, 2, 1, err));
    return infer_dim_is(call, 2, 0, channels, err);
}

/* x [T, C]: the past is in the sequences' states. */
status infer_seqconv(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;

    TRY(conv_attrs(call, err));
    TRY(float_input(call, 0, 2, err));
    TRY(conv_weights(call, x->ndim == 2 ? x->dim[1] : DIM_UNKNOWN, err));
    call->out[0].type = *x;
    return ST_OK;
}

/* input [B, C, L], weight [C, 1, K], bias? [C], past_state? [B, C, (K - 1) * dilation]. */
status infer_causalconv(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(conv_attrs(call, err));
    TRY(float_input(call, 0, 3, err));
    TRY(float_input(call, 1, 3, err));
    const struct tensor_type *x = &call->in[0].type, *w = &call->in[1].type;
    int64_t length = DIM_UNKNOWN;
    const int64_t batch = x->ndim == 3 ? x->dim[0] : DIM_UNKNOWN,
                  channels = infer_dim_merge(x->ndim == 3 ? x->dim[1] : DIM_UNKNOWN,
                                             w->ndim == 3 ? w->dim[0] : DIM_UNKNOWN);

    TRY(infer_dim_is(call, 0, 1, channels, err));
    TRY(conv_weights(call, channels, err));
    if (w->ndim == 3 && w->dim[2] > 0)
        TRY(infer_dim_mul(call, w->dim[2] - 1, call->attr.causalconv.dilation, &length, err));
    const struct tensor_type state = { .dtype = infer_has_in(call, 3) ? call->in[3].type.dtype
                                                                      : x->dtype,
                                       .ndim = 3,
                                       .dim = { batch, channels, length } };
    if (infer_has_in(call, 3)) {
        TRY(float_input(call, 3, 3, err));
        TRY(same_dims(call, 3, state.dim, 3, err));
    }
    call->out[0].type = *x;
    if (infer_has_out(call, 1)) call->out[1].type = state;
    if (call->n_out > 2)
        return infer_fail(call, err, ST_UNSUPPORTED, "state_update of one GPU provider");
    return ST_OK;
}

/* ---- gates ---- */

/* X [..., H * C], scale [C], gate like X. */
status infer_gatedrmsnorm(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_gatedrmsnorm *a = &call->attr.gatedrmsnorm;
    const struct tensor_type *x = &call->in[0].type, *w = &call->in[1].type;

    if (strcmp(a->activation, "silu") != 0 && strcmp(a->activation, "swish") != 0 &&
        strcmp(a->activation, "sigmoid") != 0)
        return infer_fail(call, err, ST_UNSUPPORTED, "activation is '%s'", a->activation);
    if (!isfinite(a->epsilon) || a->epsilon < 0)
        return infer_fail(call, err, ST_FORMAT, "epsilon is %g", (double)a->epsilon);
    TRY(infer_dtype_in(call, 0, SET_F32_F16, err));
    TRY(infer_dtype_in(call, 2, SET_F32_F16, err));
    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    TRY(float_input(call, 1, 1, err));
    if (w->ndim == 1 && w->dim[0] == 0) return infer_fail(call, err, ST_SHAPE, "scale is empty");
    if (x->ndim > 0 && w->ndim == 1 && w->dim[0] > 0 && x->dim[x->ndim - 1] >= 0 &&
        x->dim[x->ndim - 1] % w->dim[0] != 0)
        return infer_fail(call, err, ST_SHAPE,
                          "%" PRId64 " columns are no multiple of scale's %" PRId64,
                          x->dim[x->ndim - 1], w->dim[0]);
    if (x->ndim > 0) {
        TRY(infer_rank(call, 2, x->ndim, x->ndim, err));
        TRY(same_dims(call, 2, x->dim, x->ndim, err));
    }
    call->out[0].type = *x;
    return ST_OK;
}

/* X and Y [..., C], gate [..., 1]. */
status infer_gatedadd(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;

    if (infer_has_in(call, 3))
        return infer_fail(call, err, ST_UNSUPPORTED, "gate_weight: of one GPU provider");
    TRY(infer_dtype_in(call, 0, SET_F32_F16, err));
    TRY(infer_same_dtype(call, 0, 1, err));
    TRY(infer_dtype_in(call, 2, SET_F32_F16, err));
    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    if (x->ndim > 0) {
        TRY(infer_rank(call, 1, x->ndim, x->ndim, err));
        TRY(infer_rank(call, 2, x->ndim, x->ndim, err));
        TRY(same_dims(call, 1, x->dim, x->ndim, err));
        TRY(same_dims(call, 2, x->dim, x->ndim - 1, err));
        TRY(infer_dim_is(call, 2, -1, 1, err));
    }
    call->out[0].type = *x;
    return ST_OK;
}

status infer_lpnorm(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_lpnorm *a = &call->attr.lpnorm;
    int axis;

    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    if (a->p != 1 && a->p != 2)
        return infer_fail(call, err, ST_FORMAT, "p is %" PRId64 ", expected 1 or 2", a->p);
    if (call->in[0].type.ndim >= 0)
        TRY(infer_axis(call, "axis", a->axis, call->in[0].type.ndim, &axis, err));
    call->out[0].type = call->in[0].type;
    return ST_OK;
}
