/* SPDX-License-Identifier: MIT */
/* Gated activations: act(gate) * up in the pieces exporters write becomes
 * cupola.GatedAct; when gate and up are the two halves of one Split, the Split
 * goes too. */
#include "engine/passes/match.h"
#include "engine/passes/passes.h"

/* x where value = x * Sigmoid(x), used once; else -1. */
static int match_silu(const struct graph *g, int value)
{
    const int mul = match_producer(g, value, OP_MUL);

    if (mul < 0 || match_only_user(g, value) < 0) return -1;
    for (int side = 0; side < 2; side++) {
        const int x = g->nodes[mul].in[side], s = g->nodes[mul].in[1 - side];
        const int sig = match_producer(g, s, OP_SIGMOID);
        if (sig >= 0 && g->nodes[sig].in[0] == x && match_only_user(g, s) == mul) return x;
    }
    return -1;
}

static const char *gelu_name(const struct graph_node *n)
{
    union op_attrs at;

    if (n->op == OP_FASTGELU) return n->n_in == 1 || n->in[1] < 0 ? "gelu_tanh" : NULL;
    if (n->op == OP_QUICKGELU)
        return match_attrs(n, &at) && at.alpha.alpha == 1.702f ? "quick_gelu" : NULL;
    if (n->op != OP_GELU || !match_attrs(n, &at)) return NULL;
    return str_equal(at.gelu.approximate, "tanh") ? "gelu_tanh" : "gelu";
}

/* The gate's input, with the activation's name; -1 if value is not an
 * activation used once. */
static int match_activation(const struct graph *g, int value, const char **act)
{
    const int x = value < 0 ? -1 : match_silu(g, value);

    if (x >= 0) return *act = "silu", x;
    const struct graph_node *n = value < 0 ? NULL : graph_producer(g, value);
    if (!n || match_only_user(g, value) < 0 || !(*act = gelu_name(n))) return -1;
    return n->in[0];
}

/* The packed input when gate and up are exactly the two equal halves of one
 * Split of the last axis. */
static int match_halves(const struct graph *g, int gate, int up)
{
    const int split = match_producer(g, gate, OP_SPLIT);
    union op_attrs at;

    if (split < 0 || split != match_producer(g, up, OP_SPLIT)) return -1;
    const struct graph_node *n = &g->nodes[split];
    if (n->n_out != 2 || n->out[0] != gate || n->out[1] != up || !match_attrs(n, &at)) return -1;
    const struct tensor_type *a = &g->values[gate].type, *b = &g->values[up].type;
    if (a->ndim < 1 || (at.split.axis != -1 && at.split.axis != a->ndim - 1)) return -1;
    if (a->dim[a->ndim - 1] < 0 || a->dim[a->ndim - 1] != b->dim[b->ndim - 1]) return -1;
    return n->in[0];
}

static bool same_type(const struct graph *g, int a, int b)
{
    const struct tensor_type *s = &g->values[a].type, *t = &g->values[b].type;

    if (s->dtype != t->dtype || s->ndim != t->ndim || s->ndim < 1) return false;
    for (int i = 0; i < s->ndim; i++)
        if (s->dim[i] != t->dim[i] || s->dim[i] == DIM_UNKNOWN) return false;
    return true;
}

static bool fuse_at(struct graph *g, int mul, int gate, int up, const char *act)
{
    const int packed = match_halves(g, gate, up);
    const int in[2] = { packed >= 0 ? packed : gate, up };
    const struct attr attr = attr_str("act", act);

    return match_replace(g, mul, g->nodes[mul].out[0],
                         &(struct graph_node){ .op = OP_GATEDACT,
                                               .in = in,
                                               .n_in = packed >= 0 ? 1 : 2,
                                               .attrs = &attr,
                                               .n_attrs = 1 });
}

status pass_fuse_gated(struct graph *g, const struct pass_context *ctx, struct err *err)
{
    const size_t n_nodes = g->n_nodes;

    (void)ctx;
    for (size_t i = 0; i < n_nodes; i++) {
        const struct graph_node *n = &g->nodes[i];
        if (n->op != OP_MUL || g->values[n->out[0]].type.dtype != DT_F32) continue;
        for (int side = 0; side < 2; side++) {
            const char *act = NULL;
            const int up = n->in[1 - side], gate = match_activation(g, n->in[side], &act);
            if (gate < 0 || gate == up || !same_type(g, gate, up)) continue;
            if (!fuse_at(g, (int)i, gate, up, act)) return FAIL(err, ST_NOMEM, "out of memory");
            break;
        }
    }
    return ST_OK;
}
