/* SPDX-License-Identifier: MIT */
/* Half floats in the lowered form: weights keep the file's type, everything that is computed is
 * fp32. A graph of f16 or bf16 becomes one of f32 by its constants: those that linear layers,
 * experts, attention and embeddings read stay as they are (they are widened as they are read),
 * others are widened here; casts between float types vanish; an embedding is cast where it leaves
 * its table. What the file's halves would round between operators is so not rounded, which is
 * nearer to the exact answer, and faster on a CPU. */
#include "engine/passes/lower.h"
#include <string.h>

static bool is_half(enum dtype dt) { return dt == DT_F16 || dt == DT_BF16; }

static bool is_float(enum dtype dt) { return dt == DT_F32 || is_half(dt); }

/* Operators that widen their constants themselves. */
static bool reads_halves(enum op_kind op)
{
    return op == OP_LINEAR || op == OP_MOE || op == OP_QMOE || op == OP_SEQATTN ||
           op == OP_SEQROTARY || op == OP_GATHER || op == OP_GATHERCOLS;
}

/* An f32 copy of a constant of halves; -1 when memory runs out. */
static int widened(struct graph *g, int value)
{
    struct tensor_type t = g->values[value].type;
    const char *halves = g->values[value].data;
    const enum dtype dt = t.dtype;
    size_t n = 0;

    if (!type_elements(&t, &n)) return -1;
    float *out = ARENA_ARRAY(graph_arena(g), n + 1, float);
    if (!out) return -1;
    for (size_t i = 0; i < n; i++) {
        uint16_t half;

        memcpy(&half, halves + i * sizeof half, sizeof half);
        out[i] = dt == DT_F16 ? half_to_f32(half) : bf16_to_f32(half);
    }
    t.dtype = DT_F32;
    return graph_add_constant(g, NULL, &t, out, false);
}

static status widen_inputs(struct graph *g, int node, struct err *err)
{
    for (int i = 0; i < g->nodes[node].n_in; i++) {
        const int value = g->nodes[node].in[i];

        if (value < 0 || !graph_is_constant(g, value) || !is_half(g->values[value].type.dtype))
            continue;
        const int wide = widened(g, value);
        if (wide < 0) return FAIL(err, ST_NOMEM, "out of memory");
        graph_set_input(g, node, i, wide);
    }
    return ST_OK;
}

/* Rows of a table of halves are cast as they leave it. */
static status cast_embedding(struct graph *g, int node, struct err *err)
{
    const struct graph_node n = g->nodes[node];
    const struct tensor_type unknown = { .ndim = -1 };
    const struct attr to = attr_int("to", DT_F32);

    if (!is_half(g->values[n.in[0]].type.dtype)) return ST_OK;
    const int wide = graph_add_value(g, NULL, &unknown);
    if (wide < 0) return FAIL(err, ST_NOMEM, "out of memory");
    graph_replace_uses(g, n.out[0], wide);
    if (graph_add_node(g, &(struct graph_node){ .op = OP_CAST,
                                                .version = 21,
                                                .name = "widen",
                                                .in = &n.out[0],
                                                .n_in = 1,
                                                .out = &wide,
                                                .n_out = 1,
                                                .attrs = &to,
                                                .n_attrs = 1 }) < 0)
        return FAIL(err, ST_NOMEM, "out of memory");
    return ST_OK;
}

/* A cast from float to float, whatever the widths. */
static bool is_float_cast(const struct graph *g, const struct graph_node *n)
{
    union op_attrs at;

    if (n->op != OP_CAST || !match_attrs(n, &at) || at.cast.to < 0 || at.cast.to >= DT_COUNT)
        return false;
    return is_float(g->values[n->in[0]].type.dtype) && is_float((enum dtype)at.cast.to);
}

/* A cast to halves from something else gives f32. */
static status retarget_cast(struct graph *g, int node, struct err *err)
{
    const struct attr to = attr_int("to", DT_F32);
    struct graph_node n = g->nodes[node];
    union op_attrs at;

    if (!match_attrs(&n, &at) || at.cast.to < 0 || at.cast.to >= DT_COUNT ||
        !is_half((enum dtype)at.cast.to))
        return ST_OK;
    graph_remove_node(g, node);
    n.attrs = &to;
    n.n_attrs = 1;
    if (graph_add_node(g, &n) < 0) return FAIL(err, ST_NOMEM, "out of memory");
    return ST_OK;
}

status lower_widen(struct graph *g, struct err *err)
{
    const size_t n_nodes = g->n_nodes;

    for (size_t i = 0; i < n_nodes; i++) {
        const struct graph_node *n = &g->nodes[i];

        if (n->op == OP_NONE) continue;
        if (is_float_cast(g, n)) {
            graph_replace_uses(g, n->out[0], n->in[0]);
            graph_remove_node(g, (int)i);
        } else if (n->op == OP_CAST) {
            TRY(retarget_cast(g, (int)i, err));
        } else if (n->op == OP_GATHER || n->op == OP_GATHERCOLS) {
            TRY(cast_embedding(g, (int)i, err));
        } else if (!reads_halves(n->op)) {
            TRY(widen_inputs(g, (int)i, err));
        }
    }
    return graph_compact(g, err);
}
