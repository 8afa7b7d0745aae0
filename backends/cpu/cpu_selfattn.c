/* SPDX-License-Identifier: MIT */
/* SelfAttention: each sequence of the step attends over its own tokens, before and behind: the
 * attention of encoders, without a cache and without padding. Keys and values are read where the
 * projections left them. An item is (sequence, head, block of tokens). */
#include <math.h>

#include "backends/cpu/cpu_attend.h"
#include "backends/cpu/cpu_ops.h"

struct selfattn {
    const struct tensor *q, *k, *v, *out;
    size_t heads, group, head_dim;
    size_t q_stride, kv_stride; /* elements between tokens */
    size_t k_at, v_at;          /* element of token 0's first head */
};

/* x is rows of the step's tokens, f32; *width: elements of one. */
static bool take_rows(const struct cpu_task *t, const struct tensor *x, size_t *width)
{
    if (!x || x->type.ndim < 2 || x->type.dim[0] != t->step->n_tokens || x->type.dtype != DT_F32)
        return false;
    *width = cpu_span(x, 1, x->type.ndim);
    return true;
}

static bool read_call(const struct cpu_task *t, struct selfattn *s)
{
    const struct attrs_selfattn *a = &t->call->attr.selfattn;
    size_t width, k_width, v_width;

    *s = (struct selfattn){
        .q = cpu_in(t, 0), .k = cpu_in(t, 1), .v = cpu_in(t, 2), .out = cpu_out(t, 0)
    };
    if (a->num_heads < 1 || a->kv_num_heads < 1 || a->head_dim < 1 ||
        a->num_heads % a->kv_num_heads != 0 || !take_rows(t, s->q, &s->q_stride) ||
        !take_rows(t, s->out, &width))
        return false;
    s->heads = (size_t)a->num_heads;
    s->group = s->heads / (size_t)a->kv_num_heads;
    s->head_dim = (size_t)a->head_dim;
    const size_t q_width = s->heads * s->head_dim, kv_width = q_width / s->group;
    if (width != q_width) return false;
    if (!s->k && !s->v) {
        s->k = s->v = s->q;
        s->kv_stride = s->q_stride;
        s->k_at = q_width;
        s->v_at = q_width + kv_width;
        return s->q_stride == q_width + 2 * kv_width;
    }
    s->kv_stride = kv_width;
    return s->q_stride == q_width && take_rows(t, s->k, &k_width) && k_width == kv_width &&
           take_rows(t, s->v, &v_width) && v_width == kv_width;
}

/* Head h of one sequence. */
static struct cpu_attend attend_of(const struct cpu_task *t, const struct selfattn *s,
                                   const struct step_seq *seq, size_t h)
{
    const struct attrs_selfattn *at = &t->call->attr.selfattn;
    const size_t first = (size_t)seq->first, n = (size_t)seq->n_tokens;
    const size_t kv = first * s->kv_stride + h / s->group * s->head_dim;

    return (struct cpu_attend){
        .k = (const char *)((const float *)s->k->data + s->k_at + kv),
        .v = (const char *)((const float *)s->v->data + s->v_at + kv),
        .dtype = DT_F32,
        .n_rows_kv = n,
        .kv_stride = s->kv_stride,
        .head_dim = s->head_dim,
        .scale = at->scale != 0 ? at->scale : 1.0f / sqrtf((float)s->head_dim),
        .window = at->left >= 0 && at->left < INT32_MAX ? at->left + 1 : -1,
        .ahead = at->right >= 0 ? (size_t)at->right : n,
        .q = (const float *)s->q->data + first * s->q_stride + h * s->head_dim,
        .heads = 1,
        .q_stride = s->q_stride,
        .n_keys = n,
    };
}

static size_t blocks_of(const struct step_seq *seq)
{
    const size_t each = cpu_attend_tokens(1);

    return ((size_t)seq->n_tokens + each - 1) / each;
}

void cpu_selfattn(const struct cpu_task *t)
{
    const size_t each = cpu_attend_tokens(1);
    struct selfattn s;
    size_t before = 0; /* items of sequences before the one at hand */
    int i = 0;

    if (!read_call(t, &s)) {
        cpu_fail(t, ST_SHAPE, "queries, keys and values do not fit each other");
        return;
    }
    for (size_t at = cpu_take(t); i < t->step->n_seqs;) {
        const struct step_seq *seq = &t->step->seqs[i];
        const size_t blocks = blocks_of(seq), n = (size_t)seq->n_tokens;

        if (at - before >= blocks * s.heads) {
            before += blocks * s.heads;
            i++;
            continue;
        }
        const size_t h = (at - before) / blocks, t0 = (at - before) % blocks * each;
        struct cpu_attend a = attend_of(t, &s, seq, h);

        a.t0 = t0;
        a.t1 = t0 + each < n ? t0 + each : n;
        const struct kern_attn_state st = cpu_attend_whole(&a, t->scratch);

        cpu_attend_put(&a, &st, s.out, ((size_t)seq->first * s.heads + h) * s.head_dim,
                       s.heads * s.head_dim);
        at = cpu_take(t);
    }
}

status cpu_selfattn_scratch(const struct op_call *call, const struct prepared *p,
                            const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const int64_t dim = call->attr.selfattn.head_dim;

    (void)p;
    (void)b;
    if (dim < 1 || dim > INT16_MAX)
        return FAIL(err, ST_SHAPE, "%s: heads of %lld", call->node, (long long)dim);
    out->worker = cpu_attend_scratch(1, (size_t)dim);
    return ST_OK;
}
