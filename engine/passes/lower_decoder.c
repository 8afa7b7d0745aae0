/* SPDX-License-Identifier: MIT */
/* The lowered form of a causal language model. Three strokes: every node is
 * kept, rewritten or dropped by its rule (lower_rules.c); SelectRows is put
 * where the last attention hands over to the rest, so that everything behind it
 * runs only on the rows asked for; types are inferred anew with tokens and rows
 * as leading dimensions. */
#include "engine/passes/length_switch.h"
#include "engine/passes/lower.h"
#include <stdlib.h>
#include <string.h>

/* Positions of a computed table where no context length is known. */
enum { POSITIONS_MAX = 8192 };

/* ---- inputs ---- */

/* Number N of "prefix%dsuffix" names; -1 if it does not match. */
static int match_template(const char *name, const char *pattern)
{
    const char *hole = pattern ? strstr(pattern, "%d") : NULL;
    char *end = NULL;

    if (!hole || strncmp(name, pattern, (size_t)(hole - pattern)) != 0) return -1;
    const char *digits = name + (hole - pattern);
    if (*digits < '0' || *digits > '9' || strlen(digits) > 64) return -1;
    const long n = strtol(digits, &end, 10);
    return n <= 1 << 20 && str_equal(end, hole + 2) ? (int)n : -1;
}

/* By the operator that reads it: a cache of fixed capacity, and its lengths. */
static bool classify_by_use(struct lower *lo, int value)
{
    const int user = graph_next_user(lo->g, value, -1);
    const struct graph_node *n = user < 0 ? NULL : &lo->g->nodes[user];

    if (!n) return false;
    if (n->op == OP_TENSORSCATTER && n->in[0] == value)
        lo->low[value].kind = LOW_STATIC;
    else if (n->op == OP_TENSORSCATTER && match_in(n, 2) == value)
        lo->low[value].kind = LOW_WRITE_AT;
    else if (n->op == OP_ATTENTION23 && match_in(n, 6) == value)
        lo->low[value].kind = LOW_ALL_LEN;
    else
        return false;
    return true;
}

static status classify_input(struct lower *lo, const struct model_io_names *io, int value,
                             struct err *err)
{
    const char *name = lo->g->values[value].name;
    struct low_value *low = &lo->low[value];
    const int key = match_template(name, io->past_key), val = match_template(name, io->past_value);

    if (str_equal(name, io->input_ids)) {
        *low = (struct low_value){ .kind = LOW_IDS };
        lo->info->input = value;
    } else if (str_equal(name, io->inputs_embeds)) {
        *low = (struct low_value){ .kind = LOW_ROWS, .rank = 3, .fold = 1 };
        lo->info->input = value;
        lo->info->takes_embeds = true;
    } else if (str_equal(name, io->attention_mask)) {
        low->kind = LOW_MASK;
    } else if (str_equal(name, io->position_ids)) {
        low->kind = LOW_POSITIONS;
    } else if (key >= 0 || val >= 0) {
        *low = (struct low_value){ .kind = LOW_PAST,
                                   .layer = key >= 0 ? key : val,
                                   .is_value = key < 0 };
    } else if (lower_is_state(lo, value)) {
        low->kind = LOW_STATE;
    } else if (!classify_by_use(lo, value) && graph_uses(lo->g, value) > 0) {
        return FAIL(err, ST_UNSUPPORTED,
                    "input %s: not an input of a causal language model that can be paged", name);
    }
    return ST_OK;
}

static status classify_inputs(struct lower *lo, const struct model_io_names *io, struct err *err)
{
    int n_data = 0;

    for (size_t i = 0; i < lo->g->n_inputs; i++) {
        TRY(classify_input(lo, io, lo->g->inputs[i], err));
        const enum low_kind kind = lo->low[lo->g->inputs[i]].kind;
        n_data += kind == LOW_IDS || kind == LOW_ROWS;
    }
    if (n_data != 1)
        return FAIL(err, ST_UNSUPPORTED, "%s inputs %s and %s", n_data ? "both" : "neither of",
                    io->input_ids, io->inputs_embeds);
    return ST_OK;
}

/* Before nodes are dropped: the one threshold that every length switch has. */
static void find_threshold(struct lower *lo)
{
    struct length_inputs in = { -1, -1 };

    for (size_t i = 0; i < lo->g->n_inputs; i++) {
        const int value = lo->g->inputs[i];
        if (lo->low[value].kind == LOW_MASK) in.mask = value;
        if (lo->low[value].kind == LOW_POSITIONS) in.positions = value;
    }
    lo->long_threshold = length_switch_common(lo->g, &in);
}

/* ---- shapes that were computed ---- */

/* Whether scores are products of two computed values: shapes are then computed too. */
static bool has_pieces(const struct graph *g)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct graph_node *n = &g->nodes[i];
        if ((n->op == OP_MATMUL || n->op == OP_FUSEDMATMUL) && !graph_is_constant(g, n->in[0]) &&
            !graph_is_constant(g, n->in[1]))
            return true;
    }
    return false;
}

/* What shapes say is the same for all lengths becomes a constant: widths, heads, scales. */
static status fix_constants(struct lower *lo, struct err *err)
{
    struct graph *g = lo->g;
    struct tensor t;

    if (!has_pieces(g)) return ST_OK;
    for (size_t v = 0; v < lo->n_low; v++) {
        if (g->values[v].producer < 0 || !length_eval_constant(lo->eval, (int)v, &t)) continue;
        const int c = graph_add_constant(g, NULL, &t.type, t.data, true);
        if (c < 0) return FAIL(err, ST_NOMEM, "out of memory");
        graph_replace_uses(g, (int)v, c);
    }
    return pass_dead_code(g, NULL, err);
}

/* ---- outputs ---- */

static int find_output(const struct graph *g, const char *name)
{
    for (size_t i = 0; i < g->n_outputs; i++)
        if (str_equal(g->values[g->outputs[i]].name, name)) return (int)i;
    return -1;
}

/* Logits, or the hidden states where there are none, become the only output. */
static status choose_output(struct lower *lo, const struct model_io_names *io, struct err *err)
{
    struct graph *g = lo->g;
    int at = find_output(g, io->logits);

    if (at < 0) {
        at = find_output(g, io->hidden_states);
        lo->info->hidden_only = true;
    }
    if (at < 0)
        return FAIL(err, ST_UNSUPPORTED, "no output is named %s or %s", io->logits,
                    io->hidden_states);
    if (lower_kind_of(lo, g->outputs[at]) != LOW_ROWS)
        return FAIL(err, ST_UNSUPPORTED, "output %s is not rows of tokens",
                    g->values[g->outputs[at]].name);
    return graph_set_outputs(g, &g->outputs[at], 1, err);
}

/* ---- rows asked for ---- */

struct row_cut {
    struct graph *g;
    bool *before; /* [n_nodes]: an attention uses what this node makes; nodes
                     added meanwhile lie behind */
    int n_nodes;
    int *selected; /* [n_values]: the value behind SelectRows; -1 none yet */
    int input;
};

/* Operators that look up each token in the step's table, move a state on with each, or take the
 * range of all: they never run on chosen rows. */
static bool needs_tokens(enum op_kind op)
{
    return op == OP_SEQATTN || op == OP_SEQROTARY || op == OP_POSROWS || op == OP_SEQCONV ||
           op == OP_SEQLINATTN || op == OP_SEQQUANT;
}

static bool feeds_attention(const struct row_cut *cut, const struct graph_node *n)
{
    for (int i = 0; i < n->n_out; i++)
        for (int u = graph_next_user(cut->g, n->out[i], -1); n->out[i] >= 0 && u >= 0;
             u = graph_next_user(cut->g, n->out[i], u))
            if (cut->before[u] || needs_tokens(cut->g->nodes[u].op)) return true;
    return false;
}

static bool is_token_value(const struct row_cut *cut, int value)
{
    if (value < 0 || graph_is_constant(cut->g, value)) return false;
    const int p = cut->g->values[value].producer;
    if (p < 0) return value == cut->input;
    return p < cut->n_nodes && (cut->before[p] || needs_tokens(cut->g->nodes[p].op));
}

/* The rows of `value` that were asked for; -1 when memory runs out. */
static int select_rows(struct row_cut *cut, int value)
{
    if (cut->selected[value] >= 0) return cut->selected[value];
    const struct tensor_type unknown = { .ndim = -1 };
    const int out = graph_add_value(cut->g, NULL, &unknown);
    if (out < 0 || graph_add_node(cut->g, &(struct graph_node){ .op = OP_SELECTROWS,
                                                                .version = 1,
                                                                .name = "select_rows",
                                                                .in = &value,
                                                                .n_in = 1,
                                                                .out = &out,
                                                                .n_out = 1 }) < 0)
        return -1;
    return cut->selected[value] = out;
}

static status cut_node(struct row_cut *cut, int node, struct err *err)
{
    for (int i = 0; i < cut->g->nodes[node].n_in; i++) {
        const int value = cut->g->nodes[node].in[i];
        if (!is_token_value(cut, value)) continue;
        const int rows = select_rows(cut, value);
        if (rows < 0) return FAIL(err, ST_NOMEM, "out of memory");
        graph_set_input(cut->g, node, i, rows);
    }
    return ST_OK;
}

static status cut_rows(struct row_cut *cut, struct err *err)
{
    const int n_nodes = cut->n_nodes;

    for (int i = n_nodes; i-- > 0;) cut->before[i] = feeds_attention(cut, &cut->g->nodes[i]);
    if (is_token_value(cut, cut->g->outputs[0]))
        return FAIL(err, ST_UNSUPPORTED, "the output is what attention reads");
    for (int i = 0; i < n_nodes; i++)
        if (!cut->before[i] && !needs_tokens(cut->g->nodes[i].op)) TRY(cut_node(cut, i, err));
    return graph_compact(cut->g, err);
}

static status insert_select_rows(struct lower *lo, struct err *err)
{
    struct arena a = { 0 };
    struct row_cut cut = { .g = lo->g, .n_nodes = (int)lo->g->n_nodes, .input = lo->info->input };
    status st = ST_NOMEM;

    cut.before = ARENA_ARRAY(&a, lo->g->n_nodes + 1, bool);
    cut.selected = ARENA_ARRAY(&a, lo->g->n_values + 1, int);
    if (cut.before && cut.selected) {
        for (size_t i = 0; i < lo->g->n_values; i++) cut.selected[i] = -1;
        st = cut_rows(&cut, err);
    }
    arena_fini(&a);
    return st == ST_NOMEM ? FAIL(err, st, "out of memory") : st;
}

/* ---- types ---- */

static status infer_anew(struct lower *lo, struct err *err)
{
    struct graph *g = lo->g;
    const int64_t hidden = lo->info->takes_embeds ? g->values[lo->info->input].type.dim[2] : 0;
    const int64_t dims[2] = { DIM_TOKENS, hidden };

    if (lo->info->takes_embeds && (g->values[lo->info->input].type.ndim != 3 || hidden < 1))
        return FAIL(err, ST_UNSUPPORTED, "input %s: its width is not known",
                    g->values[lo->info->input].name);
    for (size_t i = 0; i < g->n_values; i++)
        if (!graph_is_constant(g, (int)i))
            g->values[i].type = (struct tensor_type){ .dtype = DT_NONE, .ndim = -1 };
    g->values[lo->info->input].type =
        type_make(lo->info->takes_embeds ? DT_F32 : DT_I32, lo->info->takes_embeds ? 2 : 1, dims);
    TRY(graph_set_inputs(g, &lo->info->input, 1, err));
    g->lowered = true;
    return graph_infer(g, err);
}

/* Every computed value must be rows of known width. */
static status check_types(const struct lower *lo, struct err *err)
{
    for (size_t i = 0; i < lo->g->n_nodes; i++) {
        const struct graph_node *n = &lo->g->nodes[i];
        for (int k = 0; k < n->n_out; k++) {
            if (n->out[k] < 0 || graph_uses(lo->g, n->out[k]) == 0) continue;
            const struct tensor_type *t = &lo->g->values[n->out[k]].type;
            size_t width = 0;
            if (t->ndim < 2 || (t->dim[0] != DIM_TOKENS && t->dim[0] != DIM_ROWS) ||
                !type_span(t, 1, t->ndim, &width))
                return FAIL(err, ST_UNSUPPORTED, "node %s: its output is not rows of known width",
                            n->name);
        }
    }
    return ST_OK;
}

static status fill_info(struct lower *lo, struct err *err)
{
    const struct tensor_type *t = &lo->g->values[lo->g->outputs[0]].type;

    if (t->ndim != 2 || t->dim[0] != DIM_ROWS || t->dtype != DT_F32)
        return FAIL(err, ST_UNSUPPORTED, "output is not f32 [rows, width]");
    lo->info->output = lo->g->outputs[0];
    lo->info->long_threshold = lo->long_threshold;
    if (lo->info->takes_embeds) lo->info->hidden = lo->g->values[lo->info->input].type.dim[1];
    if (lo->info->hidden_only)
        lo->info->hidden = t->dim[1];
    else
        lo->info->vocab = t->dim[1];
    return ST_OK;
}

/* ---- what lowering leaves behind ---- */

/* Reshapes of reshapes, and to the shape there is, go. */
static void drop_views(struct graph *g)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct graph_node *n = &g->nodes[i];
        if (n->op != OP_RESHAPE) continue;
        const int before = match_producer(g, n->in[0], OP_RESHAPE);
        if (before >= 0) graph_set_input(g, (int)i, 0, g->nodes[before].in[0]);
        if (!type_equal(&g->values[n->in[0]].type, &g->values[n->out[0]].type) ||
            n->out[0] == g->outputs[0])
            continue;
        graph_replace_uses(g, n->out[0], n->in[0]);
        graph_remove_node(g, (int)i);
    }
}

/* Casts that stood between are gone: what they kept apart is fused now. */
static status tidy(struct graph *g, struct err *err)
{
    static pass_fn *const passes[] = { pass_remove_casts, pass_cse, pass_fuse_rmsnorm,
                                       pass_fuse_bias, pass_fuse_gated };

    for (size_t i = 0; i < COUNT(passes); i++) {
        TRY(passes[i](g, NULL, err));
        TRY(graph_compact(g, err));
        TRY(graph_infer(g, err));
    }
    drop_views(g);
    TRY(pass_dead_code(g, NULL, err));
    return graph_compact(g, err);
}

static status lower_graph(struct lower *lo, const struct model_io_names *io, struct err *err)
{
    const size_t n_nodes = lo->g->n_nodes;

    TRY(classify_inputs(lo, io, err));
    find_threshold(lo);
    TRY(fix_constants(lo, err));
    for (size_t i = 0; i < n_nodes; i++)
        if (lo->g->nodes[i].op != OP_NONE) TRY(lower_node(lo, (int)i, err));
    if (lo->info->n_layers == 0) return FAIL(err, ST_UNSUPPORTED, "no attention with a KV cache");
    TRY(choose_output(lo, io, err));
    TRY(graph_compact(lo->g, err)); /* sorted: dead code is then found in one turn */
    TRY(pass_dead_code(lo->g, NULL, err));
    TRY(graph_compact(lo->g, err));
    TRY(lower_widen(lo->g, err));
    TRY(insert_select_rows(lo, err));
    TRY(infer_anew(lo, err));
    TRY(tidy(lo->g, err));
    TRY(check_types(lo, err));
    return fill_info(lo, err);
}

static status lower_one(const struct graph *g, const struct model_io_names *io,
                        const struct pass_context *ctx, struct graph **out, struct lower_info *info,
                        struct err *err)
{
    struct lower lo = { .info = info,
                        .n_low = g->n_values,
                        .imported = g,
                        .io = io,
                        .positions_max =
                            ctx->positions_max > 0 ? ctx->positions_max : POSITIONS_MAX };
    struct arena scratch = { 0 };
    status st;

    TRY(graph_clone(g, &lo.g, err));
    lo.low = ARENA_ARRAY(&scratch, lo.n_low + 1, struct low_value);
    st = lo.low ? length_eval_open(&lo.eval, g, io, ctx->backend, err)
                : FAIL(err, ST_NOMEM, "out of memory");
    if (st == ST_OK) st = lower_graph(&lo, io, err);
    length_eval_close(lo.eval);
    arena_fini(&scratch);
    if (st != ST_OK) {
        graph_destroy(lo.g);
        return st;
    }
    *out = lo.g;
    return ST_OK;
}

status lower_decoder(const struct graph *g, const struct model_io_names *io,
                     const struct pass_context *ctx, struct graph **out, struct lower_info *info,
                     struct err *err)
{
    struct graph *merged = NULL;

    *out = NULL;
    memset(info, 0, sizeof *info);
    info->input = -1;
    TRY(lower_merged(g, io, ctx, &merged, err));
    const status st = lower_one(merged ? merged : g, io, ctx, out, info, err);
    graph_destroy(merged);
    return st;
}
