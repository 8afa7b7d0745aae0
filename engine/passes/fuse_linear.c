/* SPDX-License-Identifier: MIT */
/* Every product with constant weights becomes one operator, cupola.Linear: MatMul, Gemm,
 * MatMulNBits; then its bias. An embedding whose table is the transpose of such weights becomes
 * cupola.GatherColumns, so that both read what is packed once. */
#include "engine/passes/match.h"
#include "engine/passes/passes.h"

/* Linear's inputs. */
enum { LIN_X, LIN_W, LIN_SCALES, LIN_ZERO_POINTS, LIN_BIAS, LIN_INPUTS };

/* Neither K nor N is 0: of no elements there is nothing to pack. */
static bool float_weight(const struct graph *g, int value)
{
    if (value < 0 || !graph_is_constant(g, value)) return false;
    const struct tensor_type *t = &g->values[value].type;
    return t->ndim == 2 && t->dim[0] > 0 && t->dim[1] > 0 &&
           (t->dtype == DT_F32 || t->dtype == DT_F16 || t->dtype == DT_BF16);
}

static bool replace_linear(struct graph *g, int node, const int in[LIN_INPUTS],
                           const struct attrs_linear *l)
{
    const struct attr attrs[] = { attr_int("K", l->k),
                                  attr_int("N", l->n),
                                  attr_int("bits", l->bits),
                                  attr_int("block_size", l->block_size),
                                  attr_int("accuracy_level", l->accuracy_level),
                                  attr_int("trans_b", l->trans_b) };

    return match_replace(g, node, g->nodes[node].out[0],
                         &(struct graph_node){ .op = OP_LINEAR,
                                               .in = in,
                                               .n_in = LIN_INPUTS,
                                               .attrs = attrs,
                                               .n_attrs = (int)COUNT(attrs) });
}

/* w: the weights, [K, N], or [N, K] where the MatMul's own are their transpose. */
static bool linear_from_matmul(struct graph *g, int node, int w)
{
    const struct graph_node *n = &g->nodes[node];
    const int64_t *dim = g->values[w].type.dim;
    const int in[LIN_INPUTS] = { n->in[0], w, -1, -1, -1 };
    const bool turned = w != n->in[1];
    const struct attrs_linear l = { .k = dim[turned], .n = dim[!turned], .trans_b = turned };

    return replace_linear(g, node, in, &l);
}

static bool gemm_fits(const struct graph *g, const struct graph_node *n, const struct attrs_gemm *a)
{
    const int c = match_in(n, 2);

    if (a->trans_a || a->alpha != 1.0f || (c >= 0 && a->beta != 1.0f) || !float_weight(g, n->in[1]))
        return false;
    if (c < 0) return true;
    const struct tensor_type *w = &g->values[n->in[1]].type, *t = &g->values[c].type;
    return graph_is_constant(g, c) && t->ndim == 1 && t->dim[0] == w->dim[a->trans_b ? 0 : 1];
}

static bool linear_from_gemm(struct graph *g, int node, const struct attrs_gemm *a)
{
    const struct graph_node *n = &g->nodes[node];
    const struct tensor_type *w = &g->values[n->in[1]].type;
    const int in[LIN_INPUTS] = { n->in[0], n->in[1], -1, -1, match_in(n, 2) };
    const struct attrs_linear l = { .k = w->dim[a->trans_b ? 1 : 0],
                                    .n = w->dim[a->trans_b ? 0 : 1],
                                    .trans_b = a->trans_b };

    return replace_linear(g, node, in, &l);
}

/* g_idx (input 4) reorders rows of K; such layers stay MatMulNBits. */
static bool nbits_fits(const struct graph *g, const struct graph_node *n,
                       const struct attrs_matmulnbits *a)
{
    if (match_in(n, 4) >= 0 || a->weight_prepacked) return false;
    for (int i = 1; i < n->n_in; i++)
        if (n->in[i] >= 0 && !graph_is_constant(g, n->in[i])) return false;
    return n->n_in >= 3;
}

static bool linear_from_nbits(struct graph *g, int node, const struct attrs_matmulnbits *a)
{
    const struct graph_node *n = &g->nodes[node];
    const int in[LIN_INPUTS] = { n->in[0], n->in[1], n->in[2], match_in(n, 3), match_in(n, 5) };
    const struct attrs_linear l = { .k = a->k,
                                    .n = a->n,
                                    .bits = a->bits,
                                    .block_size = a->block_size,
                                    .accuracy_level = a->accuracy_level };

    return replace_linear(g, node, in, &l);
}

static bool columns_from_gather(struct graph *g, int node, int w)
{
    const struct graph_node *n = &g->nodes[node];
    const int in[] = { w, n->in[1] };

    return match_replace(
        g, node, n->out[0],
        &(struct graph_node){ .op = OP_GATHERCOLS, .in = in, .n_in = (int)COUNT(in) });
}

static bool to_linear(struct graph *g, int node, bool *ok)
{
    const struct graph_node *n = &g->nodes[node];
    union op_attrs at;

    if (n->op == OP_MATMUL && float_weight(g, n->in[1]))
        return *ok = linear_from_matmul(g, node, n->in[1]), true;
    const int head = n->op == OP_MATMUL ? match_transposed_weight(g, n->in[1]) : -1;
    if (head >= 0) return *ok = linear_from_matmul(g, node, head), true;
    const int table = n->op == OP_GATHER ? match_transposed_weight(g, n->in[0]) : -1;
    if (table >= 0) return *ok = columns_from_gather(g, node, table), true;
    if (n->op == OP_GEMM && match_attrs(n, &at) && gemm_fits(g, n, &at.gemm))
        return *ok = linear_from_gemm(g, node, &at.gemm), true;
    if (n->op == OP_MATMULNBITS && match_attrs(n, &at) && nbits_fits(g, n, &at.matmulnbits))
        return *ok = linear_from_nbits(g, node, &at.matmulnbits), true;
    return false;
}

status pass_fuse_linear(struct graph *g, const struct pass_context *ctx, struct err *err)
{
    const size_t n_nodes = g->n_nodes;

    (void)ctx;
    for (size_t i = 0; i < n_nodes; i++) {
        bool ok = true;
        if (to_linear(g, (int)i, &ok) && !ok) return FAIL(err, ST_NOMEM, "out of memory");
    }
    return ST_OK;
}

/* ---- bias ---- */

static bool is_bias(const struct graph *g, int value, int64_t n)
{
    if (value < 0 || !graph_is_constant(g, value)) return false;
    const struct tensor_type *t = &g->values[value].type;
    return t->ndim == 1 && t->dim[0] == n;
}

static status add_bias(struct graph *g, int add, int lin, int bias, struct err *err)
{
    const struct graph_node *l = &g->nodes[lin];
    const int in[LIN_INPUTS] = { l->in[LIN_X], l->in[LIN_W], match_in(l, LIN_SCALES),
                                 match_in(l, LIN_ZERO_POINTS), bias };

    if (!match_replace(g, lin, g->nodes[add].out[0],
                       &(struct graph_node){ .op = OP_LINEAR,
                                             .in = in,
                                             .n_in = LIN_INPUTS,
                                             .attrs = l->attrs,
                                             .n_attrs = l->n_attrs }))
        return FAIL(err, ST_NOMEM, "out of memory");
    return ST_OK;
}

status pass_fuse_bias(struct graph *g, const struct pass_context *ctx, struct err *err)
{
    const size_t n_nodes = g->n_nodes;

    (void)ctx;
    for (size_t i = 0; i < n_nodes; i++) {
        const struct graph_node *n = &g->nodes[i];
        union op_attrs at;

        if (n->op != OP_ADD) continue;
        for (int side = 0; side < 2; side++) {
            const int lin = match_producer(g, n->in[side], OP_LINEAR), bias = n->in[1 - side];
            if (lin < 0 || match_only_user(g, n->in[side]) != (int)i ||
                match_in(&g->nodes[lin], LIN_BIAS) >= 0)
                continue;
            if (!match_attrs(&g->nodes[lin], &at) || !is_bias(g, bias, at.linear.n)) continue;
            TRY(add_bias(g, (int)i, lin, bias, err));
            break;
        }
    }
    return ST_OK;
}
