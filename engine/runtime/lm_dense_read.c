/* SPDX-License-Identifier: MIT */
/* What the inputs and outputs of a language model's graph stand for: by the names that
 * genai_config.json gives them, and where it has none, by the operator that reads them. */
#include "engine/runtime/lm_dense.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- states ---- */

/* Head width and window of a cache from the attention that reads it, where the declared shape
 * leaves them open. */
static void read_attention(const struct graph *g, int value, struct tensor_type *t, int64_t *window)
{
    const int user = graph_next_user(g, value, -1);
    union op_attrs at;

    if (user < 0 || g->nodes[user].op != OP_GQA) return;
    const struct graph_node *n = &g->nodes[user];
    if (op_attrs_read(n->op, n->attrs, n->n_attrs, &at, NULL) != ST_OK) return;
    const struct tensor_type *q = &g->values[n->in[GQA_Q]].type;
    const int64_t heads = at.gqa.num_heads + (n->in[GQA_K] < 0 ? 2 * at.gqa.kv_num_heads : 0);
    if (t->dim[3] < 1 && q->ndim > 0 && heads > 0 && q->dim[q->ndim - 1] % heads == 0)
        t->dim[3] = q->dim[q->ndim - 1] / heads;
    if (at.gqa.sliding_window_cache && at.gqa.local_window_size > 0)
        *window = at.gqa.local_window_size;
}

/* A state that output `present` continues. Its first open dimension is the batch; `grows` (-1:
 * none) is the one of positions; all others must be known. */
static status read_state(const struct lm_dense *m, int value, int present, int grows,
                         struct dense_input *d, struct err *err)
{
    const struct graph_value *v = &m->base.graph->values[value];
    struct tensor_type *t = &d->empty;
    const int batch = v->type.ndim == 5 ? 1 : 0;
    int64_t window = 0;

    *d = (struct dense_input){ .role = IN_STATE, .present = present, .empty = v->type };
    d->grows = grows;
    if (present < 0) return FAIL(err, ST_UNSUPPORTED, "input %s: no output continues it", v->name);
    if (t->ndim < 2 || grows >= t->ndim || t->dtype == DT_STRING)
        return FAIL(err, ST_UNSUPPORTED, "input %s: a cache of rank %d", v->name, t->ndim);
    if (t->ndim == 4 && grows == 2) read_attention(m->base.graph, value, t, &window);
    if (t->dim[batch] < 0) t->dim[batch] = 1;
    if (window > 0) { /* rows of the window, and of the longest step */
        t->dim[grows] = window + m->base.lm.info.tokens_max;
        d->grows = -1;
    } else if (grows >= 0) {
        t->dim[grows] = 0;
    }
    d->rewinds = d->grows >= 0;
    if (t->dim[batch] != 1 || !type_known(t))
        return FAIL(err, ST_UNSUPPORTED, "input %s: its shape for one sequence is not known",
                    v->name);
    return ST_OK;
}

/* The output of the node that reads `value`, where that output is the graph's own: the state that
 * it hands on. */
static int handed_on(const struct graph *g, int value)
{
    const int user = graph_next_user(g, value, -1);

    for (int i = 0; user >= 0 && i < g->nodes[user].n_out; i++)
        for (size_t k = 0; k < g->n_outputs; k++)
            if (g->nodes[user].out[i] >= 0 && g->outputs[k] == g->nodes[user].out[i]) return (int)k;
    return -1;
}

struct state_names {
    const char *past, *present;
    int grows;
};

/* A state by the names of the configuration; false when the name is none of them. */
static bool state_by_name(struct lm_dense *m, const struct model_io_names *io, int value,
                          struct dense_input *d, status *st, struct err *err)
{
    const struct state_names names[] = { { io->past_key, io->present_key, 2 },
                                         { io->past_value, io->present_value, 2 },
                                         { io->past_both, io->present_both, 3 },
                                         { io->past_conv, io->present_conv, -1 },
                                         { io->past_recurrent, io->present_recurrent, -1 } };
    const struct graph *g = m->base.graph;
    char present[256];

    for (size_t i = 0; i < COUNT(names); i++) {
        if (!renumber(g->values[value].name, names[i].past, names[i].present, present,
                      sizeof present))
            continue;
        *st = read_state(m, value, find_output(g, present), names[i].grows, d, err);
        return true;
    }
    return false;
}

/* ---- inputs ---- */

/* By the operator that reads it: a static cache and its lengths, a merged decoder's switch. */
static status read_by_use(struct lm_dense *m, int value, struct dense_input *d, struct err *err)
{
    const struct graph *g = m->base.graph;
    const int user = graph_next_user(g, value, -1);
    const struct graph_node *n = user < 0 ? NULL : &g->nodes[user];

    if (n && n->op == OP_TENSORSCATTER && n->in[0] == value) {
        TRY(read_state(m, value, handed_on(g, value), -1, d, err));
        d->rewinds = true; /* rows past the length do not count */
    } else if (n && n->op == OP_TENSORSCATTER && n->n_in > 2 && n->in[2] == value) {
        d->role = IN_PAST_LEN;
    } else if (n && n->op == OP_ATTENTION23 && n->n_in > 6 && n->in[6] == value) {
        d->role = IN_TOTAL_LEN;
    } else if (n && n->op == OP_IF && n->in[0] == value) {
        d->role = IN_HAS_PAST;
    } else {
        return FAIL(err, ST_UNSUPPORTED, "input %s: its role in a language model is not known",
                    g->values[value].name);
    }
    return ST_OK;
}

static status read_input(struct lm_dense *m, const struct model_io_names *io, size_t i,
                         struct err *err)
{
    const int value = m->base.graph->inputs[i];
    const struct graph_value *v = &m->base.graph->values[value];
    struct dense_input *d = &m->in[i];
    status st = ST_OK;

    if (str_equal(v->name, io->input_ids)) {
        d->role = IN_IDS;
    } else if (str_equal(v->name, io->inputs_embeds)) {
        d->role = IN_EMBEDS;
        m->base.lm.info.takes_embeds = true;
        m->base.lm.info.hidden = v->type.ndim == 3 ? v->type.dim[2] : 0;
        if (v->type.dtype != DT_F32 && v->type.dtype != DT_F16 && v->type.dtype != DT_BF16)
            return FAIL(err, ST_UNSUPPORTED, "input %s is %s, expected f32, f16 or bf16", v->name,
                        dtype_name(v->type.dtype));
    } else if (str_equal(v->name, io->attention_mask)) {
        d->role = IN_MASK;
    } else if (str_equal(v->name, io->position_ids)) {
        d->role = IN_POSITIONS;
    } else if (!state_by_name(m, io, value, d, &st, err)) {
        return read_by_use(m, value, d, err);
    }
    return st;
}

/* ---- outputs ---- */

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
    if (t->ndim != 3 || t->dim[2] < 1 ||
        (t->dtype != DT_F32 && t->dtype != DT_F16 && t->dtype != DT_BF16))
        return FAIL(err, ST_UNSUPPORTED,
                    "output %s is not f32, f16 or bf16 [batch, sequence, known width]", io->logits);
    info->width = t->dim[2];
    if (info->hidden_only)
        info->hidden = info->width;
    else
        info->vocab = info->width;
    return ST_OK;
}

/* The longrope switch follows the length that a sequence will have, a merged decoder's whether
 * there is a past; any other If sees only its chunk, so that prompts must go in whole. */
static void read_switches(struct lm_dense *m)
{
    const struct graph *g = m->base.graph;
    int has_past = -1;

    m->lengths = (struct length_inputs){ -1, -1 };
    for (size_t i = 0; i < g->n_inputs; i++) {
        if (m->in[i].role == IN_MASK) m->lengths.mask = g->inputs[i];
        if (m->in[i].role == IN_POSITIONS) m->lengths.positions = g->inputs[i];
        if (m->in[i].role == IN_HAS_PAST) has_past = g->inputs[i];
    }
    m->base.lm.info.long_threshold = length_switch_common(g, &m->lengths);
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == OP_IF && g->nodes[i].in[0] != has_past &&
            !length_switch_decides(g, (int)i, &m->lengths))
            m->base.lm.info.whole_prompt = true;
}

status lm_dense_read(struct lm_dense *m, const struct model_io_names *io, struct err *err)
{
    const struct graph *g = m->base.graph;

    m->in = ARENA_ARRAY(&m->base.arena, g->n_inputs + 1, struct dense_input);
    m->in_t = ARENA_ARRAY(&m->base.arena, g->n_inputs + 1, struct tensor);
    m->out_t = ARENA_ARRAY(&m->base.arena, g->n_outputs + 1, struct tensor);
    if (!m->in || !m->in_t || !m->out_t) return FAIL(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; i < g->n_inputs; i++) {
        TRY(read_input(m, io, i, err));
        if (m->in[i].role == IN_STATE && !m->in[i].rewinds) m->base.lm.info.fixed_state = true;
    }
    read_switches(m);
    return read_output(m, io, err);
}
