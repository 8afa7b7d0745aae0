/* SPDX-License-Identifier: MIT */
/* Dynamic quantisation in a decoder. The file takes one range of all that it is fed at once; here
 * the rows of each sequence in a step have their own, so that a sequence does not see what runs
 * beside it. Ranges, and what is computed from them, are numbers of each sequence (LOW_EACH), in
 * rows like everything else. */
#include "engine/passes/lower.h"
#include "engine/passes/quant_rows.h"

static status no_memory(struct err *err) { return FAIL(err, ST_NOMEM, "out of memory"); }

bool lower_is_matrix(const struct lower *lo, int value)
{
    const struct low_value *low = &lo->low[value];

    return lower_kind_of(lo, value) == LOW_ROWS && low->rank == 3 && low->fold == 1 &&
           !low->heads_first;
}

static status quantize(struct lower *lo, const struct graph_node *n, int x, int outs[3],
                       struct err *err)
{
    if (!lower_is_matrix(lo, x)) return lower_refuse(n, "its input is not rows of tokens", err);
    lo->info->whole_pieces = true;
    return quant_rows_add(lo->g, n->name, x, outs) ? ST_OK : no_memory(err);
}

static status rule_dynquant(struct lower *lo, int node, struct err *err)
{
    const struct graph_node n = lo->g->nodes[node];
    int outs[3] = { match_out(&n, 0), match_out(&n, 1), match_out(&n, 2) };

    if (lower_is_matrix(lo, n.in[0])) graph_remove_node(lo->g, node);
    TRY(quantize(lo, &n, n.in[0], outs, err));
    lower_mark_rows(lo, &n, n.in[0], 3);
    for (int i = 1; i < 3; i++)
        if (match_out(&n, i) >= 0) lo->low[n.out[i]] = (struct low_value){ .kind = LOW_EACH };
    return ST_OK;
}

/* ---- products ---- */

/* Operand i: a constant, or where `each` one number of each sequence. */
static bool take(const struct lower *lo, const struct graph_node *n, int i, bool each, int *out)
{
    const enum low_kind kind = lower_kind_of(lo, match_in(n, i));

    *out = match_in(n, i);
    return *out < 0 || kind == LOW_CONST || (each && kind == LOW_EACH);
}

static bool take_all(const struct lower *lo, const struct graph_node *n, struct quant_product *p)
{
    bool ok = take(lo, n, 1, false, &p->b);

    switch (n->op) {
    case OP_MATMULINTEGER:
        return ok && take(lo, n, 2, true, &p->a_zero) && take(lo, n, 3, false, &p->b_zero);
    case OP_DYNQUANTMATMUL:
        return ok && take(lo, n, 2, false, &p->b_scale) && take(lo, n, 3, false, &p->b_zero) &&
               take(lo, n, 4, false, &p->bias);
    default:
        ok = ok && take(lo, n, 2, true, &p->a_scale) && take(lo, n, 3, false, &p->b_scale);
        return ok && take(lo, n, 4, true, &p->a_zero) && take(lo, n, 5, false, &p->b_zero) &&
               take(lo, n, 6, false, &p->bias);
    }
}

/* A constant scale or zero point of A that is one of each row would follow the batch. */
static bool is_one(const struct lower *lo, int value)
{
    size_t count = 0;

    return lower_kind_of(lo, value) != LOW_CONST ||
           (type_elements(&lo->g->values[value].type, &count) && count == 1);
}

static status rule_product(struct lower *lo, int node, struct err *err)
{
    const struct graph_node n = lo->g->nodes[node];
    struct quant_product p = { n.name, n.in[0], -1, -1, -1, -1, -1, -1 };
    int64_t dims[IR_DIMS_MAX];

    if (!lower_is_matrix(lo, p.a) || lower_row_dims(lo, p.a, dims) != 1)
        return lower_refuse(&n, "its input is not rows of tokens", err);
    if (!take_all(lo, &n, &p) || !is_one(lo, p.a_scale) || !is_one(lo, p.a_zero) ||
        !quant_weights_fit(lo->g, &p, dims[0]))
        return lower_refuse(&n, "its weights are no constant matrix", err);
    graph_remove_node(lo->g, node);
    if (n.op == OP_DYNQUANTMATMUL) {
        int outs[3] = { -1, -1, -1 };
        TRY(quantize(lo, &n, p.a, outs, err));
        p.a = outs[0];
        p.a_scale = outs[1];
        p.a_zero = outs[2];
    }
    if (quant_product_add(lo->g, &p, n.out[0]) < 0) return no_memory(err);
    lower_mark_rows(lo, &n, n.in[0], 3);
    return ST_OK;
}

/* ---- numbers of each sequence ---- */

static bool is_of_each(const struct lower *lo, const struct graph_node *n)
{
    bool any = false;

    if (n->op != OP_CAST && !lower_is_elementwise(n->op)) return false;
    for (int i = 0; i < n->n_in; i++) {
        const enum low_kind kind = lower_kind_of(lo, n->in[i]);
        if (kind != LOW_EACH && kind != LOW_CONST) return false;
        any = any || kind == LOW_EACH;
    }
    return any;
}

static status rule_each(struct lower *lo, int node, struct err *err)
{
    const struct graph_node n = lo->g->nodes[node];

    for (int i = 0; i < n.n_in; i++) {
        if (lower_kind_of(lo, n.in[i]) != LOW_CONST) continue;
        const int c = lower_strip_ones(lo, n.in[i], 1);
        if (c < 0) return lower_refuse(&n, "a constant operand has more than one dimension", err);
        graph_set_input(lo->g, node, i, c);
    }
    for (int i = 0; i < n.n_out; i++)
        if (n.out[i] >= 0) lo->low[n.out[i]] = (struct low_value){ .kind = LOW_EACH };
    return ST_OK;
}

status lower_quant(struct lower *lo, int node, bool *done, struct err *err)
{
    const struct graph_node *n = &lo->g->nodes[node];

    *done = true;
    switch (n->op) {
    case OP_DYNQUANT: return rule_dynquant(lo, node, err);
    case OP_MATMULINTEGER:
    case OP_MATMULINTTOFLOAT:
    case OP_DYNQUANTMATMUL: return rule_product(lo, node, err);
    default: break;
    }
    if (is_of_each(lo, n)) return rule_each(lo, node, err);
    *done = false;
    return ST_OK;
}
