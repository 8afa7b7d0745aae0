/* SPDX-License-Identifier: MIT */
/* com.microsoft's EmbedLayerNormalization: rows of three tables added and normalised, and how many
 * positions of each sequence the mask keeps. */
#include <string.h>

#include "backends/cpu/cpu_ops.h"

enum { TABLES = 3, LINES = TABLES + 3 }; /* scratch lines: a row of each table, sum, gamma, beta */

struct embed_norm {
    const struct tensor *ids, *segment_ids, *position_ids, *mask, *gamma, *beta;
    const struct tensor *tables[TABLES]; /* words, positions, segments or NULL */
    const struct tensor *out, *counts, *sum;
    size_t batch, rows, width;
};

static bool is_ids(const struct tensor *x, size_t n)
{
    return !x || (x->type.dtype == DT_I32 && cpu_elements(x) == n);
}

static bool is_floats(const struct tensor *x, size_t n)
{
    return !x || (cpu_is_float(x->type.dtype) && cpu_elements(x) == n);
}

static bool take_operands(const struct cpu_task *t, struct embed_norm *e)
{
    *e = (struct embed_norm){ .ids = cpu_in(t, 0),
                              .segment_ids = cpu_in(t, 1),
                              .tables = { cpu_in(t, 2), cpu_in(t, 3), cpu_in(t, 4) },
                              .gamma = cpu_in(t, 5),
                              .beta = cpu_in(t, 6),
                              .mask = cpu_in(t, 7),
                              .position_ids = cpu_in(t, 8),
                              .out = cpu_out(t, 0),
                              .counts = cpu_out(t, 1),
                              .sum = cpu_out(t, 2) };
    if (e->ids->type.ndim != 2 || !e->tables[0] || !e->tables[1] || !e->gamma || !e->beta ||
        !e->tables[2] != !e->segment_ids || e->tables[0]->type.ndim != 2)
        return false;
    e->batch = (size_t)e->ids->type.dim[0];
    e->rows = (size_t)e->ids->type.dim[1];
    e->width = (size_t)e->tables[0]->type.dim[1];
    for (int i = 0; i < TABLES; i++)
        if (e->tables[i] &&
            (e->tables[i]->type.ndim != 2 || !cpu_is_float(e->tables[i]->type.dtype) ||
             (size_t)e->tables[i]->type.dim[1] != e->width))
            return false;
    const size_t all = e->batch * e->rows;
    return is_ids(e->ids, all) && is_ids(e->segment_ids, all) && is_ids(e->mask, all) &&
           (is_ids(e->position_ids, all) || is_ids(e->position_ids, e->rows)) &&
           is_floats(e->gamma, e->width) && is_floats(e->beta, e->width) &&
           is_floats(e->out, all * e->width) && is_floats(e->sum, all * e->width) &&
           is_ids(e->counts, e->batch) && e->width > 0;
}

/* Row of table `which` for token `at`; -1 when it has no such row. */
static int64_t row_of(const struct embed_norm *e, int which, size_t at)
{
    int64_t row = which == 1 ? (int64_t)(at % e->rows) : 0;

    if (which == 0) row = ((const int32_t *)e->ids->data)[at];
    if (which == 1 && e->position_ids)
        row = ((const int32_t *)e->position_ids->data)[at % cpu_elements(e->position_ids)];
    if (which == 2) row = ((const int32_t *)e->segment_ids->data)[at];
    return row >= 0 && row < e->tables[which]->type.dim[0] ? row : -1;
}

/* Sum of the tables' rows to `sum`; false when an id is outside its table. */
static bool add_rows(const struct embed_norm *e, size_t at, float *lines, float *sum)
{
    for (int i = 0; i < TABLES; i++) {
        if (!e->tables[i]) continue;
        const int64_t row = row_of(e, i, at);

        if (row < 0) return false;
        const float *x = cpu_row_f32(e->tables[i], (size_t)row * e->width, e->width,
                                     lines + (size_t)i * e->width);
        for (size_t c = 0; c < e->width; c++) sum[c] = i == 0 ? x[c] : sum[c] + x[c];
    }
    return true;
}

static void count_mask(const struct embed_norm *e)
{
    for (size_t b = 0; b < e->batch; b++) {
        int32_t n = 0;

        for (size_t i = 0; e->mask && i < e->rows; i++)
            n += ((const int32_t *)e->mask->data)[b * e->rows + i] == 1;
        ((int32_t *)e->counts->data)[b] = n;
    }
}

void cpu_embed_norm(const struct cpu_task *t)
{
    struct embed_norm e;

    if (!take_operands(t, &e)) {
        cpu_fail(t, ST_SHAPE, "ids, tables or weights do not fit each other");
        return;
    }
    float *lines = t->scratch, *sum = lines + TABLES * e.width;
    const float *gamma = cpu_row_f32(e.gamma, 0, e.width, sum + e.width);
    const float *beta = cpu_row_f32(e.beta, 0, e.width, sum + 2 * e.width);
    const struct cpu_share s = cpu_share(t, e.batch * e.rows, 1);

    for (size_t r = s.begin; r < s.end; r++) {
        if (!add_rows(&e, r, lines, sum)) {
            cpu_fail(t, ST_INVALID, "an id of token %zu is outside its table", r);
            return;
        }
        if (e.sum) cpu_from_f32(e.sum->data, e.sum->type.dtype, r * e.width, sum, e.width);
        const struct kern_layernorm_args a = { .in = sum,
                                               .weight = gamma,
                                               .beta = beta,
                                               .out = lines,
                                               .rows = 1,
                                               .cols = e.width,
                                               .eps = t->call->attr.embedlayernorm.epsilon };
        kern.layernorm_f32(&a);
        cpu_from_f32(e.out->data, e.out->type.dtype, r * e.width, lines, e.width);
    }
    if (t->worker == 0 && e.counts) count_mask(&e);
}

status cpu_embed_norm_scratch(const struct op_call *call, const struct prepared *p,
                              const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const struct tensor *words = cpu_call_in(call, 2);

    (void)p, (void)b;
    if (!words || words->type.ndim != 2 || words->type.dim[1] < 0 ||
        !checked_mul((size_t)words->type.dim[1], LINES * sizeof(float), &out->worker))
        return FAIL(err, ST_SHAPE, "%s: width of the word table is not known", call->node);
    return ST_OK;
}
