/* SPDX-License-Identifier: MIT */
/* Query and key norms written out around GroupQueryAttention (Reshape to heads,
 * RMS norm, Reshape back) become its inputs 14 and 15; then, when q, k and v
 * are the three parts of one Split, attention takes the packed projection and
 * the Split goes. */
#include "engine/passes/match.h"
#include "engine/passes/passes.h"

struct head_norm {
    int x, weight;
    float epsilon;
    int64_t head_dim;
};

/* value = Reshape(RMSNorm(Reshape(x, [.., H]), weight[H])), each used once. */
static bool match_head_norm(const struct graph *g, int value, struct head_norm *out)
{
    const int back = match_producer(g, value, OP_RESHAPE);
    union op_attrs at;

    if (back < 0 || match_only_user(g, value) < 0) return false;
    const int norm = match_producer(g, g->nodes[back].in[0], OP_RMSNORM);
    if (norm < 0 || match_only_user(g, g->nodes[norm].out[0]) != back ||
        !match_attrs(&g->nodes[norm], &at))
        return false;
    const int split = match_producer(g, g->nodes[norm].in[0], OP_RESHAPE),
              weight = g->nodes[norm].in[1];
    if (split < 0 || match_only_user(g, g->nodes[split].out[0]) != norm ||
        !graph_is_constant(g, weight))
        return false;
    const struct tensor_type *w = &g->values[weight].type,
                             *heads = &g->values[g->nodes[norm].in[0]].type;
    if (w->ndim != 1 || heads->ndim < 1 || heads->dim[heads->ndim - 1] != w->dim[0]) return false;
    if (at.rmsnorm.axis != -1 && at.rmsnorm.axis != heads->ndim - 1) return false;
    *out = (struct head_norm){ g->nodes[split].in[0], weight, at.rmsnorm.epsilon, w->dim[0] };
    return true;
}

static int64_t last_dim(const struct graph *g, int value)
{
    const struct tensor_type *t = &g->values[value].type;
    return t->ndim >= 1 ? t->dim[t->ndim - 1] : DIM_UNKNOWN;
}

/* The Split's input when q, k, v are its three outputs in order; else -1. */
static int match_packed(const struct graph *g, const int *in)
{
    const int split = match_producer(g, in[GQA_Q], OP_SPLIT);
    union op_attrs at;

    if (split < 0 || g->nodes[split].n_out != 3 || !match_attrs(&g->nodes[split], &at)) return -1;
    for (int i = 0; i < 3; i++)
        if (g->nodes[split].out[i] != in[i]) return -1;
    const int ndim = g->values[in[GQA_Q]].type.ndim;
    return at.split.axis == -1 || at.split.axis == ndim - 1 ? g->nodes[split].in[0] : -1;
}

/* A copy of the node with other inputs and, perhaps, another epsilon. */
static status rebuild(struct graph *g, int node, const int in[GQA_INPUTS], const float *epsilon,
                      struct err *err)
{
    struct graph_node n = g->nodes[node];
    struct attr *attrs = ARENA_ARRAY(graph_arena(g), (size_t)n.n_attrs + 1, struct attr);
    int n_attrs = 0;

    if (!attrs) return FAIL(err, ST_NOMEM, "out of memory");
    for (int i = 0; i < n.n_attrs; i++)
        if (!epsilon || !str_equal(n.attrs[i].name, "qk_norm_epsilon"))
            attrs[n_attrs++] = n.attrs[i];
    if (epsilon) attrs[n_attrs++] = attr_float("qk_norm_epsilon", *epsilon);
    graph_remove_node(g, node);
    n.in = in;
    n.n_in = GQA_INPUTS;
    n.attrs = attrs;
    n.n_attrs = n_attrs;
    if (graph_add_node(g, &n) < 0) return FAIL(err, ST_NOMEM, "out of memory");
    return ST_OK;
}

static status fuse_node(struct graph *g, int node, const struct attrs_gqa *at, struct err *err)
{
    const struct graph_node *n = &g->nodes[node];
    struct head_norm q, k;
    int in[GQA_INPUTS];
    bool normed;

    for (int i = 0; i < GQA_INPUTS; i++) in[i] = match_in(n, i);
    normed = in[GQA_K] >= 0 && in[GQA_Q_NORM] < 0 && in[GQA_K_NORM] < 0 &&
             match_head_norm(g, in[GQA_Q], &q) && match_head_norm(g, in[GQA_K], &k) &&
             q.epsilon == k.epsilon && q.head_dim == k.head_dim &&
             last_dim(g, in[GQA_Q]) == q.head_dim * at->num_heads &&
             last_dim(g, in[GQA_K]) == k.head_dim * at->kv_num_heads;
    if (normed) {
        in[GQA_Q] = q.x;
        in[GQA_K] = k.x;
        in[GQA_Q_NORM] = q.weight;
        in[GQA_K_NORM] = k.weight;
    }
    const int packed = in[GQA_K] >= 0 && in[GQA_V] >= 0 ? match_packed(g, in) : -1;
    if (packed >= 0) {
        in[GQA_Q] = packed;
        in[GQA_K] = in[GQA_V] = -1;
    }
    if (!normed && packed < 0) return ST_OK;
    return rebuild(g, node, in, normed ? &q.epsilon : NULL, err);
}

status pass_fuse_qk_norm(struct graph *g, const struct pass_context *ctx, struct err *err)
{
    const size_t n_nodes = g->n_nodes;

    (void)ctx;
    for (size_t i = 0; i < n_nodes; i++) {
        union op_attrs at;
        if (g->nodes[i].op == OP_GQA && match_attrs(&g->nodes[i], &at))
            TRY(fuse_node(g, (int)i, &at.gqa, err));
    }
    return ST_OK;
}
