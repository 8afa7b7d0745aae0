/* SPDX-License-Identifier: MIT */
/* Inference of com.microsoft's fused encoder operators: EmbedLayerNormalization, Attention (with
 * its projection), MultiHeadAttention. */
#include "engine/ops/infer.h"
#include <math.h>

/* ---- EmbedLayerNormalization ---- */

/* ids, segment_ids?, words, positions, segments?, gamma, beta, mask?, position_ids? */
enum { EL_IDS, EL_SEGMENT_IDS, EL_WORDS, EL_POSITIONS, EL_SEGMENTS, EL_GAMMA, EL_BETA, EL_MASK };
enum { EL_POSITION_IDS = 8 };

/* Input i has the shape of the ids, where it is there. */
static status like_ids(const struct op_call *call, int i, bool first_may_be_1, struct err *err)
{
    const struct tensor_type *ids = &call->in[EL_IDS].type;

    if (!infer_has_in(call, i)) return ST_OK;
    TRY(infer_dtype_is(call, i, DT_I32, err));
    TRY(infer_rank(call, i, 2, 2, err));
    if (ids->ndim != 2 || call->in[i].type.ndim != 2) return ST_OK;
    if (!first_may_be_1 || call->in[i].type.dim[0] != 1)
        TRY(infer_dim_is(call, i, 0, ids->dim[0], err));
    return infer_dim_is(call, i, 1, ids->dim[1], err);
}

status infer_embedlayernorm(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_embedlayernorm *a = &call->attr.embedlayernorm;
    const struct tensor_type *ids = &call->in[EL_IDS].type, *words = &call->in[EL_WORDS].type;

    for (int i = EL_WORDS; i <= EL_BETA; i++)
        if (i != EL_SEGMENTS && !infer_has_in(call, i))
            return infer_fail(call, err, ST_FORMAT, "input %d is required", i);
    const int64_t width = words->ndim == 2 ? words->dim[1] : DIM_UNKNOWN;
    TRY(infer_dtype_is(call, EL_IDS, DT_I32, err));
    TRY(infer_rank(call, EL_IDS, 2, 2, err));
    if (!isfinite(a->epsilon) || a->epsilon < 0)
        return infer_fail(call, err, ST_FORMAT, "epsilon is %g", (double)a->epsilon);
    if (infer_has_in(call, EL_SEGMENT_IDS) != infer_has_in(call, EL_SEGMENTS))
        return infer_fail(call, err, ST_FORMAT, "segment ids and their table come together");
    TRY(infer_dtype_in(call, EL_WORDS, SET_F32_F16, err));
    for (int i = EL_WORDS; i <= EL_BETA; i++) {
        const bool table = i < EL_GAMMA;

        if (!infer_has_in(call, i)) continue;
        TRY(infer_same_dtype(call, EL_WORDS, i, err));
        TRY(infer_rank(call, i, table ? 2 : 1, table ? 2 : 1, err));
        TRY(infer_dim_is(call, i, -1, width, err));
    }
    TRY(like_ids(call, EL_SEGMENT_IDS, false, err));
    TRY(like_ids(call, EL_MASK, false, err));
    TRY(like_ids(call, EL_POSITION_IDS, true, err));
    struct tensor_type out = { .dtype = words->dtype, .ndim = 3 };
    out.dim[0] = ids->ndim == 2 ? ids->dim[0] : DIM_UNKNOWN;
    out.dim[1] = ids->ndim == 2 ? ids->dim[1] : DIM_UNKNOWN;
    out.dim[2] = width;
    call->out[0].type = out;
    if (infer_has_out(call, 1)) call->out[1].type = type_make(DT_I32, 1, out.dim);
    if (infer_has_out(call, 2)) call->out[2].type = out;
    return infer_size_check(call, 0, err);
}

/* ---- attention ---- */

static status heads_check(const struct op_call *call, int64_t heads, float scale, struct err *err)
{
    if (heads < 1 || heads > 1 << 16)
        return infer_fail(call, err, ST_FORMAT, "num_heads is %lld", (long long)heads);
    if (!isfinite(scale) || scale < 0)
        return infer_fail(call, err, ST_FORMAT, "scale is %g", (double)scale);
    return ST_OK;
}

/* Scores of attention: [B, N, S, T]. */
struct score_dims {
    int64_t batch, heads, rows, total;
};

/* attention_bias [1|B, 1|N, S, T]. */
static status score_bias_check(const struct op_call *call, int i, const struct score_dims *d,
                               struct err *err)
{
    const struct tensor_type *t = &call->in[i].type;

    if (!infer_has_in(call, i)) return ST_OK;
    TRY(infer_dtype_in(call, i, SET_F32_F16, err));
    TRY(infer_rank(call, i, 4, 4, err));
    if (t->ndim != 4) return ST_OK;
    if (t->dim[0] != 1) TRY(infer_dim_is(call, i, 0, d->batch, err));
    if (t->dim[1] != 1) TRY(infer_dim_is(call, i, 1, d->heads, err));
    TRY(infer_dim_is(call, i, 2, d->rows, err));
    return infer_dim_is(call, i, 3, d->total, err);
}

/* Masks of integers: [B] or [2B] ends (and begins), [B, T] or [B, S, T] flags. */
static status mask_check(const struct op_call *call, int i, const struct score_dims *d,
                         struct err *err)
{
    const int64_t batch = d->batch;
    const struct tensor_type *t = &call->in[i].type;

    if (!infer_has_in(call, i)) return ST_OK;
    TRY(infer_dtype_is(call, i, DT_I32, err));
    TRY(infer_rank(call, i, 1, 4, err));
    if (t->ndim == 4) return infer_fail(call, err, ST_UNSUPPORTED, "a mask of rank 4");
    if (t->ndim == 1 && t->dim[0] >= 0 && batch >= 0 && t->dim[0] != batch &&
        t->dim[0] != 2 * batch)
        return infer_fail(call, err, ST_UNSUPPORTED,
                          "a mask of %lld elements, expected %lld or %lld", (long long)t->dim[0],
                          (long long)batch, (long long)(2 * batch));
    if (t->ndim < 2) return ST_OK;
    TRY(infer_dim_is(call, i, 0, batch, err));
    if (t->ndim == 3) TRY(infer_dim_is(call, i, 1, d->rows, err));
    return infer_dim_is(call, i, t->ndim - 1, d->total, err);
}

/* Widths of q and v of an Attention whose weights have n columns; false when they do not add up. */
static bool packed_widths(const struct ir_ints *sizes, int64_t n, int64_t *q, int64_t *v)
{
    *q = *v = n < 0 ? DIM_UNKNOWN : n / 3;
    if (sizes->n == 0) return n < 0 || n % 3 == 0;
    if (sizes->n != 3 || sizes->v[0] < 1 || sizes->v[0] != sizes->v[1] || sizes->v[2] < 1 ||
        sizes->v[0] > INT32_MAX || sizes->v[2] > INT32_MAX)
        return false;
    *q = sizes->v[0];
    *v = sizes->v[2];
    return n < 0 || 2 * *q + *v == n;
}

static status packed_attrs(const struct op_call *call, struct err *err)
{
    const struct attrs_packedattn *a = &call->attr.packedattn;

    TRY(heads_check(call, a->num_heads, a->scale, err));
    if (a->do_rotary) return infer_fail(call, err, ST_UNSUPPORTED, "do_rotary");
    if (a->past_present_share_buffer)
        return infer_fail(call, err, ST_UNSUPPORTED, "past_present_share_buffer");
    return ST_OK;
}

/* input, weights, bias?, mask_index?, past [2,B,N,P,H]?, attention_bias?, past_sequence_length? */
status infer_packedattn(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_packedattn *a = &call->attr.packedattn;
    const struct tensor_type *x = &call->in[0].type, *w = &call->in[1].type;
    int64_t q, v, past = 0, total;

    TRY(infer_dtype_in(call, 0, SET_F32_F16, err));
    TRY(infer_same_dtype(call, 0, 1, err));
    TRY(infer_rank(call, 0, 3, 3, err));
    TRY(infer_rank(call, 1, 2, 2, err));
    TRY(packed_attrs(call, err));
    const int64_t n = w->ndim == 2 ? w->dim[1] : DIM_UNKNOWN;
    if (!packed_widths(&a->qkv_hidden_sizes, n, &q, &v) || q % a->num_heads > 0 ||
        v % a->num_heads > 0)
        return infer_fail(call, err, ST_SHAPE, "%lld columns of weights in %lld heads%s",
                          (long long)n, (long long)a->num_heads,
                          a->qkv_hidden_sizes.v ? " by qkv_hidden_sizes" : "");
    struct tensor_type out = { .dtype = x->dtype,
                               .ndim = 3,
                               .dim = { DIM_UNKNOWN, DIM_UNKNOWN, v } };
    if (x->ndim == 3) {
        TRY(infer_dim_is(call, 1, 0, x->dim[2], err));
        out.dim[0] = x->dim[0];
        out.dim[1] = x->dim[1];
    }
    if (infer_has_in(call, 2)) {
        TRY(infer_same_dtype(call, 0, 2, err));
        TRY(infer_rank(call, 2, 1, 1, err));
        TRY(infer_dim_is(call, 2, 0, n, err));
    }
    if (infer_has_in(call, 4)) {
        TRY(infer_same_dtype(call, 0, 4, err));
        TRY(infer_rank(call, 4, 5, 5, err));
        const struct tensor_type *p = &call->in[4].type;
        const int64_t want[] = { 2, out.dim[0], a->num_heads, DIM_UNKNOWN,
                                 q < 0 ? DIM_UNKNOWN : q / a->num_heads };
        for (int d = 0; d < 5; d++) TRY(infer_dim_is(call, 4, d, want[d], err));
        if (q >= 0 && q != v) return infer_fail(call, err, ST_UNSUPPORTED, "past of uneven widths");
        past = p->ndim == 5 ? p->dim[3] : DIM_UNKNOWN;
    }
    TRY(infer_dim_add(call, past, out.dim[1], &total, err));
    const struct score_dims scores = { out.dim[0], a->num_heads, out.dim[1], total };
    TRY(mask_check(call, 3, &scores, err));
    TRY(score_bias_check(call, 5, &scores, err));
    call->out[0].type = out;
    if (infer_has_out(call, 1)) {
        const int64_t dim[] = { 2, out.dim[0], a->num_heads, total,
                                q < 0 ? DIM_UNKNOWN : q / a->num_heads };
        call->out[1].type = type_make(x->dtype, 5, dim);
    }
    return infer_size_check(call, 0, err);
}

/* Sizes of a MultiHeadAttention, DIM_UNKNOWN where not known. */
struct mha_dims {
    int64_t batch, rows, keys, width, v_width;
};

/* Keys and width a head of input i: [B, T, N*H], [B, N, T, H], or packed [B, T, N, parts, H]. */
static status mha_input(const struct op_call *call, int i, int64_t parts, int64_t *keys,
                        int64_t *width, struct err *err)
{
    const struct tensor_type *t = &call->in[i].type;
    const int64_t heads = call->attr.mha.num_heads;

    TRY(infer_dtype_in(call, i, SET_F32_F16, err));
    TRY(infer_rank(call, i, 3, 5, err));
    *keys = *width = DIM_UNKNOWN;
    if (t->ndim < 0) return ST_OK;
    if ((t->ndim == 5) != (parts > 1) || (t->ndim == 4 && i == 0))
        return infer_fail(call, err, ST_SHAPE, "input %d has rank %d", i, t->ndim);
    *keys = t->dim[t->ndim == 4 ? 2 : 1];
    *width = t->dim[t->ndim - 1];
    if (t->ndim == 4) return infer_dim_is(call, i, 1, heads, err);
    if (t->ndim == 5) {
        TRY(infer_dim_is(call, i, 2, heads, err));
        return infer_dim_is(call, i, 3, parts, err);
    }
    if (*width >= 0 && *width % heads != 0)
        return infer_fail(call, err, ST_SHAPE, "input %d: %lld columns in %lld heads", i,
                          (long long)*width, (long long)heads);
    if (*width >= 0) *width /= heads;
    return ST_OK;
}

static status mha_operands(const struct op_call *call, struct mha_dims *d, struct err *err)
{
    const struct tensor_type *q = &call->in[0].type;
    const bool has_k = infer_has_in(call, 1), has_v = infer_has_in(call, 2);
    int64_t width, keys;

    if (has_v && !has_k) return infer_fail(call, err, ST_FORMAT, "value without key");
    TRY(mha_input(call, 0, has_k ? 1 : 3, &d->rows, &d->width, err));
    d->batch = q->ndim > 0 ? q->dim[0] : DIM_UNKNOWN;
    d->keys = d->rows;
    d->v_width = d->width;
    if (has_k) {
        TRY(mha_input(call, 1, has_v ? 1 : 2, &d->keys, &width, err));
        TRY(infer_same_dtype(call, 0, 1, err));
        TRY(infer_dim_is(call, 1, 0, d->batch, err));
        if (infer_dim_compare(width, d->width) < 0)
            return infer_fail(call, err, ST_SHAPE, "heads of query and key differ in width");
    }
    if (!has_v) return ST_OK;
    TRY(mha_input(call, 2, 1, &keys, &d->v_width, err));
    TRY(infer_same_dtype(call, 0, 2, err));
    TRY(infer_dim_is(call, 2, 0, d->batch, err));
    if (infer_dim_compare(keys, d->keys) < 0)
        return infer_fail(call, err, ST_SHAPE, "key and value differ in length");
    return ST_OK;
}

static status mha_past(const struct op_call *call, const struct mha_dims *d, int64_t *past,
                       struct err *err)
{
    *past = 0;
    if (infer_has_in(call, 6) != infer_has_in(call, 7))
        return infer_fail(call, err, ST_FORMAT, "past_key and past_value come together");
    for (int i = 6; i < 8 && infer_has_in(call, i); i++) {
        const struct tensor_type *t = &call->in[i].type;

        TRY(infer_same_dtype(call, 0, i, err));
        TRY(infer_rank(call, i, 4, 4, err));
        TRY(infer_dim_is(call, i, 0, d->batch, err));
        TRY(infer_dim_is(call, i, 1, call->attr.mha.num_heads, err));
        TRY(infer_dim_is(call, i, 3, i == 6 ? d->width : d->v_width, err));
        if (i == 7) TRY(infer_dim_is(call, i, 2, *past, err));
        *past = t->ndim == 4 ? t->dim[2] : DIM_UNKNOWN;
    }
    if (infer_has_in(call, 8) || infer_has_in(call, 9))
        return infer_fail(call, err, ST_UNSUPPORTED, "a shared cache buffer");
    return ST_OK;
}

/* query, key?, value?, bias?, key_padding_mask?, attention_bias?, past_key?, past_value? */
status infer_mha(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_mha *a = &call->attr.mha;
    const enum dtype dt = call->in[0].type.dtype;
    struct mha_dims d;
    int64_t past, total, width;

    TRY(heads_check(call, a->num_heads, a->scale, err));
    TRY(mha_operands(call, &d, err));
    TRY(mha_past(call, &d, &past, err));
    TRY(infer_dim_add(call, past, d.keys, &total, err));
    if (infer_has_in(call, 3)) {
        TRY(infer_same_dtype(call, 0, 3, err));
        TRY(infer_rank(call, 3, 1, 1, err));
        if (d.width >= 0 && d.v_width >= 0)
            TRY(infer_dim_is(call, 3, 0, (2 * d.width + d.v_width) * a->num_heads, err));
    }
    const struct score_dims scores = { d.batch, a->num_heads, d.rows, total };
    TRY(mask_check(call, 4, &scores, err));
    TRY(score_bias_check(call, 5, &scores, err));
    TRY(infer_dim_mul(call, d.v_width, a->num_heads, &width, err));
    call->out[0].type = type_make(dt, 3, (int64_t[]){ d.batch, d.rows, width });
    if (infer_has_out(call, 1))
        call->out[1].type = type_make(dt, 4, (int64_t[]){ d.batch, a->num_heads, total, d.width });
    if (infer_has_out(call, 2))
        call->out[2].type =
            type_make(dt, 4, (int64_t[]){ d.batch, a->num_heads, total, d.v_width });
    return infer_size_check(call, 0, err);
}
