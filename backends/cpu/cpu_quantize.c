/* SPDX-License-Identifier: MIT */
/* QuantizeLinear, DequantizeLinear, QLinearMatMul: scales for a tensor, an axis, or blocks. */
#include "backends/cpu/cpu_quant.h"

#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_ops.h"

/* ---- operands ---- */

bool cpu_int_range(enum dtype dt, double *low, double *high)
{
    const unsigned bits = dtype_bits(dt);
    const bool sign = dt == DT_I8 || dt == DT_I16 || dt == DT_I32 || dt == DT_I4 || dt == DT_I2;

    if (!dtype_is_int(dt) || bits > 32) return false;
    *low = sign ? -ldexp(1, (int)bits - 1) : 0;
    *high = ldexp(1, (int)bits - (sign ? 1 : 0)) - 1;
    return true;
}

bool cpu_quant_of(struct cpu_quant *q, const struct tensor *scale, const struct tensor *zero,
                  size_t each)
{
    *q = (struct cpu_quant){ scale, zero };
    if (scale && cpu_elements(scale) != 1 && cpu_elements(scale) != each) return false;
    return !zero || cpu_elements(zero) == 1 || cpu_elements(zero) == each;
}

static size_t operand_index(const struct tensor *x, size_t i)
{
    return cpu_elements(x) == 1 ? 0 : i;
}

double cpu_quant_scale(const struct cpu_quant *q, size_t i)
{
    return q->scale ? cpu_get(q->scale, operand_index(q->scale, i)) : 1;
}

double cpu_quant_zero(const struct cpu_quant *q, size_t i)
{
    return q->zero ? cpu_get(q->zero, operand_index(q->zero, i)) : 0;
}

double cpu_quantize(const struct cpu_quant *q, size_t i, double v, enum dtype dt)
{
    double low, high;

    v = (double)(float)(v / cpu_quant_scale(q, i));
    if (!cpu_int_range(dt, &low, &high)) return v;
    v = rint(v) + cpu_quant_zero(q, i);
    return v > low ? (v < high ? v : high) : low; /* NaN gives the lowest */
}

/* ---- index of the scale of an element: per tensor, per index of the axis, or per block ---- */

struct scale_map {
    size_t dim, inner, block, blocks; /* element: (outer, axis index, inner); block 0: per tensor */
    bool per_axis;
};

static bool scale_map_of(const struct cpu_task *t, int64_t axis_given, int64_t block,
                         struct scale_map *m)
{
    const struct tensor *x = cpu_in(t, 0), *scale = cpu_in(t, 1), *zero = cpu_in(t, 2);
    const int axis = cpu_axis(axis_given, x->type.ndim);

    memset(m, 0, sizeof *m);
    if (zero && cpu_elements(zero) != cpu_elements(scale)) return false;
    if (cpu_elements(scale) == 1 && block == 0) return true;
    if (axis < 0 || block < 0) return false;
    m->dim = (size_t)x->type.dim[axis];
    m->inner = cpu_span(x, axis + 1, x->type.ndim);
    m->per_axis = block == 0;
    m->block = m->per_axis ? 1 : (size_t)block;
    m->blocks = (m->dim + m->block - 1) / m->block;
    if (m->per_axis) return cpu_elements(scale) == m->dim;
    return cpu_elements(scale) == cpu_span(x, 0, axis) * m->blocks * m->inner;
}

static size_t scale_index(const struct scale_map *m, size_t i)
{
    if (m->block == 0) return 0;
    const size_t at = i / m->inner % m->dim;

    if (m->per_axis) return at;
    return (i / m->inner / m->dim * m->blocks + at / m->block) * m->inner + i % m->inner;
}

void cpu_dequant(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *scale = cpu_in(t, 1), *zp = cpu_in(t, 2);
    const struct tensor *out = cpu_out(t, 0);
    const enum cpu_class cls = cpu_class_of(x->type.dtype);
    struct scale_map m;
    union cpu_chunk q, y;

    if (!scale_map_of(t, t->call->attr.dequant.axis, t->call->attr.dequant.block_size, &m) ||
        cpu_class_of(scale->type.dtype) != CPU_F32 || cpu_class_of(out->type.dtype) != CPU_F32 ||
        dtype_bits(x->type.dtype) > 32 || (cls != CPU_I64 && cls != CPU_F32) ||
        (zp && zp->type.dtype != x->type.dtype) || cpu_elements(out) != cpu_elements(x)) {
        cpu_fail(t, ST_SHAPE, "scale or zero point do not fit the input");
        return;
    }
    const struct cpu_share s = cpu_share(t, cpu_elements(out), CPU_CHUNK);
    for (size_t i = s.begin; i < s.end; i += CPU_CHUNK) {
        const size_t n = s.end - i < CPU_CHUNK ? s.end - i : CPU_CHUNK;

        cpu_load(&q, x->data, x->type.dtype, (int64_t)i, 1, n);
        for (size_t j = 0; j < n; j++) {
            const size_t at = scale_index(&m, i + j);
            const double zero = zp ? cpu_get(zp, at) : 0;
            const double v = cls == CPU_I64 ? (double)q.i64[j] : (double)q.f32[j];

            y.f32[j] = (float)(v - zero) * (float)cpu_get(scale, at);
        }
        cpu_store(out->data, out->type.dtype, i, &y, n);
    }
}

/* A quotient rounded to the precision the division is made in. */
static float divide(double x, double scale, enum dtype precision)
{
    if (precision == DT_F16)
        return half_to_f32(half_from_f32((float)x / half_to_f32(half_from_f32((float)scale))));
    if (precision == DT_BF16)
        return bf16_to_f32(bf16_from_f32((float)x / bf16_to_f32(bf16_from_f32((float)scale))));
    return (float)x / (float)scale;
}

void cpu_quantizelinear(const struct cpu_task *t)
{
    const struct attrs_quantize *a = &t->call->attr.quantize;
    const struct tensor *x = cpu_in(t, 0), *scale = cpu_in(t, 1), *zp = cpu_in(t, 2);
    const struct tensor *out = cpu_out(t, 0);
    const enum dtype to = out->type.dtype;
    struct scale_map m;
    double low = 0, high = 0;

    if (!scale_map_of(t, a->axis, a->block_size, &m) || cpu_elements(out) != cpu_elements(x) ||
        (zp && zp->type.dtype != to)) {
        cpu_fail(t, ST_SHAPE, "scale or zero point do not fit the input");
        return;
    }
    const bool integer = cpu_int_range(to, &low, &high);
    const enum dtype precision = a->precision ? (enum dtype)a->precision : x->type.dtype;
    const struct cpu_share s = cpu_share(t, cpu_elements(out), CPU_CHUNK);
    for (size_t i = s.begin; i < s.end; i++) {
        const size_t at = scale_index(&m, i);
        float v = divide(cpu_get(x, i), cpu_get(scale, at), precision);

        if (!integer) { /* a zero point of floats says their type only */
            cpu_store_mini(out->data, to, i, &v, 1,
                           (struct cpu_mini_rule){ a->saturate != 0, MINI_NEAREST });
            continue;
        }
        const double q = rint((double)v) + (zp ? cpu_get(zp, at) : 0);
        cpu_put(out, i, q > low ? (q < high ? q : high) : low);
    }
}

/* ---- QLinearMatMul ---- */

/* a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero: scales for all, for each row of a, each
 * column of b. */
void cpu_qlinearmatmul(const struct cpu_task *t)
{
    const struct tensor *a = cpu_in(t, 0), *b = cpu_in(t, 3), *out = cpu_out(t, 0);
    const int na = a->type.ndim, nb = b->type.ndim;
    const size_t k = na > 0 ? (size_t)a->type.dim[na - 1] : 0;
    const size_t n = nb > 1 ? (size_t)b->type.dim[nb - 1] : 1;
    const size_t rows = na > 1 ? (size_t)a->type.dim[na - 2] : 1;
    struct cpu_quant qa, qb, qy;
    struct cpu_walk w;
    struct cpu_piece p;
    struct tensor batches = { .type = { .dtype = DT_U8 } }, lead_a = batches, lead_b = batches;

    batches.type.ndim = out->type.ndim - (na > 1) - (nb > 1);
    for (int d = 0; d < batches.type.ndim; d++) batches.type.dim[d] = out->type.dim[d];
    lead_a.type.ndim = na > 2 ? na - 2 : 0;
    lead_b.type.ndim = nb > 2 ? nb - 2 : 0;
    for (int d = 0; d < lead_a.type.ndim; d++) lead_a.type.dim[d] = a->type.dim[d];
    for (int d = 0; d < lead_b.type.ndim; d++) lead_b.type.dim[d] = b->type.dim[d];
    if (na < 1 || nb < 1 || batches.type.ndim < 0 ||
        !cpu_quant_of(&qa, cpu_in(t, 1), cpu_in(t, 2), rows) ||
        !cpu_quant_of(&qb, cpu_in(t, 4), cpu_in(t, 5), n) ||
        !cpu_quant_of(&qy, cpu_in(t, 6), cpu_in(t, 7), 1) ||
        (size_t)b->type.dim[nb > 1 ? nb - 2 : 0] != k ||
        cpu_elements(out) != cpu_elements(&batches) * rows * n) {
        cpu_fail(t, ST_SHAPE, "inputs do not fit each other");
        return;
    }
    cpu_walk_init(&w, &batches);
    if (!cpu_walk_broadcast(&w, &lead_a) || !cpu_walk_broadcast(&w, &lead_b)) {
        cpu_fail(t, ST_SHAPE, "inputs do not broadcast");
        return;
    }
    const struct cpu_share s = cpu_share(t, cpu_elements(&batches), 1);
    cpu_walk_begin(&w, s.begin, s.end);
    while (cpu_walk_next(&w, 1, &p)) {
        for (size_t i = 0; i < rows * n; i++) {
            const size_t row = i / n, col = i % n;
            const double za = cpu_quant_zero(&qa, row), zb = cpu_quant_zero(&qb, col);
            double sum = 0;

            for (size_t j = 0; j < k; j++)
                sum += (cpu_get(a, ((size_t)p.off[0] * rows + row) * k + j) - za) *
                       (cpu_get(b, ((size_t)p.off[1] * k + j) * n + col) - zb);
            sum *= cpu_quant_scale(&qa, row) * cpu_quant_scale(&qb, col);
            cpu_put(out, p.at * rows * n + i, cpu_quantize(&qy, 0, sum, out->type.dtype));
        }
    }
}
