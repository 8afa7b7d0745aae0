/* SPDX-License-Identifier: MIT */
/* SeqAttention: attention of a step's tokens over paged keys and values.
 *
 * 1. Prepare: each (token, KV head) is one unit of work. Its key is normed, rotated and stored in
 *    the page, its value stored, the queries of its group normed and rotated into scratch,
 *    laid out [KV head][token][head of group] so that the rows of an item are one block. Where the
 *    cache is quantised the queries take the keys' scales with them.
 * 2. Attend: an item is (sequence, block of tokens, KV head); workers take items by a counter.
 *    When there are too few items for the workers, (item, segment of keys) pairs are shared out
 *    instead, their states kept, and merged in the order of the segments: the same bits. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_attend.h"
#include "backends/cpu/cpu_ops.h"

enum seqattn_in { Q, K, V, COS, SIN, COS_LONG, SIN_LONG, SINK, Q_NORM, K_NORM, K_SCALE, V_SCALE };

enum {
    ITEMS_PER_WORKER = 4, /* below this, segments are shared out */
    SLOTS_PER_WORKER = 8, /* states kept at once while they are */
};

/* The operator's sizes and tensors. */
struct seqattn {
    const struct tensor *q, *k, *v, *out;
    const struct tensor *cos, *sin, *cos_long, *sin_long, *q_norm, *k_norm, *sink;
    const struct tensor *k_scale, *v_scale; /* NULL: the cache is not quantised */
    size_t n_tokens, heads, kv_heads, group, head_dim, rot_dim;
    size_t q_stride, k_stride, v_stride; /* elements between tokens */
    size_t k_at, v_at;                   /* element of token 0's first head */
    size_t row_bytes;                    /* of a key or value in a page */
    bool stores;                         /* false: keys and values are there already */
    const struct kv_store *kv;
    const struct kv_layer *layer;
    const struct kv_group *pool; /* of the layer */
    const float *sinks;          /* [heads] in worker scratch, or NULL */
    float *queries;              /* shared scratch: [kv_heads][n_tokens][group][head_dim] */
    float *states;               /* shared scratch behind it */
};

/* ---- reading the call ---- */

static bool rows_ok(const struct tensor *x, size_t tokens)
{
    return x && x->type.ndim == 2 && (size_t)x->type.dim[0] == tokens &&
           cpu_is_float(x->type.dtype);
}

/* Queries, keys and values: one packed row q|k|v, three tensors, or queries alone. */
static bool layout_of(const struct cpu_task *t, struct seqattn *s)
{
    const size_t q_width = s->heads * s->head_dim, kv_width = s->kv_heads * s->head_dim;

    if (!rows_ok(s->q, (size_t)t->step->n_tokens)) return false;
    s->n_tokens = (size_t)t->step->n_tokens;
    s->q_stride = (size_t)s->q->type.dim[1];
    s->stores = true;
    if (s->k && s->v) {
        s->k_stride = s->v_stride = kv_width;
        return s->q_stride == q_width && rows_ok(s->k, s->n_tokens) && rows_ok(s->v, s->n_tokens) &&
               (size_t)s->k->type.dim[1] == kv_width && (size_t)s->v->type.dim[1] == kv_width;
    }
    if (s->k || s->v) return false;
    if (s->q_stride == q_width) {
        s->stores = false;
        return true;
    }
    s->k = s->v = s->q;
    s->k_stride = s->v_stride = s->q_stride;
    s->k_at = q_width;
    s->v_at = q_width + kv_width;
    return s->q_stride == q_width + 2 * kv_width;
}

static bool table_ok(const struct tensor *cos, const struct tensor *sin, size_t head_dim)
{
    return cos && sin && cos->type.ndim == 2 && type_equal(&cos->type, &sin->type) &&
           cpu_is_float(cos->type.dtype) && cos->type.dim[1] >= 1 &&
           (size_t)cos->type.dim[1] * 2 <= head_dim;
}

static bool vector_ok(const struct tensor *x, size_t n)
{
    return !x || (cpu_is_float(x->type.dtype) && cpu_elements(x) == n);
}

static bool scales_ok(const struct tensor *x, size_t n)
{
    return x && x->type.dtype == DT_F32 && (cpu_elements(x) == 1 || cpu_elements(x) == n);
}

/* The layer's cache is of the type that the node says, with its scales. */
static bool cache_ok(const struct attrs_seqattn *a, const struct seqattn *s)
{
    const size_t n = s->kv_heads * s->head_dim;

    if (a->kv_bits == 0) return cpu_is_float(s->layer->dtype) && !s->k_scale && !s->v_scale;
    return s->layer->dtype == (a->kv_bits == 4 ? DT_U8 : DT_I8) && scales_ok(s->k_scale, n) &&
           scales_ok(s->v_scale, n);
}

static bool layer_ok(const struct attrs_seqattn *a, struct seqattn *s)
{
    const struct kv_store *kv = s->kv;
    size_t bytes;

    if (!kv || a->layer < 0 || a->layer >= kv->n_layers) return false;
    s->layer = &kv->layers[a->layer];
    if (s->layer->group < 0 || s->layer->group >= kv->n_groups) return false;
    s->pool = &kv->groups[s->layer->group];
    s->row_bytes = kv_row_bytes(s->layer->dtype, s->head_dim);
    bytes = s->kv_heads * (size_t)kv->page_tokens * s->row_bytes;
    return cache_ok(a, s) && (size_t)s->layer->n_heads == s->kv_heads &&
           (size_t)s->layer->head_dim == s->head_dim &&
           checked_range(s->layer->k_offset, bytes, s->pool->page_bytes) &&
           checked_range(s->layer->v_offset, bytes, s->pool->page_bytes) &&
           checked_range(s->pool->offset, s->pool->page_bytes * (size_t)s->pool->n_pages,
                         kv->buf->size);
}

static bool read_call(const struct cpu_task *t, struct seqattn *s)
{
    const struct attrs_seqattn *a = &t->call->attr.seqattn;

    *s = (struct seqattn){
        .q = cpu_in(t, Q),
        .k = cpu_in(t, K),
        .v = cpu_in(t, V),
        .out = cpu_out(t, 0),
        .cos = cpu_in(t, COS),
        .sin = cpu_in(t, SIN),
        .cos_long = cpu_in(t, COS_LONG),
        .sin_long = cpu_in(t, SIN_LONG),
        .sink = cpu_in(t, SINK),
        .q_norm = cpu_in(t, Q_NORM),
        .k_norm = cpu_in(t, K_NORM),
        .k_scale = cpu_in(t, K_SCALE),
        .v_scale = cpu_in(t, V_SCALE),
        .kv = t->step->kv,
        .queries = t->shared,
    };
    if (a->num_heads < 1 || a->kv_num_heads < 1 || a->head_dim < 1 ||
        a->num_heads % a->kv_num_heads != 0)
        return false;
    s->heads = (size_t)a->num_heads;
    s->kv_heads = (size_t)a->kv_num_heads;
    s->group = s->heads / s->kv_heads;
    s->head_dim = (size_t)a->head_dim;
    if (!layout_of(t, s) || !layer_ok(a, s)) return false;
    s->states = s->queries + s->n_tokens * s->heads * s->head_dim;
    if (a->do_rotary) {
        if (!table_ok(s->cos, s->sin, s->head_dim)) return false;
        s->rot_dim = (size_t)s->cos->type.dim[1] * 2;
        if (s->cos_long && (!table_ok(s->cos_long, s->sin_long, s->head_dim) ||
                            (size_t)s->cos_long->type.dim[1] * 2 != s->rot_dim))
            return false;
    }
    return vector_ok(s->q_norm, s->head_dim) && vector_ok(s->k_norm, s->head_dim) &&
           vector_ok(s->sink, s->heads) && rows_ok(s->out, s->n_tokens) &&
           (size_t)s->out->type.dim[1] == s->heads * s->head_dim;
}

static bool is_long(const struct cpu_task *t, const struct seqattn *s, const struct step_seq *seq)
{
    return s->cos_long && seq->rope_len > t->call->attr.seqattn.long_threshold;
}

/* The sequence's page table for the layer. */
static const int32_t *pages_of(const struct seqattn *s, const struct step_seq *seq)
{
    return seq->pages + (size_t)s->layer->group * seq->pages_stride;
}

/* Every page that is read or written is there, every position within the tables. */
static bool check_seqs(const struct cpu_task *t, const struct seqattn *s)
{
    const int64_t window = t->call->attr.seqattn.window;

    for (int i = 0; i < t->step->n_seqs; i++) {
        const struct step_seq *seq = &t->step->seqs[i];
        const int64_t end = (int64_t)seq->n_past + seq->n_tokens;
        const int64_t first = window > 0 && seq->n_past + 1 > window ? seq->n_past + 1 - window : 0;

        for (int64_t p = first / s->kv->page_tokens; p * s->kv->page_tokens < end; p++)
            if (pages_of(s, seq)[p] < 0) {
                cpu_fail(t, ST_INVALID, "sequence %d has no page for positions from %lld", i,
                         (long long)(p * s->kv->page_tokens));
                return false;
            }
        if (s->rot_dim > 0 && end > (is_long(t, s, seq) ? s->cos_long : s->cos)->type.dim[0]) {
            cpu_fail(t, ST_LIMIT, "position %lld is beyond the rotary tables",
                     (long long)(end - 1));
            return false;
        }
    }
    return true;
}

/* ---- 1. queries, keys, values ---- */

static struct cpu_norm_rope norm_rope_of(const struct cpu_task *t, const struct seqattn *s,
                                         const struct step_seq *seq, const struct tensor *norm)
{
    const bool longer = is_long(t, s, seq);

    return (struct cpu_norm_rope){
        .norm = norm,
        .cos = longer ? s->cos_long : s->cos,
        .sin = longer ? s->sin_long : s->sin,
        .head_dim = s->head_dim,
        .rot_dim = s->rot_dim,
        .epsilon = t->call->attr.seqattn.qk_norm_epsilon,
        .interleaved = t->call->attr.seqattn.interleaved,
    };
}

/* Row of head h at position pos within the pages of a sequence. */
static char *page_row(const struct seqattn *s, const struct step_seq *seq, size_t pos,
                      size_t offset, size_t h)
{
    const size_t page_tokens = (size_t)s->kv->page_tokens;
    const size_t row = h * page_tokens + pos % page_tokens;

    const size_t page = (size_t)pages_of(s, seq)[pos / page_tokens];

    return (char *)s->kv->buf->host + s->pool->offset + page * s->pool->page_bytes + offset +
           row * s->row_bytes;
}

static void prepare_unit(const struct cpu_task *t, const struct seqattn *s,
                         const struct step_seq *seq, size_t token, size_t h)
{
    const size_t pos = (size_t)seq->n_past + token - (size_t)seq->first;
    const struct cpu_norm_rope of_q = norm_rope_of(t, s, seq, s->q_norm),
                               of_k = norm_rope_of(t, s, seq, s->k_norm);
    float *line = t->scratch, *key = line + 2 * s->head_dim;
    float *q = s->queries + (h * s->n_tokens + token) * s->group * s->head_dim;

    cpu_to_f32(q, s->q->data, s->q->type.dtype, token * s->q_stride + h * s->group * s->head_dim,
               s->group * s->head_dim);
    cpu_norm_rope(&of_q, pos, q, s->group, line);
    const struct cpu_kv_scale k_scale = cpu_kv_scale_of(s->k_scale, h, s->head_dim);
    const struct cpu_kv_scale v_scale = cpu_kv_scale_of(s->v_scale, h, s->head_dim);
    cpu_kv_scale_rows(&k_scale, q, s->group, s->head_dim);
    if (!s->stores) return;
    cpu_to_f32(key, s->k->data, s->k->type.dtype, s->k_at + token * s->k_stride + h * s->head_dim,
               s->head_dim);
    cpu_norm_rope(&of_k, pos, key, 1, line);
    cpu_kv_put(page_row(s, seq, pos, s->layer->k_offset, h), s->layer->dtype, &k_scale, key,
               s->head_dim);
    const float *value =
        cpu_row_f32(s->v, s->v_at + token * s->v_stride + h * s->head_dim, s->head_dim, key);
    cpu_kv_put(page_row(s, seq, pos, s->layer->v_offset, h), s->layer->dtype, &v_scale, value,
               s->head_dim);
}

static void prepare_all(const struct cpu_task *t, const struct seqattn *s)
{
    const struct cpu_share share = cpu_share(t, s->n_tokens * s->kv_heads, 1);
    const struct step_seq *seq = t->step->seqs;

    for (size_t u = share.begin; u < share.end; u++) {
        const size_t token = u / s->kv_heads;

        while (token >= (size_t)seq->first + (size_t)seq->n_tokens) seq++;
        prepare_unit(t, s, seq, token, u % s->kv_heads);
    }
}

/* ---- 2. items ---- */

/* A block of a sequence's tokens against one KV head. */
struct item {
    struct cpu_attend a;
    size_t out_at; /* element of the sequence's token 0, head 0 of the group */
};

static size_t blocks_of(const struct seqattn *s, const struct step_seq *seq)
{
    const size_t each = cpu_attend_tokens(s->group);

    return ((size_t)seq->n_tokens + each - 1) / each;
}

/* h: the KV head. */
static struct item item_of(const struct cpu_task *t, const struct seqattn *s,
                           const struct step_seq *seq, size_t block, size_t h)
{
    const struct attrs_seqattn *at = &t->call->attr.seqattn;
    const size_t each = cpu_attend_tokens(s->group), n = (size_t)seq->n_tokens;
    const size_t head_bytes = (size_t)s->kv->page_tokens * s->row_bytes;
    const char *pages = (const char *)s->kv->buf->host + s->pool->offset;
    struct item it = { .out_at = ((size_t)seq->first * s->heads + h * s->group) * s->head_dim };

    it.a = (struct cpu_attend){
        .k = pages + s->layer->k_offset + h * head_bytes,
        .v = pages + s->layer->v_offset + h * head_bytes,
        .dtype = s->layer->dtype,
        .v_scale = cpu_kv_scale_of(s->v_scale, h, s->head_dim),
        .pages = pages_of(s, seq),
        .page_bytes = s->pool->page_bytes,
        .page_tokens = (size_t)s->kv->page_tokens,
        .head_dim = s->head_dim,
        .scale = at->scale != 0 ? at->scale : 1.0f / sqrtf((float)s->head_dim),
        .softcap = at->softcap,
        .window = at->window,
        .q = s->queries + (h * s->n_tokens + (size_t)seq->first) * s->group * s->head_dim,
        .heads = s->group,
        .t0 = block * each,
        .t1 = block * each + each < n ? block * each + each : n,
        .first_key = (size_t)seq->n_past,
        .n_keys = (size_t)seq->n_past + n,
        .sink = s->sinks ? s->sinks + h * s->group : NULL,
    };
    return it;
}

/* Walks items in order; `at` only grows. Later blocks of a prompt see more keys, so they come
 * first: the last items taken are then the small ones. */
struct item_walk {
    int seq;
    size_t before; /* items of sequences before seq */
};

static bool item_at(const struct cpu_task *t, const struct seqattn *s, struct item_walk *w,
                    size_t at, struct item *it)
{
    for (; w->seq < t->step->n_seqs; w->seq++) {
        const struct step_seq *seq = &t->step->seqs[w->seq];
        const size_t blocks = blocks_of(s, seq), n = blocks * s->kv_heads;

        if (at - w->before < n) {
            const size_t i = at - w->before;

            *it = item_of(t, s, seq, blocks - 1 - i / s->kv_heads, i % s->kv_heads);
            return true;
        }
        w->before += n;
    }
    return false;
}

static void *attend_scratch(const struct cpu_task *t, const struct seqattn *s)
{
    const size_t sinks = (s->heads * sizeof(float) + CPU_ALIGN - 1) & ~(size_t)(CPU_ALIGN - 1);

    return (char *)t->scratch + sinks;
}

/* ---- 2a. many items ---- */

static void attend_items(const struct cpu_task *t, const struct seqattn *s)
{
    struct item_walk w = { 0 };
    struct item it;

    while (item_at(t, s, &w, cpu_take(t), &it)) {
        const struct kern_attn_state st = cpu_attend_whole(&it.a, attend_scratch(t, s));

        cpu_attend_put(&it.a, &st, s->out, it.out_at, s->heads * s->head_dim);
    }
}

/* ---- 2b. few items: segments shared out ---- */

/* State i of the shared ones: first the items' totals, then the slots of the segments. */
static struct kern_attn_state state_at(const struct seqattn *s, size_t i)
{
    const size_t rows = cpu_attend_rows(s->group);

    return cpu_state_at(s->states + i * cpu_state_floats(rows, s->head_dim), rows, s->head_dim);
}

/* Pairs (item, segment) in order, `from` to `to`: fn of those that are this worker's. */
struct pair_walk {
    struct item_walk items;
    struct item it;
    size_t item, pair, first, last;
};

/* Moves to the next pair at or after `pair`; false past the last. The walk begins zeroed. */
static bool pair_at(const struct cpu_task *t, const struct seqattn *s, struct pair_walk *w,
                    size_t pair)
{
    while (w->item == 0 || pair >= w->pair + (w->last - w->first)) {
        if (w->item > 0) w->pair += w->last - w->first;
        if (!item_at(t, s, &w->items, w->item, &w->it)) return false;
        w->item++;
        cpu_attend_segments(&w->it.a, &w->first, &w->last);
    }
    return true;
}

static void merge_wave(const struct cpu_task *t, const struct seqattn *s, size_t begin, size_t end,
                       size_t n_items)
{
    struct pair_walk w = { 0 };

    for (size_t pair = begin; pair < end && pair_at(t, s, &w, pair); pair++) {
        const size_t item = w.item - 1, segment = w.first + (pair - w.pair);

        if (item % (size_t)t->n_workers != (size_t)t->worker) continue;
        const struct kern_attn_state total = state_at(s, item);
        const struct kern_attn_state part = state_at(s, n_items + pair - begin);

        if (segment == w.first) cpu_attend_begin(&w.it.a, &total, true, attend_scratch(t, s));
        kern.attn_merge_f32(&total, &part, (w.it.a.t1 - w.it.a.t0) * s->group, s->head_dim);
        if (segment + 1 == w.last)
            cpu_attend_put(&w.it.a, &total, s->out, w.it.out_at, s->heads * s->head_dim);
    }
}

static void attend_split(const struct cpu_task *t, const struct seqattn *s, size_t n_items,
                         size_t n_pairs)
{
    const size_t slots = SLOTS_PER_WORKER * (size_t)t->n_workers;

    for (size_t begin = 0; begin < n_pairs; begin += slots) {
        const size_t end = begin + slots < n_pairs ? begin + slots : n_pairs;
        const struct cpu_share share = cpu_share(t, end - begin, 1);
        struct pair_walk w = { 0 };

        for (size_t i = share.begin; i < share.end; i++) {
            if (!pair_at(t, s, &w, begin + i)) break;
            const struct kern_attn_state part = state_at(s, n_items + i);

            cpu_attend_begin(&w.it.a, &part, false, attend_scratch(t, s));
            cpu_attend_segment(&w.it.a, w.first + (begin + i - w.pair), &part,
                               attend_scratch(t, s));
        }
        cpu_sync(t);
        merge_wave(t, s, begin, end, n_items);
        if (end < n_pairs) cpu_sync(t);
    }
}

/* Items, and pairs of item and segment, of the step. */
static void count_work(const struct cpu_task *t, const struct seqattn *s, size_t *n_items,
                       size_t *n_pairs)
{
    const size_t few = ITEMS_PER_WORKER * (size_t)t->n_workers;
    struct pair_walk w = { 0 };

    *n_items = *n_pairs = 0;
    for (int i = 0; i < t->step->n_seqs; i++)
        *n_items += blocks_of(s, &t->step->seqs[i]) * s->kv_heads;
    if (*n_items >= few) return;
    pair_at(t, s, &w, SIZE_MAX);
    *n_pairs = w.pair;
}

/* ---- the operator ---- */

void cpu_seqattn(const struct cpu_task *t)
{
    struct seqattn s;
    size_t n_items, n_pairs;

    if (!read_call(t, &s)) {
        cpu_fail(t, ST_SHAPE, "inputs, attributes and KV store do not fit each other");
        return;
    }
    if (!check_seqs(t, &s)) return;
    prepare_all(t, &s);
    cpu_sync(t);
    if (s.sink || t->call->attr.seqattn.smooth_softmax) {
        memset(t->scratch, 0, s.heads * sizeof *s.sinks);
        if (s.sink) cpu_to_f32(t->scratch, s.sink->data, s.sink->type.dtype, 0, s.heads);
        s.sinks = t->scratch;
    }
    count_work(t, &s, &n_items, &n_pairs);
    if (t->n_workers > 1 && n_pairs > n_items)
        attend_split(t, &s, n_items, n_pairs);
    else
        attend_items(t, &s);
}

status cpu_seqattn_scratch(const struct op_call *call, const struct prepared *p,
                           const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const struct attrs_seqattn *a = &call->attr.seqattn;
    const size_t most = INT16_MAX;
    size_t queries;

    (void)p;
    if (a->num_heads < 1 || a->kv_num_heads < 1 || a->head_dim < 1 || (size_t)a->num_heads > most ||
        (size_t)a->head_dim > most || a->num_heads % a->kv_num_heads != 0)
        return FAIL(err, ST_SHAPE, "%s: %lld heads, %lld KV heads of %lld", call->node,
                    (long long)a->num_heads, (long long)a->kv_num_heads, (long long)a->head_dim);
    const size_t heads = (size_t)a->num_heads, dim = (size_t)a->head_dim;
    const size_t group = heads / (size_t)a->kv_num_heads;
    const size_t states = (ITEMS_PER_WORKER + SLOTS_PER_WORKER) * (size_t)b->n_workers;
    const size_t state_bytes = cpu_state_floats(cpu_attend_rows(group), dim) * sizeof(float);

    if (!checked_mul((size_t)b->tokens_max, heads * dim * sizeof(float), &queries) ||
        !checked_add(queries, states * state_bytes, &out->shared))
        return FAIL(err, ST_LIMIT, "%s: too many tokens at once", call->node);
    out->worker = heads * sizeof(float) + CPU_ALIGN + cpu_attend_scratch(group, dim);
    if (out->worker < 3 * dim * sizeof(float)) out->worker = 3 * dim * sizeof(float);
    return ST_OK;
}
