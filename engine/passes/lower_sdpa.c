/* SPDX-License-Identifier: MIT */
/* ai.onnx Attention -> cupola.SeqAttention: with past and present caches, causal by attribute or by
 * its mask. What the mask lets through is found by computing it (mask_probe.c). */
#include "engine/passes/lower.h"
#include "engine/passes/mask_probe.h"

enum { AT_Q, AT_K, AT_V, AT_MASK, AT_PAST_K, AT_PAST_V, AT_NONPAD };

static bool is_rows(const struct lower *lo, int value)
{
    return lower_kind_of(lo, value) == LOW_ROWS && lo->low[value].rank == 3 &&
           lo->low[value].fold == 1 && !lo->low[value].flat;
}

static bool is_cache(const struct lower *lo, int value, bool is_value)
{
    return lower_kind_of(lo, value) == LOW_PAST && lo->low[value].is_value == is_value;
}

/* Keys and values are caches of fixed capacity that this step wrote into; their number of rows that
 * count is given. */
static bool is_static(const struct lower *lo, const struct graph_node *n)
{
    return lower_kind_of(lo, match_in(n, AT_K)) == LOW_CACHE &&
           lower_kind_of(lo, match_in(n, AT_V)) == LOW_CACHE &&
           lower_kind_of(lo, match_in(n, AT_NONPAD)) == LOW_ALL_LEN;
}

static status check_static(const struct lower *lo, const struct graph_node *n, struct err *err)
{
    const struct low_pieces *k = lower_pieces_of(lo, n->in[AT_K]),
                            *v = lower_pieces_of(lo, n->in[AT_V]);

    if (!is_rows(lo, match_in(n, AT_Q)) || !is_rows(lo, k->rows) || !is_rows(lo, v->rows) ||
        k->transposed || v->transposed || k->repeat != 1 || v->repeat != 1 ||
        k->layer == v->layer || match_in(n, AT_PAST_K) >= 0)
        return FAIL(err, ST_UNSUPPORTED,
                    "node %s: its keys and values are not rows written into two caches", n->name);
    return ST_OK;
}

static status check_inputs(const struct lower *lo, const struct graph_node *n, struct err *err)
{
    const int k = match_in(n, AT_PAST_K), v = match_in(n, AT_PAST_V);

    if (is_static(lo, n)) return check_static(lo, n, err);
    if (!is_rows(lo, match_in(n, AT_Q)) || !is_rows(lo, match_in(n, AT_K)) ||
        !is_rows(lo, match_in(n, AT_V)))
        return FAIL(err, ST_UNSUPPORTED, "node %s: query, key and value are not rows of tokens",
                    n->name);
    if (!is_cache(lo, k, false) || !is_cache(lo, v, true) || lo->low[k].layer != lo->low[v].layer ||
        match_in(n, AT_NONPAD) >= 0)
        return FAIL(err, ST_UNSUPPORTED,
                    "node %s: past_key and past_value are not one layer's cache inputs", n->name);
    if (match_out(n, 3) >= 0 && graph_uses(lo->g, n->out[3]) > 0)
        return FAIL(err, ST_UNSUPPORTED, "node %s: its scores are used", n->name);
    return ST_OK;
}

/* Window of the mask and the attribute together; 0: none. Fails unless the whole is causal. */
static status find_window(const struct lower *lo, const struct graph_node *n,
                          const struct attrs_attention23 *a, int64_t *window, struct err *err)
{
    struct mask_shape shape = { 0 };
    const int mask = match_in(n, AT_MASK);

    if (mask >= 0) TRY(mask_probe(lo->eval, mask, false, &shape, err));
    if (!shape.causal && !a->is_causal && a->right_window != 0)
        return FAIL(err, ST_UNSUPPORTED, "node %s: attention is not causal", n->name);
    *window = shape.window;
    if (a->left_window >= 0 && a->left_window < INT32_MAX &&
        (*window == 0 || a->left_window + 1 < *window))
        *window = a->left_window + 1;
    return ST_OK;
}

/* Columns of a projection in heads; 0 when they do not divide. */
static int64_t head_dim(const struct lower *lo, int value, int64_t heads)
{
    const struct tensor_type *t = &lo->g->values[value].type;
    const int64_t width = t->ndim > 0 ? t->dim[t->ndim - 1] : -1;

    return heads < 1 || heads > 65536 || width < 1 || width % heads ? 0 : width / heads;
}

status lower_attention23(struct lower *lo, int node, struct err *err)
{
    const struct graph_node n = lo->g->nodes[node];
    union op_attrs at;
    int64_t window = 0;

    TRY(op_attrs_read(n.op, n.attrs, n.n_attrs, &at, err));
    const struct attrs_attention23 *a = &at.attention23;
    TRY(check_inputs(lo, &n, err));
    TRY(find_window(lo, &n, a, &window, err));
    const bool fixed = is_static(lo, &n);
    const int in[3] = { n.in[AT_Q], fixed ? lower_pieces_of(lo, n.in[AT_K])->rows : n.in[AT_K],
                        fixed ? lower_pieces_of(lo, n.in[AT_V])->rows : n.in[AT_V] };
    const int cache = fixed ? in[AT_K] : n.in[AT_PAST_K];
    const int64_t dim = head_dim(lo, in[AT_Q], a->q_num_heads);
    if (dim == 0 || dim > 65536 || dim != head_dim(lo, in[AT_K], a->kv_num_heads) ||
        dim != head_dim(lo, in[AT_V], a->kv_num_heads) || a->q_num_heads % a->kv_num_heads)
        return FAIL(err, ST_UNSUPPORTED, "node %s: heads of unlike or unknown width", n.name);
    const struct attr attrs[] = { attr_int("layer", lo->info->n_layers),
                                  attr_int("num_heads", a->q_num_heads),
                                  attr_int("kv_num_heads", a->kv_num_heads),
                                  attr_int("head_dim", dim),
                                  attr_float("scale", a->scale),
                                  attr_int("window", window > 0 ? window : -1),
                                  attr_float("softcap", a->softcap) };
    const struct lower_kv kv = { (int)a->kv_num_heads, (int)dim, lower_window(window), 0 };
    TRY(lower_add_layer(lo, &kv, lo->g->values[cache].type.dtype, err));
    graph_remove_node(lo->g, node);
    if (graph_add_node(lo->g, &(struct graph_node){ .op = OP_SEQATTN,
                                                    .version = 1,
                                                    .name = n.name,
                                                    .in = in,
                                                    .n_in = 3,
                                                    .out = n.out,
                                                    .n_out = 1,
                                                    .attrs = attrs,
                                                    .n_attrs = (int)COUNT(attrs) }) < 0)
        return FAIL(err, ST_NOMEM, "out of memory");
    lo->low[n.out[0]] = (struct low_value){ .kind = LOW_ROWS, .rank = 3, .fold = 1 };
    for (int i = 1; i < n.n_out; i++)
        if (n.out[i] >= 0) lo->low[n.out[i]].kind = LOW_PRESENT;
    return ST_OK;
}
