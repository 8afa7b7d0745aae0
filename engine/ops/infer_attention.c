/* SPDX-License-Identifier: MIT */
/* Inference of rotary embeddings and attention: RotaryEmbedding (both), GroupQueryAttention,
 * SeqAttention. */
#include "engine/ops/infer.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- rotary ---- */

/* cos and sin of one shape and dtype; *width = rotated dimensions (twice the columns), DIM_UNKNOWN
 * when not known. */
static status rotary_tables(const struct op_call *call, int cos, int sin, int ndim, int64_t *width,
                            struct err *err)
{
    const struct tensor_type *c = &call->in[cos].type;

    TRY(infer_dtype_in(call, cos, SET_F32_F16, err));
    TRY(infer_same_dtype(call, cos, sin, err));
    TRY(infer_rank(call, cos, ndim, ndim, err));
    TRY(infer_rank(call, sin, ndim, ndim, err));
    *width = DIM_UNKNOWN;
    if (c->ndim < 0) return ST_OK;
    for (int d = 0; d < ndim; d++) TRY(infer_dim_is(call, sin, d, c->dim[d], err));
    if (c->dim[ndim - 1] >= 0) TRY(infer_dim_mul(call, c->dim[ndim - 1], 2, width, err));
    return ST_OK;
}

/* Dimension of a head of input 0: [B, N, S, H], or [B, S, N*H] with num_heads. */
static status rotary_head_dim(const struct op_call *call, const struct attrs_rotary *a,
                              int64_t width, int64_t *head_dim, struct err *err)
{
    const struct tensor_type *x = &call->in[0].type;

    *head_dim = DIM_UNKNOWN;
    if (a->num_heads < 0 || a->rotary_embedding_dim < 0 || a->rotary_embedding_dim % 2 != 0)
        return infer_fail(call, err, ST_FORMAT,
                          "num_heads %" PRId64 ", rotary_embedding_dim %" PRId64, a->num_heads,
                          a->rotary_embedding_dim);
    if (x->ndim < 0) return ST_OK;
    const int64_t last = x->dim[x->ndim - 1];
    if (x->ndim == 4)
        *head_dim = last;
    else if (a->num_heads == 0 && (a->rotary_embedding_dim != 0 || call->op == OP_ROTARY23))
        return infer_fail(call, err, ST_FORMAT, "num_heads is required");
    else if (last >= 0 && a->num_heads > 0 && last % a->num_heads != 0)
        return infer_fail(call, err, ST_SHAPE, "%" PRId64 " columns in %" PRId64 " heads", last,
                          a->num_heads);
    else if (last >= 0)
        *head_dim = a->num_heads > 0 ? last / a->num_heads : width;
    if (x->ndim == 3 && last >= 0 && *head_dim > 0 && last % *head_dim != 0)
        return infer_fail(call, err, ST_SHAPE, "%" PRId64 " columns in heads of %" PRId64, last,
                          *head_dim);
    return ST_OK;
}

static status rotary_check(struct op_call *call, const struct attrs_rotary *a, int64_t width,
                           struct err *err)
{
    int64_t head_dim;

    TRY(infer_dtype_in(call, 0, SET_F32_F16, err));
    TRY(infer_rank(call, 0, 3, 4, err));
    if (a->is_packed_batching != 0)
        return infer_fail(call, err, ST_UNSUPPORTED, "is_packed_batching");
    TRY(rotary_head_dim(call, a, width, &head_dim, err));
    const int64_t want = a->rotary_embedding_dim > 0 ? a->rotary_embedding_dim : head_dim;
    if (want >= 0 && width >= 0 && want != width)
        return infer_fail(call, err, ST_SHAPE,
                          "tables for %" PRId64 " dimensions, expected %" PRId64, width, want);
    if (head_dim >= 0 && width > head_dim)
        return infer_fail(call, err, ST_SHAPE,
                          "tables for %" PRId64 " dimensions, heads have %" PRId64, width,
                          head_dim);
    if (head_dim == 0 || width == 0)
        return infer_fail(call, err, ST_SHAPE, "heads of no dimension");
    call->out[0].type = call->in[0].type;
    return ST_OK;
}

/* Batch and sequence of input 0, which is [B, S, ...] or [B, N, S, H]. */
static int sequence_axis(const struct tensor_type *x) { return x->ndim == 4 ? 2 : 1; }

/* Known positions lie within the tables' rows. */
static status positions_check(const struct op_call *call, int i, int64_t first, int64_t rows,
                              struct err *err)
{
    int64_t v;

    if (rows < 0) return ST_OK;
    for (size_t k = 0; infer_int_at(call, i, k, &v); k++) {
        if (v < 0 || v > rows - 1 - first)
            return infer_fail(call, err, ST_SHAPE,
                              "input %d holds position %" PRId64 ", the tables have %" PRId64
                              " rows",
                              i, v, rows);
    }
    return ST_OK;
}

static status positions_shape(const struct op_call *call, int i, struct err *err)
{
    const struct tensor_type *x = &call->in[0].type;

    TRY(infer_dtype_is(call, i, DT_I64, err));
    if (x->ndim < 0 || call->in[i].type.ndim != 2) return ST_OK;
    TRY(infer_dim_is(call, i, 0, x->dim[0], err));
    return infer_dim_is(call, i, 1, x->dim[sequence_axis(x)], err);
}

/* com.microsoft: x, position_ids ([1]: the first position, or [B, S]), cos, sin [max_positions,
 * width / 2]. */
status infer_rotary(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type, *pos = &call->in[1].type,
                             *cos = &call->in[2].type;
    int64_t width, first = 0;

    TRY(rotary_tables(call, 2, 3, 2, &width, err));
    TRY(infer_same_dtype(call, 0, 2, err));
    TRY(infer_rank(call, 1, 1, 2, err));
    TRY(positions_shape(call, 1, err));
    TRY(rotary_check(call, &call->attr.rotary, width, err));
    if (pos->ndim == 1) {
        TRY(infer_dim_is(call, 1, 0, 1, err));
        if (x->ndim > 0 && x->dim[sequence_axis(x)] > 0) first = x->dim[sequence_axis(x)] - 1;
    }
    return cos->ndim == 2 ? positions_check(call, 1, first, cos->dim[0], err) : ST_OK;
}

/* ONNX 23: x, cos, sin [max_positions, width / 2] with position_ids [B, S], else [B, S, width / 2].
 */
status infer_rotary23(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const bool ids = infer_has_in(call, 3);
    const struct tensor_type *x = &call->in[0].type, *cos = &call->in[1].type;
    int64_t width;

    TRY(rotary_tables(call, 1, 2, ids ? 2 : 3, &width, err));
    TRY(infer_same_dtype(call, 0, 1, err));
    TRY(rotary_check(call, &call->attr.rotary, width, err));
    if (ids) {
        TRY(infer_rank(call, 3, 2, 2, err));
        TRY(positions_shape(call, 3, err));
        return cos->ndim == 2 ? positions_check(call, 3, 0, cos->dim[0], err) : ST_OK;
    }
    if (x->ndim < 0) return ST_OK;
    TRY(infer_dim_is(call, 1, 0, x->dim[0], err));
    return infer_dim_is(call, 1, 1, x->dim[sequence_axis(x)], err);
}

/* com.microsoft: x, position_ids [3, B, S], cos, sin; the columns of the tables divided among the
 * three streams of positions. */
status infer_mrotary(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_mrotary *m = &call->attr.mrotary;
    const struct attrs_rotary a = { .num_heads = m->num_heads,
                                    .rotary_embedding_dim = m->rotary_embedding_dim,
                                    .is_packed_batching = m->is_packed_batching };
    const struct tensor_type *x = &call->in[0].type, *cos = &call->in[2].type;
    int64_t width, sum = 0;

    if (m->section.n != 3 || m->layout < 0 || m->layout > 1)
        return infer_fail(call, err, ST_FORMAT,
                          "mrope_section has %d numbers, mrope_layout %" PRId64, m->section.n,
                          m->layout);
    for (int i = 0; i < 3; i++) {
        if (m->section.v[i] < 0 || m->section.v[i] > INT16_MAX)
            return infer_fail(call, err, ST_FORMAT, "mrope_section holds %" PRId64,
                              m->section.v[i]);
        sum += m->section.v[i];
    }
    TRY(rotary_tables(call, 2, 3, 2, &width, err));
    TRY(infer_same_dtype(call, 0, 2, err));
    if (width >= 0 && sum != width / 2)
        return infer_fail(call, err, ST_SHAPE,
                          "mrope_section adds up to %" PRId64 ", the tables have %" PRId64
                          " columns",
                          sum, width / 2);
    TRY(infer_dtype_is(call, 1, DT_I64, err));
    TRY(infer_rank(call, 1, 3, 3, err));
    TRY(infer_dim_is(call, 1, 0, 3, err));
    if (x->ndim > 0) {
        TRY(infer_dim_is(call, 1, 1, x->dim[0], err));
        TRY(infer_dim_is(call, 1, 2, x->dim[sequence_axis(x)], err));
    }
    TRY(rotary_check(call, &a, width, err));
    return cos->ndim == 2 ? positions_check(call, 1, 0, cos->dim[0], err) : ST_OK;
}

/* ---- GroupQueryAttention ---- */

struct gqa {
    int64_t n, n_kv, head_dim; /* head_dim DIM_UNKNOWN when not known */
    int64_t batch, seq, past;  /* dimensions, known or not */
    int64_t total;             /* value of input 6, DIM_UNKNOWN when not known */
    int64_t cache_dim;         /* last dimension of the caches */
    enum dtype cache_dtype;
};

static status heads_check(const struct op_call *call, int64_t n, int64_t n_kv, struct err *err)
{
    if (n > 0 && n_kv > 0 && n <= INT16_MAX && n % n_kv == 0) return ST_OK;
    return infer_fail(call, err, ST_FORMAT, "num_heads %" PRId64 ", kv_num_heads %" PRId64, n,
                      n_kv);
}

/* columns / heads, which must come out even and not zero. */
static status head_dim_of(const struct op_call *call, int64_t columns, int64_t heads,
                          int64_t *head_dim, struct err *err)
{
    *head_dim = DIM_UNKNOWN;
    if (columns < 0) return ST_OK;
    if (columns == 0 || columns % heads != 0)
        return infer_fail(call, err, ST_SHAPE,
                          "the query has %" PRId64 " columns for %" PRId64 " heads", columns,
                          heads);
    *head_dim = columns / heads;
    return ST_OK;
}

static status gqa_attrs(const struct op_call *call, struct err *err)
{
    const struct attrs_gqa *a = &call->attr.gqa;

    TRY(heads_check(call, a->num_heads, a->kv_num_heads, err));
    if (!isfinite(a->scale) || !isfinite(a->softcap) || a->softcap < 0 ||
        !isfinite(a->qk_norm_epsilon) || a->qk_norm_epsilon < 0)
        return infer_fail(call, err, ST_FORMAT, "scale %g, softcap %g, qk_norm_epsilon %g",
                          (double)a->scale, (double)a->softcap, (double)a->qk_norm_epsilon);
    if (a->local_window_size < -1 || a->local_window_size > INT32_MAX)
        return infer_fail(call, err, ST_FORMAT, "local_window_size is %" PRId64,
                          a->local_window_size);
    if (a->sliding_window_cache != 0 && a->local_window_size <= 0)
        return infer_fail(call, err, ST_FORMAT, "sliding_window_cache without local_window_size");
    if (a->qk_output < 0 || a->qk_output > 2)
        return infer_fail(call, err, ST_FORMAT, "qk_output is %" PRId64, a->qk_output);
    if (a->kv_cache_bit_width != 0 && a->kv_cache_bit_width != 4 && a->kv_cache_bit_width != 8)
        return infer_fail(call, err, ST_FORMAT,
                          "kv_cache_bit_width is %" PRId64 ", expected 4 or 8",
                          a->kv_cache_bit_width);
    return ST_OK;
}

/* Query, key, value: packed in one tensor, or three of them (key and value may have no rows: the
 * past is read as it is). */
static status gqa_rows(const struct op_call *call, struct gqa *g, struct err *err)
{
    const struct tensor_type *q = &call->in[GQA_Q].type;
    const bool packed = !infer_has_in(call, GQA_K);

    TRY(infer_dtype_in(call, GQA_Q, SET_F32_F16, err));
    TRY(infer_rank(call, GQA_Q, 3, 3, err));
    if (packed != !infer_has_in(call, GQA_V))
        return infer_fail(call, err, ST_FORMAT, "key and value go together");
    if (q->ndim == 3) {
        g->batch = q->dim[0];
        g->seq = q->dim[1];
        TRY(head_dim_of(call, q->dim[2], packed ? g->n + 2 * g->n_kv : g->n, &g->head_dim, err));
    }
    for (int i = GQA_K; !packed && i <= GQA_V; i++) {
        const struct tensor_type *t = &call->in[i].type;

        TRY(infer_same_dtype(call, GQA_Q, i, err));
        TRY(infer_rank(call, i, 3, 3, err));
        if (t->ndim < 0) continue;
        TRY(infer_dim_is(call, i, 0, g->batch, err));
        if (t->dim[1] != 0) TRY(infer_dim_is(call, i, 1, g->seq, err));
        if (g->head_dim >= 0) TRY(infer_dim_is(call, i, 2, g->head_dim * g->n_kv, err));
    }
    return ST_OK;
}

/* Caches may be quantised: i8 (or u8 holding two of 4 bits) with scales of one, or one a channel.
 */
static status gqa_cache_type(const struct op_call *call, struct gqa *g, struct err *err)
{
    const struct attrs_gqa *a = &call->attr.gqa;
    const bool quant = strcmp(a->k_quant_type, "NONE") != 0;

    if (strcmp(a->k_quant_type, a->v_quant_type) != 0)
        return infer_fail(call, err, ST_UNSUPPORTED, "k_quant_type '%s' with v_quant_type '%s'",
                          a->k_quant_type, a->v_quant_type);
    if (quant && strcmp(a->k_quant_type, "PER_TENSOR") != 0 &&
        strcmp(a->k_quant_type, "PER_CHANNEL") != 0)
        return infer_fail(call, err, ST_UNSUPPORTED, "k_quant_type '%s'", a->k_quant_type);
    g->cache_dtype =
        quant ? (a->kv_cache_bit_width == 4 ? DT_U8 : DT_I8) : call->in[GQA_Q].type.dtype;
    g->cache_dim = quant && a->kv_cache_bit_width == 4 && g->head_dim >= 0 ? (g->head_dim + 1) / 2
                                                                           : g->head_dim;
    if (!quant) return ST_OK;
    if (a->kv_cache_bit_width != 4 && a->kv_cache_bit_width != 8)
        return infer_fail(call, err, ST_UNSUPPORTED,
                          "kv_cache_bit_width is %" PRId64 ", expected 4 or 8",
                          a->kv_cache_bit_width);
    const bool channel = !strcmp(a->k_quant_type, "PER_CHANNEL");
    for (int i = GQA_K_SCALE; i <= GQA_V_SCALE; i++) {
        const int64_t want = !channel ? 1 : g->head_dim >= 0 ? g->head_dim * g->n_kv : DIM_UNKNOWN;
        size_t n;

        if (!infer_has_in(call, i))
            return infer_fail(call, err, ST_FORMAT, "input %d (the cache's scale) is required", i);
        TRY(infer_dtype_is(call, i, DT_F32, err));
        if (type_elements(&call->in[i].type, &n) && want >= 0 && (int64_t)n != want)
            return infer_fail(call, err, ST_SHAPE, "input %d has %zu elements, expected %" PRId64,
                              i, n, want);
    }
    return ST_OK;
}

/* past_key, past_value [B, kv_num_heads, P, cache_dim]. */
static status gqa_past(const struct op_call *call, struct gqa *g, struct err *err)
{
    g->past = 0;
    if (infer_has_in(call, GQA_PAST_K) != infer_has_in(call, GQA_PAST_V))
        return infer_fail(call, err, ST_FORMAT, "past_key and past_value go together");
    if (!infer_has_in(call, GQA_PAST_K)) return ST_OK;
    const struct tensor_type *k = &call->in[GQA_PAST_K].type;
    g->past = k->ndim == 4 ? k->dim[2] : DIM_UNKNOWN;
    for (int i = GQA_PAST_K; i <= GQA_PAST_V; i++) {
        const struct tensor_type *t = &call->in[i].type;

        TRY(infer_dtype_is(call, i, g->cache_dtype, err));
        TRY(infer_rank(call, i, 4, 4, err));
        if (t->ndim < 0) continue;
        TRY(infer_dim_is(call, i, 0, g->batch, err));
        TRY(infer_dim_is(call, i, 1, g->n_kv, err));
        TRY(infer_dim_is(call, i, 2, g->past, err));
        TRY(infer_dim_is(call, i, 3, g->cache_dim, err));
    }
    return ST_OK;
}

/* seqlens_k [B] holds each sequence's total length less one; total_sequence_length the longest.
 * Both say how far kernels read and write the caches, so known values are held against the shapes.
 */
static status gqa_lengths(const struct op_call *call, struct gqa *g, struct err *err)
{
    int64_t v;
    size_t n;

    if (!infer_has_in(call, GQA_SEQLENS) || !infer_has_in(call, GQA_TOTAL))
        return infer_fail(call, err, ST_FORMAT,
                          "inputs 5 (seqlens_k) and 6 (total_sequence_length) are required");
    TRY(infer_dtype_is(call, GQA_SEQLENS, DT_I32, err));
    TRY(infer_dtype_is(call, GQA_TOTAL, DT_I32, err));
    TRY(infer_rank(call, GQA_SEQLENS, 1, 2, err));
    TRY(infer_rank(call, GQA_TOTAL, 0, 1, err));
    if (type_elements(&call->in[GQA_TOTAL].type, &n) && n != 1)
        return infer_fail(call, err, ST_SHAPE,
                          "input 6 (total_sequence_length) has %zu elements, expected 1", n);
    if (g->batch >= 0 && type_elements(&call->in[GQA_SEQLENS].type, &n) && (int64_t)n != g->batch)
        return infer_fail(call, err, ST_SHAPE,
                          "input 5 (seqlens_k) has %zu elements for a batch of %" PRId64, n,
                          g->batch);
    g->total = DIM_UNKNOWN;
    if (!infer_int_at(call, GQA_TOTAL, 0, &g->total)) return ST_OK;
    const bool ring = call->attr.gqa.sliding_window_cache != 0;
    if (g->total < 0 || (!ring && g->past >= 0 && g->seq >= 0 && g->total > g->past + g->seq) ||
        (g->seq >= 0 && g->total < g->seq))
        return infer_fail(call, err, ST_SHAPE,
                          "total_sequence_length %" PRId64 " with a past of %" PRId64
                          " and %" PRId64 " new tokens",
                          g->total, g->past, g->seq);
    for (size_t b = 0; infer_int_at(call, GQA_SEQLENS, b, &v); b++) {
        const bool prompt = g->seq == g->total;
        if (v < 0 || v >= g->total || (!prompt && g->seq >= 0 && v + 1 < g->seq))
            return infer_fail(call, err, ST_SHAPE,
                              "seqlens_k[%zu] is %" PRId64 " with a total of %" PRId64
                              " and %" PRId64 " new tokens",
                              b, v, g->total, g->seq);
    }
    return ST_OK;
}

static status gqa_rotary(const struct op_call *call, const struct gqa *g, struct err *err)
{
    const struct attrs_gqa *a = &call->attr.gqa;
    int64_t width;

    if (a->do_rotary == 0) return ST_OK;
    if (!infer_has_in(call, GQA_COS) || !infer_has_in(call, GQA_SIN))
        return infer_fail(call, err, ST_FORMAT, "do_rotary without cos_cache and sin_cache");
    TRY(rotary_tables(call, GQA_COS, GQA_SIN, 2, &width, err));
    TRY(infer_same_dtype(call, GQA_Q, GQA_COS, err));
    if (width == 0 || (g->head_dim >= 0 && width > g->head_dim) ||
        (a->rotary_embedding_dim > 0 && width >= 0 && width != a->rotary_embedding_dim))
        return infer_fail(call, err, ST_SHAPE,
                          "tables for %" PRId64 " dimensions, heads have %" PRId64, width,
                          g->head_dim);
    const int64_t rows =
        call->in[GQA_COS].type.ndim == 2 ? call->in[GQA_COS].type.dim[0] : DIM_UNKNOWN;
    if (infer_has_in(call, GQA_POSITIONS)) {
        TRY(infer_rank(call, GQA_POSITIONS, 2, 2, err));
        TRY(positions_shape(call, GQA_POSITIONS, err));
        return positions_check(call, GQA_POSITIONS, 0, rows, err);
    }
    if (rows >= 0 && g->total > rows)
        return infer_fail(call, err, ST_SHAPE,
                          "total_sequence_length %" PRId64 ", the rotary tables have %" PRId64
                          " rows",
                          g->total, rows);
    return ST_OK;
}

/* attention_bias [B or 1, N or 1, S, at least total], head_sink [N], q_norm and k_norm weights [H].
 */
static status gqa_extras(const struct op_call *call, const struct gqa *g, struct err *err)
{
    const struct tensor_type *bias = infer_has_in(call, GQA_BIAS) ? &call->in[GQA_BIAS].type : NULL;

    if (bias) {
        TRY(infer_same_dtype(call, GQA_Q, GQA_BIAS, err));
        TRY(infer_rank(call, GQA_BIAS, 4, 4, err));
        if (bias->ndim == 4) {
            if (bias->dim[0] != 1) TRY(infer_dim_is(call, GQA_BIAS, 0, g->batch, err));
            if (bias->dim[1] != 1) TRY(infer_dim_is(call, GQA_BIAS, 1, g->n, err));
            TRY(infer_dim_is(call, GQA_BIAS, 2, g->seq, err));
            if (g->total >= 0 && bias->dim[3] >= 0 && bias->dim[3] < g->total)
                return infer_fail(call, err, ST_SHAPE,
                                  "attention_bias covers %" PRId64 " of %" PRId64 " positions",
                                  bias->dim[3], g->total);
        }
    }
    if (infer_has_in(call, GQA_SINK)) {
        TRY(infer_dtype_in(call, GQA_SINK, SET_F32_F16, err));
        TRY(infer_rank(call, GQA_SINK, 1, 1, err));
        TRY(infer_dim_is(call, GQA_SINK, 0, g->n, err));
    }
    if (infer_has_in(call, GQA_Q_NORM) != infer_has_in(call, GQA_K_NORM))
        return infer_fail(call, err, ST_FORMAT, "q_norm and k_norm go together");
    for (int i = GQA_Q_NORM; i <= GQA_K_NORM; i++) {
        if (!infer_has_in(call, i)) continue;
        TRY(infer_dtype_in(call, i, SET_F32_F16, err));
        TRY(infer_rank(call, i, 1, 1, err));
        TRY(infer_dim_is(call, i, 0, g->head_dim, err));
    }
    return ST_OK;
}

static status gqa_outputs(struct op_call *call, const struct gqa *g, struct err *err)
{
    const enum dtype dt = call->in[GQA_Q].type.dtype;
    int64_t columns = DIM_UNKNOWN, present = DIM_UNKNOWN;

    if (g->head_dim >= 0) TRY(infer_dim_mul(call, g->head_dim, g->n, &columns, err));
    if (call->attr.gqa.sliding_window_cache != 0 && infer_has_in(call, GQA_PAST_K))
        present = g->past;
    else if (g->total >= 0 && g->past >= 0)
        present = g->total > g->past ? g->total : g->past;
    call->out[0].type =
        (struct tensor_type){ .dtype = dt, .ndim = 3, .dim = { g->batch, g->seq, columns } };
    for (int i = 1; i <= 2 && infer_has_out(call, i); i++)
        call->out[i].type = (struct tensor_type){
            .dtype = g->cache_dtype, .ndim = 4, .dim = { g->batch, g->n_kv, present, g->cache_dim }
        };
    if (infer_has_out(call, 3))
        call->out[3].type = (struct tensor_type){ .dtype = dt,
                                                  .ndim = 4,
                                                  .dim = { g->batch, g->n, g->seq, g->total } };
    for (int i = 0; i < call->n_out; i++) TRY(infer_size_check(call, i, err));
    return ST_OK;
}

status infer_gqa(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    struct gqa g = {
        .n = call->attr.gqa.num_heads,
        .n_kv = call->attr.gqa.kv_num_heads,
        .head_dim = DIM_UNKNOWN,
        .batch = DIM_UNKNOWN,
        .seq = DIM_UNKNOWN,
    };

    TRY(gqa_attrs(call, err));
    TRY(gqa_rows(call, &g, err));
    TRY(gqa_cache_type(call, &g, err));
    TRY(gqa_past(call, &g, err));
    TRY(gqa_lengths(call, &g, err));
    TRY(gqa_rotary(call, &g, err));
    TRY(gqa_extras(call, &g, err));
    return gqa_outputs(call, &g, err);
}

/* ---- SeqAttention (lowered form) ---- */

enum seq_in {
    SEQ_Q,
    SEQ_K,
    SEQ_V,
    SEQ_COS,
    SEQ_SIN,
    SEQ_COS_LONG,
    SEQ_SIN_LONG,
    SEQ_SINK,
    SEQ_Q_NORM,
    SEQ_K_NORM,
    SEQ_K_SCALE,
    SEQ_V_SCALE
};

static status seq_attrs(const struct op_call *call, struct err *err)
{
    const struct attrs_seqattn *a = &call->attr.seqattn;

    TRY(heads_check(call, a->num_heads, a->kv_num_heads, err));
    if (a->head_dim <= 0 || a->head_dim > INT16_MAX || a->layer < 0 || a->layer > INT16_MAX)
        return infer_fail(call, err, ST_FORMAT, "head_dim %" PRId64 ", layer %" PRId64, a->head_dim,
                          a->layer);
    if (a->window == 0 || a->window < -1)
        return infer_fail(call, err, ST_FORMAT, "window is %" PRId64, a->window);
    if (!isfinite(a->scale) || !isfinite(a->softcap) || a->softcap < 0)
        return infer_fail(call, err, ST_FORMAT, "scale %g, softcap %g", (double)a->scale,
                          (double)a->softcap);
    return ST_OK;
}

static status seq_rows(const struct op_call *call, struct err *err)
{
    const struct attrs_seqattn *a = &call->attr.seqattn;
    const bool packed = !infer_has_in(call, SEQ_K);

    TRY(infer_dtype_in(call, SEQ_Q, SET_F32_F16, err));
    TRY(infer_rank(call, SEQ_Q, 2, 2, err));
    TRY(infer_dim_is(call, SEQ_Q, 1,
                     (a->num_heads + (packed ? 2 * a->kv_num_heads : 0)) * a->head_dim, err));
    if (packed != !infer_has_in(call, SEQ_V))
        return infer_fail(call, err, ST_FORMAT, "k and v go together");
    for (int i = SEQ_K; !packed && i <= SEQ_V; i++) {
        TRY(infer_same_dtype(call, SEQ_Q, i, err));
        TRY(infer_rank(call, i, 2, 2, err));
        if (call->in[SEQ_Q].type.ndim == 2)
            TRY(infer_dim_is(call, i, 0, call->in[SEQ_Q].type.dim[0], err));
        TRY(infer_dim_is(call, i, 1, a->kv_num_heads * a->head_dim, err));
    }
    return ST_OK;
}

static status seq_tables(const struct op_call *call, int cos, int sin, int64_t *width,
                         struct err *err)
{
    *width = DIM_UNKNOWN;
    if (infer_has_in(call, cos) != infer_has_in(call, sin))
        return infer_fail(call, err, ST_FORMAT, "cos and sin go together");
    if (!infer_has_in(call, cos)) return ST_OK;
    TRY(rotary_tables(call, cos, sin, 2, width, err));
    if (*width != 0 && *width <= call->attr.seqattn.head_dim) return ST_OK;
    return infer_fail(call, err, ST_SHAPE, "tables for %" PRId64 " dimensions, heads have %" PRId64,
                      *width, call->attr.seqattn.head_dim);
}

/* x [tokens, heads * head_dim] and one or two pairs of tables [positions, width / 2]. */
status infer_seqrotary(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_seqrotary *a = &call->attr.seqrotary;
    const struct tensor_type *x = &call->in[0].type;
    int64_t width, width_long = DIM_UNKNOWN;

    TRY(infer_dtype_in(call, 0, SET_F32_F16, err));
    TRY(infer_rank(call, 0, 2, 2, err));
    if (a->head_dim <= 0 || a->head_dim > INT16_MAX ||
        (x->ndim == 2 && x->dim[1] >= 0 && x->dim[1] % a->head_dim != 0))
        return infer_fail(call, err, ST_SHAPE, "head_dim is %" PRId64, a->head_dim);
    TRY(rotary_tables(call, 1, 2, 2, &width, err));
    if (infer_has_in(call, 3) != infer_has_in(call, 4))
        return infer_fail(call, err, ST_FORMAT, "cos and sin go together");
    if (infer_has_in(call, 3)) TRY(rotary_tables(call, 3, 4, 2, &width_long, err));
    if (width == 0 || width > a->head_dim || (width_long >= 0 && width != width_long))
        return infer_fail(call, err, ST_SHAPE,
                          "tables for %" PRId64 " dimensions, heads have %" PRId64, width,
                          a->head_dim);
    call->out[0].type = *x;
    return ST_OK;
}

/* kv_bits of 8 or 4 come with scales: one, or one a channel. */
static status seq_scales(const struct op_call *call, struct err *err)
{
    const struct attrs_seqattn *a = &call->attr.seqattn;

    if (a->kv_bits != 0 && a->kv_bits != 4 && a->kv_bits != 8)
        return infer_fail(call, err, ST_FORMAT, "kv_bits is %" PRId64 ", expected 4 or 8",
                          a->kv_bits);
    for (int i = SEQ_K_SCALE; i <= SEQ_V_SCALE; i++) {
        size_t n;

        if (infer_has_in(call, i) != (a->kv_bits != 0))
            return infer_fail(call, err, ST_FORMAT, "scales of the cache go with kv_bits");
        if (a->kv_bits == 0) continue;
        TRY(infer_dtype_is(call, i, DT_F32, err));
        if (type_elements(&call->in[i].type, &n) && n != 1 &&
            (int64_t)n != a->kv_num_heads * a->head_dim)
            return infer_fail(call, err, ST_SHAPE,
                              "input %d has %zu elements, expected 1 or %" PRId64, i, n,
                              a->kv_num_heads * a->head_dim);
    }
    return ST_OK;
}

status infer_seqattn(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_seqattn *a = &call->attr.seqattn;
    int64_t width, width_long;

    TRY(seq_attrs(call, err));
    TRY(seq_rows(call, err));
    TRY(seq_tables(call, SEQ_COS, SEQ_SIN, &width, err));
    TRY(seq_tables(call, SEQ_COS_LONG, SEQ_SIN_LONG, &width_long, err));
    if (a->do_rotary != 0 && !infer_has_in(call, SEQ_COS))
        return infer_fail(call, err, ST_FORMAT, "do_rotary without tables");
    if (width_long >= 0 && width != width_long)
        return infer_fail(call, err, ST_SHAPE, "long and short tables differ in width");
    if (infer_has_in(call, SEQ_SINK)) {
        TRY(infer_dtype_in(call, SEQ_SINK, SET_F32_F16, err));
        TRY(infer_rank(call, SEQ_SINK, 1, 1, err));
        TRY(infer_dim_is(call, SEQ_SINK, 0, a->num_heads, err));
    }
    for (int i = SEQ_Q_NORM; i <= SEQ_K_NORM; i++) {
        if (!infer_has_in(call, i)) continue;
        TRY(infer_dtype_in(call, i, SET_F32_F16, err));
        TRY(infer_rank(call, i, 1, 1, err));
        TRY(infer_dim_is(call, i, 0, a->head_dim, err));
    }
    TRY(seq_scales(call, err));
    struct tensor_type out = { .dtype = call->in[SEQ_Q].type.dtype,
                               .ndim = 2,
                               .dim = { DIM_UNKNOWN, a->num_heads * a->head_dim } };
    if (call->in[SEQ_Q].type.ndim == 2) out.dim[0] = call->in[SEQ_Q].type.dim[0];
    call->out[0].type = out;
    return ST_OK;
}
