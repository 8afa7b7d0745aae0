/* SPDX-License-Identifier: MIT */
#include "engine/passes/length_switch.h"
#include "engine/passes/match.h"

/* The value behind casts and changes of rank. */
static int skip_views(const struct graph *g, int value)
{
    const struct graph_node *n = value < 0 ? NULL : graph_producer(g, value);

    while (n && (n->op == OP_CAST || n->op == OP_IDENTITY || n->op == OP_SQUEEZE ||
                 n->op == OP_UNSQUEEZE || n->op == OP_RESHAPE)) {
        value = n->in[0];
        n = graph_producer(g, value);
    }
    return value;
}

/* Shape(mask)[1], by Gather or by Shape's own start. */
static bool is_mask_length(const struct graph *g, int at, int mask)
{
    const int gather = match_producer(g, at, OP_GATHER);
    const int shape = match_producer(g, gather >= 0 ? g->nodes[gather].in[0] : at, OP_SHAPE);
    union op_attrs a;
    int64_t index = 0;

    if (mask < 0 || shape < 0 || g->nodes[shape].in[0] != mask ||
        !match_attrs(&g->nodes[shape], &a))
        return false;
    if (gather < 0) return a.shape.start == 1 || a.shape.start == -1;
    return a.shape.start == 0 && graph_constant_i64(g, g->nodes[gather].in[1], 0, &index) &&
           (index == 1 || index == -1);
}

/* The largest position. */
static bool is_last_position(const struct graph *g, int at, int positions)
{
    const int max = match_producer(g, at, OP_REDUCEMAX);

    return positions >= 0 && max >= 0 && skip_views(g, g->nodes[max].in[0]) == positions;
}

int64_t length_switch_threshold(const struct graph *g, int node, const struct length_inputs *in)
{
    const struct graph_node *n = &g->nodes[node];
    int64_t c = 0;

    if ((n->op != OP_GREATER && n->op != OP_GREATEROREQUAL) || !graph_is_constant(g, n->in[1]) ||
        !graph_constant_i64(g, n->in[1], 0, &c) || c < 2 || c > INT32_MAX)
        return 0;
    const int at = skip_views(g, n->in[0]);
    if (is_last_position(g, at, in->positions))
        c++; /* the last position is one less than the length */
    else if (!is_mask_length(g, at, in->mask))
        return 0;
    return n->op == OP_GREATER ? c : c - 1;
}

bool length_switch_decides(const struct graph *g, int node, const struct length_inputs *in)
{
    const int cond = g->nodes[node].op == OP_IF ? skip_views(g, g->nodes[node].in[0]) : -1;
    const struct graph_node *n = cond < 0 ? NULL : graph_producer(g, cond);

    return n && length_switch_threshold(g, (int)(n - g->nodes), in) != 0;
}

int64_t length_switch_common(const struct graph *g, const struct length_inputs *in)
{
    int64_t common = 0;

    for (size_t i = 0; i < g->n_nodes; i++) {
        const int64_t t = length_switch_threshold(g, (int)i, in);
        if (t && common && t != common) return 0;
        if (t) common = t;
    }
    return common;
}
