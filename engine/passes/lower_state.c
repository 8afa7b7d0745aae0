/* SPDX-License-Identifier: MIT */
/* Layers that carry something other than keys and values from step to step: convolutions and
 * recurrences. Their past and present tensors disappear; each sequence has one state, in which a
 * layer's part begins at its state_offset. A state is recognised by what reads it and by the graph
 * output that continues it, not by its name.
 *
 * Exporters turn rows for the convolution, [batch, features, sequence]; rows of tokens are never
 * turned, so between the two Transposes an axis of features becomes the last one. */
#include "engine/passes/lower.h"
#include <string.h>

enum { STATE_ATTRS = 16, STATE_ALIGN = 16 /* floats */ };
#define STATE_FLOATS_MAX (INT64_C(1) << 32)

static status refuse(const struct graph_node *n, const char *why, struct err *err)
{
    return FAIL(err, ST_UNSUPPORTED, "node %s (%s): %s", n->name, op_row(n->op)->name, why);
}

/* ---- states ---- */

/* Input of a node that takes a past state; -1: none does. */
static int past_input(enum op_kind op) { return op == OP_CAUSALCONV || op == OP_LINATTN ? 3 : -1; }

/* The only user of a value, behind casts; -1 when there is none or more. */
static int only_user(const struct graph *g, int *value)
{
    for (int casts = 0; casts < 4; casts++) {
        const int user = graph_next_user(g, *value, -1);
        if (user < 0 || graph_uses(g, *value) != 1) return -1;
        if (g->nodes[user].op != OP_CAST) return user;
        *value = g->nodes[user].out[0];
    }
    return -1;
}

static bool is_output(const struct graph *g, int value)
{
    for (size_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == value) return true;
    return false;
}

/* The value is an output of the graph and nothing else, perhaps behind a cast. */
static bool is_handed_on(const struct graph *g, int value)
{
    if (value < 0 || graph_uses(g, value) != 1) return false;
    if (is_output(g, value)) return true;
    const int user = graph_next_user(g, value, -1);
    return user >= 0 && g->nodes[user].op == OP_CAST && is_output(g, g->nodes[user].out[0]);
}

bool lower_is_state(const struct lower *lo, int value)
{
    int at = value;
    const int user = only_user(lo->g, &at);

    if (user < 0) return false;
    const struct graph_node *n = &lo->g->nodes[user];
    const int past = past_input(n->op);
    return past >= 0 && match_in(n, past) == at && is_handed_on(lo->g, match_out(n, 1));
}

/* `floats` more of each sequence's state. */
static status add_state(struct lower *lo, const struct graph_node *n, int64_t floats, int64_t *at,
                        struct err *err)
{
    struct lower_info *info = lo->info;

    if (floats < 0 || floats > STATE_FLOATS_MAX - info->state_floats - STATE_ALIGN)
        return FAIL(err, ST_LIMIT, "node %s: its state is too large", n->name);
    *at = info->state_floats;
    info->state_floats += (floats + STATE_ALIGN - 1) / STATE_ALIGN * STATE_ALIGN;
    info->n_states++;
    return ST_OK;
}

/* The node again as `op`, with `state_offset`; its present output is gone. */
static status replace(struct lower *lo, int node, enum op_kind op, const int *in, int64_t offset,
                      struct err *err)
{
    const struct graph_node n = lo->g->nodes[node];
    struct attr attrs[STATE_ATTRS];
    const int n_in = op == OP_SEQCONV ? 3 : 6;
    int n_attrs = 0;

    if (n.n_attrs >= STATE_ATTRS) return refuse(&n, "too many attributes", err);
    for (int i = 0; i < n.n_attrs; i++)
        if (!str_equal(n.attrs[i].name, "state_offset")) attrs[n_attrs++] = n.attrs[i];
    attrs[n_attrs++] = attr_int("state_offset", offset);
    graph_remove_node(lo->g, node);
    if (graph_add_node(lo->g, &(struct graph_node){ .op = op,
                                                    .version = 1,
                                                    .name = n.name,
                                                    .in = in,
                                                    .n_in = n_in,
                                                    .out = n.out,
                                                    .n_out = 1,
                                                    .attrs = attrs,
                                                    .n_attrs = n_attrs }) < 0)
        return FAIL(err, ST_NOMEM, "out of memory");
    if (match_out(&n, 1) >= 0) lo->low[n.out[1]].kind = LOW_PRESENT;
    return ST_OK;
}

static status lower_conv(struct lower *lo, int node, struct err *err)
{
    const struct graph_node n = lo->g->nodes[node];
    const int x = match_in(&n, 0), w = match_in(&n, 1), bias = match_in(&n, 2);
    union op_attrs at;
    int64_t offset = 0;

    TRY(op_attrs_read(n.op, n.attrs, n.n_attrs, &at, err));
    if (lower_kind_of(lo, x) != LOW_FEATURES || lower_kind_of(lo, w) != LOW_CONST ||
        (bias >= 0 && lower_kind_of(lo, bias) != LOW_CONST))
        return refuse(&n, "its input is not rows of tokens, or its taps are no constants", err);
    if (lower_kind_of(lo, match_in(&n, 3)) != LOW_STATE)
        return refuse(&n, "no input and output of the model hold its past", err);
    const struct tensor_type *t = &lo->g->values[w].type;
    if (t->ndim != 3 || t->dim[0] < 1 || t->dim[2] < 1 || t->dim[0] > INT32_MAX ||
        t->dim[2] > INT16_MAX || at.causalconv.dilation < 1 || at.causalconv.dilation > INT16_MAX)
        return refuse(&n, "taps of no known shape", err);
    const int64_t rows = (t->dim[2] - 1) * at.causalconv.dilation;
    if (rows > INT32_MAX) return refuse(&n, "its past is too long", err);
    TRY(add_state(lo, &n, rows <= STATE_FLOATS_MAX / t->dim[0] ? rows * t->dim[0] : -1, &offset,
                  err));
    lo->low[n.out[0]] = lo->low[x];
    return replace(lo, node, OP_SEQCONV, (int[]){ x, w, bias }, offset, err);
}

/* Rows [tokens, columns]. */
static bool is_rows(const struct lower *lo, int value)
{
    return lower_kind_of(lo, value) == LOW_ROWS && lo->low[value].rank == 3 &&
           lo->low[value].fold == 1 && !lo->low[value].flat;
}

static int64_t columns(const struct lower *lo, int value)
{
    const struct tensor_type *t = &lo->g->values[value].type;

    return t->ndim > 0 ? t->dim[t->ndim - 1] : -1;
}

static status lower_linattn(struct lower *lo, int node, struct err *err)
{
    const struct graph_node n = lo->g->nodes[node];
    const int in[6] = { match_in(&n, 0), match_in(&n, 1), match_in(&n, 2), -1,
                        match_in(&n, 4), match_in(&n, 5) };
    union op_attrs at;
    int64_t offset = 0;

    TRY(op_attrs_read(n.op, n.attrs, n.n_attrs, &at, err));
    for (int i = 0; i < 6; i++)
        if ((i < 3 || in[i] >= 0) && !is_rows(lo, in[i]))
            if (i != 3) return refuse(&n, "an operand is not rows of tokens", err);
    if (lower_kind_of(lo, match_in(&n, 3)) != LOW_STATE)
        return refuse(&n, "no input and output of the model hold its past", err);
    const int64_t heads = at.linattn.q_num_heads, kv_heads = at.linattn.kv_num_heads;
    const int64_t q = columns(lo, in[0]), v = columns(lo, in[2]);
    if (heads < 1 || kv_heads < 1 || q < 1 || v < 1 || q > INT32_MAX || v > INT32_MAX ||
        q % heads != 0 || v % kv_heads != 0)
        return refuse(&n, "heads of no known width", err);
    /* heads [key width, value width]: kv_heads * (q / heads) * (v / kv_heads) */
    TRY(add_state(lo, &n, q / heads <= STATE_FLOATS_MAX / v ? q / heads * v : -1, &offset, err));
    lo->low[n.out[0]] = lo->low[in[0]];
    return replace(lo, node, OP_SEQLINATTN, in, offset, err);
}

/* ---- turned rows ---- */

static bool is_feature_axis(int64_t axis) { return axis == 1 || axis == -2; }

/* An Identity in the node's place; it goes when types are known. */
static status pass_on(struct lower *lo, int node, enum low_kind kind, struct err *err)
{
    const struct graph_node n = lo->g->nodes[node];

    lo->low[n.out[0]] = lo->low[n.in[0]];
    lo->low[n.out[0]].kind = kind;
    graph_remove_node(lo->g, node);
    if (graph_add_node(lo->g, &(struct graph_node){ .op = OP_IDENTITY,
                                                    .version = 13,
                                                    .name = n.name,
                                                    .in = n.in,
                                                    .n_in = 1,
                                                    .out = n.out,
                                                    .n_out = 1 }) < 0)
        return FAIL(err, ST_NOMEM, "out of memory");
    return ST_OK;
}

/* [0, 2, 1] turns rows, and turns them back. */
static status lower_flip(struct lower *lo, int node, struct err *err)
{
    const struct graph_node *n = &lo->g->nodes[node];
    const enum low_kind kind = lower_kind_of(lo, n->in[0]);
    union op_attrs at;

    TRY(op_attrs_read(n->op, n->attrs, n->n_attrs, &at, err));
    const struct ir_ints *perm = &at.transpose.perm;
    if ((kind != LOW_FEATURES && !is_rows(lo, n->in[0])) || perm->n != 3 || perm->v[0] != 0 ||
        perm->v[1] != 2 || perm->v[2] != 1)
        return refuse(n, "it moves tokens or the dimensions of rows", err);
    return pass_on(lo, node, kind == LOW_FEATURES ? LOW_ROWS : LOW_FEATURES, err);
}

/* A constant beside turned rows, as it stands beside rows: [1, C, 1] becomes [C]. -1: it reaches
 * batch or sequence, or memory runs out. */
static int turn_constant(struct lower *lo, int value)
{
    struct tensor_type t = lo->g->values[value].type;
    size_t count = 0;

    if (!type_elements(&t, &count)) return -1;
    if (count == 1) {
        t.ndim = 0;
    } else {
        if (t.ndim < 2 || t.ndim > 3 || t.dim[t.ndim - 1] != 1 || (t.ndim == 3 && t.dim[0] != 1))
            return -1;
        t.dim[0] = t.dim[t.ndim - 2];
        t.ndim = 1;
    }
    return graph_add_constant(lo->g, NULL, &t, lo->g->values[value].data, false);
}

static status turned_elementwise(struct lower *lo, int node, struct err *err)
{
    const struct graph_node n = lo->g->nodes[node];

    for (int i = 0; i < n.n_in; i++) {
        const enum low_kind kind = lower_kind_of(lo, n.in[i]);

        if (n.in[i] < 0 || kind == LOW_FEATURES) continue;
        const int turned = kind == LOW_CONST ? turn_constant(lo, n.in[i]) : -1;
        if (turned < 0)
            return refuse(&n, "its operands mix features, sequence and other dimensions", err);
        graph_set_input(lo->g, node, i, turned);
    }
    for (int i = 0; i < n.n_out; i++)
        if (n.out[i] >= 0)
            lo->low[n.out[i]] = (struct low_value){ LOW_FEATURES, .rank = 3, .fold = 1 };
    return ST_OK;
}

/* Split and Concat along the features: along the last axis of rows. */
static status turned_last_axis(struct lower *lo, int node, int64_t axis, struct err *err)
{
    struct graph_node n = lo->g->nodes[node];
    struct attr attrs[STATE_ATTRS];
    int n_attrs = 0;

    if (!is_feature_axis(axis) || n.n_attrs >= STATE_ATTRS)
        return refuse(&n, "its axis is not that of the features", err);
    for (int i = 0; i < n.n_in; i++)
        if (i == 0 || n.op == OP_CONCAT)
            if (lower_kind_of(lo, n.in[i]) != LOW_FEATURES)
                return refuse(&n, "an operand is not rows of tokens", err);
    for (int i = 0; i < n.n_attrs; i++)
        if (!str_equal(n.attrs[i].name, "axis")) attrs[n_attrs++] = n.attrs[i];
    attrs[n_attrs++] = attr_int("axis", -1);
    for (int i = 0; i < n.n_out; i++)
        if (n.out[i] >= 0) lo->low[n.out[i]] = lo->low[n.in[0]];
    graph_remove_node(lo->g, node);
    n.attrs = attrs;
    n.n_attrs = n_attrs;
    if (graph_add_node(lo->g, &n) < 0) return FAIL(err, ST_NOMEM, "out of memory");
    return ST_OK;
}

static bool any_flipped(const struct lower *lo, const struct graph_node *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (lower_kind_of(lo, n->in[i]) == LOW_FEATURES) return true;
    return false;
}

static status lower_flipped(struct lower *lo, int node, struct err *err)
{
    const struct graph_node *n = &lo->g->nodes[node];
    union op_attrs at;

    if (n->op == OP_CAST || n->op == OP_CLIP || n->op == OP_GATEDACT || lower_is_elementwise(n->op))
        return turned_elementwise(lo, node, err);
    if (n->op != OP_SPLIT && n->op != OP_CONCAT)
        return refuse(n, "no rule for rows with the features before the sequence", err);
    TRY(op_attrs_read(n->op, n->attrs, n->n_attrs, &at, err));
    return turned_last_axis(lo, node, n->op == OP_SPLIT ? at.split.axis : at.axis.axis, err);
}

status lower_state_node(struct lower *lo, int node, bool *done, struct err *err)
{
    const struct graph_node *n = &lo->g->nodes[node];
    const enum low_kind first = lower_kind_of(lo, match_in(n, 0));

    *done = true;
    if (n->op == OP_CAUSALCONV) return lower_conv(lo, node, err);
    if (n->op == OP_LINATTN) return lower_linattn(lo, node, err);
    if (n->op == OP_CAST && (first == LOW_STATE || first == LOW_PRESENT))
        return pass_on(lo, node, first, err);
    if (n->op == OP_TRANSPOSE && (first == LOW_FEATURES || is_rows(lo, match_in(n, 0))))
        return lower_flip(lo, node, err);
    if (any_flipped(lo, n)) return lower_flipped(lo, node, err);
    *done = false;
    return ST_OK;
}
