/* SPDX-License-Identifier: MIT */
/* Loop and Scan: a body runs turn after turn; states go from turn to turn, pieces are collected
 * along a new axis. */
#include "engine/exec/dense_internal.h"
#include <string.h>

enum { TURNS_MAX = 1 << 20 };

/* What the body gives each turn for one output. */
struct pieces {
    struct tensor_type type; /* of a piece; dtype DT_NONE before the first */
    char *data;
    size_t bytes, n, cap; /* of a piece; pieces; room */
};

struct turns {
    struct dense_exec *x, *body;
    const struct graph_node *n;
    int n_states, n_pieces;
    struct slot *states, *next; /* [n_states]; next: those of the turn that has just run */
    struct pieces *pieces;
};

/* The node's states: n inputs from `first` on; `skip` outputs of the body come before theirs. */
struct state_span {
    int first, n, skip;
};

static status turns_open(struct turns *t, struct dense_exec *x, int node, struct state_span span,
                         struct err *err)
{
    const int n_states = span.n;

    *t = (struct turns){ .x = x, .body = x->nodes[node].then_x, .n = &x->g->nodes[node] };
    t->n_states = n_states;
    t->n_pieces = (int)t->body->g->n_outputs - span.skip - n_states;
    t->states = mem_calloc((size_t)n_states + 1, sizeof *t->states);
    t->next = mem_calloc((size_t)n_states + 1, sizeof *t->next);
    t->pieces = mem_calloc((size_t)t->n_pieces + 1, sizeof *t->pieces);
    if (!t->states || !t->next || !t->pieces) return FAIL(err, ST_NOMEM, "out of memory");
    for (int i = 0; i < n_states; i++)
        t->states[i] = (struct slot){ .tensor = x->nodes[node].in[span.first + i] };
    return ST_OK;
}

static void turns_close(struct turns *t)
{
    for (int i = 0; t->states && i < t->n_states; i++) dense_slot_free(&t->states[i]);
    for (int i = 0; t->next && i < t->n_states; i++) dense_slot_free(&t->next[i]);
    for (int i = 0; t->pieces && i < t->n_pieces; i++) mem_free_aligned(t->pieces[i].data);
    mem_free(t->states);
    mem_free(t->next);
    mem_free(t->pieces);
}

static void give(struct dense_exec *b, size_t input, const struct tensor *t)
{
    const int value = b->g->inputs[input];

    b->slots[value] = (struct slot){ *t, b->uses[value], false };
}

/* ---- pieces ---- */

static status grow(struct pieces *p, struct err *err)
{
    const size_t cap = p->cap ? 2 * p->cap : 8;
    size_t bytes;

    if (p->n < p->cap) return ST_OK;
    if (!checked_mul(cap, p->bytes, &bytes)) return FAIL(err, ST_LIMIT, "too many pieces");
    char *data = mem_alloc_aligned(DENSE_ALIGN, bytes ? bytes : 1);
    if (!data) return FAIL(err, ST_NOMEM, "out of memory");
    if (p->n) memcpy(data, p->data, p->n * p->bytes);
    mem_free_aligned(p->data);
    p->data = data;
    p->cap = cap;
    return ST_OK;
}

static status add_piece(struct turns *t, int i, const struct tensor *x, struct err *err)
{
    struct pieces *p = &t->pieces[i];

    if (p->type.dtype == DT_NONE) {
        p->type = x->type;
        if (dtype_bits(x->type.dtype) < 8 || x->type.ndim >= IR_DIMS_MAX ||
            !type_bytes(&x->type, &p->bytes))
            return FAIL(err, ST_UNSUPPORTED, "node %s: pieces of this type are not collected",
                        t->n->name);
    }
    if (!type_equal(&p->type, &x->type))
        return FAIL(err, ST_SHAPE, "node %s: the pieces of output %d differ in shape", t->n->name,
                    t->n_states + i);
    TRY(grow(p, err));
    if (p->bytes) memcpy(p->data + p->n * p->bytes, x->data, p->bytes);
    p->n++;
    return ST_OK;
}

/* The type of a piece of which there is none: as the body says, what is open there is 0. */
static void type_of_none(const struct turns *t, int i, int skip, struct pieces *p)
{
    const struct graph *g = t->body->g;

    p->type = g->values[g->outputs[skip + t->n_states + i]].type;
    if (p->type.ndim < 0 || p->type.ndim >= IR_DIMS_MAX) p->type.ndim = 0;
    for (int d = 0; d < p->type.ndim; d++)
        if (p->type.dim[d] < 0) p->type.dim[d] = 0;
    (void)type_bytes(&p->type, &p->bytes);
}

/* All pieces along a new axis. */
static status stack(const struct turns *t, const struct pieces *p, int64_t axis, bool backwards,
                    struct slot *out, struct err *err)
{
    struct tensor_type type = p->type;
    size_t outer = 1, bytes = 0;

    if (axis < 0) axis += type.ndim + 1;
    if (axis < 0 || axis > type.ndim)
        return FAIL(err, ST_SHAPE, "node %s: an output axis is out of range", t->n->name);
    type.ndim++;
    for (int d = type.ndim - 1; d > (int)axis; d--) type.dim[d] = type.dim[d - 1];
    type.dim[axis] = (int64_t)p->n;
    if (!type_bytes(&type, &bytes) || !type_span(&type, 0, (int)axis, &outer))
        return FAIL(err, ST_LIMIT, "node %s: an output is too large", t->n->name);
    char *data = mem_alloc_aligned(DENSE_ALIGN, bytes ? bytes : 1);
    if (!data) return FAIL(err, ST_NOMEM, "out of memory");
    const size_t inner = outer ? p->bytes / outer : 0;
    for (size_t k = 0; k < p->n; k++)
        for (size_t o = 0; o < outer; o++)
            memcpy(data + (o * p->n + (backwards ? p->n - 1 - k : k)) * inner,
                   p->data + k * p->bytes + o * inner, inner);
    *out = (struct slot){ .tensor = { type, data }, .owned = true };
    return ST_OK;
}

/* ---- a turn ---- */

/* After the body has run: its next states and its pieces. skip: outputs before the states. An
 * output may be a state that went in, so those live until end_turn. */
static status take_turn(struct turns *t, int skip, struct err *err)
{
    const struct graph *g = t->body->g;

    for (int i = 0; i < t->n_states; i++)
        TRY(dense_take(t->body, g->outputs[skip + i], &t->next[i], err));
    for (int i = 0; i < t->n_pieces; i++) {
        struct slot piece;

        TRY(dense_take(t->body, g->outputs[skip + t->n_states + i], &piece, err));
        const status st = add_piece(t, i, &piece.tensor, err);
        dense_slot_free(&piece);
        if (st != ST_OK) return st;
    }
    return ST_OK;
}

/* The next states become the states. */
static void end_turn(struct turns *t)
{
    for (int i = 0; i < t->n_states; i++) {
        dense_slot_free(&t->states[i]);
        t->states[i] = t->next[i];
        t->next[i] = (struct slot){ 0 };
    }
}

/* Output i of the node becomes `from`; what was never the loop's own is copied. */
static status put_state(struct turns *t, int i, struct err *err)
{
    const int value = t->n->out[i];
    struct slot *from = &t->states[i], *to = &t->x->slots[value];
    size_t bytes = 0;

    *to = (struct slot){ from->tensor, t->x->uses[value], true };
    if (from->owned) {
        from->owned = false;
        return ST_OK;
    }
    to->tensor.data = type_bytes(&from->tensor.type, &bytes)
                          ? mem_alloc_aligned(DENSE_ALIGN, bytes ? bytes : 1)
                          : NULL;
    if (!to->tensor.data) {
        *to = (struct slot){ 0 };
        return FAIL(err, ST_NOMEM, "out of memory");
    }
    memcpy(to->tensor.data, from->tensor.data, bytes);
    return ST_OK;
}

static bool wanted(const struct turns *t, int i)
{
    return i < t->n->n_out && t->n->out[i] >= 0 && t->x->uses[t->n->out[i]] > 0;
}

static status put_outputs(struct turns *t, int skip, const struct attrs_scan *a, struct err *err)
{
    for (int i = 0; i < t->n_states; i++)
        if (wanted(t, i)) TRY(put_state(t, i, err));
    for (int i = 0; i < t->n_pieces; i++) {
        if (!wanted(t, t->n_states + i)) continue;
        struct slot *to = &t->x->slots[t->n->out[t->n_states + i]];

        if (t->pieces[i].n == 0) type_of_none(t, i, skip, &t->pieces[i]);
        TRY(stack(t, &t->pieces[i], a && i < a->out_axes.n ? a->out_axes.v[i] : 0,
                  a && i < a->out_directions.n && a->out_directions.v[i] == 1, to, err));
        to->uses = t->x->uses[t->n->out[t->n_states + i]];
    }
    return ST_OK;
}

/* ---- Loop ---- */

static bool is_true(const struct tensor *t)
{
    size_t n;

    return t->type.dtype == DT_BOOL && type_elements(&t->type, &n) && n == 1 &&
           *(const uint8_t *)t->data != 0;
}

static status loop_turn(struct turns *t, int64_t turn, bool *go_on, struct err *err)
{
    bool yes = true;
    const struct tensor number = { type_make(DT_I64, 0, NULL), &turn },
                        cond = { type_make(DT_BOOL, 0, NULL), &yes };
    struct slot more;

    dense_start_inner(t->x, t->body);
    give(t->body, 0, &number);
    give(t->body, 1, &cond);
    for (int i = 0; i < t->n_states; i++) give(t->body, 2 + (size_t)i, &t->states[i].tensor);
    TRY(dense_run_nodes(t->body, err));
    TRY(take_turn(t, 1, err));
    TRY(dense_take(t->body, t->body->g->outputs[0], &more, err));
    *go_on = is_true(&more.tensor);
    dense_slot_free(&more);
    end_turn(t);
    return ST_OK;
}

status dense_run_loop(struct dense_exec *x, int node, struct err *err)
{
    const struct graph_node *n = &x->g->nodes[node];
    const struct tensor *in = x->nodes[node].in;
    const int64_t most = in[0].data ? *(const int64_t *)in[0].data : INT64_MAX;
    bool go_on = !in[1].data || is_true(&in[1]);
    struct turns t;

    status st = turns_open(&t, x, node, (struct state_span){ 2, n->n_in - 2, 1 }, err);
    for (int64_t i = 0; st == ST_OK && go_on && i < most; i++)
        st = i < TURNS_MAX ? loop_turn(&t, i, &go_on, err)
                           : FAIL(err, ST_LIMIT, "more than %d turns", TURNS_MAX);
    if (st == ST_OK) st = put_outputs(&t, 1, NULL, err);
    turns_close(&t);
    return st;
}

/* ---- Scan ---- */

/* Slice `at` of x along an axis, into memory of its own. */
static status slice(const struct tensor *x, int64_t axis, int64_t at, struct arena *a,
                    struct tensor *out, struct err *err)
{
    size_t outer = 1, inner = 1;

    out->type = x->type;
    out->type.ndim--;
    for (int d = (int)axis; d < out->type.ndim; d++) out->type.dim[d] = x->type.dim[d + 1];
    if (dtype_bits(x->type.dtype) < 8 || !type_span(&x->type, 0, (int)axis, &outer) ||
        !type_span(&x->type, (int)axis + 1, x->type.ndim, &inner))
        return FAIL(err, ST_UNSUPPORTED, "a scan over this type");
    inner *= dtype_bits(x->type.dtype) / 8;
    char *to = arena_alloc(a, outer * inner + 1);
    if (!to) return FAIL(err, ST_NOMEM, "out of memory");
    for (size_t o = 0; o < outer; o++)
        memcpy(to + o * inner,
               (const char *)x->data + (o * (size_t)x->type.dim[axis] + (size_t)at) * inner, inner);
    out->data = to;
    return ST_OK;
}

/* The axis of scan input i, and how long all of them are. */
static status scan_axis(const struct attrs_scan *a, int i, const struct tensor *x, int64_t *axis,
                        int64_t *length, struct err *err)
{
    *axis = i < a->in_axes.n ? a->in_axes.v[i] : 0;
    if (*axis < 0) *axis += x->type.ndim;
    if (*axis < 0 || *axis >= x->type.ndim || (*length >= 0 && *length != x->type.dim[*axis]))
        return FAIL(err, ST_SHAPE, "scan input %d: its axis, or the length there, does not fit", i);
    *length = x->type.dim[*axis];
    return ST_OK;
}

static status scan_turn(struct turns *t, const struct attrs_scan *a, const struct tensor *scans,
                        int64_t turn, struct arena *mem, struct err *err)
{
    dense_start_inner(t->x, t->body);
    for (int i = 0; i < t->n_states; i++) give(t->body, (size_t)i, &t->states[i].tensor);
    for (int i = 0; i < (int)a->num_scan_inputs; i++) {
        const bool backwards = i < a->in_directions.n && a->in_directions.v[i] == 1;
        int64_t axis, length = -1;
        struct tensor piece;

        TRY(scan_axis(a, i, &scans[i], &axis, &length, err));
        TRY(slice(&scans[i], axis, backwards ? length - 1 - turn : turn, mem, &piece, err));
        give(t->body, (size_t)(t->n_states + i), &piece);
    }
    TRY(dense_run_nodes(t->body, err));
    TRY(take_turn(t, 0, err));
    end_turn(t);
    return ST_OK;
}

status dense_run_scan(struct dense_exec *x, int node, struct err *err)
{
    const struct graph_node *n = &x->g->nodes[node];
    const struct attrs_scan *a = &x->nodes[node].attr.scan;
    const int states = n->n_in - (int)a->num_scan_inputs;
    const struct tensor *scans = x->nodes[node].in + states;
    struct arena mem = { 0 };
    int64_t length = -1, axis;
    struct turns t;

    status st = turns_open(&t, x, node, (struct state_span){ .n = states }, err);
    for (int i = 0; st == ST_OK && i < (int)a->num_scan_inputs; i++)
        st = scan_axis(a, i, &scans[i], &axis, &length, err);
    for (int64_t i = 0; st == ST_OK && i < length; i++) {
        arena_reset(&mem);
        st = scan_turn(&t, a, scans, i, &mem, err);
    }
    if (st == ST_OK) st = put_outputs(&t, 0, a, err);
    arena_fini(&mem);
    turns_close(&t);
    return st;
}
