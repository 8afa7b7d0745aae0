/* SPDX-License-Identifier: MIT */
/* Structure of a graph: indices, producers, order, arity, lists of uses, subgraphs. */
#include "engine/graph/graph_internal.h"
#include "engine/ops/op_arity.h"

static bool value_ok(const struct graph *g, int value)
{
    return value >= -1 && (value < 0 || (size_t)value < g->n_values);
}

/* Where the value comes from, seen from node `at`: before it, or from nowhere. is_input:
 * [n_values]. */
static status check_source(const struct graph *g, const bool *is_input, const char *who, int value,
                           size_t at, struct err *err)
{
    const struct graph_value *v = &g->values[value];

    if (v->data || v->captured >= 0 || is_input[value]) return ST_OK;
    if (v->producer >= 0) {
        if ((size_t)v->producer < at) return ST_OK;
        return FAIL(err, ST_FORMAT, "%s uses value '%s' before it is made", who, v->name);
    }
    return FAIL(err, ST_FORMAT, "%s uses value '%s', which nothing makes", who, v->name);
}

static status check_arity(const struct graph_node *n, struct err *err)
{
    const struct op_arity *a = op_arity(n->op);

    if (n->n_in < a->in_min || n->n_in > a->in_max)
        return FAIL(err, ST_FORMAT, "node '%s' (%s): %d inputs, expected %d to %d", n->name,
                    op_name(n->op), n->n_in, a->in_min, a->in_max);
    if (n->n_out < a->out_min || n->n_out > a->out_max)
        return FAIL(err, ST_FORMAT, "node '%s' (%s): %d outputs, expected %d to %d", n->name,
                    op_name(n->op), n->n_out, a->out_min, a->out_max);
    for (int i = 0; i < a->in_min; i++) {
        if (n->in[i] < 0)
            return FAIL(err, ST_FORMAT, "node '%s' (%s): input %d is required", n->name,
                        op_name(n->op), i);
    }
    return ST_OK;
}

/* The list of uses says what the inputs say. */
static status check_uses(const struct graph_node *n, struct err *err)
{
    bool same = n->n_uses >= n->n_in;

    for (int i = 0; same && i < n->n_in; i++)
        same = n->uses[i].value == n->in[i] && !n->uses[i].inner;
    for (int i = n->n_in; same && i < n->n_uses; i++)
        same = n->uses[i].inner &&
               n->uses[i].inner->values[n->uses[i].slot].captured == n->uses[i].value;
    if (same) return ST_OK;
    return FAIL(err, ST_INTERNAL, "node '%s': its inputs were changed past graph_set_input",
                n->name);
}

static status check_graph(const struct graph *g, int depth, struct err *err);

static status check_inner(const struct graph *g, const struct graph_node *n, int depth,
                          struct err *err)
{
    for (int i = 0; i < n->n_attrs; i++) {
        if (n->attrs[i].type != ATTR_GRAPH) continue;
        const struct graph *inner = n->attrs[i].graph;
        if (inner->outer != g)
            return FAIL(err, ST_INTERNAL, "node '%s': subgraph '%s' belongs to another graph",
                        n->name, inner->name);
        for (size_t v = 0; v < inner->n_values; v++) {
            if (inner->values[v].captured >= 0 && !value_ok(g, inner->values[v].captured))
                return FAIL(err, ST_INTERNAL, "node '%s': a captured value out of range", n->name);
        }
        TRY(check_graph(inner, depth + 1, err));
    }
    return ST_OK;
}

static status check_node(const struct graph *g, const bool *is_input, size_t at, int depth,
                         struct err *err)
{
    const struct graph_node *n = &g->nodes[at];

    TRY(check_arity(n, err));
    TRY(check_uses(n, err));
    for (int i = 0; i < n->n_in; i++) {
        if (!value_ok(g, n->in[i]))
            return FAIL(err, ST_INTERNAL, "node '%s': input %d out of range", n->name, i);
    }
    for (int i = 0; i < n->n_uses; i++) {
        if (n->uses[i].value >= 0)
            TRY(check_source(g, is_input, n->name, n->uses[i].value, at, err));
    }
    for (int i = 0; i < n->n_out; i++) {
        if (!value_ok(g, n->out[i]))
            return FAIL(err, ST_INTERNAL, "node '%s': output %d out of range", n->name, i);
        if (n->out[i] < 0) continue;
        const struct graph_value *v = &g->values[n->out[i]];
        if (v->producer != (int)at || v->data || v->captured >= 0)
            return FAIL(err, ST_FORMAT, "node '%s': value '%s' has another source too", n->name,
                        v->name);
    }
    return check_inner(g, n, depth, err);
}

static status check_lists(const struct graph *g, const bool *is_input, int depth, struct err *err)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].op != OP_NONE) TRY(check_node(g, is_input, i, depth, err));
    }
    for (size_t i = 0; i < g->n_outputs; i++) {
        if (g->outputs[i] < 0 || !value_ok(g, g->outputs[i]))
            return FAIL(err, ST_INTERNAL, "graph '%s': output %zu out of range", g->name, i);
        TRY(check_source(g, is_input, "the list of outputs", g->outputs[i], g->n_nodes, err));
    }
    return ST_OK;
}

static status check_graph(const struct graph *g, int depth, struct err *err)
{
    if (depth > GRAPH_DEPTH_MAX)
        return FAIL(err, ST_LIMIT, "subgraphs nest deeper than %d", GRAPH_DEPTH_MAX);
    for (size_t i = 0; i < g->n_inputs; i++) {
        if (g->inputs[i] < 0 || !value_ok(g, g->inputs[i]))
            return FAIL(err, ST_INTERNAL, "graph '%s': input %zu out of range", g->name, i);
    }
    bool *is_input = mem_calloc(g->n_values, sizeof *is_input);
    if (!is_input) return FAIL(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; i < g->n_inputs; i++) is_input[g->inputs[i]] = true;
    const status st = check_lists(g, is_input, depth, err);
    mem_free(is_input);
    return st;
}

status graph_check(const struct graph *g, struct err *err) { return check_graph(g, 0, err); }
