/* SPDX-License-Identifier: MIT */
/* MatMulNBits. Constant weights in their own order are packed and multiplied as cupola.Linear's
 * are; weights that come with the run, or whose rows g_idx reorders, are dequantised a column at a
 * time.
 */
#include <string.h>

#include "backends/cpu/cpu_linear.h"
#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

enum { NBITS_X, NBITS_B, NBITS_SCALES, NBITS_ZERO_POINTS, NBITS_G_IDX, NBITS_BIAS };

/* g_idx of weights that were not reordered counts 0 0 … 1 1 …. */
static bool is_ordered(const struct tensor *g_idx, const struct attrs_matmulnbits *a)
{
    const int32_t *v = g_idx->data;
    size_t n;

    if (!v || g_idx->type.dtype != DT_I32 || !type_elements(&g_idx->type, &n) || n < (size_t)a->k)
        return false;
    for (int64_t i = 0; i < a->k; i++) {
        int32_t group; /* a constant may lie misaligned */

        memcpy(&group, v + i, sizeof group);
        if (group != i / a->block_size) return false;
    }
    return true;
}

static bool is_packed(const struct op_call *call)
{
    static const int weights[] = { NBITS_B, NBITS_SCALES, NBITS_ZERO_POINTS, NBITS_BIAS };
    const struct tensor *g_idx = cpu_call_in(call, NBITS_G_IDX);

    for (size_t i = 0; i < COUNT(weights); i++) {
        const struct tensor *x = cpu_call_in(call, weights[i]);

        if (x && !x->data) return false;
    }
    return !g_idx || is_ordered(g_idx, &call->attr.matmulnbits);
}

status cpu_nbits_prepare(struct cpu_backend *be, const struct op_call *call, struct prepared **out,
                         struct err *err)
{
    *out = NULL;
    return is_packed(call) ? cpu_linear_prepare(be, call, out, err) : ST_OK;
}

status cpu_nbits_scratch(const struct op_call *call, const struct prepared *p,
                         const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    if (p) return cpu_linear_scratch(call, p, b, out, err);
    if (!checked_mul((size_t)call->attr.matmulnbits.k, 2 * sizeof(float), &out->worker))
        return FAIL(err, ST_LIMIT, "%s: K is too large", call->node);
    return ST_OK;
}

/* ---- a column at a time ---- */

struct nbits {
    const struct tensor *b, *scales, *zp, *g_idx, *bias;
    size_t n, k, block, blocks, zp_row_bytes;
    unsigned bits;
};

static bool holds(const struct tensor *x, size_t n) { return !x || cpu_elements(x) >= n; }

/* False when an operand is shorter than the attributes say. */
static bool read_nbits(const struct cpu_task *t, struct nbits *w)
{
    const struct attrs_matmulnbits *a = &t->call->attr.matmulnbits;

    *w = (struct nbits){ .b = cpu_in(t, NBITS_B),
                         .scales = cpu_in(t, NBITS_SCALES),
                         .zp = cpu_in(t, NBITS_ZERO_POINTS),
                         .g_idx = cpu_in(t, NBITS_G_IDX),
                         .bias = cpu_in(t, NBITS_BIAS),
                         .n = (size_t)a->n,
                         .k = (size_t)a->k,
                         .block = (size_t)a->block_size,
                         .bits = (unsigned)a->bits };
    if (a->n < 1 || a->k < 1 || a->n > INT32_MAX || a->k > INT32_MAX || a->block_size > INT32_MAX ||
        (a->bits != 2 && a->bits != 4 && a->bits != 8) || a->block_size < 16 ||
        w->b->type.dtype != DT_U8 || !cpu_is_float(w->scales->type.dtype))
        return false;
    w->blocks = (w->k + w->block - 1) / w->block;
    w->zp_row_bytes = (w->blocks * w->bits + 7) / 8;
    const bool zp_floats = w->zp && cpu_is_float(w->zp->type.dtype);
    return holds(w->b, w->n * w->blocks * (w->block * w->bits / 8)) &&
           holds(w->scales, w->n * w->blocks) &&
           holds(w->zp, w->n * (zp_floats ? w->blocks : w->zp_row_bytes)) &&
           holds(w->g_idx, w->k) && holds(w->bias, w->n);
}

/* Code i of a row of codes, the first in the low bits. */
static unsigned code_at(const struct nbits *w, const uint8_t *row, size_t i)
{
    const size_t bit = i * w->bits;

    return (unsigned)row[bit / 8] >> bit % 8 & ((1U << w->bits) - 1);
}

static double zero_of(const struct nbits *w, size_t col, size_t group)
{
    if (!w->zp) return 1U << (w->bits - 1);
    if (cpu_is_float(w->zp->type.dtype)) return cpu_get(w->zp, col * w->blocks + group);
    return code_at(w, (const uint8_t *)w->zp->data + col * w->zp_row_bytes, group);
}

/* Column `col` of the weights, [k]; false when g_idx names a group that is not there. */
static bool dequantise(const struct nbits *w, size_t col, float *out)
{
    const uint8_t *row = (const uint8_t *)w->b->data + col * w->blocks * (w->block * w->bits / 8);
    double zero = 0, scale = 0;
    size_t now = w->blocks; /* the group that zero and scale are of */

    for (size_t i = 0; i < w->k; i++) {
        const int64_t group = w->g_idx ? cpu_int_at(w->g_idx, i) : (int64_t)(i / w->block);

        if (group < 0 || (size_t)group >= w->blocks) return false;
        if ((size_t)group != now) {
            now = (size_t)group;
            zero = zero_of(w, col, now);
            scale = cpu_get(w->scales, col * w->blocks + now);
        }
        out[i] = (float)((code_at(w, row, i) - zero) * scale);
    }
    return true;
}

void cpu_nbits(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *out = cpu_out(t, 0);
    const int ndim = x->type.ndim;
    struct nbits w;

    if (t->prepared) {
        cpu_linear(t);
        return;
    }
    const size_t m = ndim > 0 ? cpu_span(x, 0, ndim - 1) : 0;
    if (!read_nbits(t, &w) || ndim < 1 || (size_t)x->type.dim[ndim - 1] != w.k ||
        !cpu_is_float(x->type.dtype) || !cpu_is_float(out->type.dtype) ||
        cpu_elements(out) != m * w.n) {
        cpu_fail(t, ST_SHAPE, "input, weights and output do not fit each other");
        return;
    }
    float *column = t->scratch, *line = column + w.k;
    const struct cpu_share s = cpu_share(t, w.n, 1);
    for (size_t col = s.begin; col < s.end; col++) {
        if (!dequantise(&w, col, column)) {
            cpu_fail(t, ST_INVALID, "g_idx names a group that is not there");
            return;
        }
        for (size_t r = 0; r < m; r++) {
            const float *row = cpu_row_f32(x, r * w.k, w.k, line);
            double sum = w.bias ? cpu_get(w.bias, col) : 0;

            for (size_t i = 0; i < w.k; i++) sum += (double)row[i] * (double)column[i];
            cpu_put(out, r * w.n + col, sum);
        }
    }
}
