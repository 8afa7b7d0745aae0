/* SPDX-License-Identifier: MIT */
/* RMS norm in pieces - Pow 2 (or x*x), ReduceMean over the last axis, Add
 * epsilon, Sqrt, then x / r or x * (1 / r), times weight - becomes
 * SimplifiedLayerNormalization. Only fp32: casts around it are left as they
 * are. */
#include "engine/passes/match.h"
#include "engine/passes/passes.h"

static bool last_axis_only(const struct graph *g, const struct graph_node *n)
{
    union op_attrs at;
    int64_t axis = 0;
    const int ndim = g->values[n->in[0]].type.ndim, axes = match_in(n, 1);

    if (ndim < 1 || !match_attrs(n, &at) || !at.reduce.keepdims) return false;
    if (axes >= 0) {
        size_t count = 0;
        if (!type_elements(&g->values[axes].type, &count) || count != 1 ||
            !graph_constant_i64(g, axes, 0, &axis))
            return false;
    } else {
        if (at.reduce.axes.n != 1) return false;
        axis = at.reduce.axes.v[0];
    }
    return axis == -1 || axis == ndim - 1;
}

/* x where value = mean(x^2) over the last axis. */
static int match_mean_square(const struct graph *g, int value)
{
    const int mean = match_producer(g, value, OP_REDUCEMEAN);

    if (mean < 0 || !last_axis_only(g, &g->nodes[mean])) return -1;
    const int square = g->nodes[mean].in[0];
    const int pow = match_producer(g, square, OP_POW), mul = match_producer(g, square, OP_MUL);
    if (pow >= 0 && match_scalar(g, g->nodes[pow].in[1], 2.0)) return g->nodes[pow].in[0];
    if (mul >= 0 && g->nodes[mul].in[0] == g->nodes[mul].in[1]) return g->nodes[mul].in[0];
    return -1;
}

/* x and epsilon where value = sqrt(mean(x^2) + epsilon). */
static int match_rms(const struct graph *g, int value, double *epsilon)
{
    const int root = match_producer(g, value, OP_SQRT);
    const int add = root < 0 ? -1 : match_producer(g, g->nodes[root].in[0], OP_ADD);

    if (add < 0) return -1;
    for (int side = 0; side < 2; side++) {
        const int eps = g->nodes[add].in[side];
        size_t count = 0;
        if (!graph_is_constant(g, eps) || !type_elements(&g->values[eps].type, &count) ||
            count != 1)
            continue;
        if (graph_constant_float(g, eps, 0, epsilon))
            return match_mean_square(g, g->nodes[add].in[1 - side]);
    }
    return -1;
}

/* x where value = x / rms(x) in any of its spellings. */
static int match_normalised(const struct graph *g, int value, double *epsilon)
{
    const int div = match_producer(g, value, OP_DIV), mul = match_producer(g, value, OP_MUL);

    if (div >= 0) {
        const int x = match_rms(g, g->nodes[div].in[1], epsilon);
        return x >= 0 && x == g->nodes[div].in[0] ? x : -1;
    }
    for (int side = 0; mul >= 0 && side < 2; side++) {
        const int inv = g->nodes[mul].in[side], other = g->nodes[mul].in[1 - side];
        const int one_over = match_producer(g, inv, OP_DIV),
                  recip = match_producer(g, inv, OP_RECIPROCAL);
        int x = -1;

        if (one_over >= 0 && match_scalar(g, g->nodes[one_over].in[0], 1.0))
            x = match_rms(g, g->nodes[one_over].in[1], epsilon);
        if (recip >= 0) x = match_rms(g, g->nodes[recip].in[0], epsilon);
        if (x >= 0 && x == other) return x;
    }
    return -1;
}

static status fuse_node(struct graph *g, int node, struct err *err)
{
    const struct graph_node *n = &g->nodes[node];

    for (int side = 0; side < 2; side++) {
        const int weight = n->in[side];
        double epsilon = 0;
        if (!graph_is_constant(g, weight) || g->values[weight].type.ndim != 1) continue;
        const int x = match_normalised(g, n->in[1 - side], &epsilon);
        if (x < 0) continue;
        const struct tensor_type *t = &g->values[x].type;
        if (t->dtype != DT_F32 || t->ndim < 1 ||
            t->dim[t->ndim - 1] != g->values[weight].type.dim[0])
            continue;
        const int in[2] = { x, weight };
        const struct attr attrs[] = { attr_int("axis", -1), attr_float("epsilon", (float)epsilon) };
        if (!match_replace(g, node, n->out[0],
                           &(struct graph_node){ .op = OP_RMSNORM,
                                                 .in = in,
                                                 .n_in = 2,
                                                 .attrs = attrs,
                                                 .n_attrs = (int)COUNT(attrs) }))
            return FAIL(err, ST_NOMEM, "out of memory");
        return ST_OK;
    }
    return ST_OK;
}

status pass_fuse_rmsnorm(struct graph *g, const struct pass_context *ctx, struct err *err)
{
    const size_t n_nodes = g->n_nodes;

    (void)ctx;
    for (size_t i = 0; i < n_nodes; i++)
        if (g->nodes[i].op == OP_MUL) TRY(fuse_node(g, (int)i, err));
    return ST_OK;
}
