/* SPDX-License-Identifier: MIT */
/* Gather, gathering from block-quantised tables, dequantisation. */
#include <string.h>

#include "backends/cpu/cpu_linear.h"
#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

/* Index i of a table of n entries, counted from the end when negative; false when out of range. */
static bool index_at(const struct tensor *indices, size_t i, int64_t n, size_t *out)
{
    int64_t v = cpu_int_at(indices, i);

    if (v < 0) v += n;
    if (v < 0 || v >= n) return false;
    *out = (size_t)v;
    return true;
}

/* ---- gather ---- */

void cpu_gather(const struct cpu_task *t)
{
    const struct tensor *data = cpu_in(t, 0), *indices = cpu_in(t, 1), *out = cpu_out(t, 0);
    const int ndim = data->type.ndim, axis = cpu_axis(t->call->attr.axis.axis, ndim);

    if (axis < 0) {
        cpu_fail(t, ST_SHAPE, "axis out of range");
        return;
    }
    const size_t n_idx = cpu_elements(indices), dim = (size_t)data->type.dim[axis];
    const size_t outer = cpu_span(data, 0, axis);
    const size_t width = cpu_span(data, axis + 1, ndim) * cpu_size(data->type.dtype);
    if (cpu_bytes(out) != outer * n_idx * width) {
        cpu_fail(t, ST_SHAPE, "indices do not lead to the output's shape");
        return;
    }
    const struct cpu_share s = cpu_share(t, outer * n_idx, 1);
    for (size_t i = s.begin; i < s.end; i++) {
        size_t at;

        if (!index_at(indices, i % n_idx, (int64_t)dim, &at)) {
            cpu_fail(t, ST_INVALID, "index %lld of %zu entries",
                     (long long)cpu_int_at(indices, i % n_idx), dim);
            return;
        }
        memcpy((char *)out->data + i * width,
               (const char *)data->data + (i / n_idx * dim + at) * width, width);
    }
}

/* ---- columns of a linear layer's weights ---- */

status cpu_gathercols_prepare(struct cpu_backend *be, const struct op_call *call,
                              struct prepared **out, struct err *err)
{
    const struct tensor *w = cpu_call_in(call, 0);

    if (!w || !w->data || w->type.ndim != 2 || !cpu_is_float(w->type.dtype) || w->type.dim[0] < 1 ||
        w->type.dim[1] < 1)
        return FAIL(err, ST_UNSUPPORTED, "%s: weights are no constant float matrix", call->node);
    const size_t k = (size_t)w->type.dim[0], n = (size_t)w->type.dim[1];
    const struct cpu_plain_layer layer = { .w = { .w = w->data,
                                                  .n = n,
                                                  .k = k,
                                                  .stride_n = 1,
                                                  .stride_k = n,
                                                  .elem_size = cpu_size(w->type.dtype) },
                                           .dtype = w->type.dtype };
    return cpu_linear_pack_plain(be, call, &layer, out, err);
}

void cpu_gathercols(const struct cpu_task *t)
{
    const struct cpu_linear *l = (const struct cpu_linear *)t->prepared;
    const struct tensor *indices = cpu_in(t, 1), *out = cpu_out(t, 0);
    const size_t size = cpu_size(out->type.dtype), n_idx = cpu_elements(indices);

    if (cpu_elements(out) != n_idx * l->k) {
        cpu_fail(t, ST_SHAPE, "indices do not lead to the output's shape");
        return;
    }
    const struct cpu_share s = cpu_share(t, n_idx, 1);
    for (size_t i = s.begin; i < s.end; i++) {
        size_t at;

        if (!index_at(indices, i, (int64_t)l->n, &at)) {
            cpu_fail(t, ST_INVALID, "index %lld of %zu entries", (long long)cpu_int_at(indices, i),
                     l->n);
            return;
        }
        kern_plain_column((char *)out->data + i * l->k * size,
                          l->panels + at / KERN_NR * l->panel_bytes, l->k, size, at % KERN_NR);
    }
}

/* ---- gather from a block-quantised table ---- */

/* The table as n rows of k elements: what the three storage forms have in common. */
struct qtable {
    const uint8_t *q, *zp; /* zp NULL: the middle of the range, or 0 when signed_or_raw */
    const struct tensor *scales;
    size_t n, k, blocks;
    size_t row_bytes, zp_row_bytes;
    unsigned bits;
    bool is_signed, zero_is_0;
    uint32_t block;
};

/* False when the shapes do not belong together, or the form is not rows along the last axis. */
static bool qtable_of(const struct cpu_task *t, struct qtable *q)
{
    const struct attrs_gatherq *a = &t->call->attr.gatherq;
    const struct tensor *data = cpu_in(t, 0), *scales = cpu_in(t, 2), *zp = cpu_in(t, 3);
    const enum dtype dt = data->type.dtype;
    const int ndim = data->type.ndim;

    memset(q, 0, sizeof *q);
    if (ndim < 2 || cpu_axis(a->gather_axis, ndim) != 0 ||
        cpu_axis(a->quantize_axis, ndim) != ndim - 1 || a->block_size < 1 ||
        a->block_size > INT32_MAX || !scales || !cpu_is_float(scales->type.dtype))
        return false;
    q->bits = dt == DT_U4 || dt == DT_I4 ? 4
              : dt == DT_I8              ? 8
              : a->has_bits              ? (unsigned)a->bits
                                         : 4;
    if (q->bits != 2 && q->bits != 4 && q->bits != 8) return false;
    const size_t stored = (size_t)data->type.dim[ndim - 1];
    q->k = dt == DT_U8 ? stored * 8 / q->bits : stored;
    q->is_signed = dt == DT_I4 || dt == DT_I8;
    q->zero_is_0 = dt != DT_U8;
    q->block = (uint32_t)a->block_size;
    q->blocks = (q->k + q->block - 1) / q->block;
    q->n = cpu_span(data, 0, ndim - 1);
    q->row_bytes = q->k * q->bits / 8;
    q->zp_row_bytes = (q->blocks * q->bits + 7) / 8;
    q->scales = scales;
    q->q = data->data;
    q->zp = zp ? zp->data : NULL;
    if (q->k * q->bits % 8 != 0 || q->block * q->bits % 8 != 0) return false;
    if (zp && dt != DT_U8) q->zp_row_bytes = 0; /* packed without row padding: read by nibble */
    const size_t zp_bytes =
        dt == DT_U8 ? q->n * q->zp_row_bytes : (q->n * q->blocks * q->bits + 7) / 8;
    return cpu_elements(scales) == q->n * q->blocks && (!zp || cpu_bytes(zp) == zp_bytes);
}

/* Code i of those packed at p, the first in the low bits. */
static int code_at(const struct qtable *q, const uint8_t *p, size_t i)
{
    const size_t bit = i * q->bits;
    const int v = p[bit / 8] >> bit % 8 & ((1 << q->bits) - 1);

    return q->is_signed && v >> (q->bits - 1) ? v - (1 << q->bits) : v;
}

static int zero_point(const struct qtable *q, size_t row, size_t block)
{
    if (!q->zp) return q->zero_is_0 ? 0 : 1 << (q->bits - 1);
    const size_t i = q->zp_row_bytes ? block : row * q->blocks + block;

    return code_at(q, q->zp + row * q->zp_row_bytes, i);
}

static int element(const struct qtable *q, size_t row, size_t col)
{
    return code_at(q, q->q + row * q->row_bytes, col);
}

/* Columns [col, col + n) of a row, any block size. */
static void qtable_plain(const struct qtable *q, size_t row, size_t col, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        const size_t b = (col + i) / q->block;
        float scale;

        cpu_to_f32(&scale, q->scales->data, q->scales->type.dtype, row * q->blocks + b, 1);
        out[i] = (float)(element(q, row, col + i) - zero_point(q, row, b)) * scale;
    }
}

/* A whole row by the kernel, where the form is the kernel's: u8 storage, f32 scales and result. */
static bool qtable_row(const struct qtable *q, size_t row, const struct tensor *out, size_t at)
{
    const bool plain_u8 = !q->zero_is_0;

    if (!plain_u8 || q->bits == 2 || q->scales->type.dtype != DT_F32 || out->type.dtype != DT_F32)
        return false;
    const struct kern_dequant_row_args a = {
        .q = q->q + row * q->row_bytes,
        .scale = (const float *)q->scales->data + row * q->blocks,
        .zp = q->zp ? q->zp + row * q->zp_row_bytes : NULL,
        .out = (float *)out->data + at,
        .k = q->k,
        .block = q->block,
    };
    if (q->bits == 4)
        kern.dequant_row_q4(&a);
    else
        kern.dequant_row_q8(&a);
    return true;
}

/* One gathered entry: data.dim[0] entries of rows_each rows each. */
static void gatherq_row(const struct qtable *q, size_t row, const struct tensor *out, size_t at)
{
    float x[CPU_CHUNK];

    if (qtable_row(q, row, out, at)) return;
    for (size_t c = 0; c < q->k; c += CPU_CHUNK) {
        const size_t n = q->k - c < CPU_CHUNK ? q->k - c : CPU_CHUNK;

        qtable_plain(q, row, c, n, x);
        cpu_from_f32(out->data, out->type.dtype, at + c, x, n);
    }
}

static bool elements_fit(const struct tensor *x, size_t n) { return !x || cpu_elements(x) == n; }

/* Tables of 4-bit elements gathered along any axis and quantised along any other: by elements. */
static void gatherq_elements(const struct cpu_task *t)
{
    const struct attrs_gatherq *a = &t->call->attr.gatherq;
    const struct tensor *data = cpu_in(t, 0), *indices = cpu_in(t, 1), *scales = cpu_in(t, 2),
                        *zp = cpu_in(t, 3), *out = cpu_out(t, 0);
    const enum dtype dt = data->type.dtype;
    const int ndim = data->type.ndim, g = cpu_axis(a->gather_axis, ndim),
              q = cpu_axis(a->quantize_axis, ndim);

    if ((dt != DT_U4 && dt != DT_I4) || g < 0 || q < 0 || g == q || a->block_size < 1 ||
        !cpu_is_float(scales->type.dtype) || (zp && zp->type.dtype != dt)) {
        cpu_fail(t, ST_UNSUPPORTED, "table of this form");
        return;
    }
    const size_t n_idx = cpu_elements(indices), dim = (size_t)data->type.dim[g],
                 inner = cpu_span(data, g + 1, ndim), q_dim = (size_t)data->type.dim[q],
                 q_inner = cpu_span(data, q + 1, ndim), block = (size_t)a->block_size,
                 blocks = (q_dim + block - 1) / block,
                 n_scales = cpu_span(data, 0, q) * blocks * q_inner;
    if (!elements_fit(scales, n_scales) || !elements_fit(zp, n_scales) ||
        cpu_elements(out) != cpu_span(data, 0, g) * n_idx * inner) {
        cpu_fail(t, ST_SHAPE, "table, scales and indices do not lead to the output's shape");
        return;
    }
    const struct cpu_share s = cpu_share(t, cpu_elements(out), CPU_CHUNK);
    for (size_t i = s.begin; i < s.end; i++) {
        size_t entry;

        if (!index_at(indices, i / inner % n_idx, (int64_t)dim, &entry)) {
            cpu_put(out, i, 0);
            continue;
        }
        const size_t at = (i / inner / n_idx * dim + entry) * inner + i % inner;
        const size_t line = at / q_inner;
        const size_t b = (line / q_dim * blocks + line % q_dim / block) * q_inner + at % q_inner;
        cpu_put(out, i, (cpu_get(data, at) - (zp ? cpu_get(zp, b) : 0)) * cpu_get(scales, b));
    }
}

/* An index out of range gives zeros, as onnxruntime does. */
void cpu_gatherq(const struct cpu_task *t)
{
    const struct tensor *data = cpu_in(t, 0), *indices = cpu_in(t, 1), *out = cpu_out(t, 0);
    struct qtable q;

    if (!cpu_is_float(out->type.dtype)) {
        cpu_fail(t, ST_UNSUPPORTED, "a result of this type");
        return;
    }
    if (!qtable_of(t, &q)) {
        gatherq_elements(t);
        return;
    }
    const size_t entries = (size_t)data->type.dim[0];
    const size_t each = entries ? q.n / entries : 0, n_idx = cpu_elements(indices);
    if (cpu_elements(out) != n_idx * each * q.k) {
        cpu_fail(t, ST_SHAPE, "indices do not lead to the output's shape");
        return;
    }
    const struct cpu_share s = cpu_share(t, n_idx * each, 1);
    for (size_t i = s.begin; i < s.end; i++) {
        size_t entry;

        if (index_at(indices, i / each, (int64_t)entries, &entry))
            gatherq_row(&q, entry * each + i % each, out, i * q.k);
        else
            memset((char *)out->data + i * q.k * cpu_size(out->type.dtype), 0,
                   q.k * cpu_size(out->type.dtype));
    }
}
