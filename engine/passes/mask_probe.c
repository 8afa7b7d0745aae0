/* SPDX-License-Identifier: MIT */
#include "engine/passes/mask_probe.h"
#include <string.h>

/* A mask that is added hides a key with this or less (halves reach -65504). */
static const double hidden_below = -1e4;

struct probe {
    struct length_eval *eval;
    struct arena arena; /* of one evaluation */
    int value;
    bool inverted;
    bool *seen; /* of the last evaluation: [rows][total] */
    int64_t rows, total;
};

static status refuse(const char *why, struct err *err)
{
    return FAIL(err, ST_UNSUPPORTED, "%s", why);
}

/* ---- one evaluation ---- */

int mask_element(const struct tensor *t, size_t i)
{
    const char *p = t->data;
    uint16_t half;
    float f;
    double x;

    if (t->type.dtype == DT_BOOL) return p[i] != 0;
    if (t->type.dtype == DT_F32)
        memcpy(&f, p + i * sizeof f, sizeof f);
    else if (t->type.dtype == DT_F16 || t->type.dtype == DT_BF16)
        memcpy(&half, p + i * sizeof half, sizeof half);
    else
        return -1;
    x = (double)(t->type.dtype == DT_F32   ? f
                 : t->type.dtype == DT_F16 ? half_to_f32(half)
                                           : bf16_to_f32(half));
    return x == 0 ? 1 : x <= hidden_below ? 0 : -1;
}

/* The same with what the mask means; only a bool can be inverted. */
static int seen_at(const struct probe *p, const struct tensor *t, size_t i)
{
    if (!p->inverted) return mask_element(t, i);
    return t->type.dtype == DT_BOOL ? !mask_element(t, i) : -1;
}

/* The mask as [rows][total], from [1, …, rows or 1, total or 1]. */
static status read_mask(struct probe *p, const struct tensor *t, struct err *err)
{
    const int ndim = t->type.ndim;
    size_t outer = 1;

    if (ndim < 2 || !type_span(&t->type, 0, ndim - 2, &outer) || outer != 1)
        return refuse("heads differ, or its rank is less than 2", err);
    const int64_t rows = t->type.dim[ndim - 2], total = t->type.dim[ndim - 1];
    if ((rows != p->rows && rows != 1) || (total != p->total && total != 1))
        return refuse("its dimensions are not queries and keys", err);
    p->seen = ARENA_ARRAY(&p->arena, (size_t)(p->rows * p->total), bool);
    if (!p->seen) return FAIL(err, ST_NOMEM, "out of memory");
    for (int64_t i = 0; i < p->rows; i++)
        for (int64_t j = 0; j < p->total; j++) {
            const int x =
                seen_at(p, t, (size_t)((rows == 1 ? 0 : i) * total + (total == 1 ? 0 : j)));
            if (x < 0) return refuse("it adds to the scores of keys that are seen", err);
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
    TRY(length_eval_data(p->eval, past, rows, p->value, &out, err));
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
                return refuse("it is neither causal nor windowed nor open", err);
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
        return n > 0 ? ST_OK : refuse("it hides a token from itself", err);
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

status mask_probe(struct length_eval *e, int value, bool inverted, struct mask_shape *out,
                  struct err *err)
{
    struct probe p = { .eval = e, .value = value, .inverted = inverted };
    struct err why = { 0 };

    *out = (struct mask_shape){ 0 };
    const status st = fit(&p, out, &why);
    arena_fini(&p.arena);
    if (st == ST_OK) return st;
    return FAIL(err, st == ST_NOMEM ? st : ST_UNSUPPORTED, "mask %s: %s",
                length_eval_name(e, value), why.text);
}
