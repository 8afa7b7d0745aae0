/* SPDX-License-Identifier: MIT */
/* Counting bytes and operations of a node. */
#include "backends/decorate/node_cost.h"

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

void node_cost_init(struct node_cost *c, const struct segment *seg, const struct seg_node *node)
{
    const struct op_call *call = &node->call;
    const int n = call->n_in + call->n_out;

    *c = (struct node_cost){ .gathers = call->op == OP_GATHER || call->op == OP_GATHERQ };
    for (int i = 0; i < n; i++) {
        const int v = i < call->n_in ? node->in[i] : node->out[i - call->n_in];
        if (v < 0) continue;
        const struct seg_value *value = &seg->values[v];

        if (value->role != SEG_CONST)
            add_by_lead(&value->type, bytes_of(&value->type), &c->token_bytes, &c->row_bytes,
                        &c->fixed_bytes);
        else if (!c->gathers)
            c->const_bytes += bytes_of(&value->type);
    }
    if (call->n_out > 0 && call->n_in > 0)
        add_by_lead(&call->out[0].type, product_ops(call), &c->token_ops, &c->row_ops,
                    &c->fixed_ops);
    c->int8 = call->op == OP_LINEAR && call->attr.linear.bits > 0 &&
              call->attr.linear.accuracy_level == 4;
    c->attends = call->op == OP_SEQATTN;
    if (c->attends) c->attn = call->attr.seqattn;
}

/* Keys that the tokens of a step see: of each sequence those read, and the pairs of both. */
static void count_keys(const struct node_cost *c, const struct step *step, double *keys,
                       double *pairs)
{
    const int64_t window = c->attn.window > 0 ? c->attn.window : INT64_MAX;

    *keys = *pairs = 0;
    for (int i = 0; i < step->n_seqs; i++) {
        const struct step_seq *s = &step->seqs[i];
        const int64_t end = (int64_t)s->n_past + s->n_tokens;
        const int64_t first = (int64_t)s->n_past + 1 > window ? s->n_past + 1 - window : 0;

        *keys += (double)(end - first);
        for (int64_t t = s->n_past; t < end; t++)
            *pairs += (double)(t + 1 < window ? t + 1 : window);
    }
}

void node_cost_run(const struct node_cost *c, const struct step *step, double *bytes, double *ops)
{
    const double tokens = step->n_tokens, rows = step->n_rows;
    double keys, pairs;

    *bytes = c->const_bytes + c->fixed_bytes + tokens * c->token_bytes + rows * c->row_bytes;
    *ops = c->fixed_ops + tokens * c->token_ops + rows * c->row_ops;
    if (!c->attends || !step->kv) return;
    count_keys(c, step, &keys, &pairs);
    *bytes += keys * 2 * (double)(c->attn.kv_num_heads * c->attn.head_dim) *
              (double)(dtype_bits(step->kv->dtype) / 8);
    *ops += pairs * 4 * (double)(c->attn.num_heads * c->attn.head_dim);
}
