/* SPDX-License-Identifier: MIT */
/* com.microsoft's Attention: the projection to q | k | v is part of the operator. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_linear.h"
#include "backends/cpu/cpu_mha.h"
#include "backends/cpu/cpu_ops.h"

enum packed_in { PK_X, PK_WEIGHTS, PK_BIAS, PK_MASK, PK_PAST, PK_SCORE_BIAS };

/* Widths of q, k and v of all heads. */
struct widths {
    size_t q, v, all;
};

static bool widths_of(const struct op_call *call, const struct tensor_type *w, struct widths *out)
{
    const struct ir_ints *sizes = &call->attr.packedattn.qkv_hidden_sizes;
    const int64_t n = w->ndim == 2 ? w->dim[1] : 0;

    *out = (struct widths){ (size_t)n / 3, (size_t)n / 3, (size_t)n };
    if (sizes->n == 0) return n > 0 && n % 3 == 0;
    if (sizes->n != 3 || sizes->v[0] < 1 || sizes->v[0] != sizes->v[1] || sizes->v[2] < 1 ||
        sizes->v[0] > INT32_MAX || sizes->v[2] > INT32_MAX)
        return false;
    *out = (struct widths){ (size_t)sizes->v[0], (size_t)sizes->v[2], (size_t)n };
    return 2 * sizes->v[0] + sizes->v[2] == n;
}

static bool packed_sizes(const struct op_call *call, const struct tensor *const *in,
                         struct widths *w, struct cpu_mha *m)
{
    const struct attrs_packedattn *a = &call->attr.packedattn;
    const struct tensor *x = in[PK_X], *weights = in[PK_WEIGHTS], *past = in[PK_PAST];
    const size_t heads = (size_t)a->num_heads;

    if (!x || !weights || x->type.ndim != 3 || a->num_heads < 1 ||
        !widths_of(call, &weights->type, w) || w->q % heads != 0 || w->v % heads != 0 ||
        weights->type.dim[0] != x->type.dim[2])
        return false;
    *m = (struct cpu_mha){ .batch = (size_t)x->type.dim[0],
                           .heads = heads,
                           .rows = (size_t)x->type.dim[1],
                           .keys = (size_t)x->type.dim[1],
                           .width = w->q / heads,
                           .v_width = w->v / heads,
                           .filter = a->mask_filter_value,
                           .causal = a->unidirectional != 0,
                           .mask = in[PK_MASK],
                           .bias = in[PK_SCORE_BIAS] };
    m->scale = a->scale > 0 ? a->scale : 1.0f / sqrtf((float)m->width);
    if (!past) return true;
    m->past = past->type.ndim == 5 ? (size_t)past->type.dim[3] : 0;
    return past->type.ndim == 5 && past->type.dim[0] == 2 && w->q == w->v &&
           cpu_is_float(past->type.dtype) &&
           cpu_elements(past) == 2 * m->batch * heads * m->past * m->width;
}

status cpu_packed_attention_prepare(struct cpu_backend *be, const struct op_call *call,
                                    struct prepared **out, struct err *err)
{
    const struct tensor *w = cpu_call_in(call, PK_WEIGHTS);

    if (!w || !w->data || w->type.ndim != 2 || !cpu_is_float(w->type.dtype) || w->type.dim[0] < 1 ||
        w->type.dim[1] < 1)
        return FAIL(err, ST_UNSUPPORTED, "%s: weights are no constant float matrix", call->node);
    const struct cpu_plain_layer layer = { .w = { .w = w->data,
                                                  .n = (size_t)w->type.dim[1],
                                                  .k = (size_t)w->type.dim[0],
                                                  .stride_n = 1,
                                                  .stride_k = (size_t)w->type.dim[1],
                                                  .elem_size = cpu_size(w->type.dtype) },
                                           .dtype = w->type.dtype,
                                           .bias = cpu_call_in(call, PK_BIAS) };
    return cpu_linear_pack_plain(be, call, &layer, out, err);
}

/* Shared scratch: the operands of cpu_mha, then q | k | v of all rows; worker scratch has room for
 * a block of input rows where those are halves. */
struct places {
    size_t qkv, shared, worker;
};

enum { ROWS_BLOCK = 8 };

static bool places_of(const struct cpu_mha *m, const struct widths *w, size_t k, struct places *p)
{
    size_t bytes, line;

    if (!cpu_mha_scratch_bytes(m, &p->qkv, &p->worker) || !checked_mul(m->batch, m->rows, &bytes) ||
        !checked_mul(bytes, w->all, &bytes) || !checked_mul(bytes, sizeof(float), &bytes) ||
        !checked_mul(k, ROWS_BLOCK * sizeof(float), &line))
        return false;
    p->qkv = (p->qkv + CPU_ALIGN - 1) & ~(size_t)(CPU_ALIGN - 1);
    if (line > p->worker) p->worker = line;
    return checked_add(p->qkv, bytes, &p->shared);
}

status cpu_packed_attention_scratch(const struct op_call *call, const struct prepared *p,
                                    const struct cpu_bounds *b, struct cpu_scratch *out,
                                    struct err *err)
{
    const struct tensor *in[7];
    struct widths w;
    struct cpu_mha m;
    struct places at;

    (void)p, (void)b;
    for (int i = 0; i < 7; i++) in[i] = cpu_call_in(call, i);
    if (!packed_sizes(call, in, &w, &m))
        return FAIL(err, ST_SHAPE, "%s: input, weights or past do not fit each other", call->node);
    if (!places_of(&m, &w, (size_t)in[PK_X]->type.dim[2], &at))
        return FAIL(err, ST_LIMIT, "%s: operands too large", call->node);
    *out = (struct cpu_scratch){ .worker = at.worker, .shared = at.shared };
    return ST_OK;
}

/* This worker's rows through the projection. */
static void project(const struct cpu_task *t, const struct cpu_linear *l, const struct tensor *x,
                    size_t rows, float *qkv)
{
    const struct cpu_share s = cpu_share(t, rows, ROWS_BLOCK);

    for (size_t r = s.begin; r < s.end; r += ROWS_BLOCK) {
        const size_t m = s.end - r < ROWS_BLOCK ? s.end - r : ROWS_BLOCK;
        const float *in = cpu_row_f32(x, r * l->k, m * l->k, t->scratch);
        const struct cpu_rows in_rows = { .data = (const char *)in,
                                          .stride = l->k * sizeof(float) };

        cpu_linear_block(l, &in_rows, &(struct cpu_block){ .m = m, .n = l->n }, qkv + r * l->n,
                         l->n);
    }
}

/* k and v of the past: [2, B, N, P, H]. */
static void gather_past(const struct cpu_task *t, const struct cpu_mha *m,
                        const struct tensor *past, const struct cpu_mha_buffers *b)
{
    struct cpu_mha_source s = { .x = past, .row_step = m->width };

    s.head_step = m->past * m->width;
    s.batch_step = m->heads * s.head_step;
    cpu_mha_gather(t, m, &s, (struct cpu_mha_rows){ b->k, cpu_mha_total(m), m->width, 0, m->past });
    s.offset = m->batch * s.batch_step;
    cpu_mha_gather(t, m, &s, (struct cpu_mha_rows){ b->v, cpu_mha_total(m), m->width, 0, m->past });
}

static bool outputs_fit(const struct cpu_task *t, const struct cpu_mha *m, const struct widths *w)
{
    const struct tensor *out = cpu_out(t, 0), *present = cpu_out(t, 1);
    const size_t one = m->batch * m->heads * cpu_mha_total(m) * m->width;

    return cpu_is_float(out->type.dtype) && cpu_elements(out) == m->batch * m->rows * w->v &&
           (!present || (cpu_is_float(present->type.dtype) && w->q == w->v &&
                         cpu_elements(present) == 2 * one));
}

void cpu_packed_attention(const struct cpu_task *t)
{
    const struct cpu_linear *l = (const struct cpu_linear *)t->prepared;
    const struct tensor *in[7];
    struct widths w;
    struct cpu_mha m;
    struct places at;

    for (int i = 0; i < 7; i++) in[i] = cpu_in(t, i);
    if (!l || !packed_sizes(t->call, in, &w, &m) || l->n != w.all ||
        l->k != (size_t)in[PK_X]->type.dim[2] || !cpu_is_float(in[PK_X]->type.dtype) ||
        !cpu_mha_masks_fit(&m) || !places_of(&m, &w, l->k, &at) || !outputs_fit(t, &m, &w)) {
        cpu_fail(t, ST_SHAPE, "input, weights, masks or past do not fit each other");
        return;
    }
    const struct cpu_mha_buffers b = cpu_mha_buffers(&m, t->shared);
    struct tensor qkv = { .type = type_make(DT_F32, 1, (int64_t[]){ 0 }) };
    struct cpu_mha_source s = { .x = &qkv, .row_step = w.all, .batch_step = m.rows * w.all };
    const size_t total = cpu_mha_total(&m), one = m.batch * m.heads * total * m.width;

    qkv.data = (char *)t->shared + at.qkv;
    project(t, l, in[PK_X], m.batch * m.rows, qkv.data);
    if (in[PK_PAST]) gather_past(t, &m, in[PK_PAST], &b);
    cpu_sync(t);
    s.head_step = m.width;
    cpu_mha_gather(t, &m, &s, (struct cpu_mha_rows){ b.q, m.rows, m.width, 0, m.rows });
    s.offset = w.q;
    cpu_mha_gather(t, &m, &s, (struct cpu_mha_rows){ b.k, total, m.width, m.past, m.keys });
    s.offset = 2 * w.q;
    s.head_step = m.v_width;
    cpu_mha_gather(t, &m, &s, (struct cpu_mha_rows){ b.v, total, m.v_width, m.past, m.keys });
    cpu_sync(t);
    cpu_mha_run(t, &m, &b, cpu_out(t, 0));
    if (!cpu_out(t, 1)) return;
    cpu_mha_put(t, b.k, cpu_out(t, 1), 0, one);
    cpu_mha_put(t, b.v, cpu_out(t, 1), one, one);
}
