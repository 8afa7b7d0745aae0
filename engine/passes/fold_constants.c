/* SPDX-License-Identifier: MIT */
/* Constant folding: a node whose inputs are all constants becomes constants.
 * Views (Reshape and its kin) share the bytes of their input, so that a tied
 * embedding is not copied. Quantised weights stay as they are: fuse_dequant
 * wants them whole. */
#include "engine/exec/node_run.h"
#include "engine/graph/graph_pages.h"
#include "engine/passes/fold.h"
#include "engine/passes/match.h"
#include "engine/passes/passes.h"

/* Larger results stay computed: folding must not blow up a file of small Expand
 * nodes. */
enum { FOLD_BYTES_MAX = 1 << 30 };

static bool op_is_view(enum op_kind op)
{
    return op == OP_RESHAPE || op == OP_SQUEEZE || op == OP_UNSQUEEZE || op == OP_FLATTEN ||
           op == OP_IDENTITY;
}

bool fold_takes(enum op_kind op)
{
    return op != OP_NONE && op != OP_IF && op != OP_LOOP && op != OP_SCAN &&
           op != OP_DEQUANTIZELINEAR && op != OP_GATHERQ && op != OP_MATMULNBITS && op != OP_GQA &&
           op < OP_LINEAR;
}

/* Shape and Size need only the type. */
static bool folds_from_type(const struct op_call *call)
{
    return (call->op == OP_SHAPE || call->op == OP_SIZE) && type_known(&call->in[0].type);
}

bool fold_ready(const struct op_call *call, const int *in)
{
    if (folds_from_type(call)) return true;
    for (int i = 0; i < call->n_in; i++)
        if (in[i] >= 0 && !call->in[i].data) return false;
    return true;
}

bool fold_outputs_fit(const struct op_call *call, size_t most)
{
    for (int i = 0; i < call->n_out; i++) {
        size_t bytes = 0;
        if (call->out[i].type.dtype == DT_NONE) continue;
        if (call->out[i].type.dtype == DT_STRING || !type_bytes(&call->out[i].type, &bytes) ||
            bytes > most)
            return false;
    }
    return true;
}

bool pass_fold_from_type(struct op_call *call, struct arena *a)
{
    const struct tensor_type *x = &call->in[0].type, *y = &call->out[0].type;
    int64_t *out = ARENA_ARRAY(a, IR_DIMS_MAX, int64_t);
    size_t n = 0;

    if (!out || !type_elements(x, &n)) return false;
    out[0] = (int64_t)n;
    if (call->op == OP_SHAPE) {
        const int64_t start =
            call->attr.shape.start < 0 ? call->attr.shape.start + x->ndim : call->attr.shape.start;
        for (int64_t i = 0; i < y->dim[0]; i++) out[i] = x->dim[(start > 0 ? start : 0) + i];
    }
    call->out[0].data = out;
    return true;
}

status fold_call(struct op_call *call, struct backend *be, struct arena *a, bool *done,
                 struct err *err)
{
    *done = false;
    if (!fold_outputs_fit(call, FOLD_BYTES_MAX)) return ST_OK;
    if (op_is_view(call->op)) {
        call->out[0].data = call->in[0].data;
    } else if (call->op == OP_SHAPE || call->op == OP_SIZE) {
        if (!pass_fold_from_type(call, a)) return FAIL(err, ST_NOMEM, "out of memory");
    } else {
        struct err quiet = { 0 };
        /* A constant node that no kernel takes is left for the executor to complain
         * about, if it is ever run. */
        if (node_run_once(be, call, a, &quiet) != ST_OK) return ST_OK;
    }
    *done = true;
    return ST_OK;
}

static void make_constants(struct graph *g, int node, const struct op_call *call)
{
    for (int i = 0; i < call->n_out; i++) {
        const int v = g->nodes[node].out[i];
        if (v < 0) continue;
        g->values[v].type = call->out[i].type;
        g->values[v].data = call->out[i].data;
        g->values[v].producer = -1;
    }
    graph_remove_node(g, node);
}

static status fold_node(struct graph *g, int node, const struct pass_context *ctx, struct err *err)
{
    struct arena scratch = { 0 };
    struct op_call call;
    bool done = false;
    status st = graph_node_call(g, node, &scratch, &call, err);

    if (st == ST_OK && fold_ready(&call, g->nodes[node].in)) {
        st = op_row(call.op)->infer(&call, err);
        if (st == ST_OK) st = fold_call(&call, ctx->backend, graph_arena(g), &done, err);
    }
    if (done) {
        graph_drop_sources(g, &call);
        make_constants(g, node, &call);
    }
    arena_fini(&scratch);
    return st;
}

status pass_fold_constants(struct graph *g, const struct pass_context *ctx, struct err *err)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct graph_node *n = &g->nodes[i];

        if (fold_takes(n->op) && match_transposed_weight(g, match_out(n, 0)) < 0)
            TRY(fold_node(g, (int)i, ctx, err));
    }
    return ST_OK;
}
