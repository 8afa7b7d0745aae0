/* SPDX-License-Identifier: MIT */
/* Counting bytes and operations of a node. */
#include "backends/decorate/node_cost.h"
#include "backends/decorate/split.h"
#include <math.h>
#include <string.h>

/* Bytes of a value; of one line where the leading dimension is a symbol. */
static double bytes_of(const struct tensor_type *type)
{
    struct tensor_type t = *type;
    size_t bytes;

    if (t.ndim > 0 && t.dim[0] < 0) t.dim[0] = 1;
    return type_bytes(&t, &bytes) ? (double)bytes : 0;
}

/* Adds an amount that comes once per token, per row, or once. */
static void add_by_lead(const struct tensor_type *type, double amount, double *token, double *row,
                        double *fixed)
{
    const int64_t lead = type->ndim > 0 ? type->dim[0] : 0;

    if (lead == DIM_TOKENS)
        *token += amount;
    else if (lead == DIM_ROWS)
        *row += amount;
    else
        *fixed += amount;
}

/* Multiply-adds of a product, as two operations each, per line of the result. */
static double product_ops(const struct op_call *call)
{
    const struct tensor_type *x = &call->in[0].type;
    const struct tensor_type *y = &call->out[0].type;
    double inner, lines = 1;

    if (call->op == OP_LINEAR) {
        inner = (double)call->attr.linear.k * (double)call->attr.linear.n;
        for (int i = 0; i + 1 < x->ndim; i++) lines *= x->dim[i] < 0 ? 1 : (double)x->dim[i];
        return 2 * inner * lines;
    }
    if (call->op != OP_MATMUL || x->ndim < 1 || y->ndim < 1) return 0;
    inner = (double)x->dim[x->ndim - 1];
    for (int i = 0; i < y->ndim; i++) lines *= y->dim[i] < 0 ? 1 : (double)y->dim[i];
    return 2 * inner * lines;
}

static struct attend_cost attend_of(const struct op_call *call)
{
    if (call->op == OP_SEQATTN) {
        const struct attrs_seqattn *a = &call->attr.seqattn;

        return (struct attend_cost){ .attends = true,
                                     .cached = true,
                                     .left = a->window > 0 ? a->window - 1 : INT32_MAX,
                                     .pair_ops = 4 * (double)(a->num_heads * a->head_dim),
                                     .layer = a->layer };
    }
    if (call->op == OP_SELFATTN) {
        const struct attrs_selfattn *a = &call->attr.selfattn;

        return (struct attend_cost){ .attends = true,
                                     .left = a->left >= 0 ? a->left : INT32_MAX,
                                     .right = a->right >= 0 ? a->right : INT32_MAX,
                                     .pair_ops = 4 * (double)(a->num_heads * a->head_dim) };
    }
    return (struct attend_cost){ 0 };
}

/* A constant operand; experts' are counted where they are chosen. */
static void add_constant(struct node_cost *c, const struct tensor_type *type)
{
    if (c->gathers || c->experts.n > 0) return;
    c->const_bytes += bytes_of(type);
}

static bool in_int8(const struct op_call *call)
{
    const struct attrs_moe *m = &call->attr.moe;

    if (call->op == OP_LINEAR)
        return call->attr.linear.bits > 0 && call->attr.linear.accuracy_level == 4;
    return call->op == OP_QMOE && m->block_size > 0 && strcmp(m->quant_type, "fp4") != 0 &&
           (m->accuracy_level == 4 || m->bits == 8);
}

status node_cost_init(struct node_cost *c, const struct segment *seg, const struct seg_node *node,
                      struct arena *a, struct err *err)
{
    const struct op_call *call = &node->call;
    const int n = call->n_in + call->n_out;

    *c = (struct node_cost){ .gathers = call->op == OP_GATHER || call->op == OP_GATHERCOLS ||
                                        call->op == OP_GATHERQ,
                             .int8 = in_int8(call),
                             .attend = attend_of(call) };
    if (ir_experts_measure(call, &c->experts)) {
        c->router = node->in[1];
        c->router_type = call->in[1].type;
        c->chosen = ARENA_ARRAY(a, (size_t)c->experts.n, bool);
        if (!c->chosen) return FAIL(err, ST_NOMEM, "out of memory");
    }
    for (int i = 0; i < n; i++) {
        const int v = i < call->n_in ? node->in[i] : node->out[i - call->n_in];
        if (v < 0) continue;
        const struct seg_value *value = &seg->values[v];

        if (value->role == SEG_CONST)
            add_constant(c, &value->type);
        else
            add_by_lead(&value->type, bytes_of(&value->type), &c->token_bytes, &c->row_bytes,
                        &c->fixed_bytes);
    }
    if (call->n_out > 0 && call->n_in > 0)
        add_by_lead(&call->out[0].type, product_ops(call), &c->token_ops, &c->row_ops,
                    &c->fixed_ops);
    return ST_OK;
}

/* ---- a run ---- */

/* Keys that the tokens of a step read from the cache, and pairs of a token and one that it sees. */
static void count_keys(const struct attend_cost *c, const struct step *step, double *keys,
                       double *pairs)
{
    *keys = *pairs = 0;
    for (int i = 0; i < step->n_seqs; i++) {
        const struct step_seq *s = &step->seqs[i];
        const int64_t past = c->cached ? s->n_past : 0, end = past + s->n_tokens;

        *keys += (double)(end - (past > c->left ? past - c->left : 0));
        for (int64_t t = past; t < end; t++) {
            const int64_t first = t > c->left ? t - c->left : 0;
            const int64_t last = end - 1 - t > c->right ? t + c->right : end - 1;
            *pairs += (double)(last - first + 1);
        }
    }
}

static float number_at(const void *data, enum dtype dt, size_t i)
{
    switch (dt) {
    case DT_F32: return ((const float *)data)[i];
    case DT_F16: return half_to_f32(((const uint16_t *)data)[i]);
    case DT_BF16: return bf16_to_f32(((const uint16_t *)data)[i]);
    default: return NAN;
    }
}

/* Marks the k largest of a token's logits, equal ones by their index; numbers before NaN. */
static void mark_chosen(const struct node_cost *c, const void *logits, size_t at)
{
    const int64_t n = c->experts.n;
    float last = INFINITY;
    int64_t last_i = -1;

    for (int64_t j = 0; j < c->experts.k; j++) {
        float best = -INFINITY;
        int64_t best_i = -1;

        for (int64_t i = 0; i < n; i++) {
            const float x = number_at(logits, c->router_type.dtype, at + (size_t)i);
            const bool left = x < last || (x == last && i > last_i); /* not taken yet */
            if (left && (best_i < 0 || x > best)) {
                best = x;
                best_i = i;
            }
        }
        if (best_i < 0) best_i = 0; /* as the backends do where the logits are no numbers */
        c->chosen[best_i] = true;
        last = best;
        last_i = best_i;
    }
}

/* Experts that a run goes through, and pairs of a token and one of its experts. All of them where
 * the logits cannot be looked at. */
static void count_experts(const struct node_cost *c, const struct step *step, void *const *data,
                          double *experts, double *pairs)
{
    const struct tensor_type type = split_type(&c->router_type, step);
    const void *logits = c->router >= 0 ? data[c->router] : NULL;
    size_t n_logits = 0, n = 0;

    (void)type_elements(&type, &n_logits);
    const size_t tokens = n_logits / (size_t)c->experts.n;
    *pairs = (double)tokens * (double)c->experts.k;
    memset(c->chosen, logits == NULL, (size_t)c->experts.n * sizeof *c->chosen);
    for (size_t t = 0; logits && t < tokens; t++) mark_chosen(c, logits, t * (size_t)c->experts.n);
    for (int64_t i = 0; i < c->experts.n; i++) n += c->chosen[i];
    *experts = (double)n;
}

/* In the cache, for one token. */
static double key_value_bytes(const struct kv_layer *l)
{
    return 2 * (double)l->n_heads * (double)kv_row_bytes(l->dtype, (size_t)l->head_dim);
}

void node_cost_run(const struct node_cost *c, const struct step *step, void *const *data,
                   double *bytes, double *ops)
{
    const double tokens = step->n_tokens, rows = step->n_rows;
    double parts, pairs;

    *bytes = c->const_bytes + c->fixed_bytes + tokens * c->token_bytes + rows * c->row_bytes;
    *ops = c->fixed_ops + tokens * c->token_ops + rows * c->row_ops;
    if (c->experts.n > 0) {
        count_experts(c, step, data, &parts, &pairs);
        *bytes += parts * c->experts.bytes;
        *ops += 2 * pairs * c->experts.weights;
    }
    if (!c->attend.attends) return;
    if (c->attend.cached && (!step->kv || c->attend.layer >= step->kv->n_layers)) return;
    count_keys(&c->attend, step, &parts, &pairs);
    if (c->attend.cached) *bytes += parts * key_value_bytes(&step->kv->layers[c->attend.layer]);
    *ops += pairs * c->attend.pair_ops;
}
