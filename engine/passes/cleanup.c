/* SPDX-License-Identifier: MIT */
/* The passes that only remove: dead code, common subexpressions, casts to the
 * type a value already has, identities. */
#include "engine/passes/match.h"
#include "engine/passes/passes.h"
#include <string.h>

/* ---- dead code ---- */

static bool node_is_used(const struct graph *g, const struct graph_node *n)
{
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] >= 0 && graph_uses(g, n->out[i]) > 0) return true;
    return false;
}

status pass_dead_code(struct graph *g, const struct pass_context *ctx, struct err *err)
{
    (void)ctx;
    (void)err;
    for (size_t i = g->n_nodes; i-- > 0;)
        if (g->nodes[i].op != OP_NONE && !node_is_used(g, &g->nodes[i]))
            graph_remove_node(g, (int)i);
    return ST_OK;
}

/* ---- casts and identities ---- */

static bool is_noop(const struct graph *g, const struct graph_node *n)
{
    if (n->n_in < 1 || n->n_out < 1 || n->in[0] < 0 || n->out[0] < 0) return false;
    if (n->op == OP_IDENTITY) return true;
    if (n->op != OP_CAST && n->op != OP_CASTLIKE) return false;
    const enum dtype from = g->values[n->in[0]].type.dtype;
    return from != DT_NONE && from == g->values[n->out[0]].type.dtype;
}

static bool is_graph_output(const struct graph *g, int value)
{
    for (size_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == value) return true;
    return false;
}

status pass_remove_casts(struct graph *g, const struct pass_context *ctx, struct err *err)
{
    (void)ctx;
    (void)err;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct graph_node *n = &g->nodes[i];
        /* an output keeps its name: its node stays */
        if (!is_noop(g, n) || is_graph_output(g, n->out[0])) continue;
        graph_replace_uses(g, n->out[0], n->in[0]);
        graph_remove_node(g, (int)i);
    }
    return ST_OK;
}

/* ---- common subexpressions ---- */

static bool nodes_equal(const struct graph_node *a, const struct graph_node *b)
{
    if (!match_same_operation(a, b)) return false;
    return a->n_in == 0 || memcmp(a->in, b->in, (size_t)a->n_in * sizeof *a->in) == 0;
}

static bool outputs_private(const struct graph *g, const struct graph_node *n)
{
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] >= 0 && is_graph_output(g, n->out[i])) return false;
    return true;
}

static void merge_nodes(struct graph *g, int keep, int drop)
{
    for (int i = 0; i < g->nodes[drop].n_out; i++) {
        const int a = g->nodes[keep].out[i], b = g->nodes[drop].out[i];
        if (a >= 0 && b >= 0) graph_replace_uses(g, b, a);
    }
    graph_remove_node(g, drop);
}

static bool keeps_outputs(const struct graph_node *keep, const struct graph_node *drop)
{
    for (int i = 0; i < keep->n_out; i++)
        if (drop->out[i] >= 0 && keep->out[i] < 0) return false;
    return true;
}

/* One bucket per hash of kind and inputs; the last node of a bucket is the
 * candidate. Chains of more than one are rare and only cost a missed merge. */
status pass_cse(struct graph *g, const struct pass_context *ctx, struct err *err)
{
    struct map seen = { 0 };
    status st = ST_OK;
    uint64_t *keys = mem_calloc(g->n_nodes + 1, sizeof *keys);

    (void)ctx;
    if (!keys) return FAIL(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct graph_node *n = &g->nodes[i];
        uint64_t other = 0;

        if (n->op == OP_NONE || n->op == OP_IF || n->op == OP_LOOP || n->op == OP_SCAN) continue;
        keys[i] = hash_bytes(n->in, (size_t)n->n_in * sizeof *n->in, (uint64_t)n->op);
        if (map_get(&seen, &keys[i], sizeof keys[i], &other) && nodes_equal(&g->nodes[other], n) &&
            keeps_outputs(&g->nodes[other], n) && outputs_private(g, n)) {
            merge_nodes(g, (int)other, (int)i);
        } else if (!map_set(&seen, &keys[i], sizeof keys[i], i)) {
            st = FAIL(err, ST_NOMEM, "out of memory");
            break;
        }
    }
    map_fini(&seen);
    mem_free(keys);
    return st;
}
