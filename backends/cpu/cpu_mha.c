/* SPDX-License-Identifier: MIT */
/* The core of dense multi-head attention, and com.microsoft's MultiHeadAttention. */
#include "backends/cpu/cpu_mha.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_ops.h"

enum { ROWS_BLOCK = 32 };

size_t cpu_mha_total(const struct cpu_mha *m) { return m->past + m->keys; }

/* ---- masks ---- */

bool cpu_mha_masks_fit(const struct cpu_mha *m)
{
    const size_t total = cpu_mha_total(m);

    if (m->mask) {
        const struct tensor_type *t = &m->mask->type;
        const size_t n = cpu_elements(m->mask);

        if (t->dtype != DT_I32) return false;
        if (t->ndim == 1 && n != m->batch && n != 2 * m->batch) return false;
        if (t->ndim == 2 && n != m->batch * total) return false;
        if (t->ndim == 3 && n != m->batch * m->rows * total) return false;
        if (t->ndim < 1 || t->ndim > 3) return false;
    }
    if (!m->bias) return true;
    const struct tensor_type *t = &m->bias->type;
    return cpu_is_float(t->dtype) && t->ndim == 4 &&
           (t->dim[0] == 1 || (size_t)t->dim[0] == m->batch) &&
           (t->dim[1] == 1 || (size_t)t->dim[1] == m->heads) && (size_t)t->dim[2] == m->rows &&
           (size_t)t->dim[3] == total;
}

/* What the mask adds to row `row` of sequence b. */
static void add_mask(const struct cpu_mha *m, size_t b, size_t row, float *scores)
{
    const size_t total = cpu_mha_total(m);
    const int32_t *mask = m->mask->data;

    if (m->mask->type.ndim == 1) {
        const int64_t end = mask[b];
        const int64_t begin = cpu_elements(m->mask) == m->batch ? 0 : mask[m->batch + b];

        for (size_t i = 0; i < total; i++)
            if ((int64_t)i >= end || (int64_t)i < begin) scores[i] += m->filter;
        return;
    }
    mask += m->mask->type.ndim == 2 ? b * total : (b * m->rows + row) * total;
    for (size_t i = 0; i < total; i++)
        if (mask[i] <= 0) scores[i] += m->filter;
}

static void add_bias(const struct cpu_mha *m, size_t b, size_t head, size_t row, float *scores,
                     float *line)
{
    const struct tensor_type *t = &m->bias->type;
    const size_t total = cpu_mha_total(m);
    const size_t at =
        ((t->dim[0] == 1 ? 0 : b) * (size_t)t->dim[1] + (t->dim[1] == 1 ? 0 : head)) * m->rows +
        row;
    const float *x = cpu_row_f32(m->bias, at * total, total, line);

    for (size_t i = 0; i < total; i++) scores[i] += x[i];
}

/* Scores of one row to probabilities. A causal row sees nothing past its own position, whatever
 * the filter value is. */
static void finish_scores(const struct cpu_mha *m, size_t b, size_t head, size_t row, float *scores,
                          float *line)
{
    const size_t total = cpu_mha_total(m), seen = m->past + row + 1;

    if (m->mask) add_mask(m, b, row, scores);
    if (m->bias) add_bias(m, b, head, row, scores, line);
    for (size_t i = seen; m->causal && i < total; i++) scores[i] = -INFINITY;
    kern.softmax_f32(scores, scores, 1, total);
}

/* ---- the core ---- */

static bool rows_bytes(const struct cpu_mha *m, size_t rows, size_t width, size_t *bytes)
{
    size_t n;

    return checked_mul(m->batch, m->heads, &n) && checked_mul(n, rows, &n) &&
           checked_mul(n, width, &n) && checked_mul(n, sizeof(float), bytes) &&
           checked_add(*bytes, CPU_ALIGN, bytes);
}

static size_t round_up(size_t n) { return (n + CPU_ALIGN - 1) & ~(size_t)(CPU_ALIGN - 1); }

bool cpu_mha_scratch_bytes(const struct cpu_mha *m, size_t *shared, size_t *worker)
{
    size_t q, k, v, total, block;

    if (!checked_add(m->past, m->keys, &total) || !rows_bytes(m, m->rows, m->width, &q) ||
        !rows_bytes(m, total, m->width, &k) || !rows_bytes(m, total, m->v_width, &v) ||
        !checked_add(q, k, shared) || !checked_add(*shared, v, shared) ||
        !checked_add(*shared, 3 * CPU_ALIGN, shared))
        return false;
    /* scores of a block, a line of bias, the block's result */
    if (!checked_mul(total, (ROWS_BLOCK + 1) * sizeof(float), &block) ||
        !checked_mul(m->v_width + m->width, ROWS_BLOCK * sizeof(float), worker) ||
        !checked_add(*worker, block, worker) || !checked_add(*worker, 3 * CPU_ALIGN, worker))
        return false;
    return true;
}

struct cpu_mha_buffers cpu_mha_buffers(const struct cpu_mha *m, void *shared)
{
    const size_t n = m->batch * m->heads, total = cpu_mha_total(m);
    char *at = shared;
    struct cpu_mha_buffers b;

    b.q = (float *)(void *)at;
    at += round_up(n * m->rows * m->width * sizeof(float));
    b.k = (float *)(void *)at;
    at += round_up(n * total * m->width * sizeof(float));
    b.v = (float *)(void *)at;
    return b;
}

void cpu_mha_gather(const struct cpu_task *t, const struct cpu_mha *m,
                    const struct cpu_mha_source *from, struct cpu_mha_rows to)
{
    const struct cpu_share s = cpu_share(t, m->batch * m->heads * to.rows, 1);

    for (size_t i = s.begin; i < s.end; i++) {
        const size_t row = i % to.rows, head = i / to.rows % m->heads, b = i / to.rows / m->heads;
        float *out = to.operand + ((b * m->heads + head) * to.total + to.first + row) * to.width;

        cpu_to_f32(out, from->x->data, from->x->type.dtype,
                   from->offset + b * from->batch_step + row * from->row_step +
                       head * from->head_step,
                   to.width);
        if (!from->bias) continue;
        float *line = t->scratch;
        const float *x =
            cpu_row_f32(from->bias, from->bias_offset + head * to.width, to.width, line);
        for (size_t c = 0; c < to.width; c++) out[c] += x[c];
    }
}

void cpu_mha_run(const struct cpu_task *t, const struct cpu_mha *m, const struct cpu_mha_buffers *b,
                 const struct tensor *out)
{
    const size_t total = cpu_mha_total(m), blocks = (m->rows + ROWS_BLOCK - 1) / ROWS_BLOCK;
    float *scores = t->scratch, *line = scores + ROWS_BLOCK * total, *y = line + total;

    for (size_t i = cpu_take(t); i < m->batch * m->heads * blocks; i = cpu_take(t)) {
        const size_t head = i / blocks, row = i % blocks * ROWS_BLOCK;
        const size_t n = m->rows - row < ROWS_BLOCK ? m->rows - row : ROWS_BLOCK;

        if (total == 0 || m->width == 0 || m->v_width == 0) continue;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)total, (int)m->width,
                    m->scale, b->q + (head * m->rows + row) * m->width, (int)m->width,
                    b->k + head * total * m->width, (int)m->width, 0.0f, scores, (int)total);
        for (size_t r = 0; r < n; r++)
            finish_scores(m, head / m->heads, head % m->heads, row + r, scores + r * total, line);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)m->v_width, (int)total,
                    1.0f, scores, (int)total, b->v + head * total * m->v_width, (int)m->v_width,
                    0.0f, y, (int)m->v_width);
        for (size_t r = 0; r < n; r++)
            cpu_from_f32(out->data, out->type.dtype,
                         ((head / m->heads * m->rows + row + r) * m->heads + head % m->heads) *
                             m->v_width,
                         y + r * m->v_width, m->v_width);
    }
}

void cpu_mha_put(const struct cpu_task *t, const float *from, const struct tensor *out,
                 size_t offset, size_t n)
{
    const struct cpu_share s = cpu_share(t, n, 256);

    if (s.begin < s.end)
        cpu_from_f32(out->data, out->type.dtype, offset + s.begin, from + s.begin, s.end - s.begin);
}

/* ---- MultiHeadAttention ---- */

enum mha_in { MHA_Q, MHA_K, MHA_V, MHA_BIAS, MHA_MASK, MHA_SCORE_BIAS, MHA_PAST_K, MHA_PAST_V };

/* The operands of a call as rows of heads. */
struct mha_call {
    struct cpu_mha m;
    struct cpu_mha_source q, k, v;
    const struct tensor *past_k, *past_v;
};

/* [B, S, N*H] rows; [B, N, T, H] (a finished cache); packed [B, S, N, count, H] from part `part`.
 */
static struct cpu_mha_source rows_of(const struct tensor *x, size_t heads, size_t part)
{
    const struct tensor_type *t = &x->type;
    struct cpu_mha_source s = { .x = x };

    if (t->ndim == 3) {
        s.head_step = (size_t)t->dim[2] / heads;
        s.row_step = (size_t)t->dim[2];
        s.batch_step = (size_t)t->dim[1] * s.row_step;
    } else if (t->ndim == 4) {
        s.row_step = (size_t)t->dim[3];
        s.head_step = (size_t)t->dim[2] * s.row_step;
        s.batch_step = (size_t)t->dim[1] * s.head_step;
    } else {
        s.offset = part * (size_t)t->dim[4];
        s.head_step = (size_t)(t->dim[3] * t->dim[4]);
        s.row_step = (size_t)t->dim[2] * s.head_step;
        s.batch_step = (size_t)t->dim[1] * s.row_step;
    }
    return s;
}

static int64_t keys_of(const struct tensor_type *t) { return t->dim[t->ndim == 4 ? 2 : 1]; }

/* Width of a head of x with `heads` heads; 0 when it is not of that form. */
static size_t width_of(const struct tensor_type *t, size_t heads)
{
    if (t->ndim == 3) return (size_t)t->dim[2] % heads == 0 ? (size_t)t->dim[2] / heads : 0;
    if (t->ndim == 4) return (size_t)t->dim[1] == heads ? (size_t)t->dim[3] : 0;
    return t->ndim == 5 && (size_t)t->dim[2] == heads ? (size_t)t->dim[4] : 0;
}

/* Sizes from the types of a call; in[i] NULL = absent. */
static bool mha_sizes(const struct op_call *call, const struct tensor *const *in,
                      struct mha_call *c)
{
    const struct attrs_mha *a = &call->attr.mha;
    const struct tensor *q = in[MHA_Q], *k = in[MHA_K] ? in[MHA_K] : q;
    const struct tensor *v = in[MHA_V] ? in[MHA_V] : k;

    memset(c, 0, sizeof *c);
    if (a->num_heads < 1 || !q || (q->type.ndim != 3 && q->type.ndim != 5)) return false;
    const size_t heads = (size_t)a->num_heads;
    if (k->type.ndim < 3 || v->type.ndim < 3 || k->type.ndim > 5 || v->type.ndim > 5 ||
        k->type.dim[0] != q->type.dim[0] || v->type.dim[0] != q->type.dim[0] ||
        keys_of(&k->type) != keys_of(&v->type))
        return false;
    if ((q->type.ndim == 5 && (k != q || q->type.dim[3] != 3)) ||
        (k != q && k->type.ndim == 5 && (v != k || k->type.dim[3] != 2)) ||
        (v != k && v->type.ndim == 5) || (k != q && v == k && k->type.ndim != 5))
        return false;
    c->m = (struct cpu_mha){ .batch = (size_t)q->type.dim[0],
                             .heads = heads,
                             .rows = (size_t)q->type.dim[1],
                             .keys = (size_t)keys_of(&k->type),
                             .width = width_of(&q->type, heads),
                             .v_width = width_of(&v->type, heads),
                             .filter = a->mask_filter_value,
                             .causal = a->unidirectional != 0 };
    if (c->m.width == 0 || c->m.v_width == 0 || width_of(&k->type, heads) != c->m.width)
        return false;
    c->m.scale = a->scale > 0 ? a->scale : 1.0f / sqrtf((float)c->m.width);
    c->past_k = in[MHA_PAST_K];
    c->past_v = in[MHA_PAST_V];
    if (!c->past_k != !c->past_v) return false;
    if (c->past_k && (c->past_k->type.ndim != 4 || c->past_v->type.ndim != 4)) return false;
    if (c->past_k) c->m.past = (size_t)c->past_k->type.dim[2];
    return cpu_elements(q) < INT32_MAX && cpu_elements(k) < INT32_MAX;
}

static bool past_fits(const struct cpu_mha *m, const struct tensor *x, size_t width)
{
    return !x || (cpu_is_float(x->type.dtype) &&
                  cpu_elements(x) == m->batch * m->heads * m->past * width);
}

static bool present_fits(const struct cpu_mha *m, const struct tensor *x, size_t width)
{
    return !x || (cpu_is_float(x->type.dtype) &&
                  cpu_elements(x) == m->batch * m->heads * cpu_mha_total(m) * width);
}

/* The rest of a run's operands: sources, biases, masks; false when something does not fit. */
static bool mha_operands(const struct cpu_task *t, struct mha_call *c)
{
    const struct tensor *in[10] = { NULL };
    const struct tensor *out = cpu_out(t, 0);

    for (int i = 0; i < 10; i++) in[i] = cpu_in(t, i);
    if (!mha_sizes(t->call, in, c)) return false;
    const struct tensor *k = in[MHA_K] ? in[MHA_K] : in[MHA_Q], *v = in[MHA_V] ? in[MHA_V] : k;
    const size_t heads = c->m.heads, part = k->type.ndim == 5 ? (size_t)k->type.dim[3] - 2 : 0;
    c->q = rows_of(in[MHA_Q], heads, 0);
    c->k = rows_of(k, heads, part);
    c->v = rows_of(v, heads, part + 1);
    if (in[MHA_BIAS]) {
        const size_t n = heads * c->m.width;

        if (!cpu_is_float(in[MHA_BIAS]->type.dtype) ||
            cpu_elements(in[MHA_BIAS]) != 2 * n + heads * c->m.v_width)
            return false;
        c->q.bias = in[MHA_BIAS];
        if (k->type.ndim != 4) c->k.bias = in[MHA_BIAS];
        if (v->type.ndim != 4) c->v.bias = in[MHA_BIAS];
        c->k.bias_offset = n;
        c->v.bias_offset = 2 * n;
    }
    c->m.mask = in[MHA_MASK];
    c->m.bias = in[MHA_SCORE_BIAS];
    return cpu_is_float(in[MHA_Q]->type.dtype) && cpu_is_float(k->type.dtype) &&
           cpu_is_float(v->type.dtype) && cpu_is_float(out->type.dtype) &&
           cpu_elements(out) == c->m.batch * c->m.rows * heads * c->m.v_width &&
           cpu_mha_masks_fit(&c->m) && past_fits(&c->m, c->past_k, c->m.width) &&
           past_fits(&c->m, c->past_v, c->m.v_width) &&
           present_fits(&c->m, cpu_out(t, 1), c->m.width) &&
           present_fits(&c->m, cpu_out(t, 2), c->m.v_width);
}

void cpu_multihead(const struct cpu_task *t)
{
    struct mha_call c;

    if (!mha_operands(t, &c)) {
        cpu_fail(t, ST_SHAPE, "query, key, value, masks or past do not fit each other");
        return;
    }
    const size_t total = cpu_mha_total(&c.m), heads = c.m.batch * c.m.heads;
    const struct cpu_mha_buffers b = cpu_mha_buffers(&c.m, t->shared);
    if (c.past_k) {
        const struct cpu_mha_source pk = rows_of(c.past_k, c.m.heads, 0);
        const struct cpu_mha_source pv = rows_of(c.past_v, c.m.heads, 0);

        cpu_mha_gather(t, &c.m, &pk, (struct cpu_mha_rows){ b.k, total, c.m.width, 0, c.m.past });
        cpu_mha_gather(t, &c.m, &pv, (struct cpu_mha_rows){ b.v, total, c.m.v_width, 0, c.m.past });
    }
    cpu_mha_gather(t, &c.m, &c.q, (struct cpu_mha_rows){ b.q, c.m.rows, c.m.width, 0, c.m.rows });
    cpu_mha_gather(t, &c.m, &c.k,
                   (struct cpu_mha_rows){ b.k, total, c.m.width, c.m.past, c.m.keys });
    cpu_mha_gather(t, &c.m, &c.v,
                   (struct cpu_mha_rows){ b.v, total, c.m.v_width, c.m.past, c.m.keys });
    cpu_sync(t);
    cpu_mha_run(t, &c.m, &b, cpu_out(t, 0));
    if (cpu_out(t, 1)) cpu_mha_put(t, b.k, cpu_out(t, 1), 0, heads * total * c.m.width);
    if (cpu_out(t, 2)) cpu_mha_put(t, b.v, cpu_out(t, 2), 0, heads * total * c.m.v_width);
}

status cpu_multihead_scratch(const struct op_call *call, const struct prepared *p,
                             const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const struct tensor *in[10];
    struct mha_call c;

    (void)p, (void)b;
    for (int i = 0; i < 10; i++) in[i] = cpu_call_in(call, i);
    if (!mha_sizes(call, in, &c))
        return FAIL(err, ST_SHAPE, "%s: query, key, value or past do not fit each other",
                    call->node);
    if (!cpu_mha_scratch_bytes(&c.m, &out->shared, &out->worker))
        return FAIL(err, ST_LIMIT, "%s: operands too large", call->node);
    return ST_OK;
}
