/* SPDX-License-Identifier: MIT */
/* MoE and QMoE: each token goes through its k best experts and takes their weighted sum.
 *
 * Tokens are taken CPU_MOE_TOKENS at a time. Each (token, expert) pair is a slot; slots are ordered
 * by expert, so that an expert's rows are one matrix:
 *
 *   1. route:    top k of the router's logits, softmax; slots by expert
 *   2. fc1, fc3: blocks of rows by groups of panels, taken by counter
 *   3. activate: rows of slots
 *   4. fc2:      like 2
 *   5. sum:      a token's slots in the order of its choice, so that the number of workers and the
 *                tokens beside it do not show in the result */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_moe.h"
#include "backends/cpu/cpu_ops.h"

enum {
    CPU_MOE_TOKENS = 128,
    ROWS_BLOCK = 64,
    GROUP_BYTES = 64 << 10, /* weights of a task */
};

enum activation { ACT_RELU, ACT_GELU, ACT_SILU, ACT_IDENTITY, ACT_SWIGLU, ACT_GEGLU, ACT_NONE };

struct moe {
    const struct cpu_moe *m;
    const struct attrs_moe *at;
    const struct tensor *x, *router, *weights, *out;
    enum activation act;
    size_t n_tokens, n_experts, k, hidden, inter;
    bool quantised; /* QMoE: softmax over the chosen, also where normalize_routing_weights is 0 */
};

/* Where things lie in the shared scratch, in bytes. */
struct layout {
    size_t slots;
    size_t chosen, weight; /* [tokens][k]: i32 expert, f32 */
    size_t slot, token;    /* [tokens][k] i32: a choice's slot; a slot's token */
    size_t first;          /* [experts + 1] i32: slots of an expert */
    size_t x, h1, h3, a, y;
    size_t bytes;
};

static size_t place(struct layout *l, size_t bytes)
{
    const size_t at = l->bytes;

    l->bytes = (at + bytes + CPU_ALIGN - 1) & ~(size_t)(CPU_ALIGN - 1);
    return at;
}

static struct layout layout_of(const struct cpu_moe *m, size_t tokens, size_t k)
{
    const struct cpu_linear *fc1 = &m->fc[CPU_FC1].layer, *fc2 = &m->fc[CPU_FC2].layer,
                            *fc3 = &m->fc[CPU_FC3].layer;
    struct layout l = { .slots = tokens * k };

    l.chosen = place(&l, l.slots * sizeof(int32_t));
    l.weight = place(&l, l.slots * sizeof(float));
    l.slot = place(&l, l.slots * sizeof(int32_t));
    l.token = place(&l, l.slots * sizeof(int32_t));
    l.first = place(&l, (m->fc[CPU_FC1].n_experts + 1) * sizeof(int32_t));
    l.x = place(&l, l.slots * cpu_linear_row_bytes(fc1));
    l.h1 = place(&l, l.slots * fc1->n * sizeof(float));
    l.h3 = place(&l, fc3->panels ? l.slots * fc3->n * sizeof(float) : 0);
    l.a = place(&l, l.slots * cpu_linear_row_bytes(fc2));
    l.y = place(&l, l.slots * fc2->n * sizeof(float));
    return l;
}

static void *at(const struct cpu_task *t, size_t offset) { return (char *)t->shared + offset; }

/* ---- reading the call ---- */

static enum activation activation_of(const char *name)
{
    static const char *const names[] = { "relu", "gelu", "silu", "identity", "swiglu", "geglu" };

    for (int i = 0; i < ACT_NONE; i++)
        if (strcmp(names[i], name) == 0) return (enum activation)i;
    return ACT_NONE;
}

static bool rows_ok(const struct tensor *x, size_t rows, size_t cols)
{
    return x && cpu_is_float(x->type.dtype) && x->type.ndim > 0 && cpu_elements(x) == rows * cols &&
           (size_t)x->type.dim[x->type.ndim - 1] == cols;
}

/* The widths of the projections, among each other. */
static bool layers_ok(const struct moe *e)
{
    const struct cpu_linear *fc1 = &e->m->fc[CPU_FC1].layer, *fc2 = &e->m->fc[CPU_FC2].layer,
                            *fc3 = &e->m->fc[CPU_FC3].layer;
    const bool gated = e->act == ACT_SWIGLU || e->act == ACT_GEGLU;
    const bool fused = e->at->swiglu_fusion != 0;

    if (fused != (gated && !fc3->panels) || (gated && !fused && !fc3->panels)) return false;
    return fc1->k == e->hidden && fc2->n == e->hidden && fc2->k == e->inter &&
           fc1->n == (fused ? 2 * e->inter : e->inter) &&
           (!fc3->panels || (fc3->k == e->hidden && fc3->n == e->inter));
}

static bool read_call(const struct cpu_task *t, struct moe *e)
{
    *e = (struct moe){ .m = (const struct cpu_moe *)t->prepared,
                       .at = &t->call->attr.moe,
                       .x = cpu_in(t, 0),
                       .router = cpu_in(t, 1),
                       .weights = t->call->op == OP_QMOE ? cpu_in(t, 14) : NULL,
                       .out = cpu_out(t, 0),
                       .quantised = t->call->op == OP_QMOE };
    if (!e->m || e->x->type.ndim < 1) return false;
    e->act = activation_of(e->at->activation_type);
    e->hidden = (size_t)e->x->type.dim[e->x->type.ndim - 1];
    e->n_tokens = e->hidden ? cpu_elements(e->x) / e->hidden : 0;
    e->n_experts = e->m->fc[CPU_FC1].n_experts;
    e->inter = e->m->fc[CPU_FC2].layer.k;
    e->k = e->at->k > 0 ? (size_t)e->at->k : 0;
    return e->act != ACT_NONE && e->k > 0 && e->k <= e->n_experts && layers_ok(e) &&
           rows_ok(e->x, e->n_tokens, e->hidden) && rows_ok(e->out, e->n_tokens, e->hidden) &&
           rows_ok(e->router, e->n_tokens, e->n_experts) &&
           (!e->weights || rows_ok(e->weights, e->n_tokens, e->n_experts));
}

/* ---- 1. routing ---- */

/* Weights of a token's experts from the logits of those chosen, or from inputs of their own. */
static void weigh(const struct moe *e, const float *logits, const float *own, const int32_t *chosen,
                  size_t found, float *weight)
{
    const bool over_all = !own && e->at->normalize == 0 && !e->quantised;
    float most = found > 0 ? logits[chosen[0]] : 0, sum = 0;

    for (size_t j = 0; j < found; j++) {
        weight[j] = own ? own[chosen[j]] : expf(logits[chosen[j]] - most);
        sum += weight[j];
    }
    if (over_all) {
        sum = 0;
        for (size_t i = 0; i < e->n_experts; i++) sum += expf(logits[i] - most);
    }
    const bool scaled = !own || e->at->normalize != 0;
    for (size_t j = 0; scaled && j < found; j++) weight[j] = sum != 0 ? weight[j] / sum : 0;
}

static void route(const struct cpu_task *t, const struct moe *e, const struct layout *l, size_t t0,
                  size_t n)
{
    const struct cpu_share s = cpu_share(t, n, 1);
    float *line = t->scratch, *line2 = line + e->n_experts;
    uint32_t *best = (uint32_t *)(void *)(line2 + e->n_experts);

    for (size_t i = s.begin; i < s.end; i++) {
        const size_t row = (t0 + i) * e->n_experts;
        int32_t *chosen = (int32_t *)at(t, l->chosen) + i * e->k;
        float *weight = (float *)at(t, l->weight) + i * e->k;
        const float *logits = cpu_row_f32(e->router, row, e->n_experts, line);
        const float *own = e->weights ? cpu_row_f32(e->weights, row, e->n_experts, line2) : NULL;
        const size_t found = kern.topk_f32(best, logits, e->n_experts, e->k);

        for (size_t j = 0; j < e->k; j++) { /* logits that are no numbers show in the output */
            chosen[j] = j < found ? (int32_t)best[j] : 0;
            weight[j] = NAN;
        }
        weigh(e, logits, own, chosen, found, weight);
    }
}

/* Slots in the order of experts, within one in the order of tokens. */
static void order_slots(const struct cpu_task *t, const struct moe *e, const struct layout *l,
                        size_t n)
{
    const int32_t *chosen = at(t, l->chosen);
    int32_t *first = at(t, l->first), *slot = at(t, l->slot), *token = at(t, l->token);

    memset(first, 0, (e->n_experts + 1) * sizeof *first);
    for (size_t i = 0; i < n * e->k; i++) first[chosen[i] + 1]++;
    for (size_t x = 0; x < e->n_experts; x++) first[x + 1] += first[x];
    for (size_t i = 0; i < n * e->k; i++) {
        slot[i] = first[chosen[i]]++;
        token[slot[i]] = (int32_t)(i / e->k);
    }
    for (size_t x = e->n_experts; x > 0; x--) first[x] = first[x - 1];
    first[0] = 0;
}

/* The expert of a slot. */
static size_t expert_of(const int32_t *first, size_t n_experts, size_t slot)
{
    size_t lo = 0, hi = n_experts;

    while (hi - lo > 1) {
        const size_t mid = (lo + hi) / 2;
        if ((size_t)first[mid] <= slot)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* ---- 2., 4. products ---- */

/* Row of a slot into the operand of a layer; an expert's rows are quantised as one matrix. */
static void put_row(const struct cpu_linear *l, char *base, const int32_t *first, size_t n_experts,
                    size_t slot, const float *x)
{
    const size_t stride = cpu_linear_row_bytes(l);

    if (!cpu_linear_is_a8(l)) {
        memcpy(base + slot * stride, x, stride);
        return;
    }
    const size_t expert = expert_of(first, n_experts, slot), from = (size_t)first[expert];
    const struct kern_quantize_args a = { .x = x,
                                          .x_stride = l->k,
                                          .out = base + from * stride,
                                          .m = (size_t)first[expert + 1] - from,
                                          .first = slot - from,
                                          .count = 1,
                                          .k = l->k,
                                          .block = l->block };
    kern.quantize_rows_q8(&a);
}

static void gather_rows(const struct cpu_task *t, const struct moe *e, const struct layout *l,
                        size_t t0, size_t n)
{
    const struct cpu_share s = cpu_share(t, n * e->k, 1);
    const int32_t *token = at(t, l->token), *first = at(t, l->first);

    for (size_t i = s.begin; i < s.end; i++) {
        const float *x =
            cpu_row_f32(e->x, (t0 + (size_t)token[i]) * e->hidden, e->hidden, t->scratch);
        put_row(&e->m->fc[CPU_FC1].layer, at(t, l->x), first, e->n_experts, i, x);
    }
}

/* One task: a block of an expert's rows by a group of panels. */
struct product {
    const struct cpu_experts *fc;
    size_t in, out; /* offsets in the shared scratch */
};

static size_t group_of(const struct cpu_linear *l)
{
    const size_t g = GROUP_BYTES / l->panel_bytes;

    return g < 1 ? 1 : g > l->n_panels ? l->n_panels : g;
}

static size_t tasks_of(const struct cpu_linear *l, size_t rows)
{
    const size_t group = group_of(l);

    return (rows + ROWS_BLOCK - 1) / ROWS_BLOCK * ((l->n_panels + group - 1) / group);
}

static void run_task(const struct cpu_task *t, const struct product *p, size_t expert, size_t task,
                     const int32_t *first)
{
    const struct cpu_linear l = cpu_expert(p->fc, expert);
    const size_t from = (size_t)first[expert], rows = (size_t)first[expert + 1] - from;
    const size_t group = group_of(&l), blocks = (rows + ROWS_BLOCK - 1) / ROWS_BLOCK;
    const size_t panel = task / blocks * group, row = task % blocks * ROWS_BLOCK;
    const size_t col = panel * KERN_NR, n = group * KERN_NR;
    const struct cpu_rows x = { (const char *)at(t, p->in) + from * cpu_linear_row_bytes(&l),
                                cpu_linear_row_bytes(&l) };
    float *out = (float *)at(t, p->out) + (from + row) * l.n + col;

    const struct cpu_block block = { .row = row,
                                     .m = rows - row < ROWS_BLOCK ? rows - row : ROWS_BLOCK,
                                     .panel = panel,
                                     .n = l.n - col < n ? l.n - col : n };
    cpu_linear_block(&l, &x, &block, out, l.n);
}

/* A worker's walk over the tasks of all products of the call: the counter only grows, so what a
 * worker takes beyond one product is its first task of the next. */
struct task_walk {
    size_t taken, base;
};

static void run_product(const struct cpu_task *t, const struct moe *e, const struct layout *l,
                        const struct product *p, struct task_walk *w)
{
    const int32_t *first = at(t, l->first);

    for (size_t expert = 0; expert < e->n_experts; expert++) {
        const size_t rows = (size_t)(first[expert + 1] - first[expert]);
        const size_t n = rows ? tasks_of(&p->fc->layer, rows) : 0;

        for (; w->taken < w->base + n; w->taken = cpu_take(t))
            run_task(t, p, expert, w->taken - w->base, first);
        w->base += n;
    }
}

/* ---- 3. activation ---- */

static void clamp(float *x, size_t n, float lo, float hi)
{
    for (size_t i = 0; i < n; i++) x[i] = x[i] < lo ? lo : x[i] > hi ? hi : x[i];
}

/* out = g sigmoid(alpha g) (l + beta), with the limits; g and l are written over. */
static void swiglu(const struct attrs_moe *a, float *out, float *g, float *l, size_t n)
{
    const bool limited = a->swiglu_limit < 3.4e38f;

    if (limited) {
        clamp(l, n, -a->swiglu_limit, a->swiglu_limit);
        if (a->limit_after == 0) clamp(g, n, -INFINITY, a->swiglu_limit);
    }
    kern.affine_f32(out, g, n, a->alpha, 0);
    kern.sigmoid_f32(out, out, n);
    kern.mul_f32(g, g, out, n);
    if (limited && a->limit_after != 0) clamp(g, n, -INFINITY, a->swiglu_limit);
    kern.affine_f32(l, l, n, 1, a->beta);
    kern.mul_f32(out, g, l, n);
}

/* h1 [n or 2n], h3 [n] or NULL -> out [n]; lines: [2n]. */
static void activate_row(const struct moe *e, float *out, float *h1, float *h3, float *lines)
{
    const size_t n = e->inter;
    float *g = h1, *l = h3;

    if (e->at->swiglu_fusion == 2) {
        l = h1 + n;
    } else if (e->at->swiglu_fusion != 0) {
        g = lines;
        l = lines + n;
        for (size_t i = 0; i < n; i++) {
            g[i] = h1[2 * i];
            l[i] = h1[2 * i + 1];
        }
    }
    switch (e->act) {
    case ACT_SWIGLU: swiglu(e->at, out, g, l, n); return;
    case ACT_GEGLU: kern.gelu_tanh_mul_f32(out, g, l, n); return;
    case ACT_RELU: kern.relu_f32(out, g, n); break;
    case ACT_GELU: kern.gelu_tanh_f32(out, g, n); break;
    case ACT_SILU: kern.silu_f32(out, g, n); break;
    default: memcpy(out, g, n * sizeof *out); break;
    }
    if (h3) kern.mul_f32(out, out, h3, n);
}

static void activate(const struct cpu_task *t, const struct moe *e, const struct layout *l,
                     size_t n)
{
    const struct cpu_share s = cpu_share(t, n * e->k, 1);
    const struct cpu_linear *fc1 = &e->m->fc[CPU_FC1].layer, *fc3 = &e->m->fc[CPU_FC3].layer;
    float *lines = t->scratch, *out = lines + 2 * e->inter;

    for (size_t i = s.begin; i < s.end; i++) {
        float *h1 = (float *)at(t, l->h1) + i * fc1->n;
        float *h3 = fc3->panels ? (float *)at(t, l->h3) + i * fc3->n : NULL;

        activate_row(e, out, h1, h3, lines);
        put_row(&e->m->fc[CPU_FC2].layer, at(t, l->a), at(t, l->first), e->n_experts, i, out);
    }
}

/* ---- 5. sum ---- */

static void sum_up(const struct cpu_task *t, const struct moe *e, const struct layout *l, size_t t0,
                   size_t n)
{
    const struct cpu_share s = cpu_share(t, n, 1);
    const bool direct = e->out->type.dtype == DT_F32;
    const int32_t *slot = at(t, l->slot);
    const float *weight = at(t, l->weight), *y = at(t, l->y);

    for (size_t i = s.begin; i < s.end; i++) {
        const size_t to = (t0 + i) * e->hidden;
        float *out = direct ? (float *)e->out->data + to : t->scratch;

        memset(out, 0, e->hidden * sizeof *out);
        for (size_t j = i * e->k; j < (i + 1) * e->k; j++)
            kern.axpy_f32(out, y + (size_t)slot[j] * e->hidden, e->hidden, weight[j]);
        if (!direct) cpu_from_f32(e->out->data, e->out->type.dtype, to, out, e->hidden);
    }
}

/* ---- the operator ---- */

static void run_tokens(const struct cpu_task *t, const struct moe *e, size_t t0, size_t n,
                       struct task_walk *w)
{
    const struct layout l = layout_of(e->m, n, e->k);
    const struct product fc1 = { &e->m->fc[CPU_FC1], l.x, l.h1 },
                         fc3 = { &e->m->fc[CPU_FC3], l.x, l.h3 },
                         fc2 = { &e->m->fc[CPU_FC2], l.a, l.y };

    route(t, e, &l, t0, n);
    cpu_sync(t);
    if (t->worker == 0) order_slots(t, e, &l, n);
    cpu_sync(t);
    gather_rows(t, e, &l, t0, n);
    cpu_sync(t);
    run_product(t, e, &l, &fc1, w);
    if (fc3.fc->layer.panels) run_product(t, e, &l, &fc3, w);
    cpu_sync(t);
    activate(t, e, &l, n);
    cpu_sync(t);
    run_product(t, e, &l, &fc2, w);
    cpu_sync(t);
    sum_up(t, e, &l, t0, n);
}

void cpu_moe(const struct cpu_task *t)
{
    struct moe e;

    if (!read_call(t, &e)) {
        cpu_fail(t, ST_SHAPE, "input, router, experts and attributes do not fit each other");
        return;
    }
    struct task_walk w = { .taken = e.n_tokens ? cpu_take(t) : 0 };
    for (size_t t0 = 0; t0 < e.n_tokens; t0 += CPU_MOE_TOKENS) {
        const size_t left = e.n_tokens - t0;

        if (t0 > 0) cpu_sync(t); /* the scratch is used again */
        run_tokens(t, &e, t0, left < CPU_MOE_TOKENS ? left : CPU_MOE_TOKENS, &w);
    }
}

status cpu_moe_scratch(const struct op_call *call, const struct prepared *p,
                       const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const struct cpu_moe *m = (const struct cpu_moe *)p;
    const int64_t k = call->attr.moe.k;
    const struct tensor_type *x = &call->in[0].type;
    size_t n = 0;

    (void)b;
    if (!m || k < 1 || (size_t)k > m->fc[CPU_FC1].n_experts || x->ndim < 1 ||
        !type_span(x, 0, x->ndim - 1, &n))
        return FAIL(err, ST_SHAPE, "%s: k is %lld, or the input's shape is not known", call->node,
                    (long long)k);
    const size_t hidden = m->fc[CPU_FC1].layer.k, inter = m->fc[CPU_FC2].layer.k;
    size_t floats = 2 * m->fc[CPU_FC1].n_experts + (size_t)k;
    if (floats < 3 * inter) floats = 3 * inter;
    if (floats < hidden) floats = hidden;
    out->worker = floats * sizeof(float);
    out->shared = layout_of(m, n < CPU_MOE_TOKENS ? n : CPU_MOE_TOKENS, (size_t)k).bytes;
    return ST_OK;
}
