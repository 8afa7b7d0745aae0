/* SPDX-License-Identifier: MIT */
/* GroupQueryAttention on dense tensors: past and present caches [B, KV heads, rows, head_dim].
 *
 * Rows of the present cache are the past's, then the new tokens' (normed, rotated). A past that is
 * longer than the total is a shared buffer and may be the present itself. With a windowed cache
 * (sliding_window_cache) the buffer holds the newest positions only, and a step's own tokens may
 * push out rows that its first tokens still see: attention then reads a joined copy in scratch.
 * Caches may be quantised: i8, or u8 with two 4-bit numbers a byte. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_attend.h"
#include "backends/cpu/cpu_ops.h"

struct gqa {
    const struct tensor *q, *k, *v, *bias, *out;
    const struct tensor *past[2], *present[2]; /* key, value */
    const struct tensor *scale[2];             /* of quantised caches */
    size_t batch, seq, heads, kv_heads, group, head_dim, rot_dim;
    size_t past_rows, present_rows, row_bytes;
    size_t q_stride, kv_stride, k_at, v_at; /* elements between tokens; element of token 0 */
    bool stores;                            /* false: no new keys, the past is read as it is */
    bool windowed;
    enum dtype cache;
    int64_t total;   /* of the longest sequence */
    char *joined[2]; /* windowed: [B, KV heads, past_rows + seq, row_bytes] */
    float *queries;  /* [B, KV heads, seq, group, head_dim] */
};

/* Where a sequence's tokens lie. */
struct gqa_seq {
    size_t past;      /* positions before this step */
    size_t total;     /* positions after it, padding excluded */
    size_t past_base; /* position of the first row of the past cache */
    size_t past_kept; /* rows of it that hold something */
};

/* ---- reading the call ---- */

static bool layout_of(struct gqa *g)
{
    const size_t q_width = g->heads * g->head_dim, kv_width = g->kv_heads * g->head_dim;

    g->q_stride = (size_t)g->q->type.dim[2];
    g->stores = true;
    if (g->k && g->v) {
        g->kv_stride = kv_width;
        g->stores = g->k->type.ndim == 3 && g->k->type.dim[1] != 0;
        return g->q_stride == q_width &&
               (!g->stores || (cpu_elements(g->k) == g->batch * g->seq * kv_width &&
                               cpu_elements(g->v) == g->batch * g->seq * kv_width));
    }
    g->k = g->v = g->q;
    g->kv_stride = g->q_stride;
    g->k_at = q_width;
    g->v_at = q_width + kv_width;
    return g->q_stride == q_width + 2 * kv_width;
}

static bool cache_ok(const struct gqa *g, const struct tensor *x, size_t *rows)
{
    const struct tensor_type *c = &x->type;

    *rows = c->ndim == 4 ? (size_t)c->dim[2] : 0;
    return c->ndim == 4 && c->dtype == g->cache && (size_t)c->dim[0] == g->batch &&
           (size_t)c->dim[1] == g->kv_heads &&
           (size_t)c->dim[3] * cpu_size(g->cache) == g->row_bytes;
}

static bool caches_of(const struct cpu_task *t, struct gqa *g)
{
    const struct attrs_gqa *a = &t->call->attr.gqa;
    const bool nibbles = a->kv_cache_bit_width == 4;
    const bool quantised = a->k_quant_type && strcmp(a->k_quant_type, "NONE") != 0;
    size_t rows;

    g->present[0] = cpu_out(t, 1);
    g->present[1] = cpu_out(t, 2);
    g->past[0] = cpu_in(t, GQA_PAST_K);
    g->past[1] = cpu_in(t, GQA_PAST_V);
    g->cache = quantised ? (nibbles ? DT_U8 : DT_I8) : g->q->type.dtype;
    g->row_bytes = kv_row_bytes(g->cache, g->head_dim);
    if (!g->present[0] || !g->present[1] || !cache_ok(g, g->present[0], &g->present_rows) ||
        !cache_ok(g, g->present[1], &rows) || rows != g->present_rows)
        return false;
    if (g->past[0] && (!g->past[1] || !cache_ok(g, g->past[0], &g->past_rows) ||
                       !cache_ok(g, g->past[1], &rows) || rows != g->past_rows))
        return false;
    if (!quantised) return true;
    const bool per_channel = strcmp(a->k_quant_type, "PER_CHANNEL") == 0;
    for (int i = 0; i < 2; i++) {
        const struct tensor *s = cpu_in(t, GQA_K_SCALE + i);

        if (!s || s->type.dtype != DT_F32 ||
            cpu_elements(s) != (per_channel ? g->kv_heads * g->head_dim : 1))
            return false;
        g->scale[i] = s;
    }
    return true;
}

static bool extras_ok(const struct cpu_task *t, struct gqa *g)
{
    const struct tensor *cos = cpu_in(t, GQA_COS), *sin = cpu_in(t, GQA_SIN),
                        *pos = cpu_in(t, GQA_POSITIONS);
    const struct tensor *sink = cpu_in(t, GQA_SINK);

    for (int i = GQA_Q_NORM; i <= GQA_K_NORM; i++)
        if (cpu_in(t, i) &&
            (!cpu_is_float(t->in[i]->type.dtype) || cpu_elements(t->in[i]) != g->head_dim))
            return false;
    if (sink && (!cpu_is_float(sink->type.dtype) || cpu_elements(sink) != g->heads)) return false;
    g->bias = cpu_in(t, GQA_BIAS);
    if (g->bias) {
        const struct tensor_type *b = &g->bias->type;

        if (b->ndim != 4 || !cpu_is_float(b->dtype) ||
            (b->dim[0] != 1 && (size_t)b->dim[0] != g->batch) ||
            (b->dim[1] != 1 && (size_t)b->dim[1] != g->heads) ||
            (b->dim[2] != 1 && (size_t)b->dim[2] != g->seq) || b->dim[3] < g->total)
            return false;
    }
    if (!t->call->attr.gqa.do_rotary) return true;
    if (!cos || !sin || cos->type.ndim != 2 || !type_equal(&cos->type, &sin->type) ||
        !cpu_is_float(cos->type.dtype) || (pos && cpu_elements(pos) != g->batch * g->seq))
        return false;
    g->rot_dim = (size_t)cos->type.dim[1] * 2;
    return g->rot_dim <= g->head_dim;
}

static size_t align(size_t n) { return (n + CPU_ALIGN - 1) & ~(size_t)(CPU_ALIGN - 1); }

/* Bytes of the joined copy of one cache. */
static size_t joined_bytes(const struct gqa *g)
{
    return g->windowed ? align(g->batch * g->kv_heads * (g->past_rows + g->seq) * g->row_bytes) : 0;
}

static bool read_call(const struct cpu_task *t, struct gqa *g)
{
    const struct attrs_gqa *a = &t->call->attr.gqa;
    const struct tensor *total = cpu_in(t, GQA_TOTAL), *lens = cpu_in(t, GQA_SEQLENS);

    *g = (struct gqa){
        .q = cpu_in(t, GQA_Q), .k = cpu_in(t, GQA_K), .v = cpu_in(t, GQA_V), .out = cpu_out(t, 0)
    };
    if (a->num_heads < 1 || a->kv_num_heads < 1 || a->num_heads % a->kv_num_heads != 0 ||
        g->q->type.ndim != 3 || !cpu_is_float(g->q->type.dtype) || !total || !lens ||
        g->out->type.ndim != 3)
        return false;
    g->batch = (size_t)g->q->type.dim[0];
    g->seq = (size_t)g->q->type.dim[1];
    g->heads = (size_t)a->num_heads;
    g->kv_heads = (size_t)a->kv_num_heads;
    g->group = g->heads / g->kv_heads;
    g->head_dim = (size_t)g->out->type.dim[g->out->type.ndim - 1] / g->heads;
    g->total = cpu_elements(total) == 1 ? cpu_int_at(total, 0) : -1;
    g->windowed = a->sliding_window_cache != 0 && a->local_window_size > 0;
    if (g->head_dim < 1 || cpu_elements(lens) != g->batch || g->total < 0 ||
        g->out->type.dtype != g->q->type.dtype ||
        cpu_elements(g->out) != g->batch * g->seq * g->heads * g->head_dim || !layout_of(g) ||
        !caches_of(t, g) || !extras_ok(t, g) || cpu_out(t, 3))
        return false;
    g->joined[0] = t->shared;
    g->joined[1] = g->joined[0] + joined_bytes(g);
    g->queries = (float *)(void *)(g->joined[1] + joined_bytes(g));
    return !g->windowed || (g->past[0] && g->stores && g->past_rows == g->present_rows &&
                            (size_t)a->local_window_size <= g->past_rows);
}

/* ---- positions ---- */

/* Rows that a windowed cache of `rows` rows holds after `total` positions: all, or the newest ones
 * that are left after shifting by whole strides of rows - window + 1. */
static size_t resident(size_t rows, size_t window, size_t total)
{
    const size_t stride = rows - window + 1;

    if (total <= rows) return total;
    return total - stride * ((total - rows + stride - 1) / stride);
}

/* Lengths of sequence b; false when they do not fit the caches. */
static bool seq_of(const struct cpu_task *t, const struct gqa *g, size_t b, struct gqa_seq *s)
{
    const int64_t total = cpu_int_at(cpu_in(t, GQA_SEQLENS), b) + 1, seq = (int64_t)g->seq;
    const bool prompt = seq == g->total;

    if (total < 1 || total > g->total || (!prompt && total < seq)) return false;
    s->total = (size_t)total;
    s->past = prompt ? 0 : (size_t)(total - seq);
    s->past_base = 0;
    s->past_kept = s->past;
    if (g->windowed) {
        s->past_kept = resident(g->past_rows, (size_t)t->call->attr.gqa.local_window_size, s->past);
        s->past_base = s->past - s->past_kept;
        return true;
    }
    if (!g->stores) return s->total <= g->past_rows && s->total <= g->present_rows;
    return s->past <= g->past_rows && s->past + g->seq <= g->present_rows;
}

/* Rotary position of a token: given, or counted on from the past. */
static int64_t position(const struct cpu_task *t, const struct gqa *g, const struct gqa_seq *s,
                        size_t b, size_t i)
{
    const struct tensor *given = cpu_in(t, GQA_POSITIONS);

    return given ? cpu_int_at(given, b * g->seq + i) : (int64_t)(s->past + i);
}

static bool check_all(const struct cpu_task *t, const struct gqa *g)
{
    struct gqa_seq s;

    for (size_t b = 0; b < g->batch; b++) {
        if (!seq_of(t, g, b, &s)) {
            cpu_fail(t, ST_INVALID, "seqlens_k[%zu] does not fit the caches", b);
            return false;
        }
        for (size_t i = 0; g->rot_dim > 0 && i < g->seq; i++) {
            const int64_t at = position(t, g, &s, b, i);

            if (at >= 0 && at < cpu_in(t, GQA_COS)->type.dim[0]) continue;
            cpu_fail(t, ST_LIMIT, "position %lld is beyond the rotary tables", (long long)at);
            return false;
        }
    }
    return true;
}

/* ---- caches ---- */

/* Row `i` of head h of sequence b in a cache, or in the joined copy. */
static char *cache_row(const struct gqa *g, const struct tensor *c, size_t rows, size_t b, size_t h,
                       size_t i)
{
    return (char *)c->data + ((b * g->kv_heads + h) * rows + i) * g->row_bytes;
}

static char *joined_row(const struct gqa *g, int kv, size_t b, size_t h, size_t i)
{
    return g->joined[kv] + ((b * g->kv_heads + h) * (g->past_rows + g->seq) + i) * g->row_bytes;
}

/* Where new token i of a sequence is written. */
static char *new_row(const struct gqa *g, int kv, const struct gqa_seq *s, size_t b, size_t h,
                     size_t i)
{
    if (g->windowed) return joined_row(g, kv, b, h, s->past_kept + i);
    return cache_row(g, g->present[kv], g->present_rows, b, h, s->past + i);
}

/* One row into the cache's type. */
static void put_row(const struct gqa *g, int kv, size_t h, const float *x, char *out)
{
    const struct cpu_kv_scale scale = cpu_kv_scale_of(g->scale[kv], h, g->head_dim);

    cpu_kv_put(out, g->cache, &scale, x, g->head_dim);
}

/* Past rows of one head to where attention reads them; what lies behind the new rows is zeroed
 * unless it is the caller's own shared buffer. */
static void carry_past(const struct gqa *g, const struct gqa_seq *s, size_t b, size_t h)
{
    const size_t kept = g->stores ? s->past_kept : s->total;

    for (int kv = 0; kv < 2; kv++) {
        const char *from = g->past[kv] ? cache_row(g, g->past[kv], g->past_rows, b, h, 0) : NULL;
        char *to = g->windowed ? joined_row(g, kv, b, h, 0)
                               : cache_row(g, g->present[kv], g->present_rows, b, h, 0);
        const size_t used = kept + (g->stores ? g->seq : 0);

        if (from == to) continue;
        if (from && kept > 0) memcpy(to, from, kept * g->row_bytes);
        if (!g->windowed && used < g->present_rows)
            memset(to + used * g->row_bytes, 0, (g->present_rows - used) * g->row_bytes);
    }
}

/* Windowed: the rows that stay go to the front of the present cache. */
static void keep_window(const struct cpu_task *t, const struct gqa *g, const struct gqa_seq *s,
                        size_t b, size_t h)
{
    const size_t window = (size_t)t->call->attr.gqa.local_window_size;
    const size_t have = s->past_kept + (s->total - s->past);
    const size_t keep = resident(g->present_rows, window, s->total);

    for (int kv = 0; kv < 2; kv++) {
        char *to = cache_row(g, g->present[kv], g->present_rows, b, h, 0);

        memcpy(to, joined_row(g, kv, b, h, have - keep), keep * g->row_bytes);
        memset(to + keep * g->row_bytes, 0, (g->present_rows - keep) * g->row_bytes);
    }
}

/* ---- queries, keys, values ---- */

/* Of queries (GQA_Q_NORM) or keys (GQA_K_NORM). */
static struct cpu_norm_rope norm_rope_of(const struct cpu_task *t, const struct gqa *g, int norm)
{
    return (struct cpu_norm_rope){
        .norm = cpu_in(t, norm),
        .cos = cpu_in(t, GQA_COS),
        .sin = cpu_in(t, GQA_SIN),
        .head_dim = g->head_dim,
        .rot_dim = g->rot_dim,
        .epsilon = t->call->attr.gqa.qk_norm_epsilon,
        .interleaved = t->call->attr.gqa.rotary_interleaved,
    };
}

static float *queries_of(const struct gqa *g, size_t b, size_t h)
{
    return g->queries + (b * g->kv_heads + h) * g->seq * g->group * g->head_dim;
}

static void prepare_token(const struct cpu_task *t, const struct gqa *g, const struct gqa_seq *s,
                          size_t b, size_t h, size_t i)
{
    const size_t token = b * g->seq + i, dim = g->head_dim;
    const size_t pos = g->rot_dim > 0 ? (size_t)position(t, g, s, b, i) : 0;
    const struct cpu_norm_rope of_q = norm_rope_of(t, g, GQA_Q_NORM),
                               of_k = norm_rope_of(t, g, GQA_K_NORM);
    float *line = t->scratch, *x = line + 2 * dim;
    float *q = queries_of(g, b, h) + i * g->group * dim;

    cpu_to_f32(q, g->q->data, g->q->type.dtype, token * g->q_stride + h * g->group * dim,
               g->group * dim);
    cpu_norm_rope(&of_q, pos, q, g->group, line);
    const struct cpu_kv_scale scale = cpu_kv_scale_of(g->scale[0], h, dim);
    cpu_kv_scale_rows(&scale, q, g->group, dim);
    if (!g->stores) return;
    cpu_to_f32(x, g->k->data, g->k->type.dtype, g->k_at + token * g->kv_stride + h * dim, dim);
    cpu_norm_rope(&of_k, pos, x, 1, line);
    put_row(g, 0, h, x, new_row(g, 0, s, b, h, i));
    cpu_to_f32(x, g->v->data, g->v->type.dtype, g->v_at + token * g->kv_stride + h * dim, dim);
    put_row(g, 1, h, x, new_row(g, 1, s, b, h, i));
}

/* A unit is one KV head of one sequence. */
static void prepare_all(const struct cpu_task *t, const struct gqa *g)
{
    const struct cpu_share share = cpu_share(t, g->batch * g->kv_heads, 1);
    struct gqa_seq s;

    for (size_t u = share.begin; u < share.end; u++) {
        const size_t b = u / g->kv_heads, h = u % g->kv_heads;

        seq_of(t, g, b, &s);
        carry_past(g, &s, b, h);
        for (size_t i = 0; i < g->seq; i++) prepare_token(t, g, &s, b, h, i);
    }
}

/* ---- attention ---- */

/* Keys of head h of sequence b, for all heads of its group, or for one when a bias tells them
 * apart. */
static void fill_attend(const struct cpu_task *t, const struct gqa *g, const struct gqa_seq *s,
                        size_t b, size_t h, struct cpu_attend *a)
{
    const struct attrs_gqa *at = &t->call->attr.gqa;

    *a = (struct cpu_attend){
        .dtype = g->cache,
        .head_dim = g->head_dim,
        .scale = at->scale != 0 ? at->scale : 1.0f / sqrtf((float)g->head_dim),
        .softcap = at->softcap,
        .window = at->local_window_size,
        .q = queries_of(g, b, h),
        .heads = g->group,
        .first_key = s->past - s->past_base,
        .n_keys = s->total - s->past_base,
        .n_rows_kv = g->windowed ? g->past_rows + g->seq : g->present_rows,
        .k = g->windowed ? joined_row(g, 0, b, h, 0)
                         : cache_row(g, g->present[0], g->present_rows, b, h, 0),
        .v = g->windowed ? joined_row(g, 1, b, h, 0)
                         : cache_row(g, g->present[1], g->present_rows, b, h, 0),
        .v_scale = cpu_kv_scale_of(g->scale[1], h, g->head_dim),
    };
}

/* From a group's attention to that of one of its heads alone: its queries are gathered. */
static void single_head(const struct gqa *g, size_t head, float *gathered, struct cpu_attend *a)
{
    for (size_t i = 0; i < g->seq; i++)
        memcpy(gathered + i * g->head_dim, a->q + (i * g->group + head) * g->head_dim,
               g->head_dim * sizeof(float));
    a->q = gathered;
    a->heads = 1;
    a->sink = a->sink ? a->sink + head : NULL;
}

/* The bias rows of a head (of all heads) of sequence b; keys are counted from position past_base.
 */
static void attach_bias(const struct gqa *g, size_t b, size_t head, size_t past_base,
                        struct cpu_attend *a)
{
    const struct tensor_type *bias = &g->bias->type;
    const size_t keys = (size_t)bias->dim[3], rows = (size_t)bias->dim[2];
    const size_t bb = bias->dim[0] == 1 ? 0 : b, hh = bias->dim[1] == 1 ? 0 : head;

    a->bias = g->bias;
    a->bias_stride = rows == 1 ? 0 : keys;
    a->bias_at = (bb * (size_t)bias->dim[1] + hh) * rows * keys + past_base;
}

/* All tokens of sequence b; `head` is the first of a's heads. */
static void attend_rows(const struct gqa *g, struct cpu_attend *a, size_t b, size_t head,
                        void *scratch)
{
    const size_t each = cpu_attend_tokens(a->heads);
    const size_t at = (b * g->seq * g->heads + head) * g->head_dim;

    for (a->t0 = 0; a->t0 < g->seq; a->t0 = a->t1) {
        a->t1 = a->t0 + each < g->seq ? a->t0 + each : g->seq;
        const struct kern_attn_state st = cpu_attend_whole(a, scratch);

        cpu_attend_put(a, &st, g->out, at, g->heads * g->head_dim);
    }
}

/* Worker scratch: [sinks of all heads][gathered queries of one head][attention]. */
static void attend_unit(const struct cpu_task *t, const struct gqa *g, size_t b, size_t h,
                        const float *sinks)
{
    float *gathered = (float *)t->scratch + g->heads;
    void *scratch = (char *)t->scratch +
                    align((g->heads + (g->bias ? g->seq * g->head_dim : 0)) * sizeof(float));
    struct gqa_seq s;
    struct cpu_attend a, one;

    seq_of(t, g, b, &s);
    fill_attend(t, g, &s, b, h, &a);
    if (sinks) a.sink = sinks + h * g->group;
    if (!g->bias) {
        attend_rows(g, &a, b, h * g->group, scratch);
    } else {
        for (size_t head = 0; head < g->group; head++) {
            one = a;
            single_head(g, head, gathered, &one);
            attach_bias(g, b, h * g->group + head, s.past_base, &one);
            attend_rows(g, &one, b, h * g->group + head, scratch);
        }
    }
    if (g->windowed && g->stores) keep_window(t, g, &s, b, h);
}

void cpu_gqa(const struct cpu_task *t)
{
    struct gqa g;
    float *sinks = NULL;

    if (!read_call(t, &g)) {
        cpu_fail(t, ST_SHAPE, "inputs, outputs and attributes do not fit each other");
        return;
    }
    if (!check_all(t, &g)) return;
    prepare_all(t, &g);
    cpu_sync(t);
    if (cpu_in(t, GQA_SINK) || t->call->attr.gqa.smooth_softmax) {
        sinks = t->scratch;
        memset(sinks, 0, g.heads * sizeof *sinks);
        if (cpu_in(t, GQA_SINK))
            cpu_to_f32(sinks, cpu_in(t, GQA_SINK)->data, cpu_in(t, GQA_SINK)->type.dtype, 0,
                       g.heads);
    }
    const size_t n = g.batch * g.kv_heads;
    for (size_t u = cpu_take(t); u < n; u = cpu_take(t))
        attend_unit(t, &g, u / g.kv_heads, u % g.kv_heads, sinks);
}

status cpu_gqa_scratch(const struct op_call *call, const struct prepared *p,
                       const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const struct attrs_gqa *a = &call->attr.gqa;
    const struct tensor *past = cpu_call_in(call, GQA_PAST_K);
    const int64_t *q = call->in[GQA_Q].type.dim;
    size_t n_query, kv = 0, rows;

    (void)p;
    (void)b;
    if (a->num_heads < 1 || a->kv_num_heads < 1 || a->num_heads % a->kv_num_heads != 0 ||
        a->num_heads > INT16_MAX || call->in[GQA_Q].type.ndim != 3 || call->out[0].type.ndim != 3 ||
        !type_elements(&call->out[0].type, &n_query) || call->out[0].type.dim[2] > INT32_MAX)
        return FAIL(err, ST_SHAPE, "%s: query or heads of no known size", call->node);
    const size_t heads = (size_t)a->num_heads, dim = (size_t)call->out[0].type.dim[2] / heads;
    const size_t group = heads / (size_t)a->kv_num_heads;
    if (a->sliding_window_cache && past && past->type.ndim == 4) {
        if (!checked_add((size_t)past->type.dim[2], (size_t)q[1], &rows) ||
            !checked_mul(rows, (size_t)(q[0] * a->kv_num_heads) * dim * 4, &kv))
            return FAIL(err, ST_LIMIT, "%s: cache too large", call->node);
    }
    if (!checked_mul(n_query, sizeof(float), &n_query) ||
        !checked_add(n_query, 2 * (align(kv)), &out->shared))
        return FAIL(err, ST_LIMIT, "%s: query too large", call->node);
    out->worker = align((heads + (size_t)q[1] * dim) * sizeof(float)) +
                  cpu_attend_scratch(group, dim) + cpu_attend_scratch(1, dim);
    if (out->worker < 3 * dim * sizeof(float)) out->worker = 3 * dim * sizeof(float);
    return ST_OK;
}
