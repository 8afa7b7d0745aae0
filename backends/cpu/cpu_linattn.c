/* SPDX-License-Identifier: MIT */
/* LinearAttention, its form on rows of flattened tokens, and its gates: a unit of work is one
 * key/value head of one sequence, with all its tokens in order. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_ops.h"

enum linattn_in { Q, K, V, PAST, DECAY, BETA };

struct linattn {
    const struct tensor *q, *k, *v, *past, *decay, *beta, *out, *present;
    int rank; /* 3: [batch, seq, columns]; 2: [seq, columns], the lowered form */
    size_t batch, seq, heads, kv_heads, k_heads, dk, dv;
    size_t group;   /* query heads of a key/value head; 1 where it is the other way about */
    size_t shared;  /* key/value heads of a query head, else 1 */
    size_t decay_n; /* factors a token and head: 0, 1 or dk */
    size_t beta_n;  /* columns of beta: 0, 1 or kv_heads */
    bool delta;
};

/* ---- reading the call ---- */

static bool rows_ok(const struct linattn *a, const struct tensor *x, size_t cols)
{
    return x && cpu_is_float(x->type.dtype) && x->type.ndim == a->rank &&
           (a->rank == 2 || (size_t)x->type.dim[0] == a->batch) &&
           (size_t)x->type.dim[a->rank - 2] == a->seq && (size_t)x->type.dim[a->rank - 1] == cols;
}

static bool state_ok(const struct linattn *a, const struct tensor *x)
{
    return cpu_is_float(x->type.dtype) && x->type.ndim == 4 && (size_t)x->type.dim[0] == a->batch &&
           (size_t)x->type.dim[1] == a->kv_heads && (size_t)x->type.dim[2] == a->dk &&
           (size_t)x->type.dim[3] == a->dv;
}

static size_t last(const struct tensor *x)
{
    return x && x->type.ndim >= 2 ? (size_t)x->type.dim[x->type.ndim - 1] : 0;
}

/* Heads and their widths. Keys may have fewer heads than values (as many as queries have). */
static bool heads_ok(struct linattn *a)
{
    const size_t most = a->heads > a->kv_heads ? a->heads : a->kv_heads;

    if (last(a->q) == 0 || last(a->q) % a->heads || last(a->v) % a->kv_heads) return false;
    a->dk = last(a->q) / a->heads;
    a->dv = last(a->v) / a->kv_heads;
    if (a->dv == 0 || last(a->k) == 0 || last(a->k) % a->dk) return false;
    a->k_heads = last(a->k) / a->dk;
    if (most % a->heads || most % a->kv_heads || a->kv_heads % a->k_heads) return false;
    a->group = most / a->kv_heads;
    a->shared = most / a->heads;
    return rows_ok(a, a->q, a->heads * a->dk) && rows_ok(a, a->k, a->k_heads * a->dk) &&
           rows_ok(a, a->v, a->kv_heads * a->dv) && rows_ok(a, a->out, most * a->dv);
}

static bool gates_ok(struct linattn *a, const char *rule)
{
    const bool gated = strcmp(rule, "gated") == 0 || strcmp(rule, "gated_delta") == 0;

    a->delta = strcmp(rule, "delta") == 0 || strcmp(rule, "gated_delta") == 0;
    if (!gated && !a->delta && strcmp(rule, "linear") != 0) return false;
    if (gated) {
        a->decay_n = last(a->decay) / a->kv_heads;
        if ((a->decay_n != 1 && a->decay_n != a->dk) ||
            !rows_ok(a, a->decay, a->kv_heads * a->decay_n))
            return false;
    }
    if (a->delta) {
        a->beta_n = last(a->beta);
        if ((a->beta_n != 1 && a->beta_n != a->kv_heads) || !rows_ok(a, a->beta, a->beta_n))
            return false;
    }
    return true;
}

static bool read_call(const struct cpu_task *t, struct linattn *a)
{
    const struct attrs_linattn *at = &t->call->attr.linattn;

    *a = (struct linattn){ .q = cpu_in(t, Q),
                           .k = cpu_in(t, K),
                           .v = cpu_in(t, V),
                           .past = cpu_in(t, PAST),
                           .decay = cpu_in(t, DECAY),
                           .beta = cpu_in(t, BETA),
                           .out = cpu_out(t, 0),
                           .present = cpu_out(t, 1),
                           .rank = t->call->op == OP_SEQLINATTN ? 2 : 3 };
    if (at->q_num_heads < 1 || at->kv_num_heads < 1 || at->state_window != 0 ||
        a->q->type.ndim != a->rank)
        return false;
    a->heads = (size_t)at->q_num_heads;
    a->kv_heads = (size_t)at->kv_num_heads;
    a->batch = a->rank == 3 ? (size_t)a->q->type.dim[0] : 1;
    a->seq = (size_t)a->q->type.dim[a->rank - 2];
    return heads_ok(a) && gates_ok(a, at->update_rule) && (!a->past || state_ok(a, a->past)) &&
           (!a->present || state_ok(a, a->present));
}

/* ---- one head ---- */

/* Scratch of a worker: rows of a token, then the state. */
struct lines {
    float *q, *k, *v, *decay, *beta, *out, *tmp, *state;
};

static struct lines lines_of(const struct linattn *a, float *at)
{
    struct lines l = { .q = at };

    l.k = l.q + a->group * a->dk;
    l.v = l.k + a->dk;
    l.decay = l.v + a->dv;
    l.beta = l.decay + a->dk;
    l.out = l.beta + 1;
    l.tmp = l.out + a->group * a->dv;
    l.state = l.tmp + a->dv;
    return l;
}

static void load_state(const struct linattn *a, size_t unit, float *state)
{
    const size_t n = a->dk * a->dv;

    if (a->past)
        cpu_to_f32(state, a->past->data, a->past->type.dtype, unit * n, n);
    else
        memset(state, 0, n * sizeof *state);
}

static float scale_of(const struct cpu_task *t, const struct linattn *a)
{
    const float scale = t->call->attr.linattn.scale;

    return scale != 0 ? scale : 1.0f / sqrtf((float)a->dk);
}

/* Token at row `row` (of batch and sequence), key/value head h. */
static void run_token(const struct cpu_task *t, const struct linattn *a, const struct lines *l,
                      size_t row, size_t h)
{
    const size_t out_heads = a->group * a->kv_heads, out = (row * out_heads + h * a->group) * a->dv;
    const size_t k_head = h * a->k_heads / a->kv_heads, beta = a->beta_n == 1 ? 0 : h;
    struct kern_linattn_args args = { .state = l->state,
                                      .q = l->q,
                                      .k = l->k,
                                      .v = l->v,
                                      .decay = l->decay,
                                      .beta = l->beta,
                                      .out = l->out,
                                      .tmp = l->tmp,
                                      .n_tokens = 1,
                                      .n_q = a->group,
                                      .dk = a->dk,
                                      .dv = a->dv,
                                      .decay_n = a->decay_n,
                                      .delta = a->delta,
                                      .scale = scale_of(t, a) };

    cpu_to_f32(l->q, a->q->data, a->q->type.dtype,
               (row * a->heads + h * a->group / a->shared) * a->dk, a->group * a->dk);
    cpu_to_f32(l->k, a->k->data, a->k->type.dtype, (row * a->k_heads + k_head) * a->dk, a->dk);
    cpu_to_f32(l->v, a->v->data, a->v->type.dtype, (row * a->kv_heads + h) * a->dv, a->dv);
    if (a->decay_n) {
        cpu_to_f32(l->decay, a->decay->data, a->decay->type.dtype,
                   (row * a->kv_heads + h) * a->decay_n, a->decay_n);
        kern.exp_f32(l->decay, l->decay, a->decay_n);
    }
    if (a->delta)
        cpu_to_f32(l->beta, a->beta->data, a->beta->type.dtype, row * a->beta_n + beta, 1);
    kern.linattn_f32(&args);
    cpu_from_f32(a->out->data, a->out->type.dtype, out, l->out, a->group * a->dv);
}

void cpu_linattn(const struct cpu_task *t)
{
    struct linattn a;

    if (!read_call(t, &a)) {
        cpu_fail(t, ST_SHAPE, "inputs, outputs and attributes do not fit each other");
        return;
    }
    const struct lines l = lines_of(&a, t->scratch);
    for (size_t u = cpu_take(t); u < a.batch * a.kv_heads; u = cpu_take(t)) {
        load_state(&a, u, l.state);
        for (size_t i = 0; i < a.seq; i++)
            run_token(t, &a, &l, u / a.kv_heads * a.seq + i, u % a.kv_heads);
        if (a.present)
            cpu_from_f32(a.present->data, a.present->type.dtype, u * a.dk * a.dv, l.state,
                         a.dk * a.dv);
    }
}

static status heads_known(const struct op_call *call, struct err *err)
{
    const struct attrs_linattn *at = &call->attr.linattn;
    const struct tensor *v = cpu_call_in(call, V);

    if (at->q_num_heads < 1 || at->kv_num_heads < 1 || !v || last(cpu_call_in(call, Q)) == 0 ||
        last(v) == 0)
        return FAIL(err, ST_SHAPE, "%s: heads of no known size", call->node);
    return ST_OK;
}

status cpu_linattn_scratch(const struct op_call *call, const struct prepared *p,
                           const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const struct attrs_linattn *at = &call->attr.linattn;
    const struct tensor *q = cpu_call_in(call, Q), *v = cpu_call_in(call, V);
    size_t floats;

    (void)p;
    (void)b;
    TRY(heads_known(call, err));
    const size_t dk = last(q) / (size_t)at->q_num_heads, dv = last(v) / (size_t)at->kv_num_heads;
    const size_t group = (size_t)at->q_num_heads; /* at most */
    if (!checked_mul(dk, dv + group + 2, &floats) ||
        !checked_add(floats, (group + 2) * dv + 1, &floats) ||
        !checked_mul(floats, sizeof(float), &out->worker))
        return FAIL(err, ST_LIMIT, "%s: heads too large", call->node);
    return ST_OK;
}

/* ---- rows of flattened tokens ---- */

enum { DECAY_BLOCK = 16 }; /* tokens whose decay factors are computed together */

/* f32 all through, which is what the lowered form is. */
static bool seq_call_ok(const struct cpu_task *t, const struct linattn *a)
{
    const struct tensor *all[] = { a->q, a->k, a->v, a->out, a->decay, a->beta };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] && all[i]->type.dtype != DT_F32) return false;
    return a->seq == (size_t)t->step->n_tokens && t->call->attr.linattn.state_offset >= 0;
}

static bool seq_states_ok(const struct cpu_task *t, const struct linattn *a)
{
    const size_t offset = (size_t)t->call->attr.linattn.state_offset;

    for (int i = 0; i < t->step->n_seqs; i++)
        if (!checked_range(offset, a->kv_heads * a->dk * a->dv,
                           t->step->seqs[i].state->size / sizeof(float)))
            return false;
    return true;
}

/* Factors of `n` tokens' rows from `row` on. */
static void decay_block(const struct linattn *a, size_t row, size_t n, size_t h, float *out)
{
    const float *decay = a->decay->data;

    for (size_t i = 0; i < n; i++)
        kern.exp_f32(out + i * a->decay_n, decay + ((row + i) * a->kv_heads + h) * a->decay_n,
                     a->decay_n);
}

/* A sequence's tokens through key/value head h, in place in its state. */
static void run_seq_head(const struct cpu_task *t, const struct linattn *a,
                         const struct step_seq *seq, size_t h)
{
    const size_t n = (size_t)seq->n_tokens, head = a->dk * a->dv;
    const size_t out_cols = a->group * a->kv_heads * a->dv;
    float *state = (float *)seq->state->host + t->call->attr.linattn.state_offset;
    float *decay = t->scratch, *tmp = decay + DECAY_BLOCK * a->dk;
    struct kern_linattn_args args = { .state = state + h * head,
                                      .decay = decay,
                                      .tmp = tmp,
                                      .q_stride = a->heads * a->dk,
                                      .k_stride = a->k_heads * a->dk,
                                      .v_stride = a->kv_heads * a->dv,
                                      .decay_stride = a->decay_n,
                                      .beta_stride = a->beta_n,
                                      .out_stride = out_cols,
                                      .n_q = a->group,
                                      .dk = a->dk,
                                      .dv = a->dv,
                                      .decay_n = a->decay_n,
                                      .delta = a->delta,
                                      .scale = scale_of(t, a) };

    for (size_t i = 0; i < n; i += DECAY_BLOCK) {
        const size_t row = (size_t)seq->first + i;

        args.n_tokens = n - i < DECAY_BLOCK ? n - i : DECAY_BLOCK;
        args.q = (const float *)a->q->data + row * args.q_stride + h * a->group / a->shared * a->dk;
        args.k =
            (const float *)a->k->data + row * args.k_stride + h * a->k_heads / a->kv_heads * a->dk;
        args.v = (const float *)a->v->data + row * args.v_stride + h * a->dv;
        args.out = (float *)a->out->data + row * out_cols + h * a->group * a->dv;
        if (a->delta)
            args.beta = (const float *)a->beta->data + row * a->beta_n + (a->beta_n == 1 ? 0 : h);
        if (a->decay_n) decay_block(a, row, args.n_tokens, h, decay);
        kern.linattn_f32(&args);
    }
}

void cpu_seqlinattn(const struct cpu_task *t)
{
    struct linattn a;

    if (!read_call(t, &a) || a.past || !seq_call_ok(t, &a)) {
        cpu_fail(t, ST_SHAPE, "inputs, outputs and attributes do not fit each other");
        return;
    }
    if (!seq_states_ok(t, &a)) {
        cpu_fail(t, ST_INVALID, "a sequence's state is too small");
        return;
    }
    const size_t units = (size_t)t->step->n_seqs * a.kv_heads;
    for (size_t u = cpu_take(t); u < units; u = cpu_take(t))
        run_seq_head(t, &a, &t->step->seqs[u / a.kv_heads], u % a.kv_heads);
}

status cpu_seqlinattn_scratch(const struct op_call *call, const struct prepared *p,
                              const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const struct attrs_linattn *at = &call->attr.linattn;
    const struct tensor *q = cpu_call_in(call, Q), *v = cpu_call_in(call, V);
    size_t floats;

    (void)p;
    (void)b;
    TRY(heads_known(call, err));
    if (!checked_mul(last(q) / (size_t)at->q_num_heads, DECAY_BLOCK, &floats) ||
        !checked_add(floats, last(v) / (size_t)at->kv_num_heads, &floats) ||
        !checked_mul(floats, sizeof(float), &out->worker))
        return FAIL(err, ST_LIMIT, "%s: heads too large", call->node);
    return ST_OK;
}

/* ---- the gates ---- */

/* decay = decay_scale * softplus(a + dt_bias), beta = sigmoid(b); scratch: four rows of heads. */
void cpu_linattngate(const struct cpu_task *t)
{
    const struct tensor *a = cpu_in(t, 0), *bias = cpu_in(t, 1), *factor = cpu_in(t, 2),
                        *b = cpu_in(t, 3), *decay = cpu_out(t, 0), *beta = cpu_out(t, 1);
    const int ndim = a->type.ndim;
    const size_t heads = ndim > 0 ? (size_t)a->type.dim[ndim - 1] : 0, n = cpu_elements(a);

    if (heads == 0 || !cpu_is_float(a->type.dtype) || !cpu_is_float(bias->type.dtype) ||
        !cpu_is_float(factor->type.dtype) || !cpu_is_float(decay->type.dtype) ||
        cpu_elements(bias) != heads || cpu_elements(factor) != heads || cpu_elements(decay) != n ||
        (beta && (!b || cpu_elements(b) != n || cpu_elements(beta) != n ||
                  !cpu_is_float(b->type.dtype) || !cpu_is_float(beta->type.dtype)))) {
        cpu_fail(t, ST_SHAPE, "inputs and outputs do not fit each other");
        return;
    }
    const struct cpu_share s = cpu_share(t, n / heads, 1);
    float *x = t->scratch;
    const float *dt = cpu_row_f32(bias, 0, heads, x + heads);
    const float *f = cpu_row_f32(factor, 0, heads, x + 2 * heads);
    for (size_t r = s.begin; r < s.end; r++) {
        cpu_to_f32(x, a->data, a->type.dtype, r * heads, heads);
        for (size_t h = 0; h < heads; h++) {
            const float v = x[h] + dt[h];
            x[h] = f[h] * (v > 0 ? v + log1pf(expf(-v)) : log1pf(expf(v)));
        }
        cpu_from_f32(decay->data, decay->type.dtype, r * heads, x, heads);
        if (!beta) continue;
        cpu_to_f32(x, b->data, b->type.dtype, r * heads, heads);
        kern.sigmoid_f32(x, x, heads);
        cpu_from_f32(beta->data, beta->type.dtype, r * heads, x, heads);
    }
}

/* A few rows of the last dimension of input 0. */
status cpu_lines_scratch(const struct op_call *call, const struct prepared *p,
                         const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const struct tensor_type *x = &call->in[0].type;
    enum { LINES = 4 };

    (void)p;
    (void)b;
    if (x->ndim < 1 || x->dim[x->ndim - 1] < 0 ||
        !checked_mul((size_t)x->dim[x->ndim - 1], LINES * sizeof(float), &out->worker))
        return FAIL(err, ST_SHAPE, "%s: shape of the input is not known", call->node);
    return ST_OK;
}
