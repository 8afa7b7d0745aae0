/* SPDX-License-Identifier: MIT */
/* A merged decoder: one If over everything, whose condition is an input that says whether there is
 * a past. The branches are one model exported twice, so the branch with a past, given an empty one,
 * is what the other computes - but for what tools did to one of them alone (a head that is
 * quantised in one branch only). Both branches are laid open side by side, and it is found which
 * values are the same when there is no past: nodes of one operator on the same inputs, where a
 * Concat with an empty past counts as the rest, and what lengths decide is compared by computing
 * it. Of the branch without a past only what differs stays, and cupola.PastChoice takes each row
 * from where its sequence belongs. */
#include "engine/passes/lower.h"
#include <string.h>

/* No real decoder comes near these; a file made for it must not keep us busy. */
enum {
    BRANCH_NODES_MAX = 1 << 15,
    ELEMENTS_MAX = 1 << 18,     /* of a value that follows from lengths, to be computed */
    ELEMENTS_ALL_MAX = 1 << 24, /* of all of them */
    COMPARISONS_MAX = 1 << 24,
    TURNS_MAX = 4 /* Transposes in a row that are looked through */
};

/* Lengths at which branches are compared: of the prompt, there is no past. */
static const int64_t lengths[2] = { 5, 7 };

struct merged {
    struct graph *g; /* with both branches laid open */
    struct arena arena;
    struct length_eval *eval;
    int *same;               /* [n_values]: the value that this one equals while there is no past */
    bool *by_lengths;        /* [n_values] */
    size_t begin[2], end[2]; /* nodes of the branches: with a past, without */
    int *result[2];          /* [n_out]: what they give */
    size_t n_elements, n_comparisons;
};

static status no_memory(struct err *err) { return FAIL(err, ST_NOMEM, "out of memory"); }

static bool is_input(const struct graph *g, int value)
{
    for (size_t i = 0; i < g->n_inputs; i++)
        if (g->inputs[i] == value) return true;
    return false;
}

/* The node whose condition is an input that nothing else reads; -1: there is none, or several. */
static int find_switch(const struct graph *g)
{
    int found = -1;

    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct graph_node *n = &g->nodes[i];
        if (n->op != OP_IF || !is_input(g, n->in[0]) || graph_uses(g, n->in[0]) != 1) continue;
        if (found >= 0) return -1;
        found = (int)i;
    }
    return found;
}

/* ---- laying a branch open ---- */

static bool has_inner(const struct graph_node *n)
{
    for (int i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].type == ATTR_GRAPH) return true;
    return false;
}

static int copy_value(struct graph *g, const struct graph_value *v)
{
    if (v->captured >= 0) return v->captured;
    return v->data ? graph_add_constant(g, v->name, &v->type, v->data, false)
                   : graph_add_value(g, v->name, &v->type);
}

/* Operands of a node in terms of the outer graph. */
static int *mapped(struct arena *a, const int *map, const int *values, int n)
{
    int *out = ARENA_ARRAY(a, (size_t)n + 1, int);

    for (int i = 0; out && i < n; i++) out[i] = values[i] < 0 ? -1 : map[values[i]];
    return out;
}

static status lay_open(struct merged *m, const struct graph *branch, int side, struct err *err)
{
    int *map = ARENA_ARRAY(&m->arena, branch->n_values + 1, int);

    if (!map) return no_memory(err);
    for (size_t v = 0; v < branch->n_values; v++)
        if ((map[v] = copy_value(m->g, &branch->values[v])) < 0) return no_memory(err);
    m->begin[side] = m->g->n_nodes;
    for (size_t i = 0; i < branch->n_nodes; i++) {
        struct graph_node n = branch->nodes[i];

        if (has_inner(&n))
            return FAIL(err, ST_UNSUPPORTED, "node %s: control flow within a branch", n.name);
        if (n.op == OP_NONE) continue;
        n.in = mapped(&m->arena, map, n.in, n.n_in);
        n.out = mapped(&m->arena, map, n.out, n.n_out);
        if (!n.in || !n.out || graph_add_node(m->g, &n) < 0) return no_memory(err);
    }
    m->end[side] = m->g->n_nodes;
    m->result[side] = mapped(&m->arena, map, branch->outputs, (int)branch->n_outputs);
    return m->result[side] ? ST_OK : no_memory(err);
}

/* ---- what is the same while there is no past ---- */

/* Whether the lengths alone decide a value, as far as it is worth computing. */
static bool is_known(struct merged *m, int value)
{
    for (int i = 0; i < 2; i++) {
        struct tensor t;
        size_t n = 0;

        if (length_eval_type(m->eval, 0, lengths[i], value, &t.type, NULL) != ST_OK ||
            !type_elements(&t.type, &n) || n > ELEMENTS_MAX ||
            n > ELEMENTS_ALL_MAX - m->n_elements ||
            length_eval_data(m->eval, 0, lengths[i], value, &t, NULL) != ST_OK)
            return false;
        if (!graph_is_constant(m->g, value)) m->n_elements += n;
    }
    return true;
}

static bool may_follow(const struct merged *m, const struct graph_node *n)
{
    for (int i = 0; i < n->n_in && n->op != OP_SHAPE && n->op != OP_SIZE; i++)
        if (n->in[i] >= 0 && !m->by_lengths[n->in[i]] && !graph_is_constant(m->g, n->in[i]))
            return false;
    return true;
}

static void find_lengths(struct merged *m)
{
    for (size_t v = 0; v < m->g->n_values; v++) {
        m->same[v] = (int)v;
        if (m->g->values[v].producer < 0) m->by_lengths[v] = is_known(m, (int)v);
    }
    for (size_t i = 0; i < m->g->n_nodes; i++) {
        const struct graph_node *n = &m->g->nodes[i];
        const bool may = n->op != OP_NONE && may_follow(m, n);
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] >= 0) m->by_lengths[n->out[k]] = may && is_known(m, n->out[k]);
    }
}

static bool equal_tensors(const struct tensor *a, const struct tensor *b)
{
    size_t bytes = 0;

    return type_equal(&a->type, &b->type) && type_bytes(&a->type, &bytes) &&
           (a->data == b->data || bytes == 0 || !memcmp(a->data, b->data, bytes));
}

static bool same_value(struct merged *m, int a, int b)
{
    struct tensor x, y;

    if (a < 0 || b < 0 || m->same[a] == m->same[b]) return a < 0 || b < 0 ? a == b : true;
    if (graph_is_constant(m->g, a) && graph_is_constant(m->g, b)) {
        const struct graph_value *va = &m->g->values[a], *vb = &m->g->values[b];
        x = (struct tensor){ va->type, (void *)(uintptr_t)va->data };
        y = (struct tensor){ vb->type, (void *)(uintptr_t)vb->data };
        return equal_tensors(&x, &y);
    }
    if (!m->by_lengths[a] || !m->by_lengths[b]) return false;
    for (int i = 0; i < 2; i++)
        if (length_eval_data(m->eval, 0, lengths[i], a, &x, NULL) != ST_OK ||
            length_eval_data(m->eval, 0, lengths[i], b, &y, NULL) != ST_OK ||
            !equal_tensors(&x, &y))
            return false;
    return true;
}

static bool is_empty(struct merged *m, int value)
{
    struct tensor_type t;
    size_t n = 1;

    return is_input(m->g, value) &&
           length_eval_type(m->eval, 0, lengths[0], value, &t, NULL) == ST_OK &&
           type_elements(&t, &n) && n == 0;
}

/* A past that is empty, followed by what is there. */
static void pass_empty_pasts(struct merged *m)
{
    for (size_t i = m->begin[0]; i < m->end[0]; i++) {
        const struct graph_node *n = &m->g->nodes[i];
        if (n->op == OP_CONCAT && n->n_in == 2 && is_empty(m, n->in[0]))
            m->same[n->out[0]] = m->same[n->in[1]];
    }
}

/* A Transpose in terms of the value before all Transposes in front of it: without a past between
 * them, exporters make one of two. */
struct turned {
    int base, rank;
    int64_t axis[IR_DIMS_MAX]; /* of base */
};

static bool read_turned(const struct merged *m, const struct graph_node *n, struct turned *t)
{
    union op_attrs at;

    *t = (struct turned){ .base = -1 };
    for (int turns = 0; n && n->op == OP_TRANSPOSE && turns < TURNS_MAX; turns++) {
        if (!match_attrs(n, &at) || at.transpose.perm.n == 0) break;
        const struct ir_ints *perm = &at.transpose.perm;
        if (t->base < 0)
            for (t->rank = 0; t->rank < perm->n && t->rank < IR_DIMS_MAX; t->rank++)
                t->axis[t->rank] = t->rank;
        if (perm->n != t->rank) break;
        for (int i = 0; i < t->rank; i++) {
            const int64_t from = perm->v[t->axis[i]];
            if (from < 0 || from >= t->rank) return false;
            t->axis[i] = from;
        }
        t->base = m->same[n->in[0]];
        n = graph_producer(m->g, t->base);
    }
    return t->base >= 0;
}

static bool same_turned(struct merged *m, const struct graph_node *a, const struct graph_node *b)
{
    struct turned x, y;

    return read_turned(m, a, &x) && read_turned(m, b, &y) && x.base == y.base && x.rank == y.rank &&
           !memcmp(x.axis, y.axis, (size_t)x.rank * sizeof *x.axis);
}

static bool same_node(struct merged *m, const struct graph_node *a, const struct graph_node *b)
{
    if (a->op == OP_TRANSPOSE && b->op == OP_TRANSPOSE && same_turned(m, a, b)) return true;
    if (!match_same_operation(a, b)) return false;
    for (int i = 0; i < a->n_out; i++)
        if (b->out[i] >= 0 && a->out[i] < 0) return false;
    for (int i = 0; i < a->n_in; i++)
        if (!same_value(m, a->in[i], b->in[i])) return false;
    return true;
}

static bool is_by_lengths(const struct merged *m, const struct graph_node *n)
{
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] >= 0 && !m->by_lengths[n->out[i]]) return false;
    return true;
}

/* Each node of the branch without a past whose like is in the other gives its users to that. Both
 * branches are in about the same order, so the search goes on from the last one found. */
static void share_nodes(struct merged *m)
{
    const size_t count = m->end[0] - m->begin[0];
    size_t at = 0;

    for (size_t i = m->begin[1]; i < m->end[1]; i++) {
        const struct graph_node *n = &m->g->nodes[i];
        if (is_by_lengths(m, n)) continue;
        for (size_t k = 0; k < count && m->n_comparisons < COMPARISONS_MAX; k++) {
            m->n_comparisons++;
            const struct graph_node *like = &m->g->nodes[m->begin[0] + (at + k) % count];
            if (!same_node(m, like, n)) continue;
            for (int o = 0; o < n->n_out; o++)
                if (n->out[o] >= 0) m->same[n->out[o]] = m->same[like->out[o]];
            for (int o = 0; o < n->n_out; o++)
                if (n->out[o] >= 0) graph_replace_uses(m->g, n->out[o], like->out[o]);
            at = (at + k + 1) % count;
            break;
        }
    }
}

/* ---- the graph of both ---- */

static bool is_rows_output(const struct model_io_names *io, const char *name)
{
    return str_equal(name, io->logits) || str_equal(name, io->hidden_states);
}

/* Outputs of rows are chosen; every other, a present, must be the same in both branches. */
static status join(struct merged *m, const struct graph *g, const struct graph_node *sw,
                   const struct model_io_names *io, struct err *err)
{
    int *outputs = ARENA_ARRAY(&m->arena, (size_t)sw->n_out + 1, int);
    size_t n = 0;

    if (!outputs) return no_memory(err);
    for (int i = 0; i < sw->n_out; i++) {
        if (sw->out[i] < 0) continue;
        const char *name = g->values[sw->out[i]].name;
        const int in[2] = { m->result[0][i], m->result[1][i] };
        const bool same = same_value(m, in[0], in[1]);
        if (!is_rows_output(io, name)) {
            if (!same)
                return FAIL(err, ST_UNSUPPORTED, "output %s: the branches of %s do not agree", name,
                            sw->name);
            continue;
        }
        const enum op_kind op = same ? OP_IDENTITY : OP_PASTCHOICE;
        outputs[n++] = sw->out[i];
        if (graph_add_node(m->g, &(struct graph_node){ .op = op,
                                                       .version = same ? 16 : 1,
                                                       .name = sw->name,
                                                       .in = in,
                                                       .n_in = same ? 1 : 2,
                                                       .out = &sw->out[i],
                                                       .n_out = 1 }) < 0)
            return no_memory(err);
    }
    if (n == 0) return FAIL(err, ST_UNSUPPORTED, "no output of %s is rows of tokens", sw->name);
    TRY(graph_set_outputs(m->g, outputs, n, err));
    TRY(graph_compact(m->g, err));
    TRY(pass_dead_code(m->g, NULL, err));
    TRY(graph_compact(m->g, err));
    return graph_infer(m->g, err);
}

static status merge(struct merged *m, const struct graph *g, int node,
                    const struct model_io_names *io, const struct pass_context *ctx,
                    struct err *err)
{
    const struct graph_node *sw = &g->nodes[node];
    const struct graph *branch[2] = { graph_node_branch(sw, "then_branch"),
                                      graph_node_branch(sw, "else_branch") };

    TRY(graph_clone(g, &m->g, err));
    graph_remove_node(m->g, node);
    for (int i = 0; i < 2; i++) {
        if (!branch[i] || branch[i]->n_outputs != (size_t)sw->n_out ||
            branch[i]->n_nodes > BRANCH_NODES_MAX)
            return FAIL(err, ST_UNSUPPORTED, "node %s: no two branches of at most %d nodes",
                        sw->name, (int)BRANCH_NODES_MAX);
        TRY(lay_open(m, branch[i], i, err));
    }
    m->same = ARENA_ARRAY(&m->arena, m->g->n_values + 1, int);
    m->by_lengths = ARENA_ARRAY(&m->arena, m->g->n_values + 1, bool);
    if (!m->same || !m->by_lengths) return no_memory(err);
    TRY(length_eval_open(&m->eval, m->g, io, ctx->backend, err));
    find_lengths(m);
    pass_empty_pasts(m);
    share_nodes(m);
    return join(m, g, sw, io, err);
}

status lower_merged(const struct graph *g, const struct model_io_names *io,
                    const struct pass_context *ctx, struct graph **out, struct err *err)
{
    const int node = find_switch(g);
    struct merged m = { 0 };
    struct err why = { 0 };

    *out = NULL;
    if (node < 0) return ST_OK;
    status st = merge(&m, g, node, io, ctx, &why);
    if (st == ST_OK) st = passes_run(m.g, NULL, ctx, out, &why);
    length_eval_close(m.eval);
    graph_destroy(m.g);
    arena_fini(&m.arena);
    if (st == ST_OK) return ST_OK;
    /* what does not come out as one graph still runs as two */
    return FAIL(err, st == ST_NOMEM ? ST_NOMEM : ST_UNSUPPORTED, "%s", why.text);
}
