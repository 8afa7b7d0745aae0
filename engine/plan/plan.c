/* SPDX-License-Identifier: MIT */
#include "engine/plan/plan.h"
#include "engine/graph/graph_align.h"
#include "engine/graph/graph_pages.h"
#include <string.h>

void plan_fini(struct plan *p)
{
    if (!p->be) return;
    p->be->ops->discard(p->be, p->program);
    for (size_t i = 0; i < p->n_prepared; i++) p->be->ops->release(p->be, p->prepared[i]);
    mem_free(p->prepared);
    *p = (struct plan){ 0 };
}

static bool listed(const int *list, size_t n, int value)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == value) return true;
    return false;
}

struct plan_work {
    struct plan *plan;
    const struct graph *g;
    struct arena arena;
    struct segment seg;
    struct seg_value *values;
    struct seg_node *nodes;
    int *index; /* [g->n_values]: of the value in the segment, -1 = no node uses it */
};

/* The segment's index of a graph value, added on first use. */
static int seg_index(struct plan_work *w, int value)
{
    const struct graph *g = w->g;

    if (value < 0) return -1;
    if (w->index[value] >= 0) return w->index[value];
    struct seg_value *v = &w->values[w->seg.n_values];
    *v = (struct seg_value){ .name = g->values[value].name,
                             .type = g->values[value].type,
                             .data = g->values[value].data };
    if (v->data)
        v->role = SEG_CONST;
    else if (listed(g->inputs, g->n_inputs, value))
        v->role = SEG_INPUT;
    else if (listed(g->outputs, g->n_outputs, value))
        v->role = SEG_OUTPUT;
    else
        v->role = SEG_TEMP;
    return w->index[value] = w->seg.n_values++;
}

/* A node as the backend sees it; unused outputs are absent. */
static status make_node(struct plan_work *w, int node, struct seg_node *out, struct err *err)
{
    const struct graph *g = w->g;
    const struct graph_node *n = &g->nodes[node];
    int *ins = ARENA_ARRAY(&w->arena, (size_t)n->n_in + 1, int),
        *outs = ARENA_ARRAY(&w->arena, (size_t)n->n_out + 1, int);

    TRY(graph_node_call(g, node, &w->arena, &out->call, err));
    if (!ins || !outs) return FAIL(err, ST_NOMEM, "out of memory");
    for (int i = 0; i < n->n_in; i++) ins[i] = seg_index(w, n->in[i]);
    for (int i = 0; i < n->n_out; i++) {
        const bool used = n->out[i] >= 0 && graph_uses(g, n->out[i]) > 0;
        outs[i] = used ? seg_index(w, n->out[i]) : -1;
        out->call.out[i].type = used ? g->values[n->out[i]].type : (struct tensor_type){ 0 };
    }
    out->in = ins;
    out->out = outs;
    return ST_OK;
}

/* What every token reads and computes: Linear layers whole, of experts those that it goes through.
 */
static void count_weights(struct plan *p, const struct op_call *call)
{
    struct ir_experts e;

    if (ir_experts_measure(call, &e)) {
        p->bytes_per_token += (uint64_t)(e.bytes * (double)e.k);
        p->ops_per_token += (uint64_t)(2 * e.weights * (double)e.k);
    }
    if (call->op != OP_LINEAR) return;
    for (int i = 1; i < call->n_in; i++) {
        size_t bytes = 0;
        if (call->in[i].type.dtype != DT_NONE && type_bytes(&call->in[i].type, &bytes))
            p->bytes_per_token += bytes;
    }
    const uint64_t ops = 2 * (uint64_t)call->attr.linear.k * (uint64_t)call->attr.linear.n;
    if (call->in[0].type.dim[0] == DIM_ROWS)
        p->ops_per_row += ops;
    else
        p->ops_per_token += ops;
}

/* Constants that were not packed are read as they are when the node runs. */
static status align_constants(struct plan_work *w, struct seg_node *n, struct err *err)
{
    for (int i = 0; i < n->call.n_in; i++) {
        struct tensor *t = &n->call.in[i];
        const void *data = t->data;

        if (!data || op_runs_misaligned(n->call.op, i)) continue;
        TRY(graph_align(w->g, &t->type, &data, err));
        t->data = (void *)(uintptr_t)data;
        w->values[n->in[i]].data = data;
    }
    return ST_OK;
}

/* ---- what is packed, and not read again ---- */

enum { READER_BYTES_MIN = 64 << 10 };

/* An input of a node, or a graph output, that reads a large constant. */
struct reader {
    uintptr_t begin, end;
};

struct readers {
    const struct graph *g;
    struct reader *list;
    size_t n;
    bool alone;
};

static void add_reader(struct readers *r, int value)
{
    const struct graph_value *v = value < 0 ? NULL : &r->g->values[value];
    const uintptr_t begin = v ? (uintptr_t)v->data : 0;
    size_t bytes = 0;

    if (begin && type_bytes(&v->type, &bytes) && bytes >= READER_BYTES_MIN)
        r->list[r->n++] = (struct reader){ begin, begin + bytes };
}

static status find_readers(struct readers *r, struct arena *a, struct err *err)
{
    const struct graph *g = r->g;
    size_t most = g->n_outputs;

    for (size_t i = 0; i < g->n_nodes; i++) most += (size_t)g->nodes[i].n_in;
    r->list = ARENA_ARRAY(a, most + 1, struct reader);
    if (!r->list) return FAIL(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_in; k++) add_reader(r, g->nodes[i].in[k]);
    for (size_t i = 0; i < g->n_outputs; i++) add_reader(r, g->outputs[i]);
    return ST_OK;
}

/* Files can be read again. What a pass has made (weights laid out anew, a folded transpose) goes
 * only when the input that was packed is all that reads it, in the only graph that has it. */
static void give_back(const void *user, const void *data, size_t n)
{
    const struct readers *r = user;
    const uintptr_t begin = (uintptr_t)data;
    size_t found = 0;

    if (graph_drop_pages(r->g, data, n)) return;
    for (size_t i = 0; i < r->n; i++)
        found += r->list[i].begin < begin + n && begin < r->list[i].end;
    if (found == 1 && r->alone) mem_discard(data, n);
}

static status prepare_nodes(struct plan_work *w, const struct plan_config *cfg, struct err *err)
{
    struct readers readers = { .g = w->g, .alone = graph_is_alone(w->g) };
    const struct op_packed packed = { give_back, &readers };
    struct plan *p = w->plan;

    TRY(find_readers(&readers, &w->arena, err));
    for (size_t i = 0; i < w->g->n_nodes; i++) {
        struct seg_node *n = &w->nodes[i];
        TRY(make_node(w, (int)i, n, err));
        n->call.packed = &packed;
        if (!p->be->ops->supports(p->be, &n->call))
            return FAIL(err, ST_UNSUPPORTED, "node %s: backend %s has no kernel for this %s",
                        n->call.node, p->be->ops->name, op_row(n->call.op)->name);
        TRY(p->be->ops->prepare(p->be, &n->call, &n->prepared, err));
        p->prepared[p->n_prepared++] = n->prepared;
        n->call.packed = NULL;
        if (n->prepared) {
            graph_drop_sources(w->g, &n->call);
            p->packed_bytes += n->prepared->bytes;
        } else {
            TRY(align_constants(w, n, err));
        }
        count_weights(p, &n->call);
        if (cfg->progress)
            cfg->progress(cfg->progress_user, "packing weights",
                          (double)(i + 1) / (double)w->g->n_nodes);
    }
    return ST_OK;
}

static status plan_build(struct plan_work *w, const struct plan_config *cfg, struct err *err)
{
    struct plan *p = w->plan;

    w->seg = (struct segment){ .n_nodes = (int)w->g->n_nodes,
                               .tokens_max = cfg->tokens_max,
                               .rows_max = cfg->rows_max,
                               .seqs_max = cfg->seqs_max };
    w->seg.values = w->values = ARENA_ARRAY(&w->arena, w->g->n_values + 1, struct seg_value);
    w->index = ARENA_ARRAY(&w->arena, w->g->n_values + 1, int);
    w->seg.nodes = w->nodes = ARENA_ARRAY(&w->arena, w->g->n_nodes + 1, struct seg_node);
    p->prepared = mem_calloc(w->g->n_nodes + 1, sizeof *p->prepared);
    if (!w->values || !w->index || !w->nodes || !p->prepared)
        return FAIL(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; i < w->g->n_values; i++) w->index[i] = -1;
    TRY(prepare_nodes(w, cfg, err));
    p->input = seg_index(w, w->g->inputs[0]);
    p->output = seg_index(w, w->g->outputs[0]);
    return p->be->ops->compile(p->be, &w->seg, &p->program, err);
}

status plan_open(struct plan *out, const struct graph *g, struct backend *be,
                 const struct plan_config *cfg, struct err *err)
{
    struct plan_work w = { .plan = out, .g = g };

    *out = (struct plan){ .be = be };
    if (g->n_inputs != 1 || g->n_outputs != 1)
        return FAIL(err, ST_INVALID, "a plan takes a graph of one input and one output");
    const status st = plan_build(&w, cfg, err);
    arena_fini(&w.arena);
    if (st != ST_OK) plan_fini(out);
    return st;
}
