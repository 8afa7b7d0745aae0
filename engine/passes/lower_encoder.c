/* SPDX-License-Identifier: MIT */
/* The lowered form of an encoder. What hangs on lengths alone is computed at two sizes that have
 * nothing in common (length_probe.c); so it is known of every value which of its dimensions are
 * batch and sequence, and which numbers stay whatever the lengths. Then node after node is carried
 * over to rows of tokens by its rule (encoder_rules.c). */
#include "engine/passes/encoder_rows.h"
#include "engine/passes/lower.h"

static const struct {
    int64_t batch, length;
} small_sizes[2] = { { 2, 11 }, { 3, 13 } };

static status open_probes(struct enc *e, int output, struct err *err)
{
    for (int i = 0; i < 2; i++) {
        e->small[i].batch = small_sizes[i].batch;
        e->small[i].length = small_sizes[i].length;
        TRY(length_probe_open(&e->small[i], e->src, e->spec->roles, e->be, output, err));
    }
    return ST_OK;
}

static status make_tables(struct enc *e, struct err *err)
{
    const size_t n = e->src->n_values;

    e->row = ARENA_ARRAY(&e->arena, n + 1, struct enc_row);
    e->table = ARENA_ARRAY(&e->arena, n + 1, struct enc_table);
    e->constant = ARENA_ARRAY(&e->arena, n + 1, int);
    if (!e->row || !e->table || !e->constant) return FAIL(err, ST_NOMEM, "out of memory");
    for (size_t v = 0; v < n; v++) {
        e->constant[v] = -1;
        e->table[v].table = e->table[v].rows = -1;
    }
    return ST_OK;
}

/* Ids become i32[tokens]; nodes see them in the type the file gives them. */
static status take_ids(struct enc *e, struct err *err)
{
    struct enc_row row = { .kind = ROW_TOKENS, .rank = 2, .axis = { AX_BATCH, AX_SEQ } };

    e->ids = -1;
    for (size_t i = 0; i < e->src->n_inputs; i++)
        if (e->spec->roles[i] == LOWER_IDS) e->ids = e->src->inputs[i];
    if (e->ids < 0) return FAIL(err, ST_UNSUPPORTED, "no input gives token ids");
    const enum dtype dt = e->src->values[e->ids].type.dtype;
    const struct attr to = attr_int("to", dt);
    row.value = e->ids;
    if (dt != DT_I32)
        row.value = enc_emit(e,
                             &(struct enc_node){ .op = OP_CAST,
                                                 .version = 13,
                                                 .name = "ids",
                                                 .in = &e->ids,
                                                 .n_in = 1,
                                                 .attrs = &to,
                                                 .n_attrs = 1,
                                                 .dtype = dt },
                             NULL, 1);
    if (row.value < 0) return FAIL(err, ST_NOMEM, "out of memory");
    e->row[e->ids] = row;
    return ST_OK;
}

static status carry_nodes(struct enc *e, struct err *err)
{
    for (size_t i = 0; i < e->src->n_nodes; i++) {
        const struct graph_node *n = &e->src->nodes[i];
        bool lengths = true;

        if (n->op == OP_NONE || !e->small[0].needed[i]) continue;
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] >= 0) lengths = lengths && enc_is_length(e, n->out[k]);
        if (!lengths) TRY(enc_rule(e, n, err));
    }
    return ST_OK;
}

static status finish_graph(struct enc *e, int output, struct err *err)
{
    const struct enc_row *y = &e->row[output];
    struct graph *g = e->g;

    if (y->kind != ROW_TOKENS || !enc_is_natural(y) || y->rank != 3 || y->n_feat != 1 ||
        g->values[y->value].producer < 0)
        return FAIL(err, ST_UNSUPPORTED, "output %s is not states of tokens",
                    e->src->values[output].name);
    TRY(graph_set_outputs(g, &y->value, 1, err));
    TRY(graph_set_inputs(g, &e->ids, 1, err));
    TRY(pass_dead_code(g, NULL, err));
    TRY(graph_compact(g, err));
    TRY(lower_widen(g, err));
    TRY(pass_cse(g, NULL, err));
    TRY(graph_compact(g, err));
    for (size_t i = 0; i < g->n_values; i++)
        if (!graph_is_constant(g, (int)i))
            g->values[i].type = (struct tensor_type){ .dtype = DT_NONE, .ndim = -1 };
    g->values[e->ids].type = type_make(DT_I32, 1, (int64_t[]){ DIM_TOKENS });
    g->lowered = true;
    return graph_infer(g, err);
}

/* Every computed value must be rows of known width, the output f32. */
static status check_types(const struct graph *g, struct err *err)
{
    const struct tensor_type *y = &g->values[g->outputs[0]].type;

    for (size_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_out; k++) {
            const int v = g->nodes[i].out[k];
            size_t width = 0;
            if (v < 0 || graph_uses(g, v) == 0) continue;
            const struct tensor_type *t = &g->values[v].type;
            if (t->ndim < 1 || t->dim[0] != DIM_TOKENS || !type_span(t, 1, t->ndim, &width))
                return FAIL(err, ST_UNSUPPORTED, "node %s: its output is not rows of known width",
                            g->nodes[i].name);
        }
    if (y->ndim != 2 || y->dtype != DT_F32)
        return FAIL(err, ST_UNSUPPORTED, "output is not f32 [tokens, width]");
    return ST_OK;
}

static status lower(struct enc *e, struct err *err)
{
    const int output = e->src->outputs[e->spec->output];

    TRY(open_probes(e, output, err));
    TRY(make_tables(e, err));
    TRY(graph_clone(e->src, &e->g, err));
    for (size_t i = 0; i < e->g->n_nodes; i++)
        if (e->g->nodes[i].op != OP_NONE) graph_remove_node(e->g, (int)i);
    TRY(take_ids(e, err));
    TRY(carry_nodes(e, err));
    TRY(finish_graph(e, output, err));
    return check_types(e->g, err);
}

status lower_encoder(const struct graph *g, const struct lower_encoder_spec *spec,
                     const struct pass_context *ctx, struct graph **out, struct err *err)
{
    struct enc e = { .src = g, .spec = spec, .be = ctx->backend };

    *out = NULL;
    const status st = lower(&e, err);
    for (int i = 0; i < 2; i++) length_probe_close(&e.small[i]);
    arena_fini(&e.arena);
    if (st != ST_OK) {
        graph_destroy(e.g);
        return st;
    }
    *out = e.g;
    return ST_OK;
}
