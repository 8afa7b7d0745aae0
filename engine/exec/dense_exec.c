/* SPDX-License-Identifier: MIT */
#include "engine/exec/dense_internal.h"
#include "engine/graph/graph_pages.h"
#include <string.h>

/* ---- life ---- */

static status create(struct dense_exec **out, const struct graph *g, struct backend *be, int depth,
                     struct err *err);

static status init_branches(struct dense_exec *x, int node, int depth, struct err *err)
{
    const struct graph_node *n = &x->g->nodes[node];
    const struct graph *t = graph_node_branch(n, "then_branch"),
                       *e = graph_node_branch(n, "else_branch");

    if (!t || !e) return FAIL(err, ST_FORMAT, "node %s: If lacks a branch", n->name);
    TRY(create(&x->nodes[node].then_x, t, x->be, depth + 1, err));
    return create(&x->nodes[node].else_x, e, x->be, depth + 1, err);
}

static status init_body(struct dense_exec *x, int node, int depth, struct err *err)
{
    const struct graph_node *n = &x->g->nodes[node];
    const struct graph *body = graph_node_branch(n, "body");

    if (!body) return FAIL(err, ST_FORMAT, "node %s: %s lacks a body", n->name, op_name(n->op));
    return create(&x->nodes[node].then_x, body, x->be, depth + 1, err);
}

static status init_node(struct dense_exec *x, int node, int depth, struct err *err)
{
    const struct graph_node *n = &x->g->nodes[node];
    struct dense_node *d = &x->nodes[node];

    d->run.be = x->be;
    d->in = ARENA_ARRAY(&x->arena, (size_t)n->n_in + 1, struct tensor);
    d->out = ARENA_ARRAY(&x->arena, (size_t)n->n_out + 1, struct tensor);
    d->is_const = ARENA_ARRAY(&x->arena, (size_t)n->n_in + 1, bool);
    if (!d->in || !d->out || !d->is_const) return FAIL(err, ST_NOMEM, "out of memory");
    for (int i = 0; i < n->n_in; i++)
        d->is_const[i] = n->in[i] >= 0 && graph_is_constant(x->g, n->in[i]);
    if (n->op == OP_IF) return init_branches(x, node, depth, err);
    if (n->op == OP_LOOP || n->op == OP_SCAN) TRY(init_body(x, node, depth, err));
    const status st = op_attrs_read(n->op, n->attrs, n->n_attrs, &d->attr, err);
    if (st != ST_OK) err_prefix(err, "node %s", n->name);
    return st;
}

/* What the branches of an If capture is used by the If. */
static void count_captures(struct dense_exec *x, const struct dense_exec *branch)
{
    for (size_t i = 0; branch && i < branch->g->n_values; i++)
        if (branch->g->values[i].captured >= 0) x->uses[branch->g->values[i].captured]++;
}

static bool is_read(const struct dense_exec *x, const struct graph_node *n, int out)
{
    return n->out[out] >= 0 && x->uses[n->out[out]] > 0;
}

/* A node of which nobody reads anything does not run. */
static bool is_dead(const struct dense_exec *x, const struct graph_node *n)
{
    for (int i = 0; i < n->n_out; i++)
        if (is_read(x, n, i)) return false;
    return true;
}

/* From the last node to the first, so that what only dead nodes read is not read. */
static void count_uses(struct dense_exec *x)
{
    const struct graph *g = x->g;

    for (size_t i = 0; i < g->n_outputs; i++) x->uses[g->outputs[i]]++;
    for (size_t i = g->n_nodes; i-- > 0;) {
        const struct graph_node *n = &g->nodes[i];

        if (is_dead(x, n)) continue;
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] >= 0) x->uses[n->in[k]]++;
        count_captures(x, x->nodes[i].then_x);
        count_captures(x, x->nodes[i].else_x);
    }
}

static status init(struct dense_exec *x, int depth, struct err *err)
{
    const struct graph *g = x->g;

    x->slots = ARENA_ARRAY(&x->arena, g->n_values + 1, struct slot);
    x->uses = ARENA_ARRAY(&x->arena, g->n_values + 1, int);
    x->nodes = ARENA_ARRAY(&x->arena, g->n_nodes + 1, struct dense_node);
    if (!x->slots || !x->uses || !x->nodes) return FAIL(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; i < g->n_nodes; i++) TRY(init_node(x, (int)i, depth, err));
    count_uses(x);
    return ST_OK;
}

static status create(struct dense_exec **out, const struct graph *g, struct backend *be, int depth,
                     struct err *err)
{
    struct dense_exec *x;

    *out = NULL;
    if (depth > DENSE_DEPTH_MAX)
        return FAIL(err, ST_LIMIT, "graph %s: subgraphs nest deeper than %d", g->name,
                    DENSE_DEPTH_MAX);
    x = mem_calloc(1, sizeof *x);
    if (!x) return FAIL(err, ST_NOMEM, "out of memory");
    x->g = g;
    x->be = be;
    const status st = init(x, depth, err);
    if (st != ST_OK) {
        dense_exec_destroy(x);
        return st;
    }
    *out = x;
    return ST_OK;
}

status dense_exec_create(struct dense_exec **out, const struct graph *g, struct backend *be,
                         struct err *err)
{
    return create(out, g, be, 0, err);
}

void dense_slot_free(struct slot *s)
{
    if (s->owned) mem_free_aligned(s->tensor.data);
    *s = (struct slot){ 0 };
}

static void free_slots(struct dense_exec *x)
{
    for (size_t i = 0; x->slots && i < x->g->n_values; i++) dense_slot_free(&x->slots[i]);
}

void dense_exec_destroy(struct dense_exec *x)
{
    if (!x) return;
    free_slots(x);
    for (size_t i = 0; x->nodes && i < x->g->n_nodes; i++) {
        node_run_fini(&x->nodes[i].run);
        dense_exec_destroy(x->nodes[i].then_x);
        dense_exec_destroy(x->nodes[i].else_x);
    }
    arena_fini(&x->arena);
    mem_free(x);
}

/* ---- a run ---- */

static void release_use(struct dense_exec *x, int value)
{
    if (value >= 0 && --x->slots[value].uses == 0) dense_slot_free(&x->slots[value]);
}

static status gather_inputs(struct dense_exec *x, int node, struct err *err)
{
    const struct graph_node *n = &x->g->nodes[node];

    for (int i = 0; i < n->n_in; i++) {
        x->nodes[node].in[i] = (struct tensor){ .type = { .dtype = DT_NONE } };
        if (n->in[i] < 0) continue;
        x->nodes[node].in[i] = x->slots[n->in[i]].tensor;
        if (!x->nodes[node].in[i].data)
            return FAIL(err, ST_FORMAT, "node %s: input '%s' has no value", n->name,
                        x->g->values[n->in[i]].name);
    }
    return ST_OK;
}

/* Kernels do without the outputs that they are not given, but for the first, which most of them
 * compute the others from, and for the parts of Split, each of which says where the next begins. */
static bool is_written(const struct dense_exec *x, const struct graph_node *n, int out)
{
    return is_read(x, n, out) || (n->out[out] >= 0 && (out == 0 || n->op == OP_SPLIT));
}

/* Blocks for the outputs that are read or must be written; the others are marked absent. */
static status allocate_outputs(struct dense_exec *x, int node, struct err *err)
{
    const struct graph_node *n = &x->g->nodes[node];

    for (int i = 0; i < n->n_out; i++) {
        struct tensor *t = &x->nodes[node].out[i];
        size_t bytes = 0;

        t->data = NULL;
        if (!is_written(x, n, i)) {
            t->type = (struct tensor_type){ .dtype = DT_NONE };
            continue;
        }
        if (!type_bytes(&t->type, &bytes))
            return FAIL(err, ST_UNSUPPORTED,
                        "node %s: the shape of output %d cannot be known before it runs", n->name,
                        i);
        t->data = mem_alloc_aligned(DENSE_ALIGN, bytes ? bytes : 1);
        if (!t->data)
            return FAIL(err, ST_NOMEM, "node %s: no memory for an output of %zu bytes", n->name,
                        bytes);
        x->slots[n->out[i]] = (struct slot){ *t, x->uses[n->out[i]], true };
    }
    return ST_OK;
}

static status run_kernel(struct dense_exec *x, int node, struct err *err)
{
    const struct graph_node *n = &x->g->nodes[node];
    struct dense_node *d = &x->nodes[node];
    struct op_call call = { .op = n->op,
                            .version = n->version,
                            .node = n->name,
                            .attr = d->attr,
                            .n_in = n->n_in,
                            .n_out = n->n_out };

    call.in = d->in;
    call.out = d->out;
    for (int i = 0; i < n->n_out; i++) d->out[i] = (struct tensor){ .type = { .dtype = DT_NONE } };
    TRY(op_row(n->op)->infer(&call, err));
    TRY(allocate_outputs(x, node, err));
    if (d->forced && d->out[0].type.dtype == DT_BOOL) {
        size_t bytes = 0;
        if (type_bytes(&d->out[0].type, &bytes)) memset(d->out[0].data, d->forced_value, bytes);
        return ST_OK;
    }
    const bool was_packed = d->run.prepared != NULL;
    const struct op_packed packed = graph_packed(x->g);
    call.packed = &packed;
    TRY(node_run_execute(&d->run, &call, d->is_const, err));
    if (!was_packed && d->run.prepared) graph_drop_sources(x->g, &call);
    return ST_OK;
}

static void start_slots(struct dense_exec *x)
{
    free_slots(x);
    for (size_t i = 0; i < x->g->n_values; i++) {
        const struct graph_value *v = &x->g->values[i];
        if (v->data)
            x->slots[i] =
                (struct slot){ { v->type, (void *)(uintptr_t)v->data }, x->uses[i], false };
    }
}

static bool outlives_run(const struct graph *g, int value)
{
    const int captured = g->values[value].captured;

    return g->values[value].data || (captured >= 0 && g->outer && outlives_run(g->outer, captured));
}

status dense_take(struct dense_exec *b, int value, struct slot *out, struct err *err)
{
    struct slot *from = &b->slots[value];
    size_t bytes = 0;

    if (!from->tensor.data)
        return FAIL(err, ST_FORMAT, "branch output '%s' has no value", b->g->values[value].name);
    *out = (struct slot){ .tensor = from->tensor, .owned = true };
    if (from->owned && from->uses == 1) {
        from->owned = false;
    } else if (outlives_run(b->g, value)) {
        out->owned = false;
    } else {
        out->tensor.data = type_bytes(&from->tensor.type, &bytes)
                               ? mem_alloc_aligned(DENSE_ALIGN, bytes ? bytes : 1)
                               : NULL;
        if (!out->tensor.data) {
            *out = (struct slot){ 0 };
            return FAIL(err, ST_NOMEM, "out of memory");
        }
        memcpy(out->tensor.data, from->tensor.data, bytes);
    }
    from->uses--;
    return ST_OK;
}

void dense_start_inner(struct dense_exec *x, struct dense_exec *b)
{
    start_slots(b);
    for (size_t i = 0; i < b->g->n_values; i++)
        if (b->g->values[i].captured >= 0)
            b->slots[i] =
                (struct slot){ x->slots[b->g->values[i].captured].tensor, b->uses[i], false };
}

static status run_branch(struct dense_exec *x, int node, struct err *err)
{
    const struct graph_node *n = &x->g->nodes[node];
    const struct tensor *cond = &x->nodes[node].in[0];
    size_t count = 0;

    if (cond->type.dtype != DT_BOOL || !type_elements(&cond->type, &count) || count != 1)
        return FAIL(err, ST_SHAPE, "node %s: the condition of If must be one bool", n->name);
    struct dense_exec *b =
        *(const uint8_t *)cond->data ? x->nodes[node].then_x : x->nodes[node].else_x;
    if ((size_t)n->n_out > b->g->n_outputs)
        return FAIL(err, ST_FORMAT, "node %s: a branch has too few outputs", n->name);
    dense_start_inner(x, b);
    TRY(dense_run_nodes(b, err));
    for (int i = 0; i < n->n_out; i++) {
        if (!is_read(x, n, i)) continue;
        struct slot *to = &x->slots[n->out[i]];
        TRY(dense_take(b, b->g->outputs[i], to, err));
        to->uses = x->uses[n->out[i]];
    }
    return ST_OK;
}

void dense_exec_force_bool(struct dense_exec *x, int node, bool value)
{
    x->nodes[node].forced = true;
    x->nodes[node].forced_value = value;
}

static void release_captures(struct dense_exec *x, const struct dense_exec *branch)
{
    for (size_t i = 0; branch && i < branch->g->n_values; i++)
        release_use(x, branch->g->values[i].captured);
}

static void release(struct dense_exec *x, int node)
{
    const struct graph_node *n = &x->g->nodes[node];

    for (int i = 0; i < n->n_in; i++) release_use(x, n->in[i]);
    release_captures(x, x->nodes[node].then_x);
    release_captures(x, x->nodes[node].else_x);
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] >= 0 && !is_read(x, n, i)) dense_slot_free(&x->slots[n->out[i]]);
}

status dense_run_nodes(struct dense_exec *x, struct err *err)
{
    for (size_t i = 0; i < x->g->n_nodes; i++) {
        const struct graph_node *n = &x->g->nodes[i];

        if (is_dead(x, n)) continue;
        TRY(gather_inputs(x, (int)i, err));
        const status st = n->op == OP_IF     ? run_branch(x, (int)i, err)
                          : n->op == OP_LOOP ? dense_run_loop(x, (int)i, err)
                          : n->op == OP_SCAN ? dense_run_scan(x, (int)i, err)
                                             : run_kernel(x, (int)i, err);
        if (st != ST_OK) {
            err_prefix(err, "node %s", n->name);
            return st;
        }
        release(x, (int)i);
    }
    return ST_OK;
}

static status check_input(const struct graph *g, size_t i, const struct tensor *t, struct err *err)
{
    const struct graph_value *v = &g->values[g->inputs[i]];
    bool fits = t->data && type_known(&t->type) && t->type.dtype == v->type.dtype &&
                (v->type.ndim < 0 || v->type.ndim == t->type.ndim);

    for (int d = 0; fits && v->type.ndim >= 0 && d < t->type.ndim; d++)
        fits = v->type.dim[d] < 0 || v->type.dim[d] == t->type.dim[d];
    if (fits) return ST_OK;
    char want[128], got[128];
    return FAIL(err, ST_SHAPE, "input %s: expected %s, got %s", v->name,
                type_print(&v->type, want, sizeof want), type_print(&t->type, got, sizeof got));
}

status dense_exec_run(struct dense_exec *x, const struct tensor *in, struct tensor *out,
                      struct err *err)
{
    start_slots(x);
    for (size_t i = 0; i < x->g->n_inputs; i++) {
        const int value = x->g->inputs[i];
        TRY(check_input(x->g, i, &in[i], err));
        x->slots[value] = (struct slot){ in[i], x->uses[value], false };
    }
    TRY(dense_run_nodes(x, err));
    for (size_t i = 0; i < x->g->n_outputs; i++) {
        out[i] = x->slots[x->g->outputs[i]].tensor;
        if (!out[i].data)
            return FAIL(err, ST_FORMAT, "output %s has no value",
                        x->g->values[x->g->outputs[i]].name);
    }
    return ST_OK;
}
