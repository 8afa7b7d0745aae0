/* SPDX-License-Identifier: MIT */
#include "engine/passes/length_eval.h"
#include "engine/passes/fold.h"
#include "engine/passes/match.h"
#include <string.h>

enum {
    SMALL = 4096,  /* results of up to so many elements are computed at once, others on demand */
    CONSTANT = 64, /* elements of what is taken for a constant */
    N_SAMPLES = 3, /* lengths that say what a dimension follows */
};

/* No two of these numbers, nor their sums, are alike; the last is how generation begins. */
static const struct {
    int64_t past, rows;
} samples[N_SAMPLES] = { { 1009, 13 }, { 2003, 29 }, { 0, 1 } };

/* All values under one pair of lengths. */
struct sample {
    int64_t past, rows;
    struct tensor *v; /* [n_values]; data NULL: not known, or not yet */
    struct arena arena;
    struct sample *next;
};

struct length_eval {
    const struct graph *g;
    const struct model_io_names *io;
    struct backend *be;
    struct sample *first;
    bool *pure;   /* [n_values]: follows from shapes alone; of graph order */
    bool *wanted; /* [n_nodes]: what the value asked for needs */
};

static status no_memory(struct err *err) { return FAIL(err, ST_NOMEM, "out of memory"); }

/* ---- inputs ---- */

static bool name_has_number(const char *name, const char *pattern)
{
    const char *hole = pattern ? strstr(pattern, "%d") : NULL;
    const size_t head = hole ? (size_t)(hole - pattern) : 0;

    return hole && !strncmp(name, pattern, head) && name[head] >= '0' && name[head] <= '9';
}

/* Ones for the mask, positions counted on from the past. */
static status fill_ints(struct sample *s, struct tensor *t, bool mask, struct err *err)
{
    size_t n = 0;

    if (!type_elements(&t->type, &n)) return ST_OK;
    const size_t width = (size_t)t->type.dim[t->type.ndim - 1];
    int64_t *out = ARENA_ARRAY(&s->arena, n + 1, int64_t);
    if (!out) return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        const int64_t x = mask ? 1 : s->past + (int64_t)(i % width);

        if (t->type.dtype == DT_I64)
            out[i] = x;
        else
            ((int32_t *)(void *)out)[i] = (int32_t)x;
    }
    t->data = out;
    return ST_OK;
}

/* [1, n], or three equal rows of it. */
static bool row_type(struct tensor_type *t, int64_t n)
{
    if (t->ndim < 2 || t->ndim > 3) return false;
    if (t->ndim == 3) t->dim[0] = 3;
    t->dim[t->ndim - 2] = 1;
    t->dim[t->ndim - 1] = n;
    return true;
}

static status fill_input(const struct length_eval *e, struct sample *s, int value, struct err *err)
{
    const char *name = e->g->values[value].name;
    const bool mask = str_equal(name, e->io->attention_mask),
               positions = str_equal(name, e->io->position_ids);
    struct tensor *t = &s->v[value];

    t->type = e->g->values[value].type;
    if (mask || positions) {
        if ((t->type.dtype != DT_I64 && t->type.dtype != DT_I32) ||
            !row_type(&t->type, mask ? s->past + s->rows : s->rows))
            t->type.ndim = -1;
        return t->type.ndim < 0 ? ST_OK : fill_ints(s, t, mask, err);
    }
    if (str_equal(name, e->io->input_ids)) {
        if (!row_type(&t->type, s->rows)) t->type.ndim = -1;
    } else if (str_equal(name, e->io->inputs_embeds) && t->type.ndim == 3) {
        t->type.dim[0] = 1;
        t->type.dim[1] = s->rows;
    } else if (t->type.ndim == 4 && (name_has_number(name, e->io->past_key) ||
                                     name_has_number(name, e->io->past_value))) {
        t->type.dim[0] = 1;
        t->type.dim[2] = s->past;
    } else if (t->type.ndim > 0 && t->type.dim[0] < 0) {
        t->type.dim[0] = 1; /* a state of another kind: of one sequence */
    }
    return ST_OK;
}

/* ---- nodes ---- */

/* A table of quantised rows is computed too: here it is no weight. */
static bool eval_takes(enum op_kind op) { return fold_takes(op) || op == OP_DEQUANTIZELINEAR; }

/* Types and known elements of a node's operands. */
static status make_call(const struct length_eval *e, const struct sample *s, int node,
                        struct arena *a, struct op_call *call, struct err *err)
{
    const struct graph_node *n = &e->g->nodes[node];

    *call = (struct op_call){
        .op = n->op, .version = n->version, .node = n->name, .n_in = n->n_in, .n_out = n->n_out
    };
    call->in = ARENA_ARRAY(a, (size_t)n->n_in + 1, struct tensor);
    call->out = ARENA_ARRAY(a, (size_t)n->n_out + 1, struct tensor);
    if (!call->in || !call->out) return no_memory(err);
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] < 0)
            call->in[i].type.dtype = DT_NONE;
        else
            call->in[i] = s->v[n->in[i]];
    }
    return op_attrs_read(n->op, n->attrs, n->n_attrs, &call->attr, err);
}

static bool is_small(const struct op_call *call)
{
    for (int i = 0; i < call->n_out; i++) {
        size_t n = 0;
        if (call->out[i].type.dtype == DT_NONE) continue;
        if (!type_elements(&call->out[i].type, &n) || n > SMALL) return false;
    }
    return true;
}

/* Lengths beyond what a table holds are no fault of the types: once more without the elements. */
static status infer_call(const struct length_eval *e, const struct graph_node *n,
                         struct op_call *call, struct err *quiet)
{
    if (op_row(n->op)->infer(call, quiet) == ST_OK) return ST_OK;
    err_clear(quiet);
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] >= 0 && !e->g->values[n->in[i]].data) call->in[i].data = NULL;
    return op_row(n->op)->infer(call, quiet);
}

/* Types of what a node makes, and its elements if they are known and few, or asked for. What cannot
 * be inferred stays unknown. */
static status eval_node(const struct length_eval *e, struct sample *s, int node, bool asked,
                        struct err *err)
{
    const struct graph_node *n = &e->g->nodes[node];
    struct arena scratch = { 0 };
    struct op_call call;
    struct err quiet = { 0 };
    bool done = false;
    status st = ST_OK;

    if (n->op == OP_IF || n->op == OP_LOOP || n->op == OP_SCAN) return ST_OK;
    if (make_call(e, s, node, &scratch, &call, &quiet) == ST_OK &&
        infer_call(e, n, &call, &quiet) == ST_OK) {
        if (eval_takes(n->op) && fold_ready(&call, n->in) && (asked || is_small(&call)))
            st = fold_call(&call, e->be, &s->arena, &done, err);
        for (int i = 0; st == ST_OK && i < n->n_out; i++) {
            if (n->out[i] < 0) continue;
            s->v[n->out[i]].type = call.out[i].type;
            s->v[n->out[i]].data = done ? call.out[i].data : NULL;
        }
    }
    arena_fini(&scratch);
    return st;
}

/* ---- samples ---- */

static void sample_destroy(struct sample *s)
{
    arena_fini(&s->arena);
    mem_free(s);
}

static status sample_make(const struct length_eval *e, struct sample *s, struct err *err)
{
    s->v = ARENA_ARRAY(&s->arena, e->g->n_values + 1, struct tensor);
    if (!s->v) return no_memory(err);
    for (size_t i = 0; i < e->g->n_values; i++) {
        const struct graph_value *v = &e->g->values[i];

        s->v[i].type = (struct tensor_type){ .dtype = v->type.dtype, .ndim = -1 };
        if (!v->data) continue;
        s->v[i].type = v->type;
        s->v[i].data = (void *)(uintptr_t)v->data;
    }
    for (size_t i = 0; i < e->g->n_inputs; i++) TRY(fill_input(e, s, e->g->inputs[i], err));
    for (size_t i = 0; i < e->g->n_nodes; i++)
        if (e->g->nodes[i].op != OP_NONE) TRY(eval_node(e, s, (int)i, false, err));
    return ST_OK;
}

static status sample_at(struct length_eval *e, int64_t past, int64_t rows, struct sample **out,
                        struct err *err)
{
    for (*out = e->first; *out; *out = (*out)->next)
        if ((*out)->past == past && (*out)->rows == rows) return ST_OK;
    struct sample *s = mem_calloc(1, sizeof *s);
    if (!s) return no_memory(err);
    s->past = past;
    s->rows = rows;
    const status st = sample_make(e, s, err);
    if (st != ST_OK) {
        sample_destroy(s);
        return st;
    }
    s->next = e->first;
    *out = e->first = s;
    return ST_OK;
}

void length_eval_forget(struct length_eval *e, int64_t past, int64_t rows)
{
    for (struct sample **at = &e->first; *at; at = &(*at)->next)
        if ((*at)->past == past && (*at)->rows == rows) {
            struct sample *s = *at;

            *at = s->next;
            sample_destroy(s);
            return;
        }
}

/* ---- what follows from shapes alone ---- */

/* Arithmetic on shapes: no comparison with a length but for equality, which exporters use to find
 * the -1 of an Expand. */
static bool is_shape_arithmetic(enum op_kind op)
{
    switch (op) {
    case OP_GATHER:
    case OP_SLICE:
    case OP_SQUEEZE:
    case OP_UNSQUEEZE:
    case OP_RESHAPE:
    case OP_CONCAT:
    case OP_SPLIT:
    case OP_CAST:
    case OP_IDENTITY:
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_MOD:
    case OP_NEG:
    case OP_FLOOR:
    case OP_CEIL:
    case OP_SQRT:
    case OP_POW:
    case OP_RECIPROCAL:
    case OP_REDUCEPROD:
    case OP_CONSTANTOFSHAPE:
    case OP_EXPAND:
    case OP_RANGE:
    case OP_TRANSPOSE:
    case OP_EQUAL:
    case OP_WHERE: return true;
    default: return false;
    }
}

static void find_pure(struct length_eval *e)
{
    for (size_t i = 0; i < e->g->n_values; i++) e->pure[i] = e->g->values[i].data != NULL;
    for (size_t i = 0; i < e->g->n_nodes; i++) {
        const struct graph_node *n = &e->g->nodes[i];
        bool pure = n->op == OP_SHAPE || n->op == OP_SIZE || is_shape_arithmetic(n->op);

        for (int k = 0; pure && n->op != OP_SHAPE && n->op != OP_SIZE && k < n->n_in; k++)
            pure = n->in[k] < 0 || e->pure[n->in[k]];
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] >= 0) e->pure[n->out[k]] = pure;
    }
}

/* ---- life ---- */

status length_eval_open(struct length_eval **out, const struct graph *g,
                        const struct model_io_names *io, struct backend *be, struct err *err)
{
    struct length_eval *e = mem_calloc(1, sizeof *e);

    *out = NULL;
    if (!e) return no_memory(err);
    *e = (struct length_eval){ .g = g, .io = io, .be = be };
    e->pure = mem_calloc(g->n_values + 1, sizeof *e->pure);
    e->wanted = mem_calloc(g->n_nodes + 1, sizeof *e->wanted);
    if (!e->pure || !e->wanted) {
        length_eval_close(e);
        return no_memory(err);
    }
    find_pure(e);
    *out = e;
    return ST_OK;
}

void length_eval_close(struct length_eval *e)
{
    if (!e) return;
    while (e->first) length_eval_forget(e, e->first->past, e->first->rows);
    mem_free(e->pure);
    mem_free(e->wanted);
    mem_free(e);
}

/* ---- asking ---- */

const char *length_eval_name(const struct length_eval *e, int value)
{
    return value >= 0 && (size_t)value < e->g->n_values ? e->g->values[value].name : "";
}

status length_eval_type(struct length_eval *e, int64_t past, int64_t rows, int value,
                        struct tensor_type *t, struct err *err)
{
    struct sample *s = NULL;

    t->ndim = -1;
    TRY(sample_at(e, past, rows, &s, err));
    if (value >= 0 && (size_t)value < e->g->n_values) *t = s->v[value].type;
    return ST_OK;
}

/* Marks the nodes whose elements `value` needs and that are not known yet. False when one of them
 * cannot be known. */
static bool mark_needed(struct length_eval *e, const struct sample *s, int value)
{
    const int last = e->g->values[value].producer;

    if (last < 0) return false;
    memset(e->wanted, 0, e->g->n_nodes * sizeof *e->wanted);
    e->wanted[last] = true;
    for (int i = last; i >= 0; i--) {
        const struct graph_node *n = &e->g->nodes[i];

        if (!e->wanted[i]) continue;
        if (!eval_takes(n->op)) return false;
        if (n->op == OP_SHAPE || n->op == OP_SIZE) continue;
        for (int k = 0; k < n->n_in; k++) {
            if (n->in[k] < 0 || s->v[n->in[k]].data) continue;
            const int p = e->g->values[n->in[k]].producer;
            if (p < 0) return false;
            e->wanted[p] = true;
        }
    }
    return true;
}

status length_eval_data(struct length_eval *e, int64_t past, int64_t rows, int value,
                        struct tensor *t, struct err *err)
{
    struct sample *s = NULL;

    if (value < 0 || (size_t)value >= e->g->n_values)
        return FAIL(err, ST_UNSUPPORTED, "it is not a value of the file");
    TRY(sample_at(e, past, rows, &s, err));
    if (!s->v[value].data && mark_needed(e, s, value))
        for (int i = 0; i <= e->g->values[value].producer; i++)
            if (e->wanted[i]) TRY(eval_node(e, s, i, true, err));
    *t = s->v[value];
    if (!t->data)
        return FAIL(err, ST_UNSUPPORTED, "%s: it depends on more than the lengths",
                    e->g->values[value].name);
    return ST_OK;
}

/* ---- dimensions ---- */

static int64_t dim_follows(const int64_t d[N_SAMPLES])
{
    bool rows = true, past = true, all = true, same = true;

    for (int i = 0; i < N_SAMPLES; i++) {
        rows = rows && d[i] == samples[i].rows;
        past = past && d[i] == samples[i].past;
        all = all && d[i] == samples[i].past + samples[i].rows;
        same = same && d[i] == d[0];
    }
    return same ? d[0] : rows ? DIM_TOKENS : past ? LENGTH_PAST : all ? LENGTH_ALL : DIM_UNKNOWN;
}

int length_eval_dims(struct length_eval *e, int value, int64_t *dims)
{
    struct tensor_type t[N_SAMPLES];

    for (int i = 0; i < N_SAMPLES; i++) {
        if (length_eval_type(e, samples[i].past, samples[i].rows, value, &t[i], NULL) != ST_OK ||
            t[i].ndim < 0 || t[i].ndim != t[0].ndim)
            return -1;
    }
    for (int d = 0; d < t[0].ndim; d++)
        dims[d] = dim_follows((int64_t[]){ t[0].dim[d], t[1].dim[d], t[2].dim[d] });
    return t[0].ndim;
}

bool length_eval_constant(struct length_eval *e, int value, struct tensor *t)
{
    struct tensor other;
    size_t n = 0, bytes = 0;

    if (!e->pure[value] || e->g->values[value].data) return false;
    for (int i = 0; i < N_SAMPLES; i++) {
        if (length_eval_data(e, samples[i].past, samples[i].rows, value, i ? &other : t, NULL) !=
                ST_OK ||
            !type_elements(&t->type, &n) || n > CONSTANT || !type_bytes(&t->type, &bytes))
            return false;
        if (i && (!type_equal(&t->type, &other.type) || memcmp(t->data, other.data, bytes) != 0))
            return false;
    }
    return true;
}
