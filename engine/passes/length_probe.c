/* SPDX-License-Identifier: MIT */
#include "engine/passes/length_probe.h"
#include "engine/exec/node_run.h"
#include "engine/passes/fold.h"

enum { PROBE_BYTES_MAX = 1 << 28 }; /* of one value */

struct walk {
    struct length_probe *p;
    struct backend *be;
    struct arena scratch;
};

/* ---- inputs ---- */

static int64_t number_at(enum lower_role role, int64_t at)
{
    return role == LOWER_MASK ? 1 : role == LOWER_POSITIONS ? at : 0;
}

static status fill_input(struct length_probe *p, size_t i, enum lower_role role, struct err *err)
{
    struct graph_value *v = &p->g->values[p->g->inputs[i]];
    const size_t n = (size_t)(p->batch * p->length);

    v->type = type_make(v->type.dtype, 2, (int64_t[]){ p->batch, p->length });
    if (role == LOWER_IDS) return ST_OK;
    int64_t *wide = ARENA_ARRAY(&p->arena, n, int64_t);
    if (!wide) return FAIL(err, ST_NOMEM, "out of memory");
    for (size_t k = 0; k < n; k++) {
        const int64_t x = number_at(role, (int64_t)k % p->length);

        switch (v->type.dtype) {
        case DT_I64: wide[k] = x; break;
        case DT_I32: ((int32_t *)wide)[k] = (int32_t)x; break;
        case DT_F32: ((float *)wide)[k] = (float)x; break;
        case DT_BOOL: ((uint8_t *)wide)[k] = x != 0; break;
        default:
            return FAIL(err, ST_UNSUPPORTED, "input %s is %s", v->name, dtype_name(v->type.dtype));
        }
    }
    v->data = wide;
    return ST_OK;
}

/* ---- nodes ---- */

static void mark_needed(struct walk *w, int value)
{
    const struct graph *g = w->p->g;
    const int last = g->values[value].producer;

    if (last < 0) return;
    w->p->needed[last] = true;
    for (int i = last; i >= 0; i--) {
        const struct graph_node *n = &g->nodes[i];

        if (!w->p->needed[i]) continue;
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] >= 0 && g->values[n->in[k]].producer >= 0)
                w->p->needed[g->values[n->in[k]].producer] = true;
    }
}

static bool inputs_known(const struct op_call *call)
{
    for (int i = 0; i < call->n_in; i++)
        if (call->in[i].type.dtype != DT_NONE && !call->in[i].data) return false;
    return true;
}

static status run_node(struct walk *w, int node, struct err *err)
{
    struct graph *g = w->p->g;
    const struct graph_node *n = &g->nodes[node];
    struct op_call call;

    if (n->op == OP_IF || n->op == OP_LOOP || n->op == OP_SCAN)
        return FAIL(err, ST_UNSUPPORTED, "node %s (%s): control flow", n->name,
                    op_row(n->op)->name);
    TRY(graph_node_call(g, node, &w->scratch, &call, err));
    TRY(op_row(n->op)->infer(&call, err));
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] < 0) call.out[i].type.dtype = DT_NONE;
    const bool from_type = (n->op == OP_SHAPE || n->op == OP_SIZE) && type_known(&call.in[0].type);
    if (from_type) {
        if (!pass_fold_from_type(&call, &w->p->arena)) return FAIL(err, ST_NOMEM, "out of memory");
    } else if (inputs_known(&call) && fold_outputs_fit(&call, PROBE_BYTES_MAX)) {
        TRY(node_run_once(w->be, &call, &w->p->arena, err));
    }
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] < 0) continue;
        g->values[n->out[i]].type = call.out[i].type;
        g->values[n->out[i]].data = call.out[i].data;
    }
    return ST_OK;
}

static status walk_nodes(struct walk *w, int value, struct err *err)
{
    w->p->needed = ARENA_ARRAY(&w->p->arena, w->p->g->n_nodes + 1, bool);
    if (!w->p->needed) return FAIL(err, ST_NOMEM, "out of memory");
    mark_needed(w, value);
    for (size_t i = 0; i < w->p->g->n_nodes; i++) {
        if (!w->p->needed[i] || w->p->g->nodes[i].op == OP_NONE) continue;
        arena_reset(&w->scratch);
        const status st = run_node(w, (int)i, err);
        if (st == ST_OK) continue;
        return st == ST_NOMEM || !err ? st : (err->code = ST_UNSUPPORTED);
    }
    return ST_OK;
}

status length_probe_open(struct length_probe *p, const struct graph *g,
                         const enum lower_role *roles, struct backend *be, int value,
                         struct err *err)
{
    struct walk w = { .p = p, .be = be };

    TRY(graph_clone(g, &p->g, err));
    for (size_t i = 0; i < g->n_inputs; i++) TRY(fill_input(p, i, roles[i], err));
    const status st = walk_nodes(&w, value, err);
    arena_fini(&w.scratch);
    return st;
}

void length_probe_close(struct length_probe *p)
{
    graph_destroy(p->g);
    arena_fini(&p->arena);
    p->g = NULL;
}
