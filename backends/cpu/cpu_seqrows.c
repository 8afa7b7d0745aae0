/* SPDX-License-Identifier: MIT */
/* What depends on a token's sequence: rows of tables by its position, running sums, whether there
 * is a past, and dynamic quantisation with the range of each sequence's tokens (so that a text's
 * numbers do not depend on the texts beside it). */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_ops.h"

static bool is_rows(const struct cpu_task *t, const struct tensor *x)
{
    return x && x->type.ndim >= 1 && x->type.dim[0] == t->step->n_tokens;
}

/* ---- PositionRows ---- */

void cpu_posrows(const struct cpu_task *t)
{
    const struct tensor *table = cpu_in(t, 1), *out = cpu_out(t, 0);
    const size_t size = cpu_size(out->type.dtype);

    if (!is_rows(t, out) || table->type.ndim < 1 || table->type.dtype != out->type.dtype ||
        size == 0 || cpu_span(table, 1, table->type.ndim) != cpu_span(out, 1, out->type.ndim)) {
        cpu_fail(t, ST_SHAPE, "table and output do not fit each other");
        return;
    }
    const size_t bytes = cpu_span(out, 1, out->type.ndim) * size;
    const struct cpu_share s = cpu_share(t, (size_t)t->step->n_tokens, 1);
    for (int i = 0; i < t->step->n_seqs; i++) {
        const struct step_seq *seq = &t->step->seqs[i];
        const size_t first = (size_t)seq->first, last = first + (size_t)seq->n_tokens;

        if ((int64_t)seq->n_past + seq->n_tokens > table->type.dim[0]) {
            cpu_fail(t, ST_LIMIT, "position %lld is beyond the table",
                     (long long)seq->n_past + seq->n_tokens - 1);
            return;
        }
        for (size_t at = first > s.begin ? first : s.begin; at < last && at < s.end; at++)
            memcpy((char *)out->data + at * bytes,
                   (const char *)table->data + ((size_t)seq->n_past + at - first) * bytes, bytes);
    }
}

/* ---- SeqCumSum ---- */

void cpu_seqcumsum(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *out = cpu_out(t, 0);
    const bool wide = x->type.dtype == DT_I64;

    if (!is_rows(t, x) || x->type.ndim != 1 || (!wide && x->type.dtype != DT_I32)) {
        cpu_fail(t, ST_SHAPE, "not one integer a token");
        return;
    }
    const struct cpu_share s = cpu_share(t, (size_t)t->step->n_seqs, 1);
    for (size_t i = s.begin; i < s.end; i++) {
        const struct step_seq *seq = &t->step->seqs[i];
        uint64_t sum = 0; /* wraps as the numbers of the file do */

        for (int32_t k = seq->first; k < seq->first + seq->n_tokens; k++) {
            sum += wide ? (uint64_t)((const int64_t *)x->data)[k]
                        : (uint64_t)((const int32_t *)x->data)[k];
            if (wide)
                ((int64_t *)out->data)[k] = (int64_t)sum;
            else
                ((int32_t *)out->data)[k] = (int32_t)(uint32_t)sum;
        }
    }
}

/* ---- SeqQuantize ---- */

static void quantize_seq(const struct step_seq *seq, const struct tensor *x,
                         const struct tensor *out, const struct tensor *scales,
                         const struct tensor *zeros)
{
    const size_t width = cpu_span(x, 1, x->type.ndim), first = (size_t)seq->first;
    const size_t n = (size_t)seq->n_tokens;
    const float *from = (const float *)x->data + first * width;
    float range[2], scale;
    uint8_t zero;

    kern.range_f32(range, from, n * width);
    cpu_byte_scale(range, &scale, &zero);
    kern.quantize_u8((uint8_t *)out->data + first * width, from, n * width, scale, zero);
    for (size_t i = 0; i < n; i++) {
        ((float *)scales->data)[first + i] = scale;
        ((uint8_t *)zeros->data)[first + i] = zero;
    }
}

void cpu_seqquant(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *out = cpu_out(t, 0), *scales = cpu_out(t, 1),
                        *zeros = cpu_out(t, 2);
    const size_t n = (size_t)t->step->n_tokens;

    if (!is_rows(t, x) || x->type.dtype != DT_F32 || out->type.dtype != DT_U8 || !scales ||
        !zeros || cpu_elements(out) != cpu_elements(x) || scales->type.dtype != DT_F32 ||
        cpu_elements(scales) != n || zeros->type.dtype != DT_U8 || cpu_elements(zeros) != n) {
        cpu_fail(t, ST_SHAPE, "outputs do not fit the input");
        return;
    }
    for (size_t i = cpu_take(t); i < (size_t)t->step->n_seqs; i = cpu_take(t))
        quantize_seq(&t->step->seqs[i], x, out, scales, zeros);
}

/* ---- PastChoice ---- */

/* The step's sequence whose token this is. */
static const struct step_seq *seq_of(const struct step *step, int32_t token)
{
    int low = 0, high = step->n_seqs - 1;

    while (low < high) { /* the last one that does not begin behind it */
        const int mid = low + (high - low + 1) / 2;
        if (step->seqs[mid].first <= token)
            low = mid;
        else
            high = mid - 1;
    }
    return &step->seqs[low];
}

void cpu_pastchoice(const struct cpu_task *t)
{
    const struct tensor *with = cpu_in(t, 0), *without = cpu_in(t, 1), *out = cpu_out(t, 0);
    const bool all = is_rows(t, out); /* then row i is token i, chosen or not */
    const size_t n = (size_t)(all ? t->step->n_tokens : t->step->n_rows);
    const size_t size = cpu_size(out->type.dtype);

    if (!type_equal(&with->type, &out->type) || !type_equal(&without->type, &out->type) ||
        size == 0 || out->type.ndim < 1 || out->type.dim[0] != (int64_t)n || t->step->n_seqs < 1) {
        cpu_fail(t, ST_SHAPE, "operands and output are not rows of one type");
        return;
    }
    const size_t bytes = cpu_span(out, 1, out->type.ndim) * size;
    const struct cpu_share s = cpu_share(t, n, 1);
    for (size_t i = s.begin; i < s.end; i++) {
        const int32_t token = all ? (int32_t)i : t->step->rows[i];
        const struct tensor *from = seq_of(t->step, token)->n_past > 0 ? with : without;
        memcpy((char *)out->data + i * bytes, (const char *)from->data + i * bytes, bytes);
    }
}
