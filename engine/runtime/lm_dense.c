/* SPDX-License-Identifier: MIT */
/* A model as its graph is: the generic executor, one sequence at a time, past and present as dense
 * tensors. Slower, never wrong. */
#include "engine/exec/dense_exec.h"
#include "engine/passes/length_switch.h"
#include "engine/runtime/lm_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum in_role { IN_IDS, IN_EMBEDS, IN_MASK, IN_POSITIONS, IN_PAST };

/* One graph input; for IN_PAST the output that continues it and the shape of its heads. */
struct dense_input {
    enum in_role role;
    int present; /* index among the graph's outputs */
    int64_t n_heads, head_dim;
    int64_t window_rows; /* > 0: a windowed cache of fixed rows */
};

struct lm_dense {
    struct lm_base base; /* first */
    struct dense_exec *exec;
    struct dense_input *in; /* [n_inputs] */
    struct tensor *in_t;    /* operands of a run, [n_inputs] */
    struct tensor *out_t;   /* [n_outputs] */
    int output;             /* index of logits or hidden states */
    int mask;               /* value of attention_mask where length switches hang on it, else -1 */
};

/* The past of one sequence. */
struct dense_state {
    int64_t length;
    struct tensor *past; /* [n_inputs], used where role is IN_PAST; data owned */
};

/* ---- reading the graph's interface ---- */

/* "past.%d.key" with the number of `name` per `from` put into `to`; false if name does not match.
 */
static bool renumber(const char *name, const char *from, const char *to, char *buf, size_t n)
{
    const char *hole = strstr(from, "%d"), *target = strstr(to, "%d");
    char *end = NULL;

    if (!hole || !target || strncmp(name, from, (size_t)(hole - from)) != 0) return false;
    const char *digits = name + (hole - from);
    if (*digits < '0' || *digits > '9') return false;
    const unsigned long number = strtoul(digits, &end, 10);
    if (!str_equal(end, hole + 2)) return false;
    const int len = snprintf(buf, n, "%.*s%lu%s", (int)(target - to), to, number, target + 2);
    return len > 0 && (size_t)len < n;
}

static int find_output(const struct graph *g, const char *name)
{
    for (size_t i = 0; i < g->n_outputs; i++)
        if (str_equal(g->values[g->outputs[i]].name, name)) return (int)i;
    return -1;
}

/* Head width and window of a cache from the attention that reads it, where the declared shape
 * leaves them open. */
static void read_attention(const struct graph *g, int value, struct dense_input *d)
{
    const int user = graph_next_user(g, value, -1);
    union op_attrs at;

    if (user < 0 || g->nodes[user].op != OP_GQA) return;
    const struct graph_node *n = &g->nodes[user];
    if (op_attrs_read(n->op, n->attrs, n->n_attrs, &at, NULL) != ST_OK) return;
    const struct tensor_type *q = &g->values[n->in[0]].type;
    const int64_t heads = at.gqa.num_heads + (n->in[1] < 0 ? 2 * at.gqa.kv_num_heads : 0);
    if (d->head_dim < 1 && q->ndim > 0 && heads > 0 && q->dim[q->ndim - 1] % heads == 0)
        d->head_dim = q->dim[q->ndim - 1] / heads;
    if (at.gqa.sliding_window_cache && at.gqa.local_window_size > 0)
        d->window_rows = at.gqa.local_window_size;
}

static status read_past(const struct lm_dense *m, int value, const char *present,
                        struct dense_input *d, struct err *err)
{
    const struct graph_value *v = &m->base.graph->values[value];

    d->role = IN_PAST;
    d->present = find_output(m->base.graph, present);
    if (d->present < 0)
        return FAIL(err, ST_UNSUPPORTED, "input %s: there is no output %s", v->name, present);
    if (v->type.ndim != 4)
        return FAIL(err, ST_UNSUPPORTED, "input %s: a cache of rank %d", v->name, v->type.ndim);
    d->n_heads = v->type.dim[1];
    d->head_dim = v->type.dim[3];
    read_attention(m->base.graph, value, d);
    if (d->n_heads < 1 || d->head_dim < 1)
        return FAIL(err, ST_UNSUPPORTED, "input %s: its heads are not known", v->name);
    if (d->window_rows) d->window_rows += m->base.lm.info.tokens_max;
    return ST_OK;
}

static status read_input(struct lm_dense *m, const struct model_io_names *io, size_t i,
                         struct err *err)
{
    const int value = m->base.graph->inputs[i];
    const struct graph_value *v = &m->base.graph->values[value];
    struct dense_input *d = &m->in[i];
    char present[256];

    if (str_equal(v->name, io->input_ids)) {
        d->role = IN_IDS;
    } else if (str_equal(v->name, io->inputs_embeds)) {
        d->role = IN_EMBEDS;
        m->base.lm.info.takes_embeds = true;
        m->base.lm.info.hidden = v->type.ndim == 3 ? v->type.dim[2] : 0;
    } else if (str_equal(v->name, io->attention_mask)) {
        d->role = IN_MASK;
    } else if (str_equal(v->name, io->position_ids)) {
        d->role = IN_POSITIONS;
    } else if (renumber(v->name, io->past_key, io->present_key, present, sizeof present) ||
               renumber(v->name, io->past_value, io->present_value, present, sizeof present)) {
        return read_past(m, value, present, d, err);
    } else {
        return FAIL(err, ST_UNSUPPORTED, "input %s: its role in a language model is not known",
                    v->name);
    }
    return ST_OK;
}

static status read_output(struct lm_dense *m, const struct model_io_names *io, struct err *err)
{
    struct lm_info *info = &m->base.lm.info;

    m->output = find_output(m->base.graph, io->logits);
    if (m->output < 0) {
        m->output = find_output(m->base.graph, io->hidden_states);
        info->hidden_only = true;
    }
    if (m->output < 0)
        return FAIL(err, ST_UNSUPPORTED, "no output is named %s or %s", io->logits,
                    io->hidden_states);
    const struct tensor_type *t = &m->base.graph->values[m->base.graph->outputs[m->output]].type;
    if (t->ndim != 3 || t->dim[2] < 1 || t->dtype != DT_F32)
        return FAIL(err, ST_UNSUPPORTED, "output %s is not f32 [batch, sequence, known width]",
                    io->logits);
    info->width = t->dim[2];
    if (info->hidden_only)
        info->hidden = info->width;
    else
        info->vocab = info->width;
    return ST_OK;
}

/* The longrope switch follows the length that a sequence will have; any other If sees only its
 * chunk, so that prompts must go in whole. */
static void read_switches(struct lm_dense *m)
{
    const struct graph *g = m->base.graph;
    int mask = -1;

    for (size_t i = 0; i < g->n_inputs; i++)
        if (m->in[i].role == IN_MASK) mask = g->inputs[i];
    m->base.lm.info.long_threshold = mask < 0 ? 0 : length_switch_common(g, mask);
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == OP_IF && !length_switch_threshold(g, (int)i, mask))
            m->base.lm.info.whole_prompt = true;
    if (!m->base.lm.info.long_threshold) mask = -1;
    m->mask = mask;
}

static status read_interface(struct lm_dense *m, const struct model_io_names *io, struct err *err)
{
    const struct graph *g = m->base.graph;

    m->in = ARENA_ARRAY(&m->base.arena, g->n_inputs + 1, struct dense_input);
    m->in_t = ARENA_ARRAY(&m->base.arena, g->n_inputs + 1, struct tensor);
    m->out_t = ARENA_ARRAY(&m->base.arena, g->n_outputs + 1, struct tensor);
    if (!m->in || !m->in_t || !m->out_t) return FAIL(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; i < g->n_inputs; i++) TRY(read_input(m, io, i, err));
    read_switches(m);
    return read_output(m, io, err);
}

/* ---- state ---- */

static void state_destroy(struct lm *lm, void *state)
{
    struct dense_state *s = state;

    if (!s) return;
    for (size_t i = 0; s->past && i < ((struct lm_dense *)lm)->base.graph->n_inputs; i++)
        mem_free_aligned(s->past[i].data);
    mem_free(s->past);
    mem_free(s);
}

/* An empty cache; a windowed one has all its rows from the start. */
static status empty_past(const struct lm_dense *m, size_t i, struct tensor *t, struct err *err)
{
    const struct dense_input *d = &m->in[i];
    const enum dtype dt = m->base.graph->values[m->base.graph->inputs[i]].type.dtype;
    size_t bytes = 0;

    t->type = type_make(dt, 4, (int64_t[]){ 1, d->n_heads, d->window_rows, d->head_dim });
    if (!type_bytes(&t->type, &bytes)) return FAIL(err, ST_LIMIT, "a cache is too large");
    t->data = mem_alloc_aligned(64, bytes ? bytes : 1);
    if (!t->data) return FAIL(err, ST_NOMEM, "out of memory");
    memset(t->data, 0, bytes);
    return ST_OK;
}

static status state_create(struct lm *lm, void **state, struct err *err)
{
    const struct lm_dense *m = (struct lm_dense *)lm;
    struct dense_state *s = mem_calloc(1, sizeof *s);
    status st = ST_OK;

    *state = NULL;
    if (s) s->past = mem_calloc(m->base.graph->n_inputs + 1, sizeof *s->past);
    if (!s || !s->past) {
        mem_free(s);
        return FAIL(err, ST_NOMEM, "out of memory");
    }
    for (size_t i = 0; st == ST_OK && i < m->base.graph->n_inputs; i++)
        if (m->in[i].role == IN_PAST) st = empty_past(m, i, &s->past[i], err);
    if (st != ST_OK) {
        state_destroy(lm, s);
        return st;
    }
    *state = s;
    return ST_OK;
}

/* Keeps the first `length` rows of every head of a growing cache. */
static status cut_past(struct tensor *t, int64_t length, struct err *err)
{
    const size_t row = (size_t)t->type.dim[3] * dtype_bits(t->type.dtype) / 8,
                 rows = (size_t)t->type.dim[2];
    char *p = t->data;

    if (length > t->type.dim[2])
        return FAIL(err, ST_INTERNAL, "a cache is shorter than its sequence");
    for (int64_t h = 0; h < t->type.dim[1]; h++)
        memmove(p + (size_t)h * (size_t)length * row, p + (size_t)h * rows * row,
                (size_t)length * row);
    t->type.dim[2] = length;
    return ST_OK;
}

static status state_rewind(struct lm *lm, void *state, int64_t length, struct err *err)
{
    const struct lm_dense *m = (struct lm_dense *)lm;
    struct dense_state *s = state;

    if (length > s->length || length < 0)
        return FAIL(err, ST_INVALID, "rewind to %lld of %lld positions", (long long)length,
                    (long long)s->length);
    for (size_t i = 0; i < m->base.graph->n_inputs; i++) {
        if (m->in[i].role != IN_PAST || (m->in[i].window_rows && length == 0)) continue;
        if (m->in[i].window_rows && length < s->length)
            return FAIL(err, ST_UNSUPPORTED, "a windowed cache cannot go back");
        if (!m->in[i].window_rows) TRY(cut_past(&s->past[i], length, err));
    }
    s->length = length;
    return ST_OK;
}

/* ---- a step ---- */

struct dense_call {
    const struct lm_dense *m;
    const struct lm_step *step;
    const struct step_seq *seq;
    struct dense_state *state;
    struct arena arena;
};

static void put_int(struct tensor *t, size_t i, int64_t v)
{
    if (t->type.dtype == DT_I64)
        ((int64_t *)t->data)[i] = v;
    else
        ((int32_t *)t->data)[i] = (int32_t)v;
}

/* An integer input [1, n] (positions may have three equal rows): ids, ones, or positions. */
static status int_input(struct dense_call *c, size_t i, enum in_role role, struct tensor *t,
                        struct err *err)
{
    const struct tensor_type *decl = &c->m->base.graph->values[c->m->base.graph->inputs[i]].type;
    const int64_t n = role == IN_MASK ? c->state->length + c->seq->n_tokens : c->seq->n_tokens;
    const int64_t copies = decl->ndim == 3 ? 3 : 1;

    if (decl->dtype != DT_I64 && decl->dtype != DT_I32)
        return FAIL(err, ST_UNSUPPORTED, "input %zu: not an integer tensor", i);
    t->type = decl->ndim == 3 ? type_make(decl->dtype, 3, (int64_t[]){ 3, 1, n })
                              : type_make(decl->dtype, 2, (int64_t[]){ 1, n });
    t->data = arena_alloc(&c->arena, (size_t)(n * copies) * sizeof(int64_t) + 1);
    if (!t->data) return FAIL(err, ST_NOMEM, "out of memory");
    for (int64_t k = 0; k < n * copies; k++) {
        const int64_t at = k % n;
        put_int(t, (size_t)k,
                role == IN_IDS    ? c->step->ids[c->seq->first + at]
                : role == IN_MASK ? 1
                                  : c->state->length + at);
    }
    return ST_OK;
}

static status bind_inputs(struct dense_call *c, struct err *err)
{
    const struct lm_dense *m = c->m;

    for (size_t i = 0; i < m->base.graph->n_inputs; i++) {
        struct tensor *t = &m->in_t[i];
        switch (m->in[i].role) {
        case IN_PAST: *t = c->state->past[i]; break;
        case IN_EMBEDS:
            t->type =
                type_make(DT_F32, 3, (int64_t[]){ 1, c->seq->n_tokens, m->base.lm.info.hidden });
            t->data = (void *)(uintptr_t)(c->step->embeds +
                                          (size_t)c->seq->first * (size_t)m->base.lm.info.hidden);
            break;
        default: TRY(int_input(c, i, m->in[i].role, t, err));
        }
    }
    return ST_OK;
}

/* The rows asked for of this sequence; a pruned head gives the last position only. */
static status copy_rows(struct dense_call *c, struct err *err)
{
    const struct tensor *y = &c->m->out_t[c->m->output];
    const size_t width = (size_t)c->m->base.lm.info.width;

    for (int32_t r = 0; r < c->step->n_rows; r++) {
        int64_t at = c->step->rows[r] - c->seq->first;
        if (at < 0 || at >= c->seq->n_tokens) continue;
        if (y->type.ndim != 3 || (size_t)y->type.dim[2] != width)
            return FAIL(err, ST_SHAPE, "the output is not [1, sequence, %zu]", width);
        if (y->type.dim[1] == 1 && c->seq->n_tokens > 1) {
            if (at != c->seq->n_tokens - 1)
                return FAIL(err, ST_UNSUPPORTED, "this model gives the last position only");
            at = 0;
        }
        memcpy(c->step->out + (size_t)r * width, (const float *)y->data + (size_t)at * width,
               width * sizeof(float));
    }
    return ST_OK;
}

/* The present outputs become the past of the next step. */
static status keep_present(struct dense_call *c, struct err *err)
{
    for (size_t i = 0; i < c->m->base.graph->n_inputs; i++) {
        size_t bytes = 0;
        if (c->m->in[i].role != IN_PAST) continue;
        const struct tensor *y = &c->m->out_t[c->m->in[i].present];
        if (!type_bytes(&y->type, &bytes) || y->type.ndim != 4)
            return FAIL(err, ST_SHAPE, "a present output has an odd shape");
        void *copy = mem_alloc_aligned(64, bytes ? bytes : 1);
        if (!copy) return FAIL(err, ST_NOMEM, "out of memory");
        memcpy(copy, y->data, bytes);
        mem_free_aligned(c->state->past[i].data);
        c->state->past[i] = (struct tensor){ y->type, copy };
    }
    c->state->length += c->seq->n_tokens;
    return ST_OK;
}

static void set_switches(const struct dense_call *c)
{
    const struct lm_dense *m = c->m;
    const int64_t end = c->seq->n_past + c->seq->n_tokens;
    const int64_t length = c->seq->rope_len > end ? c->seq->rope_len : end;

    for (size_t i = 0; m->mask >= 0 && i < m->base.graph->n_nodes; i++) {
        const int64_t t = length_switch_threshold(m->base.graph, (int)i, m->mask);
        if (t) dense_exec_force_branch(m->exec, (int)i, length > t);
    }
}

static status run_sequence(struct dense_call *c, struct err *err)
{
    if (c->state->length != c->seq->n_past)
        return FAIL(err, ST_INTERNAL, "a sequence and its dense state differ in length");
    set_switches(c);
    TRY(bind_inputs(c, err));
    TRY(dense_exec_run(c->m->exec, c->m->in_t, c->m->out_t, err));
    TRY(copy_rows(c, err));
    return keep_present(c, err);
}

static status dense_step(struct lm *lm, const struct lm_step *s, struct err *err)
{
    for (int32_t i = 0; i < s->n_seqs; i++) {
        struct dense_call c = {
            .m = (struct lm_dense *)lm, .step = s, .seq = &s->seqs[i], .state = s->states[i]
        };
        const status st = run_sequence(&c, err);
        arena_fini(&c.arena);
        if (st != ST_OK) return st;
    }
    return ST_OK;
}

/* ---- life ---- */

static void dense_lm_close(struct lm *lm)
{
    struct lm_dense *m = (struct lm_dense *)lm;

    dense_exec_destroy(m->exec);
    lm_base_free(&m->base);
}

static const struct lm_ops dense_ops = { dense_step, state_create, state_destroy, state_rewind,
                                         dense_lm_close };

status lm_dense_create(struct lm **out, struct backend *be, struct graph *graph,
                       const struct model_io_names *io, const struct engine_config *cfg,
                       struct err *err)
{
    const struct lm_bounds b = lm_bounds_of(cfg);
    struct lm_dense *m = mem_calloc(1, sizeof *m);
    status st;

    *out = NULL;
    if (!m) return FAIL(err, ST_NOMEM, "out of memory");
    m->base.lm.ops = &dense_ops;
    m->base.lm.info = (struct lm_info){ .tokens_max = b.tokens_max,
                                        .rows_max = b.tokens_max,
                                        .seqs_max = b.seqs_max };
    m->base.graph = graph;
    st = read_interface(m, io, err);
    if (st == ST_OK) st = dense_exec_create(&m->exec, graph, be, err);
    if (st != ST_OK) {
        arena_fini(&m->base.arena);
        mem_free(m);
        return st;
    }
    m->base.lm.backend = be;
    *out = &m->base.lm;
    return ST_OK;
}
