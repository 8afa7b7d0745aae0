/* SPDX-License-Identifier: MIT */
/* Inference of ai.onnx Attention, opset 23 on. */
#include "engine/ops/infer.h"
#include <inttypes.h>
#include <math.h>

enum attention_in { AT_Q, AT_K, AT_V, AT_MASK, AT_PAST_K, AT_PAST_V, AT_NONPAD };

/* [B, heads, rows, dim], known or not. */
struct heads {
    int64_t batch, n, rows, dim;
};

static status read_heads(const struct op_call *call, int i, int64_t n, struct heads *out,
                         struct err *err)
{
    const struct tensor_type *t = &call->in[i].type;

    *out = (struct heads){ DIM_UNKNOWN, n > 0 ? n : DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN };
    TRY(infer_dtype_in(call, i, SET_F32_F16, err));
    TRY(infer_rank(call, i, 3, 4, err));
    if (t->ndim < 0) return ST_OK;
    out->batch = t->dim[0];
    if (t->ndim == 4) {
        if (n > 0) TRY(infer_dim_is(call, i, 1, n, err));
        *out = (struct heads){ t->dim[0], t->dim[1], t->dim[2], t->dim[3] };
        return ST_OK;
    }
    out->rows = t->dim[1];
    if (n < 1) return infer_fail(call, err, ST_FORMAT, "q_num_heads and kv_num_heads are required");
    if (t->dim[2] >= 0 && t->dim[2] % n != 0)
        return infer_fail(call, err, ST_SHAPE,
                          "input %d: %" PRId64 " columns for %" PRId64 " heads", i, t->dim[2], n);
    if (t->dim[2] >= 0) out->dim = t->dim[2] / n;
    return ST_OK;
}

static status check_attrs(const struct op_call *call, struct err *err)
{
    const struct attrs_attention23 *a = &call->attr.attention23;

    if (a->q_num_heads < 0 || a->kv_num_heads < 0 || a->q_num_heads > INT16_MAX ||
        a->kv_num_heads > INT16_MAX ||
        (a->q_num_heads > 0 && a->kv_num_heads > 0 && a->q_num_heads % a->kv_num_heads != 0))
        return infer_fail(call, err, ST_FORMAT, "q_num_heads %" PRId64 ", kv_num_heads %" PRId64,
                          a->q_num_heads, a->kv_num_heads);
    if (!isfinite(a->scale) || !isfinite(a->softcap) || a->softcap < 0)
        return infer_fail(call, err, ST_FORMAT, "scale %g, softcap %g", (double)a->scale,
                          (double)a->softcap);
    if (a->qk_mode < 0 || a->qk_mode > 3)
        return infer_fail(call, err, ST_FORMAT, "qk_matmul_output_mode is %" PRId64, a->qk_mode);
    if (a->left_window < -1 || a->right_window < -1)
        return infer_fail(call, err, ST_FORMAT, "windows of %" PRId64 " and %" PRId64,
                          a->left_window, a->right_window);
    return ST_OK;
}

/* Dimension d of input i is `want` (known or not). */
static status check_heads(const struct op_call *call, const struct heads *q, const struct heads *k,
                          const struct heads *v, struct err *err)
{
    const struct {
        const char *what;
        int64_t a, b;
    } same[] = { { "batches of q and k", q->batch, k->batch },
                 { "batches of q and v", q->batch, v->batch },
                 { "heads of k and v", k->n, v->n },
                 { "rows of k and v", k->rows, v->rows },
                 { "widths of q and k", q->dim, k->dim } };

    for (size_t i = 0; i < COUNT(same); i++)
        if (infer_dim_compare(same[i].a, same[i].b) < 0)
            return infer_fail(call, err, ST_SHAPE, "%s differ", same[i].what);
    if (q->n >= 0 && k->n >= 0 && (k->n == 0 || q->n % k->n != 0))
        return infer_fail(call, err, ST_SHAPE, "%" PRId64 " query heads, %" PRId64 " of keys", q->n,
                          k->n);
    if (q->dim == 0) return infer_fail(call, err, ST_SHAPE, "heads of no width");
    TRY(infer_same_dtype(call, AT_Q, AT_K, err));
    return infer_same_dtype(call, AT_K, AT_V, err);
}

/* The caches: *past becomes their rows, 0 without. */
static status check_past(const struct op_call *call, const struct heads *k, const struct heads *v,
                         int64_t *past, struct err *err)
{
    *past = 0;
    if (infer_has_in(call, AT_PAST_K) != infer_has_in(call, AT_PAST_V))
        return infer_fail(call, err, ST_FORMAT, "past_key and past_value go together");
    if (!infer_has_in(call, AT_PAST_K)) return ST_OK;
    if (infer_has_in(call, AT_NONPAD))
        return infer_fail(call, err, ST_FORMAT, "nonpad_kv_seqlen goes without past caches");
    if (call->n_out < 3)
        return infer_fail(call, err, ST_FORMAT, "past caches without present ones");
    *past = call->in[AT_PAST_K].type.ndim == 4 ? call->in[AT_PAST_K].type.dim[2] : DIM_UNKNOWN;
    for (int i = AT_PAST_K; i <= AT_PAST_V; i++) {
        const struct heads *h = i == AT_PAST_K ? k : v;

        TRY(infer_same_dtype(call, i, i == AT_PAST_K ? AT_K : AT_V, err));
        TRY(infer_rank(call, i, 4, 4, err));
        TRY(infer_dim_is(call, i, 0, h->batch, err));
        TRY(infer_dim_is(call, i, 1, h->n, err));
        TRY(infer_dim_is(call, i, 2, *past, err));
        TRY(infer_dim_is(call, i, 3, h->dim, err));
    }
    return ST_OK;
}

static status check_mask(const struct op_call *call, const struct tensor_type *scores,
                         struct err *err)
{
    const struct tensor_type *m = &call->in[AT_MASK].type;

    if (!infer_has_in(call, AT_MASK)) return ST_OK;
    TRY(infer_dtype_in(call, AT_MASK, SET_NUMBER | SET_BOOL, err));
    TRY(infer_rank(call, AT_MASK, 1, 4, err));
    for (int i = 1; m->ndim > 0 && i <= m->ndim; i++) {
        const int64_t have = m->dim[m->ndim - i], want = scores->dim[4 - i];
        const bool fits = i == 1 ? have < 0 || want < 0 || have <= want
                                 : have == 1 || infer_dim_compare(have, want) >= 0;
        if (!fits)
            return infer_fail(call, err, ST_SHAPE,
                              "attn_mask: dimension %d is %" PRId64 ", expected %" PRId64,
                              m->ndim - i, have, want);
    }
    return ST_OK;
}

static status set_outputs(struct op_call *call, const struct tensor_type *scores,
                          const struct heads *k, const struct heads *v, struct err *err)
{
    const struct tensor_type *q = &call->in[AT_Q].type;
    const enum dtype dt = q->dtype;
    struct tensor_type y = { .dtype = dt, .ndim = -1 };

    if (q->ndim == 4) {
        y = infer_typed(dt, q);
        y.dim[3] = v->dim;
    } else if (q->ndim == 3) {
        y = infer_typed(dt, q);
        y.dim[2] = DIM_UNKNOWN;
        if (v->dim >= 0 && scores->dim[1] >= 0)
            TRY(infer_dim_mul(call, scores->dim[1], v->dim, &y.dim[2], err));
    }
    call->out[0].type = y;
    for (int i = 1; i <= 2 && infer_has_out(call, i); i++) {
        const struct heads *h = i == 1 ? k : v;
        call->out[i].type =
            (struct tensor_type){ .dtype = call->in[i].type.dtype,
                                  .ndim = 4,
                                  .dim = { h->batch, h->n, scores->dim[3], h->dim } };
    }
    if (infer_has_out(call, 3)) call->out[3].type = *scores;
    for (int i = 0; i < call->n_out; i++) TRY(infer_size_check(call, i, err));
    return ST_OK;
}

status infer_attention23(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_attention23 *a = &call->attr.attention23;
    struct heads q, k, v;
    int64_t past, total = DIM_UNKNOWN;

    TRY(check_attrs(call, err));
    TRY(read_heads(call, AT_Q, a->q_num_heads, &q, err));
    TRY(read_heads(call, AT_K, a->kv_num_heads, &k, err));
    TRY(read_heads(call, AT_V, a->kv_num_heads, &v, err));
    TRY(check_heads(call, &q, &k, &v, err));
    TRY(check_past(call, &k, &v, &past, err));
    TRY(infer_dim_add(call, past, infer_dim_merge(k.rows, v.rows), &total, err));
    const struct tensor_type scores = { .dtype = call->in[AT_Q].type.dtype,
                                        .ndim = 4,
                                        .dim = { q.batch, q.n, q.rows, total } };
    TRY(check_mask(call, &scores, err));
    if (infer_has_in(call, AT_NONPAD)) {
        TRY(infer_dtype_in(call, AT_NONPAD, SET_INDEX, err));
        TRY(infer_rank(call, AT_NONPAD, 1, 1, err));
        TRY(infer_dim_is(call, AT_NONPAD, 0, q.batch, err));
    }
    return set_outputs(call, &scores, &k, &v, err);
}
