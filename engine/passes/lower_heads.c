/* SPDX-License-Identifier: MIT */
/* Layouts of rows. In the imported graph a token's heads lie behind it, [batch, sequence, heads,
 * dim], or before, [batch, heads, sequence, dim]; in the lowered graph always behind. So the
 * Transpose between the two is nothing, and a Reshape to shapes that were computed from other
 * shapes is read off the shapes that come out (length_eval.h). */
#include "engine/passes/lower.h"
#include <string.h>

static status no_memory(struct err *err) { return FAIL(err, ST_NOMEM, "out of memory"); }

static bool is_rows(const struct lower *lo, int value)
{
    return lower_kind_of(lo, value) == LOW_ROWS;
}

static int add_ints(struct lower *lo, const int64_t *v, int n)
{
    const struct tensor_type t = type_make(DT_I64, 1, &(int64_t){ n });

    return graph_add_constant(lo->g, NULL, &t, v, true);
}

/* out = Reshape(x) to [tokens, dims …]. */
static bool add_reshape(struct lower *lo, const char *name, int x, const int64_t *dims, int n,
                        int out)
{
    int64_t shape[IR_DIMS_MAX] = { 0 };

    memcpy(shape + 1, dims, (size_t)n * sizeof *dims);
    const int in[2] = { x, add_ints(lo, shape, n + 1) };
    return in[1] >= 0 && graph_add_node(lo->g, &(struct graph_node){ .op = OP_RESHAPE,
                                                                     .version = 14,
                                                                     .name = name,
                                                                     .in = in,
                                                                     .n_in = 2,
                                                                     .out = &out,
                                                                     .n_out = 1 }) >= 0;
}

int lower_row_dims(struct lower *lo, int value, int64_t *dims)
{
    int64_t all[IR_DIMS_MAX];
    const struct low_value *low = &lo->low[value];
    int n = length_eval_dims(lo->eval, value, all), k = 0;
    const int token = low->flat ? 0 : low->heads_first ? n - 2 : 1;

    if (n < 1 || token < 0 || token >= n || all[token] != DIM_TOKENS) return -1;
    for (int i = low->flat || low->heads_first ? 0 : 1; i < n; i++) {
        if (i == token || (low->heads_first && i == 0 && n == 4)) continue;
        if (all[i] < 1) return -1;
        dims[k++] = all[i];
    }
    return k;
}

int lower_flat_heads(struct lower *lo, int value)
{
    static const struct tensor_type unknown = { .ndim = -1 };
    int64_t dims[IR_DIMS_MAX], width = 1;
    const int n = lower_row_dims(lo, value, dims);

    if (n == 1) return value;
    for (int i = 0; i < n; i++)
        if (!checked_mul_i64(width, dims[i], &width)) return -1;
    const int out = graph_add_value(lo->g, NULL, &unknown);
    return out >= 0 && add_reshape(lo, "flat_heads", value, &width, 1, out) ? out : -1;
}

status lower_split_heads(struct lower *lo, int flat, int64_t heads, int64_t dim, int out,
                         struct err *err)
{
    const int64_t dims[2] = { heads, dim };

    return add_reshape(lo, "split_heads", flat, dims, 2, out) ? ST_OK : no_memory(err);
}

/* ---- rules ---- */

static bool perm_is(const struct graph_node *n, int count, const int64_t *perm)
{
    union op_attrs at;

    return match_attrs(n, &at) && at.transpose.perm.n == count &&
           !memcmp(at.transpose.perm.v, perm, (size_t)count * sizeof *perm);
}

/* Between heads behind and heads before their token. */
static bool heads_transpose(struct lower *lo, int node)
{
    const struct graph_node *n = &lo->g->nodes[node];
    const int x = n->in[0], y = n->out[0];

    if (lo->low[x].rank != 4 || lo->low[x].fold != 1 || lo->low[x].flat ||
        !perm_is(n, 4, (int64_t[]){ 0, 2, 1, 3 }))
        return false;
    const struct low_value low = lo->low[x];
    /* one value may be seen in both layouts: the new one gets a node of its own */
    const int in[1] = { x };
    const char *name = n->name;
    graph_remove_node(lo->g, node);
    lo->low[y] = low;
    lo->low[y].heads_first = !low.heads_first;
    return graph_add_node(lo->g, &(struct graph_node){ .op = OP_IDENTITY,
                                                       .version = 16,
                                                       .name = name,
                                                       .in = in,
                                                       .n_in = 1,
                                                       .out = &y,
                                                       .n_out = 1 }) >= 0;
}

/* The imported dimensions of a Reshape's result: where its tokens are and what lies behind them.
 * False when it mixes tokens with anything else. */
static bool read_target(struct lower *lo, int value, struct low_value *low, int64_t *dims, int *n)
{
    int64_t all[IR_DIMS_MAX];
    const int rank = length_eval_dims(lo->eval, value, all);
    int token = 0;

    while (token < rank && all[token] == 1) token++;
    if (rank < 1 || token >= rank || all[token] != DIM_TOKENS || token > 1) return false;
    *n = rank - token - 1;
    for (int i = 0; i < *n; i++)
        if ((dims[i] = all[token + 1 + i]) < 1) return false;
    *low = (struct low_value){
        .kind = LOW_ROWS, .fold = 1, .flat = token == 0, .rank = rank + (token == 0)
    };
    return *n > 0;
}

/* [batch, heads, sequence, dim] <-> [batch * heads, sequence, dim]: one sequence's rows all the
 * same. */
static bool only_ones_differ(struct lower *lo, int a, int b)
{
    int64_t x[IR_DIMS_MAX], y[IR_DIMS_MAX];
    const int nx = length_eval_dims(lo->eval, a, x), ny = length_eval_dims(lo->eval, b, y);
    int i = 0, k = 0;

    if (nx < 0 || ny < 0) return false;
    for (;; i++, k++) {
        while (i < nx && x[i] == 1) i++;
        while (k < ny && y[k] == 1) k++;
        if (i >= nx || k >= ny) return i >= nx && k >= ny;
        if (x[i] != y[k] || x[i] == DIM_UNKNOWN) return false;
    }
}

static status heads_reshape(struct lower *lo, int node, bool *done, struct err *err)
{
    const struct graph_node n = lo->g->nodes[node];
    const int x = n.in[0], y = n.out[0];
    int64_t dims[IR_DIMS_MAX];
    struct low_value low;
    int n_dims = 0;

    if (lo->low[x].heads_first || lo->low[x].fold != 1 ||
        !read_target(lo, y, &low, dims, &n_dims)) {
        if (!lo->low[x].heads_first || !only_ones_differ(lo, x, y)) return ST_OK;
        graph_remove_node(lo->g, node);
        graph_replace_uses(lo->g, y, x);
        *done = true;
        return ST_OK;
    }
    graph_remove_node(lo->g, node);
    if (!add_reshape(lo, n.name, x, dims, n_dims, y)) return no_memory(err);
    lo->low[y] = low;
    *done = true;
    return ST_OK;
}

/* One of several parts: Gather with a constant index on an axis behind the token. */
static status heads_pick(struct lower *lo, int node, bool *done, struct err *err)
{
    const struct graph_node n = lo->g->nodes[node];
    const int x = n.in[0], y = n.out[0], rank = lo->low[x].rank;
    const struct low_value low = lo->low[x];
    union op_attrs at;
    size_t count = 0;

    if (!match_attrs(&n, &at) || low.heads_first || low.flat || low.fold != 1 ||
        lower_kind_of(lo, n.in[1]) != LOW_CONST || lo->g->values[n.in[1]].type.ndim != 0 ||
        !type_elements(&lo->g->values[n.in[1]].type, &count) || count != 1)
        return ST_OK;
    const int64_t axis = at.axis.axis < 0 ? at.axis.axis + rank : at.axis.axis;
    if (axis < 2 || axis >= rank || rank < 4) return ST_OK;
    const struct attr attr = attr_int("axis", axis - 1);
    graph_remove_node(lo->g, node);
    if (graph_add_node(lo->g, &(struct graph_node){ .op = OP_GATHER,
                                                    .version = n.version,
                                                    .name = n.name,
                                                    .in = n.in,
                                                    .n_in = 2,
                                                    .out = &y,
                                                    .n_out = 1,
                                                    .attrs = &attr,
                                                    .n_attrs = 1 }) < 0)
        return no_memory(err);
    lo->low[y] = low;
    lo->low[y].rank = rank - 1;
    *done = true;
    return ST_OK;
}

static bool has_known_width(const struct lower *lo, int value)
{
    const struct tensor_type *t = &lo->g->values[value].type;
    size_t width = 0;

    return !lo->low[value].heads_first && t->ndim >= 2 && type_span(t, 2, t->ndim, &width);
}

status lower_heads(struct lower *lo, int node, bool *done, struct err *err)
{
    const struct graph_node *n = &lo->g->nodes[node];

    *done = false;
    if (!is_rows(lo, match_in(n, 0))) return ST_OK;
    switch (n->op) {
    case OP_TRANSPOSE: *done = heads_transpose(lo, node); return ST_OK;
    case OP_RESHAPE:
        if (has_known_width(lo, n->in[0]) && lower_kind_of(lo, match_in(n, 1)) == LOW_CONST)
            return ST_OK; /* its shape says how it goes with tokens */
        return heads_reshape(lo, node, done, err);
    case OP_SQUEEZE:
    case OP_UNSQUEEZE:
    case OP_FLATTEN: return heads_reshape(lo, node, done, err);
    case OP_GATHER: return heads_pick(lo, node, done, err);
    default: return ST_OK;
    }
}
