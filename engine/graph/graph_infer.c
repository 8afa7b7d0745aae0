/* SPDX-License-Identifier: MIT */
/* Types of every value, in execution order, through subgraphs; and the call of one node. */
#include "engine/graph/graph_align.h"
#include "engine/graph/graph_internal.h"
#include <string.h>

enum { SHAPE_TEXT_MAX = 160 };

static const struct tensor tensor_absent = { .type = { .dtype = DT_NONE } };

status graph_node_call(const struct graph *g, int node, struct arena *a, struct op_call *call,
                       struct err *err)
{
    const struct graph_node *n = &g->nodes[node];

    *call = (struct op_call){
        .op = n->op, .version = n->version, .node = n->name, .n_in = n->n_in, .n_out = n->n_out
    };
    call->in = ARENA_ARRAY(a, (size_t)n->n_in, struct tensor);
    call->out = ARENA_ARRAY(a, (size_t)n->n_out, struct tensor);
    if (!call->in || !call->out) return FAIL(err, ST_NOMEM, "out of memory");
    for (int i = 0; i < n->n_in; i++) {
        call->in[i] = tensor_absent;
        if (n->in[i] < 0) continue;
        const struct graph_value *v = &g->values[n->in[i]];
        call->in[i].type = v->type;
        call->in[i].data = (void *)(uintptr_t)v->data;
    }
    const status st = op_attrs_read(n->op, n->attrs, n->n_attrs, &call->attr, err);
    if (st != ST_OK) err_prefix(err, "node '%s'", n->name);
    return st;
}

/* ---- merging what is inferred with what the file declares ---- */

/* Fills what inference left open from the declared shape; false when the two contradict. */
static bool merge_shape(struct tensor_type *inferred, const struct tensor_type *declared)
{
    if (declared->ndim < 0) return true;
    if (inferred->ndim < 0) {
        inferred->ndim = declared->ndim;
        memcpy(inferred->dim, declared->dim, sizeof inferred->dim);
        return true;
    }
    if (inferred->ndim != declared->ndim) return false;
    for (int i = 0; i < inferred->ndim; i++) {
        if (inferred->dim[i] >= 0 && declared->dim[i] >= 0 && inferred->dim[i] != declared->dim[i])
            return false;
    }
    for (int i = 0; i < inferred->ndim; i++) {
        if (inferred->dim[i] == DIM_UNKNOWN || (inferred->dim[i] < 0 && declared->dim[i] >= 0))
            inferred->dim[i] = declared->dim[i];
    }
    return true;
}

/* Exporters declare wrong shapes now and then (a reduced axis kept, a scalar as [1]); what the
 * operators say holds. A wrong dtype is an error. */
static status store_type(struct graph *g, const struct graph_node *n, int value,
                         const struct tensor_type *inferred, struct err *err)
{
    char have[SHAPE_TEXT_MAX], want[SHAPE_TEXT_MAX];
    struct graph_value *v = &g->values[value];
    struct tensor_type merged = *inferred;

    if (merged.dtype == DT_NONE) merged.dtype = v->type.dtype;
    if (v->type.dtype != DT_NONE && v->type.dtype != merged.dtype)
        return FAIL(err, ST_SHAPE, "node '%s' (%s): value '%s' is %s, declared as %s", n->name,
                    op_name(n->op), v->name, type_print(inferred, have, sizeof have),
                    type_print(&v->type, want, sizeof want));
    if (!merge_shape(&merged, &v->type))
        LOG(LOG_DEBUG,
            "event=declared_shape_wrong node=\"%s\" value=\"%s\" inferred=%s declared=%s", n->name,
            v->name, type_print(inferred, have, sizeof have),
            type_print(&v->type, want, sizeof want));
    v->type = merged;
    return ST_OK;
}

/* ---- subgraphs ---- */

static status infer_graph(struct graph *g, int depth, struct err *err);

/* What two branches give in common: dimensions that differ become unknown. */
static bool common_type(struct tensor_type *a, const struct tensor_type *b)
{
    if (a->dtype != b->dtype) return false;
    if (a->ndim != b->ndim) a->ndim = -1;
    for (int i = 0; i < a->ndim; i++) {
        if (a->dim[i] != b->dim[i]) a->dim[i] = DIM_UNKNOWN;
    }
    return true;
}

static status infer_inner(struct graph *g, const struct graph_node *n, struct graph *inner,
                          int depth, struct err *err)
{
    for (size_t i = 0; i < inner->n_values; i++) {
        struct graph_value *v = &inner->values[i];
        if (v->captured < 0) continue;
        v->type = g->values[v->captured].type;
        v->data = g->values[v->captured].data;
    }
    const status st = infer_graph(inner, depth + 1, err);
    if (st != ST_OK) err_prefix(err, "node '%s', graph '%s'", n->name, inner->name);
    return st;
}

static status infer_if(struct graph *g, const struct graph_node *n, struct op_call *call, int depth,
                       struct err *err)
{
    static const char *const names[] = { "then_branch", "else_branch" };

    for (size_t b = 0; b < COUNT(names); b++) {
        struct graph *inner = graph_node_branch(n, names[b]);

        if (!inner)
            return FAIL(err, ST_FORMAT, "node '%s' (If): attribute '%s' is missing", n->name,
                        names[b]);
        if (inner->n_inputs != 0 || inner->n_outputs != (size_t)n->n_out)
            return FAIL(err, ST_FORMAT,
                        "node '%s' (If): %s has %zu inputs and %zu outputs, expected 0 and %d",
                        n->name, names[b], inner->n_inputs, inner->n_outputs, n->n_out);
        TRY(infer_inner(g, n, inner, depth, err));
        for (int i = 0; i < n->n_out; i++) {
            const struct tensor_type *t = &inner->values[inner->outputs[i]].type;
            if (b == 0)
                call->out[i].type = *t;
            else if (!common_type(&call->out[i].type, t))
                return FAIL(err, ST_SHAPE,
                            "node '%s' (If): output %d is %s in one branch, %s in the other",
                            n->name, i, dtype_name(call->out[i].type.dtype), dtype_name(t->dtype));
        }
    }
    return ST_OK;
}

/* ---- bodies of Loop and Scan ---- */

/* An input of a body that declares nothing: of this type, its shape open. */
static void body_input(struct graph *body, size_t i, enum dtype dt, int ndim)
{
    struct graph_value *v = &body->values[body->inputs[i]];

    if (v->type.dtype != DT_NONE) return;
    v->type = (struct tensor_type){ .dtype = dt, .ndim = ndim };
}

/* Output i of the node is carried from turn to turn: its shape may change. */
static status carried_type(const struct graph_node *n, struct op_call *call, int i, enum dtype had,
                           const struct tensor_type *gives, struct err *err)
{
    if (had != gives->dtype)
        return FAIL(err, ST_SHAPE, "node '%s' (%s): state %d is %s, the body gives %s", n->name,
                    op_name(n->op), i, dtype_name(had), dtype_name(gives->dtype));
    if (i < n->n_out) call->out[i].type = (struct tensor_type){ .dtype = had, .ndim = -1 };
    return ST_OK;
}

/* What the body gives in one turn, along a new axis. */
static status stacked_type(const struct graph_node *n, struct op_call *call, int i,
                           const struct tensor_type *piece, int64_t axis, struct err *err)
{
    struct tensor_type t = { .dtype = piece->dtype, .ndim = -1 };

    if (piece->ndim >= 0 && piece->ndim < IR_DIMS_MAX) {
        t.ndim = piece->ndim + 1;
        if (axis < -t.ndim || axis >= t.ndim)
            return FAIL(err, ST_SHAPE, "node '%s' (%s): output %d has %d axes, not axis %lld",
                        n->name, op_name(n->op), i, t.ndim, (long long)axis);
        if (axis < 0) axis += t.ndim;
        for (int d = 0, k = 0; d < t.ndim; d++)
            t.dim[d] = d == axis ? DIM_UNKNOWN : piece->dim[k++];
    }
    call->out[i].type = t;
    return ST_OK;
}

/* Loop: body (turn, condition, states …) -> condition, states …, pieces …. */
static status infer_loop_body(struct graph *g, const struct graph_node *n, struct op_call *call,
                              int depth, struct err *err)
{
    struct graph *body = graph_node_branch(n, "body");
    const int states = n->n_in - 2;

    if (!body || body->n_inputs != (size_t)n->n_in || body->n_outputs < 1 + (size_t)states ||
        (size_t)n->n_out > body->n_outputs - 1)
        return FAIL(err, ST_FORMAT,
                    "node '%s' (Loop): the body is missing, or its inputs and outputs do not fit",
                    n->name);
    body_input(body, 0, DT_I64, 0);
    body_input(body, 1, DT_BOOL, 0);
    for (int i = 0; i < states; i++)
        body_input(body, 2 + (size_t)i, call->in[2 + i].type.dtype, -1);
    TRY(infer_inner(g, n, body, depth, err));
    const struct tensor_type *more = &body->values[body->outputs[0]].type;
    if (more->dtype != DT_BOOL)
        return FAIL(err, ST_SHAPE, "node '%s' (Loop): the body's condition is %s, expected bool",
                    n->name, dtype_name(more->dtype));
    for (int i = 0; i < states; i++)
        TRY(carried_type(n, call, i, call->in[2 + i].type.dtype,
                         &body->values[body->outputs[1 + i]].type, err));
    for (int i = states; i < n->n_out; i++)
        TRY(stacked_type(n, call, i, &body->values[body->outputs[1 + i]].type, 0, err));
    return ST_OK;
}

/* Scan: body (states …, slices …) -> states …, pieces …. */
static status infer_scan_body(struct graph *g, const struct graph_node *n, struct op_call *call,
                              int depth, struct err *err)
{
    const struct attrs_scan *a = &call->attr.scan;
    struct graph *body = graph_node_branch(n, "body");
    const int states = n->n_in - (int)a->num_scan_inputs;

    if (!body || body->n_inputs != (size_t)n->n_in || body->n_outputs < (size_t)states ||
        (size_t)n->n_out > body->n_outputs)
        return FAIL(err, ST_FORMAT,
                    "node '%s' (Scan): the body is missing, or its inputs and outputs do not fit",
                    n->name);
    for (int i = 0; i < n->n_in; i++) body_input(body, (size_t)i, call->in[i].type.dtype, -1);
    TRY(infer_inner(g, n, body, depth, err));
    for (int i = 0; i < states; i++)
        TRY(carried_type(n, call, i, call->in[i].type.dtype, &body->values[body->outputs[i]].type,
                         err));
    for (int i = states; i < n->n_out; i++)
        TRY(stacked_type(n, call, i, &body->values[body->outputs[i]].type,
                         i - states < a->out_axes.n ? a->out_axes.v[i - states] : 0, err));
    return ST_OK;
}

/* ---- the walk ---- */

static status infer_node(struct graph *g, int node, struct arena *scratch, int depth,
                         struct err *err)
{
    const struct graph_node *n = &g->nodes[node];
    const struct op_row *row = op_row(n->op);
    struct op_call call;

    if (n->op == OP_NONE) return ST_OK;
    if (!row) return FAIL(err, ST_INTERNAL, "node '%s': operator %d", n->name, (int)n->op);
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] >= 0 && g->values[n->in[i]].type.dtype == DT_NONE)
            return FAIL(err, ST_FORMAT, "node '%s' (%s): the type of input '%s' is not known",
                        n->name, op_name(n->op), g->values[n->in[i]].name);
    }
    TRY(graph_node_call(g, node, scratch, &call, err));
    TRY(graph_align_inputs(g, node, &call, err));
    TRY(row->infer(&call, err));
    if (n->op == OP_IF) TRY(infer_if(g, n, &call, depth, err));
    if (n->op == OP_LOOP) TRY(infer_loop_body(g, n, &call, depth, err));
    if (n->op == OP_SCAN) TRY(infer_scan_body(g, n, &call, depth, err));
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] >= 0) TRY(store_type(g, n, n->out[i], &call.out[i].type, err));
    }
    return ST_OK;
}

static status infer_graph(struct graph *g, int depth, struct err *err)
{
    struct arena scratch = { 0 };
    status st = ST_OK;

    if (depth > GRAPH_DEPTH_MAX)
        return FAIL(err, ST_LIMIT, "subgraphs nest deeper than %d", GRAPH_DEPTH_MAX);
    for (size_t i = 0; st == ST_OK && i < g->n_nodes; i++) {
        arena_reset(&scratch);
        st = infer_node(g, (int)i, &scratch, depth, err);
    }
    arena_fini(&scratch);
    return st == ST_OK ? graph_align_outputs(g, err) : st;
}

status graph_infer(struct graph *g, struct err *err) { return infer_graph(g, 0, err); }
