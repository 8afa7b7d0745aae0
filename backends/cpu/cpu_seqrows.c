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

/* Elements of a sequence from which on all workers share it; of smaller ones each takes some. */
enum { QUANT_SHARED = 1 << 15 };

struct seq_quant {
    const struct cpu_task *t;
    const float *x;
    size_t width;
    uint8_t *bytes, *zeros;
    float *scales;
    float *ranges; /* [n_seqs][n_workers][2], of shared sequences */
};

static bool is_shared(const struct seq_quant *q, const struct step_seq *seq)
{
    return (size_t)seq->n_tokens * q->width >= QUANT_SHARED;
}

/* The worker's rows of a shared sequence, as part of the step's. */
static struct cpu_share part_of(const struct seq_quant *q, const struct step_seq *seq)
{
    struct cpu_share s = cpu_share(q->t, (size_t)seq->n_tokens, 1);

    s.begin += (size_t)seq->first;
    s.end += (size_t)seq->first;
    return s;
}

static void quantize_part(const struct seq_quant *q, const float range[2], struct cpu_share s)
{
    float scale;
    uint8_t zero;

    cpu_byte_scale(range, &scale, &zero);
    kern.quantize_u8(q->bytes + s.begin * q->width, q->x + s.begin * q->width,
                     (s.end - s.begin) * q->width, scale, zero);
    for (size_t i = s.begin; i < s.end; i++) {
        q->scales[i] = scale;
        q->zeros[i] = zero;
    }
}

/* Ranges of parts, then of their ranges: a minimum and a maximum do not hang on the order. */
static void quantize_shared(const struct seq_quant *q, const struct step *step)
{
    const size_t workers = (size_t)q->t->n_workers;
    bool any = false;

    for (int i = 0; i < step->n_seqs; i++) {
        if (!is_shared(q, &step->seqs[i])) continue;
        const struct cpu_share s = part_of(q, &step->seqs[i]);
        any = true;
        kern.range_f32(q->ranges + 2 * ((size_t)i * workers + (size_t)q->t->worker),
                       q->x + s.begin * q->width, (s.end - s.begin) * q->width);
    }
    if (!any) return;
    cpu_sync(q->t);
    for (int i = 0; i < step->n_seqs; i++) {
        float range[2];
        if (!is_shared(q, &step->seqs[i])) continue;
        kern.range_f32(range, q->ranges + 2 * (size_t)i * workers, 2 * workers);
        quantize_part(q, range, part_of(q, &step->seqs[i]));
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
    const struct seq_quant q = { .t = t,
                                 .x = x->data,
                                 .width = cpu_span(x, 1, x->type.ndim),
                                 .bytes = out->data,
                                 .zeros = zeros->data,
                                 .scales = scales->data,
                                 .ranges = t->shared };
    quantize_shared(&q, t->step);
    for (size_t i = cpu_take(t); i < (size_t)t->step->n_seqs; i = cpu_take(t)) {
        const struct step_seq *seq = &t->step->seqs[i];
        const size_t first = (size_t)seq->first, count = (size_t)seq->n_tokens;
        float range[2];

        if (is_shared(&q, seq)) continue;
        kern.range_f32(range, q.x + first * q.width, count * q.width);
        quantize_part(&q, range, (struct cpu_share){ first, first + count });
    }
}

status cpu_seqquant_scratch(const struct op_call *call, const struct prepared *p,
                            const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    (void)p;
    if (!checked_mul(2 * sizeof(float) * (size_t)b->n_workers, (size_t)b->seqs_max, &out->shared))
        return FAIL(err, ST_LIMIT, "%s: too many sequences", call->node);
    return ST_OK;
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
