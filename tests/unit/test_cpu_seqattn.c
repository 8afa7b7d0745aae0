/* SPDX-License-Identifier: MIT */
/* SeqAttention over pages: against a plain double-precision attention, and bit for bit against
 * itself under other chunking, other company and other numbers of threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/helper_segment.h"

enum {
    POS_MAX = 1400,
    SEQS = 3,
    HEADS_MAX = 12,
    DIM_MAX = 32,
    WIDTH_MAX = 3 * HEADS_MAX * DIM_MAX
};

struct setup {
    int heads, kv_heads, dim, rot_dim, page_tokens;
    int64_t window;
    float softcap;
    bool sink, norms, interleaved, separate;
    enum dtype kv;
    bool per_channel; /* scales of a quantised cache */
};

static const struct setup plain = { .heads = 4,
                                    .kv_heads = 2,
                                    .dim = 16,
                                    .rot_dim = 16,
                                    .page_tokens = 64,
                                    .window = -1,
                                    .kv = DT_F32 };

/* One attention layer on its own store; sequences get pages in a scattered order. */
struct attn {
    struct setup s;
    struct segment_builder b;
    struct backend *be;
    struct program *prog;
    struct buffer store;
    struct kv_layer layer[2];
    struct kv_group group;
    struct kv_store kv;
    int32_t pages[SEQS][POS_MAX];
    int n_past[SEQS];
    int v_in[3], v_out;
};

static float cos_t[POS_MAX * DIM_MAX / 2], sin_t[POS_MAX * DIM_MAX / 2];
static float sinks[HEADS_MAX], q_norm[DIM_MAX], k_norm[DIM_MAX];
static float k_scale[HEADS_MAX * DIM_MAX], v_scale[HEADS_MAX * DIM_MAX];
static float rows[SEQS][POS_MAX * WIDTH_MAX]; /* packed q|k|v of each position */

static int bits_of(const struct setup *s) { return s->kv == DT_I8 ? 8 : s->kv == DT_U8 ? 4 : 0; }

static int width_of(const struct setup *s) { return (s->heads + 2 * s->kv_heads) * s->dim; }

static void build(struct attn *a)
{
    struct segment_builder *b = &a->b;
    const struct setup *s = &a->s;
    const int64_t q = s->heads * s->dim, kv = s->kv_heads * s->dim, half = s->rot_dim / 2;
    union op_attrs at = { .seqattn = { .layer = 1,
                                       .num_heads = s->heads,
                                       .kv_num_heads = s->kv_heads,
                                       .head_dim = s->dim,
                                       .window = s->window,
                                       .softcap = s->softcap,
                                       .do_rotary = s->rot_dim > 0,
                                       .interleaved = s->interleaved,
                                       .qk_norm_epsilon = 1e-6f,
                                       .kv_bits = bits_of(s) } };
    int in[13] = { 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -100 };

    a->v_in[0] = in[0] =
        sb_value(b, SEG_INPUT, DT_F32, SB_DIMS(DIM_TOKENS, s->separate ? q : q + 2 * kv), NULL);
    for (int i = 1; s->separate && i < 3; i++)
        a->v_in[i] = in[i] = sb_value(b, SEG_INPUT, DT_F32, SB_DIMS(DIM_TOKENS, kv), NULL);
    if (s->rot_dim) in[3] = sb_value(b, SEG_CONST, DT_F32, SB_DIMS(POS_MAX, half), cos_t);
    if (s->rot_dim) in[4] = sb_value(b, SEG_CONST, DT_F32, SB_DIMS(POS_MAX, half), sin_t);
    if (s->sink) in[7] = sb_value(b, SEG_CONST, DT_F32, SB_DIMS(s->heads), sinks);
    if (s->norms) in[8] = sb_value(b, SEG_CONST, DT_F32, SB_DIMS(s->dim), q_norm);
    if (s->norms) in[9] = sb_value(b, SEG_CONST, DT_F32, SB_DIMS(s->dim), k_norm);
    const int64_t n_scales = s->per_channel ? kv : 1;
    if (bits_of(s)) in[10] = sb_value(b, SEG_CONST, DT_F32, SB_DIMS(n_scales), k_scale);
    if (bits_of(s)) in[11] = sb_value(b, SEG_CONST, DT_F32, SB_DIMS(n_scales), v_scale);
    a->v_out = sb_value(b, SEG_OUTPUT, DT_F32, SB_DIMS(DIM_TOKENS, q), NULL);
    sb_node(b, OP_SEQATTN, &at, in, SB_LIST(a->v_out));
}

static void make_store(struct attn *a)
{
    const struct setup *s = &a->s;
    const size_t half =
        (size_t)(s->kv_heads * s->page_tokens) * kv_row_bytes(s->kv, (size_t)s->dim);
    const int per_seq = (POS_MAX + s->page_tokens - 1) / s->page_tokens;
    struct err err = { 0 };

    a->layer[0] = a->layer[1] = (struct kv_layer){ s->kv_heads, s->dim, 0, half, 0, s->kv };
    a->layer[1].k_offset += 2 * half;
    a->layer[1].v_offset += 2 * half;
    a->kv = (struct kv_store){ .buf = &a->store,
                               .page_tokens = s->page_tokens,
                               .n_layers = 2,
                               .n_groups = 1,
                               .layers = a->layer,
                               .groups = &a->group };
    a->group = (struct kv_group){ 0, 4 * half, per_seq * SEQS };
    const size_t bytes = a->group.page_bytes * (size_t)a->group.n_pages;
    assert_int_equal(a->be->ops->alloc(a->be, bytes, &a->store, &err), ST_OK);
    memset(a->store.host, 0xff, a->store.size); /* NaN everywhere that was not written */
    for (int q = 0; q < SEQS; q++)
        for (int p = 0; p < per_seq; p++)
            a->pages[q][p] = (p * SEQS + q) * 7 % (per_seq * SEQS) ? (p * SEQS + q) : 0;
}

static void attn_open(struct attn *a, const struct setup *s, int threads)
{
    const struct backend_config cfg = { .n_threads = threads };
    struct err err = { 0 };

    memset(a, 0, sizeof *a);
    a->s = *s;
    build(a);
    assert_int_equal(backend_find("cpu")->open(&a->be, &cfg, &err), ST_OK);
    make_store(a);
    const struct segment seg = sb_segment(&a->b, POS_MAX * SEQS, 1, SEQS);
    if (a->be->ops->compile(a->be, &seg, &a->prog, &err) != ST_OK) fail_msg("%s", err.text);
}

static void attn_close(struct attn *a)
{
    a->be->ops->discard(a->be, a->prog);
    a->be->ops->free(a->be, &a->store);
    a->be->ops->close(a->be);
}

/* One step: n[q] more tokens of each sequence (0 = not in this step); out[q] gets their rows. */
static void attn_step(struct attn *a, const int *n, float *const *out)
{
    static float in[3][POS_MAX * SEQS * WIDTH_MAX], y[POS_MAX * SEQS * HEADS_MAX * DIM_MAX];
    const struct setup *s = &a->s;
    const int q_w = s->heads * s->dim, kv_w = s->kv_heads * s->dim, w = width_of(s);
    struct step_seq seqs[SEQS];
    int n_seqs = 0, total = 0;
    struct err err = { 0 };

    for (int q = 0; q < SEQS; q++) {
        if (n[q] == 0) continue;
        seqs[n_seqs++] = (struct step_seq){
            .first = total, .n_tokens = n[q], .n_past = a->n_past[q], .pages = a->pages[q]
        };
        for (int t = 0; t < n[q]; t++, total++) {
            const float *row = rows[q] + (a->n_past[q] + t) * w;
            if (s->separate) {
                memcpy(in[0] + total * q_w, row, (size_t)q_w * 4);
                memcpy(in[1] + total * kv_w, row + q_w, (size_t)kv_w * 4);
                memcpy(in[2] + total * kv_w, row + q_w + kv_w, (size_t)kv_w * 4);
            } else {
                memcpy(in[0] + total * w, row, (size_t)w * 4);
            }
        }
    }
    for (int i = 0; i < (s->separate ? 3 : 1); i++) sb_bind(&a->b, a->v_in[i], total, in[i]);
    sb_bind(&a->b, a->v_out, total, y);
    const struct step step = { .n_tokens = total,
                               .n_seqs = n_seqs,
                               .seqs = seqs,
                               .kv = &a->kv,
                               .bindings = a->b.bindings,
                               .n_bindings = a->b.n_bindings };
    if (a->be->ops->execute(a->be, a->prog, &step, &err) != ST_OK) fail_msg("%s", err.text);
    for (int q = 0, at = 0; q < SEQS; q++) {
        if (n[q] && out[q]) memcpy(out[q], y + at * q_w, (size_t)(n[q] * q_w) * 4);
        at += n[q];
        a->n_past[q] += n[q];
    }
}

/* A whole sequence in chunks, the others idle. */
static void run_alone(struct attn *a, int q, int total, int chunk, float *out)
{
    const int q_w = a->s.heads * a->s.dim;

    for (int at = 0; at < total; at += chunk) {
        int n[SEQS] = { 0 };
        float *o[SEQS] = { NULL };
        n[q] = total - at < chunk ? total - at : chunk;
        o[q] = out + at * q_w;
        attn_step(a, n, o);
    }
}

/* ---- the plain attention ---- */

static void rope(const struct setup *s, double *x, int pos)
{
    const int half = s->rot_dim / 2;

    for (int i = 0; i < half; i++) {
        const int p = s->interleaved ? 2 * i : i, r = s->interleaved ? 2 * i + 1 : i + half;
        const double c = (double)cos_t[pos * half + i], n = (double)sin_t[pos * half + i];
        const double u = x[p], v = x[r];
        x[p] = u * c - v * n;
        x[r] = u * n + v * c;
    }
}

static void load_head(const struct setup *s, const float *from, const float *norm, int pos,
                      double *x)
{
    double sum = 0;

    for (int d = 0; d < s->dim; d++) x[d] = (double)from[d], sum += x[d] * x[d];
    for (int d = 0; s->norms && d < s->dim; d++)
        x[d] *= (double)norm[d] / sqrt(sum / s->dim + 1e-6);
    rope(s, x, pos);
}

struct place {
    bool value;
    int q, pos, head;
};

/* What the store has of a key (or value) that is exactly x: x itself where the cache is not
 * quantised. Else a number that rounding may have given, when x came with the error of fp32. */
static double stored(const struct attn *a, const struct place *p, int d, double x)
{
    const struct setup *s = &a->s;
    const double lo = s->kv == DT_U8 ? -8 : -128, hi = s->kv == DT_U8 ? 7 : 127;
    const size_t row_bytes = kv_row_bytes(s->kv, (size_t)s->dim);
    const size_t row = (size_t)(p->head * s->page_tokens + p->pos % s->page_tokens);
    const uint8_t *at = (const uint8_t *)a->store.host +
                        a->group.page_bytes * (size_t)a->pages[p->q][p->pos / s->page_tokens] +
                        (p->value ? a->layer[1].v_offset : a->layer[1].k_offset) + row * row_bytes;
    const float given = (p->value ? v_scale : k_scale)[s->per_channel ? p->head * s->dim + d : 0];
    const double exact = x / (given == 0 ? 1 : (double)given);
    int got;

    if (!bits_of(s)) return x;
    got = s->kv == DT_I8 ? (int8_t)at[d] : (at[d / 2] >> (d % 2 ? 4 : 0) & 15) - 8;
    if (!(fabs((exact < lo ? lo : exact > hi ? hi : exact) - got) <= 0.5 + 1e-4))
        fail_msg("position %d head %d dim %d: %d stored for %g", p->pos, p->head, d, got, exact);
    return got * (double)given;
}

static void expected_row(const struct attn *a, int q, int pos, int head, double *out)
{
    const struct setup *s = &a->s;
    static double p[POS_MAX];
    const int w = width_of(s), kvh = head / (s->heads / s->kv_heads);
    const int k_at = (s->heads + kvh) * s->dim, v_at = k_at + s->kv_heads * s->dim;
    const int first = s->window > 0 && pos + 1 > s->window ? pos + 1 - (int)s->window : 0;
    double x[DIM_MAX], k[DIM_MAX], max = s->sink ? (double)sinks[head] : -INFINITY, sum = 0;

    load_head(s, rows[q] + pos * w + head * s->dim, q_norm, pos, x);
    for (int j = first; j <= pos; j++) {
        load_head(s, rows[q] + j * w + k_at, k_norm, j, k);
        p[j] = 0;
        for (int d = 0; d < s->dim; d++)
            p[j] += x[d] * stored(a, &(struct place){ false, q, j, kvh }, d, k[d]) / sqrt(s->dim);
        if (s->softcap > 0) p[j] = (double)s->softcap * tanh(p[j] / (double)s->softcap);
        if (p[j] > max) max = p[j];
    }
    for (int d = 0; d < s->dim; d++) out[d] = 0;
    if (s->sink) sum = exp((double)sinks[head] - max);
    for (int j = first; j <= pos; j++) {
        const double e = exp(p[j] - max);
        sum += e;
        for (int d = 0; d < s->dim; d++)
            out[d] += e * stored(a, &(struct place){ true, q, j, kvh }, d,
                                 (double)rows[q][j * w + v_at + d]);
    }
    for (int d = 0; d < s->dim; d++) out[d] /= sum;
}

static int fill(void **state)
{
    (void)state;
    for (uint32_t q = 0; q < SEQS; q++) fill_floats(rows[q], COUNT(rows[q]), 10 + q);
    for (size_t i = 0; i < COUNT(cos_t); i++) {
        const double angle = (double)(i / 8) * pow(50, -(double)(i % 8) / 8);
        cos_t[i] = (float)cos(angle);
        sin_t[i] = (float)sin(angle);
    }
    fill_floats(sinks, COUNT(sinks), 20);
    fill_floats(q_norm, COUNT(q_norm), 21);
    fill_floats(k_norm, COUNT(k_norm), 22);
    fill_floats(k_scale, COUNT(k_scale), 23);
    fill_floats(v_scale, COUNT(v_scale), 24);
    for (size_t i = 0; i < COUNT(k_scale); i++) { /* values lie in (-1, 1): some are clamped */
        k_scale[i] = 0.006f + 0.002f * k_scale[i];
        v_scale[i] = 0.007f + 0.003f * v_scale[i];
    }
    k_scale[5] = 0; /* a channel that counts as rounded to whole numbers, and gives nothing */
    return 0;
}

/* ---- tests ---- */

static struct attn one, two;
static float out_a[POS_MAX * HEADS_MAX * DIM_MAX], out_b[POS_MAX * HEADS_MAX * DIM_MAX];

static void check_setup(const struct setup *s, int total, int chunk, double tol)
{
    double want[DIM_MAX];

    attn_open(&one, s, 2);
    run_alone(&one, 1, total, chunk, out_a);
    for (int pos = 0; pos < total; pos += pos < 70 ? 1 : 61)
        for (int h = 0; h < s->heads; h++) {
            expected_row(&one, 1, pos, h, want);
            for (int d = 0; d < s->dim; d++) {
                const double got = (double)out_a[(pos * s->heads + h) * s->dim + d];
                if (!(fabs(got - want[d]) <= tol))
                    fail_msg("position %d head %d dim %d: %g, expected %g", pos, h, d, got,
                             want[d]);
            }
        }
    attn_close(&one);
}

static void matches_plain_attention(void **state)
{
    struct setup s = plain;

    (void)state;
    check_setup(&s, 200, 200, 3e-6);
    s.separate = true, s.interleaved = true;
    check_setup(&s, 130, 50, 3e-6);
    s = plain, s.norms = true, s.rot_dim = 8;
    check_setup(&s, 130, 50, 5e-6);
    s = plain, s.sink = true, s.softcap = 1.5f;
    check_setup(&s, 700, 300, 3e-6);
    s = plain, s.window = 20;
    check_setup(&s, 700, 90, 3e-6);
    s = plain, s.heads = 12, s.kv_heads = 1, s.dim = 8, s.rot_dim = 0, s.page_tokens = 16;
    check_setup(&s, 700, 90, 3e-6);
    s = plain, s.heads = s.kv_heads = 3, s.dim = 20, s.rot_dim = 16, s.page_tokens = 7;
    check_setup(&s, 100, 9, 3e-6);
    s = plain, s.kv = DT_F16;
    check_setup(&s, 150, 150, 2e-3);
    s = plain, s.kv = DT_BF16;
    check_setup(&s, 150, 150, 1.6e-2);
}

/* The test's own quantisation rounds the exact key, the operator one that is a few ulp away: none
 * of these keys lies so near to the middle between two steps. */
static void matches_attention_over_rounded_keys_and_values(void **state)
{
    static const enum dtype types[] = { DT_I8, DT_U8 };
    struct setup s;

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++)
        for (int per_channel = 0; per_channel < 2; per_channel++) {
            s = plain, s.kv = types[i], s.per_channel = per_channel;
            check_setup(&s, 200, 200, 3e-6);
            s.separate = true, s.interleaved = true, s.norms = true;
            check_setup(&s, 130, 50, 5e-6);
            s = plain, s.kv = types[i], s.per_channel = per_channel, s.window = 20, s.sink = true;
            check_setup(&s, 700, 90, 3e-6);
            s = plain, s.kv = types[i], s.per_channel = per_channel;
            s.heads = s.kv_heads = 3, s.dim = 23, s.rot_dim = 16, s.page_tokens = 7;
            check_setup(&s, 100, 9, 3e-6);
            s.heads = 12, s.kv_heads = 1, s.dim = 32, s.softcap = 2, s.page_tokens = 64;
            check_setup(&s, 700, 300, 3e-6);
        }
}

static void bits_do_not_depend_on_chunks_or_threads(void **state)
{
    static const int chunks[] = { 1390, 512, 100, 64, 33 };
    struct setup setups[5] = { plain, plain, plain, plain, plain };
    const int total = 1390;

    (void)state;
    setups[1].window = 70, setups[1].sink = true;
    setups[2].kv = DT_F16, setups[2].kv_heads = 1;
    setups[3].kv = DT_I8, setups[3].window = 70;
    setups[4].kv = DT_U8, setups[4].per_channel = true, setups[4].dim = 15, setups[4].rot_dim = 8;
    for (size_t i = 0; i < COUNT(setups); i++) {
        const size_t bytes = (size_t)(total * setups[i].heads * setups[i].dim) * sizeof *out_a;
        attn_open(&one, &setups[i], 1);
        run_alone(&one, 0, total, total, out_a);
        attn_close(&one);
        for (size_t c = 0; c < COUNT(chunks); c++)
            for (int threads = 1; threads <= 4; threads += threads) {
                attn_open(&two, &setups[i], threads);
                memset(out_b, 0, sizeof out_b);
                run_alone(&two, 0, total, chunks[c], out_b);
                attn_close(&two);
                assert_memory_equal(out_a, out_b, bytes);
            }
    }
}

/* Decode of a long sequence: one token at a time, where segments are shared among workers. */
static void decode_gives_the_bits_of_prefill(void **state)
{
    const int total = 1390, q_w = plain.heads * plain.dim;

    (void)state;
    attn_open(&one, &plain, 1);
    run_alone(&one, 2, total, total, out_a);
    attn_close(&one);
    for (int threads = 1; threads <= 4; threads++) {
        attn_open(&two, &plain, threads);
        run_alone(&two, 2, total - 20, total, out_b);
        for (int t = total - 20; t < total; t++) run_alone(&two, 2, 1, 1, out_b + t * q_w);
        attn_close(&two);
        assert_memory_equal(out_a, out_b, (size_t)(total * q_w) * sizeof *out_a);
    }
}

static void check_company(const struct setup *s)
{
    const int q_w = s->heads * s->dim;

    for (int threads = 1; threads <= 3; threads += 2) {
        attn_open(&one, s, threads);
        run_alone(&one, 1, 700, 700, out_a);
        run_alone(&one, 1, 1, 1, out_a + 700 * q_w);
        attn_close(&one);
        attn_open(&two, s, threads);
        attn_step(&two, (const int[]){ 300, 700, 5 }, (float *[]){ NULL, out_b, NULL });
        attn_step(&two, (const int[]){ 1, 1, 400 }, (float *[]){ NULL, out_b + 700 * q_w, NULL });
        attn_close(&two);
        assert_memory_equal(out_a, out_b, (size_t)(701 * q_w) * sizeof *out_a);
    }
}

static void bits_do_not_depend_on_company(void **state)
{
    static const enum dtype types[] = { DT_F32, DT_I8, DT_U8 };

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        struct setup s = plain;
        s.kv = types[i];
        check_company(&s);
    }
}

static void execute_allocates_nothing(void **state)
{
    (void)state;
    attn_open(&one, &plain, 3);
    const uint64_t before = mem_alloc_count();
    run_alone(&one, 0, 1300, 200, out_a);
    run_alone(&one, 0, 1, 1, out_a);
    assert_int_equal(mem_alloc_count(), before);
    attn_close(&one);
}

static status step_status(struct attn *a, const struct step_seq *seq, struct err *err)
{
    static float in[64 * WIDTH_MAX], y[64 * HEADS_MAX * DIM_MAX];

    sb_bind(&a->b, a->v_in[0], seq->n_tokens, in);
    sb_bind(&a->b, a->v_out, seq->n_tokens, y);
    const struct step step = { .n_tokens = seq->n_tokens,
                               .n_seqs = 1,
                               .seqs = seq,
                               .kv = &a->kv,
                               .bindings = a->b.bindings,
                               .n_bindings = a->b.n_bindings };
    return a->be->ops->execute(a->be, a->prog, &step, err);
}

static void broken_tables_are_refused(void **state)
{
    static int32_t pages[POS_MAX];
    struct step_seq seq = { .n_tokens = 3, .n_past = 100, .pages = pages };
    struct err err = { 0 };

    (void)state;
    attn_open(&one, &plain, 2);
    pages[1] = one.group.n_pages;
    assert_int_equal(step_status(&one, &seq, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "page"));
    err_clear(&err);
    pages[1] = -1;
    assert_int_equal(step_status(&one, &seq, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "no page"));
    err_clear(&err);
    pages[1] = 1;
    seq.n_past = POS_MAX;
    assert_int_equal(step_status(&one, &seq, &err), ST_LIMIT);
    assert_non_null(strstr(err.text, "rotary"));
    seq.n_past = 100;
    assert_int_equal(step_status(&one, &seq, NULL), ST_OK);
    one.layer[1].v_offset = one.group.page_bytes;
    assert_int_equal(step_status(&one, &seq, NULL), ST_SHAPE);
    attn_close(&one);
}

/* The node says how its cache is quantised; a store that holds something else is refused. */
static void caches_of_another_type_are_refused(void **state)
{
    static const enum dtype types[] = { DT_F32, DT_F16, DT_I8, DT_U8, DT_I32 };
    static int32_t pages[POS_MAX];
    const struct step_seq seq = { .n_tokens = 3, .n_past = 10, .pages = pages };

    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < COUNT(types); j++) {
            struct setup s = plain;
            const bool floats = i < 2 && types[j] == DT_F16; /* any type of floats will do */

            s.kv = types[i];
            attn_open(&one, &s, 2);
            one.layer[1].dtype = types[j];
            assert_int_equal(step_status(&one, &seq, NULL), i == j || floats ? ST_OK : ST_SHAPE);
            attn_close(&one);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_plain_attention),
        cmocka_unit_test(matches_attention_over_rounded_keys_and_values),
        cmocka_unit_test(bits_do_not_depend_on_chunks_or_threads),
        cmocka_unit_test(decode_gives_the_bits_of_prefill),
        cmocka_unit_test(bits_do_not_depend_on_company),
        cmocka_unit_test(execute_allocates_nothing),
        cmocka_unit_test(broken_tables_are_refused),
        cmocka_unit_test(caches_of_another_type_are_refused),
    };

    return cmocka_run_group_tests(tests, fill, NULL);
}
