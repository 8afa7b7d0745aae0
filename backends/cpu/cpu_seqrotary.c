/* SPDX-License-Identifier: MIT */
/* SeqRotary: each token's heads are turned by the token's position in its sequence. Where norms lie
 * between rotation and attention, or attention does not rotate itself. */
#include <string.h>

#include "backends/cpu/cpu_ops.h"

enum seqrotary_in { X, COS, SIN, COS_LONG, SIN_LONG };

static bool table_ok(const struct tensor *cos, const struct tensor *sin, size_t head_dim)
{
    return cos && sin && cos->type.ndim == 2 && type_equal(&cos->type, &sin->type) &&
           cpu_is_float(cos->type.dtype) && cos->type.dim[1] >= 1 &&
           (size_t)cos->type.dim[1] * 2 <= head_dim;
}

/* Tokens [begin, end) of one sequence. Scratch: a row of heads, cos, sin. */
static bool rotate_tokens(const struct cpu_task *t, const struct step_seq *seq, size_t begin,
                          size_t end)
{
    const struct attrs_seqrotary *a = &t->call->attr.seqrotary;
    const struct tensor *x = cpu_in(t, X), *out = cpu_out(t, 0);
    const bool longer = cpu_in(t, COS_LONG) && seq->rope_len > a->long_threshold;
    const struct tensor *cos = cpu_in(t, longer ? COS_LONG : COS),
                        *sin = cpu_in(t, longer ? SIN_LONG : SIN);
    const size_t dim = (size_t)a->head_dim, width = (size_t)x->type.dim[1], heads = width / dim;
    const size_t half = (size_t)cos->type.dim[1];
    float *line = t->scratch;

    for (size_t i = begin; i < end; i++) {
        const size_t pos = (size_t)seq->n_past + i - (size_t)seq->first;
        float *row = out->type.dtype == DT_F32 ? (float *)out->data + i * width : line;

        if (pos >= (size_t)cos->type.dim[0]) {
            cpu_fail(t, ST_LIMIT, "position %zu is beyond the rotary tables", pos);
            return false;
        }
        if (row != (const float *)x->data + i * width)
            cpu_to_f32(row, x->data, x->type.dtype, i * width, width);
        const float *c = cpu_row_f32(cos, pos * half, half, line + width);
        const float *s = cpu_row_f32(sin, pos * half, half, line + width + dim);
        if (a->interleaved)
            kern.rope_pair_f32(row, heads, dim, c, s, 2 * half);
        else
            kern.rope_half_f32(row, heads, dim, c, s, 2 * half);
        if (row == line) cpu_from_f32(out->data, out->type.dtype, i * width, row, width);
    }
    return true;
}

void cpu_seqrotary(const struct cpu_task *t)
{
    const struct attrs_seqrotary *a = &t->call->attr.seqrotary;
    const struct tensor *x = cpu_in(t, X), *out = cpu_out(t, 0), *more = cpu_in(t, COS_LONG);

    if (a->head_dim < 1 || a->head_dim > INT16_MAX || x->type.ndim != 2 ||
        !cpu_is_float(x->type.dtype) || !cpu_is_float(out->type.dtype) ||
        x->type.dim[1] % a->head_dim != 0 || x->type.dim[0] != t->step->n_tokens ||
        cpu_elements(x) != cpu_elements(out) ||
        !table_ok(cpu_in(t, COS), cpu_in(t, SIN), (size_t)a->head_dim) ||
        (more && (!table_ok(more, cpu_in(t, SIN_LONG), (size_t)a->head_dim) ||
                  more->type.dim[1] != cpu_in(t, COS)->type.dim[1]))) {
        cpu_fail(t, ST_SHAPE, "input and tables do not fit each other");
        return;
    }
    const struct cpu_share s = cpu_share(t, (size_t)t->step->n_tokens, 1);
    for (int i = 0; i < t->step->n_seqs; i++) {
        const struct step_seq *seq = &t->step->seqs[i];
        const size_t first = (size_t)seq->first, last = first + (size_t)seq->n_tokens;
        const size_t begin = s.begin > first ? s.begin : first, end = s.end < last ? s.end : last;

        if (begin < end && !rotate_tokens(t, seq, begin, end)) return;
    }
}

status cpu_seqrotary_scratch(const struct op_call *call, const struct prepared *p,
                             const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const struct tensor_type *x = &call->in[0].type;
    const int64_t dim = call->attr.seqrotary.head_dim;

    (void)p;
    (void)b;
    if (x->ndim != 2 || x->dim[1] < 0 || x->dim[1] > INT32_MAX || dim < 1 || dim > INT16_MAX)
        return FAIL(err, ST_SHAPE, "%s: shape of the input is not known", call->node);
    out->worker = ((size_t)x->dim[1] + 2 * (size_t)dim) * sizeof(float);
    return ST_OK;
}
