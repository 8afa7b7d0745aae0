/* SPDX-License-Identifier: MIT */
#include "engine/passes/mask_probe.h"
#include "engine/exec/dense_exec.h"
#include <string.h>

/* A mask that is added hides a key with this or less (halves reach -65504). */
static const double hidden_below = -1e4;

struct probe {
    struct graph *g; /* only what makes the mask */
    struct dense_exec *exec;
    const struct model_io_names *io;
    struct arena arena; /* of one evaluation */
    const char *name;   /* of the mask, for messages */
    bool *seen;         /* of the last evaluation: [rows][total] */
    int64_t rows, total;
};

static status refuse(const struct probe *p, const char *why, struct err *err)
{
    return FAIL(err, ST_UNSUPPORTED, "mask %s: %s", p->name, why);
}

static status probe_open(struct probe *p, const struct graph *g, int value, struct backend *be,
                         struct err *err)
{
    size_t n = 0;

    TRY(graph_clone(g, &p->g, err));
    TRY(graph_set_outputs(p->g, &value, 1, err));
    TRY(pass_dead_code(p->g, NULL, err));
    TRY(graph_compact(p->g, err));
    int *inputs = ARENA_ARRAY(graph_arena(p->g), p->g->n_inputs + 1, int);
    if (!inputs) return FAIL(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; i < p->g->n_inputs; i++)
        if (graph_uses(p->g, p->g->inputs[i]) > 0) inputs[n++] = p->g->inputs[i];
    TRY(graph_set_inputs(p->g, inputs, n, err));
    return dense_exec_create(&p->exec, p->g, be, err);
}

static void probe_close(struct probe *p)
{
    dense_exec_destroy(p->exec);
    graph_destroy(p->g);
    arena_fini(&p->arena);
}

/* ---- one evaluation ---- */

/* An integer input of one sequence: ids (zeros), a mask of ones, positions. */
static status fill_input(struct probe *p, int value, int64_t past, int64_t rows, struct tensor *t,
                         struct err *err)
{
    const struct graph_value *v = &p->g->values[value];
    const bool mask = str_equal(v->name, p->io->attention_mask),
               positions = str_equal(v->name, p->io->position_ids);
    const int64_t n = mask ? past + rows : rows;
    const int64_t copies = v->type.ndim == 3 ? 3 : 1;

    if ((!mask && !positions && !str_equal(v->name, p->io->input_ids)) ||
        (v->type.dtype != DT_I64 && v->type.dtype != DT_I32) || v->type.ndim < 2 ||
        v->type.ndim > 3)
        return refuse(p, "it depends on more than the lengths", err);
    t->type = v->type.ndim == 3 ? type_make(v->type.dtype, 3, (int64_t[]){ 3, 1, n })
                                : type_make(v->type.dtype, 2, (int64_t[]){ 1, n });
    t->data = ARENA_ARRAY(&p->arena, (size_t)(n * copies) + 1, int64_t);
    if (!t->data) return FAIL(err, ST_NOMEM, "out of memory");
    for (int64_t i = 0; i < n * copies; i++) {
        const int64_t x = mask ? 1 : positions ? past + i % n : 0;

        if (v->type.dtype == DT_I64)
            ((int64_t *)t->data)[i] = x;
        else
            ((int32_t *)t->data)[i] = (int32_t)x;
    }
    return ST_OK;
}

int mask_element(const struct tensor *t, size_t i)
{
    double x;

    switch (t->type.dtype) {
    case DT_BOOL: return ((const uint8_t *)t->data)[i] != 0;
    case DT_F32: x = (double)((const float *)t->data)[i]; break;
    case DT_F16: x = (double)half_to_f32(((const uint16_t *)t->data)[i]); break;
    case DT_BF16: x = (double)bf16_to_f32(((const uint16_t *)t->data)[i]); break;
    default: return -1;
    }
    return x == 0 ? 1 : x <= hidden_below ? 0 : -1;
}

/* The mask as [rows][total], from [1, …, rows or 1, total or 1]. */
static status read_mask(struct probe *p, const struct tensor *t, struct err *err)
{
    const int ndim = t->type.ndim;
    size_t outer = 1;

    if (ndim < 2 || !type_span(&t->type, 0, ndim - 2, &outer) || outer != 1)
        return refuse(p, "heads differ, or its rank is less than 2", err);
    const int64_t rows = t->type.dim[ndim - 2], total = t->type.dim[ndim - 1];
    if ((rows != p->rows && rows != 1) || (total != p->total && total != 1))
        return refuse(p, "its dimensions are not queries and keys", err);
    p->seen = ARENA_ARRAY(&p->arena, (size_t)(p->rows * p->total), bool);
    if (!p->seen) return FAIL(err, ST_NOMEM, "out of memory");
    for (int64_t i = 0; i < p->rows; i++)
        for (int64_t j = 0; j < p->total; j++) {
            const int x =
                mask_element(t, (size_t)((rows == 1 ? 0 : i) * total + (total == 1 ? 0 : j)));
            if (x < 0) return refuse(p, "it adds to the scores of keys that are seen", err);
            p->seen[i * p->total + j] = x;
        }
    return ST_OK;
}

static status evaluate(struct probe *p, int64_t past, int64_t rows, struct err *err)
{
    struct tensor out;

    arena_reset(&p->arena);
    p->rows = rows;
    p->total = past + rows;
    struct tensor *in = ARENA_ARRAY(&p->arena, p->g->n_inputs + 1, struct tensor);
    if (!in) return FAIL(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; i < p->g->n_inputs; i++)
        TRY(fill_input(p, p->g->inputs[i], past, rows, &in[i], err));
    TRY(dense_exec_run(p->exec, in, &out, err));
    return read_mask(p, &out, err);
}

/* ---- fitting ---- */

static bool expected(const struct mask_shape *s, int64_t pos, int64_t key)
{
    return (!s->causal || key <= pos) && (s->window == 0 || key > pos - s->window);
}

static status check_at(struct probe *p, const struct mask_shape *s, int64_t past, int64_t rows,
                       struct err *err)
{
    TRY(evaluate(p, past, rows, err));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < p->total; j++)
            if (p->seen[i * p->total + j] != expected(s, past + i, j))
                return refuse(p, "it is neither causal nor windowed nor open", err);
    return ST_OK;
}

/* How many keys one query sees after ever longer pasts, until some are hidden. */
static status find_window(struct probe *p, struct mask_shape *s, struct err *err)
{
    static const int64_t pasts[] = { 15, 255, 4095, 65535 };

    for (size_t i = 0; i < COUNT(pasts); i++) {
        int64_t n = 0;

        TRY(evaluate(p, pasts[i], 1, err));
        while (n < p->total && p->seen[p->total - 1 - n]) n++;
        if (n == p->total) continue;
        s->window = n;
        return n > 0 ? ST_OK : refuse(p, "it hides a token from itself", err);
    }
    return ST_OK;
}

static status fit(struct probe *p, struct mask_shape *s, struct err *err)
{
    TRY(find_window(p, s, err));
    TRY(evaluate(p, 0, 2, err));
    s->causal = !p->seen[1];
    TRY(check_at(p, s, 0, 1, err));
    TRY(check_at(p, s, 0, 9, err));
    TRY(check_at(p, s, 5, 4, err));
    if (s->window > 0) {
        TRY(check_at(p, s, s->window > 2 ? s->window - 2 : 0, 5, err));
        TRY(check_at(p, s, 3 * s->window + 1, 3, err));
    }
    return ST_OK;
}

status mask_probe(const struct graph *g, int value, const struct model_io_names *io,
                  struct backend *be, struct mask_shape *out, struct err *err)
{
    struct probe p = { .io = io, .name = g->values[value].name };
    struct err why = { 0 };

    *out = (struct mask_shape){ 0 };
    status st = probe_open(&p, g, value, be, &why);
    if (st == ST_OK) st = fit(&p, out, &why);
    probe_close(&p);
    if (st == ST_OK) return st;
    return FAIL(err, st == ST_NOMEM ? st : ST_UNSUPPORTED, "%s", why.text);
}
