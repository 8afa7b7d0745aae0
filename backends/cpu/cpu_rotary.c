/* SPDX-License-Identifier: MIT */
/* Rotary position embedding as an operator of its own (dense tensors): the Microsoft form and
 * ONNX's since opset 23. In the lowered form rotation is part of SeqAttention (cpu_seqattn.c). */
#include <string.h>

#include "backends/cpu/cpu_ops.h"

enum { LINES = 3 }; /* scratch: one head, cos row, sin row */

/* Both forms in common terms. */
struct rotary {
    const struct tensor *x, *positions, *cos, *sin, *out;
    size_t batch, seq, heads, head_dim, rot_dim;
    bool heads_first; /* [B, N, S, H], else [B, S, N, H] or [B, S, N*H] */
    bool interleaved;
    bool offset_only;   /* one position for the whole batch, to which s is added */
    bool rows_by_token; /* cos and sin are [B, S, rot_dim / 2]: no positions */
    float scale;
    const int64_t *section; /* three streams of positions: how many columns each has; or NULL */
    bool alternating;       /* streams take turns along the columns, else one after another */
};

static bool shape_of(struct rotary *r, int64_t num_heads, int64_t rotary_embedding_dim)
{
    const struct tensor_type *x = &r->x->type;
    const int64_t width = r->cos->type.ndim > 0 ? r->cos->type.dim[r->cos->type.ndim - 1] : 0;

    if ((x->ndim != 3 && x->ndim != 4) || width < 1) return false;
    r->batch = (size_t)x->dim[0];
    r->heads_first = x->ndim == 4;
    r->seq = (size_t)x->dim[r->heads_first ? 2 : 1];
    r->rot_dim = (size_t)width * 2;
    if (x->ndim == 4) {
        r->heads = (size_t)x->dim[1];
        r->head_dim = (size_t)x->dim[3];
    } else {
        /* Without num_heads a head is as wide as the tables (full rotation). */
        r->heads = num_heads > 0 ? (size_t)num_heads : (size_t)x->dim[2] / r->rot_dim;
        if (r->heads == 0 || (size_t)x->dim[2] % r->heads != 0) return false;
        r->head_dim = (size_t)x->dim[2] / r->heads;
    }
    if (rotary_embedding_dim > 0 && (size_t)rotary_embedding_dim != r->rot_dim) return false;
    return r->rot_dim <= r->head_dim && cpu_is_float(x->dtype) && r->out->type.dtype == x->dtype &&
           cpu_elements(r->out) == cpu_elements(r->x) &&
           cpu_elements(r->cos) == cpu_elements(r->sin) &&
           r->cos->type.dtype == r->sin->type.dtype && cpu_is_float(r->cos->type.dtype);
}

/* Row of the tables for token s of batch b; false when there is none. */
static bool table_row(const struct rotary *r, size_t b, size_t s, size_t *row)
{
    const size_t rows = cpu_elements(r->cos) / (r->rot_dim / 2);
    int64_t at = (int64_t)(b * r->seq + s);

    if (!r->rows_by_token)
        at = r->offset_only ? cpu_int_at(r->positions, 0) + (int64_t)s
                            : cpu_int_at(r->positions, b * r->seq + s);
    *row = (size_t)at;
    return at >= 0 && (size_t)at < rows;
}

static void rotate_head(const struct rotary *r, float *lines, size_t at, const float *cos,
                        const float *sin)
{
    const bool f32 = r->out->type.dtype == DT_F32;
    float *x = f32 ? (float *)r->out->data + at : lines;

    if (x != (const float *)r->x->data + at)
        cpu_to_f32(x, r->x->data, r->x->type.dtype, at, r->head_dim);
    if (r->interleaved)
        kern.rope_pair_f32(x, 1, r->head_dim, cos, sin, r->rot_dim);
    else
        kern.rope_half_f32(x, 1, r->head_dim, cos, sin, r->rot_dim);
    if (r->scale != 1.0f) kern.affine_f32(x, x, r->head_dim, r->scale, 0.0f);
    if (!f32) cpu_from_f32(r->out->data, r->out->type.dtype, at, x, r->head_dim);
}

/* The stream of positions that column c of the tables follows. */
static size_t stream_of(const struct rotary *r, size_t c)
{
    const int64_t at = (int64_t)c;

    if (!r->alternating) return at < r->section[0] ? 0 : at < r->section[0] + r->section[1] ? 1 : 2;
    if (c % 3 == 1 && at < r->section[1] * 3) return 1;
    return c % 3 == 2 && at < r->section[2] * 3 ? 2 : 0;
}

/* A token's row of the tables, put together from three streams; false when a position is beyond
 * them. */
static bool mixed_row(const struct rotary *r, size_t token, float *cos, float *sin)
{
    const size_t half = r->rot_dim / 2, rows = cpu_elements(r->cos) / half;

    for (size_t c = 0; c < half; c++) {
        const int64_t pos = cpu_int_at(r->positions, stream_of(r, c) * r->batch * r->seq + token);

        if (pos < 0 || (size_t)pos >= rows) return false;
        cpu_to_f32(cos + c, r->cos->data, r->cos->type.dtype, (size_t)pos * half + c, 1);
        cpu_to_f32(sin + c, r->sin->data, r->sin->type.dtype, (size_t)pos * half + c, 1);
    }
    return true;
}

static void rotate_all(const struct cpu_task *t, const struct rotary *r)
{
    const struct cpu_share s = cpu_share(t, r->batch * r->seq, 1);
    const size_t half = r->rot_dim / 2;
    float *lines = t->scratch;

    for (size_t i = s.begin; i < s.end; i++) {
        const size_t b = i / r->seq, pos = i % r->seq;
        const float *cos = lines + r->head_dim, *sin = lines + 2 * r->head_dim;
        size_t row = 0;

        if (r->section ? !mixed_row(r, i, lines + r->head_dim, lines + 2 * r->head_dim)
                       : !table_row(r, b, pos, &row)) {
            cpu_fail(t, ST_INVALID, "position of token %zu is beyond the rotary tables", i);
            return;
        }
        if (!r->section) {
            cos = cpu_row_f32(r->cos, row * half, half, lines + r->head_dim);
            sin = cpu_row_f32(r->sin, row * half, half, lines + 2 * r->head_dim);
        }
        for (size_t h = 0; h < r->heads; h++) {
            const size_t at = r->heads_first ? ((b * r->heads + h) * r->seq + pos) * r->head_dim
                                             : (i * r->heads + h) * r->head_dim;
            rotate_head(r, lines, at, cos, sin);
        }
    }
}

static void run_rotary(const struct cpu_task *t, struct rotary *r, int64_t num_heads, int64_t dim)
{
    bool ok = r->x && r->cos && r->sin && shape_of(r, num_heads, dim);

    if (ok && r->section) {
        ok = cpu_elements(r->positions) == 3 * r->batch * r->seq;
    } else if (ok && r->positions) {
        const size_t n = cpu_elements(r->positions);

        r->offset_only = n == 1;
        ok = n == 1 || n == r->batch * r->seq;
    } else if (ok) {
        r->rows_by_token = true;
        ok = cpu_elements(r->cos) == r->batch * r->seq * r->rot_dim / 2;
    }
    if (!ok) {
        cpu_fail(t, ST_SHAPE, "input, positions and tables do not fit each other");
        return;
    }
    rotate_all(t, r);
}

void cpu_rotary(const struct cpu_task *t)
{
    struct rotary r = { .x = cpu_in(t, 0),
                        .positions = cpu_in(t, 1),
                        .cos = cpu_in(t, 2),
                        .sin = cpu_in(t, 3),
                        .out = cpu_out(t, 0),
                        .interleaved = t->call->attr.rotary.interleaved != 0,
                        .scale = t->call->attr.rotary.scale };

    run_rotary(t, &r, t->call->attr.rotary.num_heads, t->call->attr.rotary.rotary_embedding_dim);
}

void cpu_rotary23(const struct cpu_task *t)
{
    struct rotary r = { .x = cpu_in(t, 0),
                        .cos = cpu_in(t, 1),
                        .sin = cpu_in(t, 2),
                        .positions = cpu_in(t, 3),
                        .out = cpu_out(t, 0),
                        .interleaved = t->call->attr.rotary.interleaved != 0,
                        .scale = 1.0f };

    run_rotary(t, &r, t->call->attr.rotary.num_heads, t->call->attr.rotary.rotary_embedding_dim);
}

void cpu_mrotary(const struct cpu_task *t)
{
    const struct attrs_mrotary *a = &t->call->attr.mrotary;
    struct rotary r = { .x = cpu_in(t, 0),
                        .positions = cpu_in(t, 1),
                        .cos = cpu_in(t, 2),
                        .sin = cpu_in(t, 3),
                        .out = cpu_out(t, 0),
                        .interleaved = a->interleaved != 0,
                        .scale = a->scale,
                        .section = a->section.v,
                        .alternating = a->layout == 1 };

    if (a->section.n != 3) {
        cpu_fail(t, ST_SHAPE, "mrope_section has %d numbers", a->section.n);
        return;
    }
    run_rotary(t, &r, a->num_heads, a->rotary_embedding_dim);
}

status cpu_rotary_scratch(const struct op_call *call, const struct prepared *p,
                          const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const struct tensor_type *x = &call->in[0].type;

    (void)p;
    (void)b;
    if (x->ndim < 1 || x->dim[x->ndim - 1] < 0 ||
        !checked_mul((size_t)x->dim[x->ndim - 1], LINES * sizeof(float), &out->worker))
        return FAIL(err, ST_SHAPE, "%s: shape of the input is not known", call->node);
    return ST_OK;
}
