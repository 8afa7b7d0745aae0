/* SPDX-License-Identifier: MIT */
/* ai.onnx Attention (opset 23 on). Queries, keys and values are [B, heads, S, dim], or [B, S,
 * heads * dim] with the numbers of heads as attributes. With past caches the present ones are
 * written first, and attention reads those; without, it reads the inputs where they lie.
 *
 * Query i of a block sees keys up to i + offset where is_causal: offset is the past's length, or
 * what nonpad_kv_seqlen leaves before the block. A unit of work is one query head of one sequence;
 * its rows go through the attention kernel ROWS at a time, keys SPAN at a time from key 0 on, so
 * that a row's result depends on nothing beside it. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

enum attention_in { Q, K, V, MASK, PAST_K, PAST_V, NONPAD };

enum { ROWS = 64, SPAN = 256 };

/* Element (b, h, s, d) of a tensor in either layout. */
struct layout {
    size_t batch, head, row; /* strides */
    size_t heads, rows, dim;
};

struct attention {
    const struct tensor *q, *k, *v, *mask, *past[2], *nonpad, *out, *present[2], *scores;
    struct layout ql, kl, vl, ol;
    const struct attrs_attention23 *at;
    size_t batch, heads, kv_heads, seq, past_rows, total;
    const struct tensor *keys, *values; /* what attention reads */
    float scale;
};

/* ---- reading the call ---- */

static bool layout_of(const struct tensor *x, int64_t heads, struct layout *l)
{
    const int64_t *d = x->type.dim;

    if (!cpu_is_float(x->type.dtype)) return false;
    if (x->type.ndim == 4) {
        *l = (struct layout){ .heads = (size_t)d[1], .rows = (size_t)d[2], .dim = (size_t)d[3] };
        l->row = l->dim;
        l->head = l->rows * l->row;
        l->batch = l->heads * l->head;
        return l->heads > 0;
    }
    if (x->type.ndim != 3 || heads < 1 || d[2] % heads != 0) return false;
    *l = (struct layout){ .heads = (size_t)heads,
                          .rows = (size_t)d[1],
                          .dim = (size_t)(d[2] / heads) };
    l->head = l->dim;
    l->row = l->heads * l->dim;
    l->batch = l->rows * l->row;
    return true;
}

static bool is_4d(const struct tensor *x, size_t a, size_t b, size_t c, size_t d)
{
    return x && x->type.ndim == 4 && (size_t)x->type.dim[0] == a && (size_t)x->type.dim[1] == b &&
           (size_t)x->type.dim[2] == c && (size_t)x->type.dim[3] == d;
}

/* Past and present caches; attention then reads the present. */
static bool caches_ok(struct attention *a)
{
    const size_t dim[2] = { a->kl.dim, a->vl.dim };
    const struct tensor *fresh[2] = { a->k, a->v };

    if (!a->past[0] != !a->past[1]) return false;
    a->past_rows = a->past[0] && a->past[0]->type.ndim == 4 ? (size_t)a->past[0]->type.dim[2] : 0;
    a->total = a->past_rows + a->kl.rows;
    for (int i = 0; i < 2; i++) {
        if (a->past[i] && (!is_4d(a->past[i], a->batch, a->kv_heads, a->past_rows, dim[i]) ||
                           a->past[i]->type.dtype != fresh[i]->type.dtype || !a->present[i]))
            return false;
        if (a->present[i] && (!is_4d(a->present[i], a->batch, a->kv_heads, a->total, dim[i]) ||
                              a->present[i]->type.dtype != fresh[i]->type.dtype))
            return false;
    }
    a->keys = a->past[0] ? a->present[0] : a->k;
    a->values = a->past[0] ? a->present[1] : a->v;
    return true;
}

/* The mask broadcasts to [B, heads, S, keys] from the right; its last dimension may be short. */
static bool mask_ok(const struct attention *a)
{
    const size_t want[4] = { a->batch, a->heads, a->seq, a->total };
    const struct tensor_type *m = a->mask ? &a->mask->type : NULL;

    if (!m) return true;
    if (m->ndim < 1 || m->ndim > 4 || cpu_class_of(m->dtype) == CPU_NONE) return false;
    for (int i = 1; i <= m->ndim; i++) {
        const size_t have = (size_t)m->dim[m->ndim - i];
        if (i == 1 ? have > want[3] : have != 1 && have != want[4 - i]) return false;
    }
    return true;
}

static bool read_call(const struct cpu_task *t, struct attention *a)
{
    const struct attrs_attention23 *at = &t->call->attr.attention23;

    *a = (struct attention){ .q = cpu_in(t, Q),
                             .k = cpu_in(t, K),
                             .v = cpu_in(t, V),
                             .mask = cpu_in(t, MASK),
                             .past = { cpu_in(t, PAST_K), cpu_in(t, PAST_V) },
                             .nonpad = cpu_in(t, NONPAD),
                             .out = cpu_out(t, 0),
                             .present = { cpu_out(t, 1), cpu_out(t, 2) },
                             .scores = cpu_out(t, 3),
                             .at = at };
    if (!layout_of(a->q, at->q_num_heads, &a->ql) || !layout_of(a->k, at->kv_num_heads, &a->kl) ||
        !layout_of(a->v, at->kv_num_heads, &a->vl) || !layout_of(a->out, at->q_num_heads, &a->ol))
        return false;
    a->batch = (size_t)a->q->type.dim[0];
    a->heads = a->ql.heads;
    a->kv_heads = a->kl.heads;
    a->seq = a->ql.rows;
    a->scale = at->scale != 0 ? at->scale : 1.0f / sqrtf((float)a->ql.dim);
    if ((size_t)a->k->type.dim[0] != a->batch || (size_t)a->v->type.dim[0] != a->batch ||
        (size_t)a->out->type.dim[0] != a->batch || a->heads % a->kv_heads != 0 ||
        a->vl.heads != a->kv_heads || a->kl.dim != a->ql.dim || a->vl.rows != a->kl.rows ||
        a->ol.rows != a->seq || a->ol.heads != a->heads || a->ol.dim != a->vl.dim ||
        a->ql.dim == 0 || a->k->type.dtype != a->v->type.dtype)
        return false;
    if (a->nonpad && (cpu_elements(a->nonpad) != a->batch || a->past[0] ||
                      (a->nonpad->type.dtype != DT_I64 && a->nonpad->type.dtype != DT_I32)))
        return false;
    return caches_ok(a) && mask_ok(a) &&
           (!a->scores || (is_4d(a->scores, a->batch, a->heads, a->seq, a->total) &&
                           cpu_is_float(a->scores->type.dtype)));
}

/* ---- present caches ---- */

/* Past rows, then the new ones, head by head. */
static void write_present(const struct cpu_task *t, const struct attention *a)
{
    const struct cpu_share s = cpu_share(t, a->batch * a->kv_heads, 1);
    const struct tensor *fresh[2] = { a->k, a->v };
    const struct layout *l[2] = { &a->kl, &a->vl };

    for (int i = 0; i < 2; i++)
        for (size_t u = s.begin; a->present[i] && u < s.end; u++) {
            const size_t b = u / a->kv_heads, h = u % a->kv_heads;
            const size_t size = cpu_size(fresh[i]->type.dtype), row = l[i]->dim * size;
            char *to = (char *)a->present[i]->data + u * a->total * row;

            if (a->past_rows)
                memcpy(to, (const char *)a->past[i]->data + u * a->past_rows * row,
                       a->past_rows * row);
            to += a->past_rows * row;
            for (size_t r = 0; r < l[i]->rows; r++)
                memcpy(to + r * row,
                       (const char *)fresh[i]->data +
                           (b * l[i]->batch + h * l[i]->head + r * l[i]->row) * size,
                       row);
        }
}

/* ---- what a row sees ---- */

/* One query head of one sequence. */
struct unit {
    size_t b, h;
    int64_t offset; /* keys before the block of queries */
    size_t n_keys;  /* that count */
    size_t t0, n;   /* queries [t0, t0 + n) are computed */
};

static struct unit unit_of(const struct attention *a, size_t u)
{
    struct unit x = { .b = u / a->heads, .h = u % a->heads, .n_keys = a->total };

    x.offset = (int64_t)a->past_rows;
    if (a->nonpad) {
        const int64_t n = cpu_int_at(a->nonpad, x.b);

        x.offset = (n < 0 ? 0 : n > (int64_t)a->total ? (int64_t)a->total : n) - (int64_t)a->seq;
        x.n_keys = (size_t)(x.offset + (int64_t)a->seq);
    }
    return x;
}

static size_t clip(int64_t x, size_t most)
{
    return x < 0 ? 0 : (uint64_t)x > most ? most : (size_t)x;
}

/* Keys [*first, *limit) of query i, but for the mask. */
static void visible(const struct attention *a, const struct unit *u, size_t i, size_t *first,
                    size_t *limit)
{
    const int64_t pos = u->offset + (int64_t)i;
    const int64_t left = a->at->left_window, right = a->at->right_window;

    *limit = u->n_keys;
    *first = 0;
    if (a->at->is_causal) *limit = clip(pos + 1, *limit);
    if (right >= 0 && right < INT32_MAX) *limit = clip(pos + right + 1, *limit);
    if (left >= 0 && left < INT32_MAX) *first = clip(pos - left, *limit);
    if (*first > *limit) *first = *limit;
}

/* The mask of query i for keys [key, key + n), as numbers to add. */
static void mask_row(const struct attention *a, const struct unit *u, size_t i, size_t key,
                     size_t n, float *out)
{
    const struct tensor_type *m = &a->mask->type;
    const size_t at[3] = { i, u->h, u->b };
    const size_t cols = (size_t)m->dim[m->ndim - 1];
    size_t row = 0, stride = 1;

    for (int d = 2; d <= m->ndim; d++) { /* from the right: query, head, batch */
        const size_t dim = (size_t)m->dim[m->ndim - d];

        row += dim == 1 ? 0 : at[d - 2] * stride;
        stride *= dim;
    }
    const size_t have = cols > key ? (cols - key < n ? cols - key : n) : 0;
    if (m->dtype == DT_BOOL)
        for (size_t j = 0; j < have; j++)
            out[j] = ((const uint8_t *)a->mask->data)[row * cols + key + j] ? 0 : -INFINITY;
    else if (cpu_is_float(m->dtype))
        cpu_to_f32(out, a->mask->data, m->dtype, row * cols + key, have);
    else
        for (size_t j = 0; j < have; j++) out[j] = (float)cpu_get(a->mask, row * cols + key + j);
    for (size_t j = have; j < n; j++) out[j] = -INFINITY;
}

/* ---- attention ---- */

/* Worker scratch, in floats: queries, sums, m, l, mask tile, limits. */
struct scratch {
    float *q, *acc, *m, *l, *bias;
    uint32_t *first, *limit;
};

static struct scratch scratch_at(float *at, size_t dim, size_t v_dim)
{
    struct scratch s = { .q = at };

    s.acc = s.q + ROWS * dim;
    s.m = s.acc + ROWS * v_dim;
    s.l = s.m + ROWS;
    s.bias = s.l + ROWS;
    s.first = (uint32_t *)(void *)(s.bias + ROWS * SPAN);
    s.limit = s.first + ROWS;
    return s;
}

static size_t scratch_floats(size_t dim, size_t v_dim) { return ROWS * (dim + v_dim + SPAN + 4); }

/* Where the unit's keys (or values) lie: its KV head's first one, and the elements between them. */
struct line {
    const char *first;
    size_t stride;
};

static struct line line_of(const struct attention *a, const struct unit *u, const struct tensor *x,
                           const struct layout *l)
{
    const size_t h = u->h / (a->heads / a->kv_heads), size = cpu_size(x->type.dtype);
    const char *data = x->data;

    if (a->past[0]) /* in a present cache */
        return (struct line){ data + (u->b * l->heads + h) * a->total * l->dim * size, l->dim };
    return (struct line){ data + (u->b * l->batch + h * l->head) * size, l->row };
}

/* Keys [key, end) against the unit's queries. False when none sees any of them. */
static bool set_limits(const struct attention *a, const struct unit *u, size_t key, size_t end,
                       const struct scratch *s)
{
    bool any = false;

    for (size_t r = 0; r < u->n; r++) {
        size_t first, limit;

        visible(a, u, u->t0 + r, &first, &limit);
        first = first < key ? 0 : first - key;
        limit = limit < key ? 0 : limit - key;
        if (limit > end - key) limit = end - key;
        s->first[r] = (uint32_t)(first < limit ? first : limit);
        s->limit[r] = (uint32_t)limit;
        any = any || first < limit;
        if (a->mask) mask_row(a, u, u->t0 + r, key, end - key, s->bias + r * SPAN);
    }
    return any;
}

static void run_span(const struct attention *a, const struct unit *u, size_t key, size_t end,
                     const struct scratch *s)
{
    const struct line k = line_of(a, u, a->keys, &a->kl), v = line_of(a, u, a->values, &a->vl);
    const size_t size = cpu_size(a->keys->type.dtype);
    struct kern_attn_args args = { .q = s->q,
                                   .q_stride = a->ql.dim,
                                   .k = k.first + key * k.stride * size,
                                   .k_stride = k.stride,
                                   .v = v.first + key * v.stride * size,
                                   .v_stride = v.stride,
                                   .n_rows = u->n,
                                   .n_keys = end - key,
                                   .head_dim = a->ql.dim,
                                   .v_dim = a->vl.dim,
                                   .first = s->first,
                                   .limit = s->limit,
                                   .bias = a->mask ? s->bias : NULL,
                                   .bias_stride = SPAN,
                                   .scale = a->scale,
                                   .softcap = a->at->softcap,
                                   .m = s->m,
                                   .l = s->l,
                                   .acc = s->acc,
                                   .acc_stride = a->vl.dim };

    if (a->keys->type.dtype == DT_F32)
        kern.attn_f32(&args);
    else if (a->keys->type.dtype == DT_F16)
        kern.attn_f16(&args);
    else
        kern.attn_bf16(&args);
}

static size_t out_at(const struct attention *a, const struct unit *u, size_t i)
{
    return u->b * a->ol.batch + u->h * a->ol.head + i * a->ol.row;
}

static void load_query(const struct attention *a, const struct unit *u, size_t i, float *out)
{
    cpu_to_f32(out, a->q->data, a->q->type.dtype,
               u->b * a->ql.batch + u->h * a->ql.head + i * a->ql.row, a->ql.dim);
}

static void attend_rows(const struct attention *a, const struct unit *u, const struct scratch *s)
{
    const struct kern_attn_state st = { s->m, s->l, s->acc, a->vl.dim };

    for (size_t r = 0; r < u->n; r++) load_query(a, u, u->t0 + r, s->q + r * a->ql.dim);
    kern_attn_begin(&st, u->n, a->vl.dim, NULL);
    for (size_t key = 0; key < u->n_keys; key += SPAN) {
        const size_t end = u->n_keys - key < SPAN ? u->n_keys : key + SPAN;

        if (set_limits(a, u, key, end, s)) run_span(a, u, key, end, s);
    }
    kern.attn_finish_f32(s->acc, a->vl.dim, &st, u->n, a->vl.dim);
    for (size_t r = 0; r < u->n; r++)
        cpu_from_f32(a->out->data, a->out->type.dtype, out_at(a, u, u->t0 + r),
                     s->acc + r * a->vl.dim, a->vl.dim);
}

/* ---- the scores, for whoever asks ---- */

/* Score of one key in the state that qk_matmul_output_mode names (softmax apart). */
static float score_of(const struct attention *a, const float *q, const float *k, float mask,
                      bool seen)
{
    float s = 0;

    for (size_t d = 0; d < a->ql.dim; d++) s += q[d] * k[d];
    s *= a->scale;
    if (a->at->qk_mode >= 1 && a->at->softcap > 0) s = a->at->softcap * tanhf(s / a->at->softcap);
    if (a->at->qk_mode >= 2) s = seen ? s + mask : -INFINITY;
    return s;
}

static void softmax_row(float *x, size_t n)
{
    const float most = kern.reduce_max_f32(x, n);

    if (most == -INFINITY)
        memset(x, 0, n * sizeof *x);
    else
        kern.softmax_f32(x, x, 1, n);
}

/* Row i of the scores; scratch: one query, one key, then the row. */
static void put_scores(const struct attention *a, const struct unit *u, size_t i,
                       const struct scratch *s)
{
    const struct line k = line_of(a, u, a->keys, &a->kl);
    const size_t at = (u->b * a->heads + u->h) * a->seq + i;
    size_t first, limit;
    float mask[SPAN];

    visible(a, u, i, &first, &limit);
    load_query(a, u, i, s->q);
    float *row = s->q + a->ql.dim * 2, *key = s->q + a->ql.dim;
    for (size_t j = 0; j < a->total; j++) {
        if (a->mask && j % SPAN == 0)
            mask_row(a, u, i, j, a->total - j < SPAN ? a->total - j : SPAN, mask);
        cpu_to_f32(key, k.first, a->keys->type.dtype, j * k.stride, a->ql.dim);
        row[j] = score_of(a, s->q, key, a->mask ? mask[j % SPAN] : 0, j >= first && j < limit);
    }
    if (a->at->qk_mode == 3) softmax_row(row, a->total);
    cpu_from_f32(a->scores->data, a->scores->type.dtype, at * a->total, row, a->total);
}

/* ---- the operator ---- */

void cpu_attention23(const struct cpu_task *t)
{
    struct attention a;

    if (!read_call(t, &a)) {
        cpu_fail(t, ST_SHAPE, "inputs, outputs and attributes do not fit each other");
        return;
    }
    write_present(t, &a);
    cpu_sync(t);
    const struct scratch s = scratch_at(t->scratch, a.ql.dim, a.vl.dim);
    for (size_t i = cpu_take(t); i < a.batch * a.heads; i = cpu_take(t)) {
        struct unit u = unit_of(&a, i);

        for (; u.t0 < a.seq; u.t0 += u.n) {
            u.n = a.seq - u.t0 < ROWS ? a.seq - u.t0 : ROWS;
            attend_rows(&a, &u, &s);
        }
        for (size_t r = 0; a.scores && r < a.seq; r++) put_scores(&a, &u, r, &s);
    }
}

/* Width of a head in either layout; 0 when it cannot be said. */
static size_t width_of(const struct tensor *x, int64_t heads)
{
    struct layout l;

    return x && layout_of(x, heads, &l) ? l.dim : 0;
}

status cpu_attention23_scratch(const struct op_call *call, const struct prepared *p,
                               const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const struct attrs_attention23 *a = &call->attr.attention23;
    const size_t dim = width_of(cpu_call_in(call, Q), a->q_num_heads),
                 v_dim = width_of(cpu_call_in(call, V), a->kv_num_heads);
    const struct tensor_type *scores = call->n_out > 3 ? &call->out[3].type : NULL;
    size_t floats, more = 0;

    (void)p;
    (void)b;
    if (!checked_add(dim, v_dim + SPAN + 4, &floats) || floats > SIZE_MAX / ROWS / sizeof(float))
        return FAIL(err, ST_LIMIT, "%s: heads too large", call->node);
    floats = scratch_floats(dim, v_dim);
    if (scores && scores->dtype != DT_NONE && scores->ndim == 4 && scores->dim[3] > 0)
        more = 2 * dim + (size_t)scores->dim[3];
    out->worker = (floats > more ? floats : more) * sizeof(float);
    return ST_OK;
}
