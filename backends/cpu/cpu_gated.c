/* SPDX-License-Identifier: MIT */
/* GatedRMSNorm, GatedAdd, LpNormalization. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

static bool floats_of(const struct tensor *x, size_t n)
{
    return x && cpu_is_float(x->type.dtype) && cpu_elements(x) == n;
}

static bool is_silu(const char *activation)
{
    return strcmp(activation, "silu") == 0 || strcmp(activation, "swish") == 0;
}

/* y = rmsnorm(x) * scale * act(gate), over groups of as many elements as scale has. Scratch: x,
 * scale, gate. */
void cpu_gatedrmsnorm(const struct cpu_task *t)
{
    const struct attrs_gatedrmsnorm *a = &t->call->attr.gatedrmsnorm;
    const struct tensor *x = cpu_in(t, 0), *scale = cpu_in(t, 1), *gate = cpu_in(t, 2),
                        *out = cpu_out(t, 0);
    const size_t n = cpu_elements(x), cols = cpu_elements(scale);
    const bool silu = is_silu(a->activation);

    if (cols == 0 || n % cols || !floats_of(x, n) || !floats_of(scale, cols) ||
        !floats_of(gate, n) || !floats_of(out, n) ||
        (!silu && strcmp(a->activation, "sigmoid") != 0)) {
        cpu_fail(t, ST_SHAPE, "inputs and output do not fit each other");
        return;
    }
    const struct cpu_share s = cpu_share(t, n / cols, 1);
    float *line = t->scratch, *g = line + 2 * cols;
    const float *w = cpu_row_f32(scale, 0, cols, line + cols);
    for (size_t r = s.begin; r < s.end; r++) {
        cpu_to_f32(line, x->data, x->type.dtype, r * cols, cols);
        cpu_to_f32(g, gate->data, gate->type.dtype, r * cols, cols);
        kern.rmsnorm_f32(line, line, w, 1, cols, a->epsilon);
        if (silu) {
            kern.silu_mul_f32(line, g, line, cols);
        } else {
            kern.sigmoid_f32(g, g, cols);
            kern.mul_f32(line, line, g, cols);
        }
        cpu_from_f32(out->data, out->type.dtype, r * cols, line, cols);
    }
}

status cpu_gatedrmsnorm_scratch(const struct op_call *call, const struct prepared *p,
                                const struct cpu_bounds *b, struct cpu_scratch *out,
                                struct err *err)
{
    size_t n;

    (void)p;
    (void)b;
    if (!type_elements(&call->in[1].type, &n) || !checked_mul(n, 3 * sizeof(float), &out->worker))
        return FAIL(err, ST_SHAPE, "%s: shape of scale is not known", call->node);
    return ST_OK;
}

/* out = x + y * gate, gate one number a row; the product is rounded to the type, as two operators
 * would. Scratch: x, y. */
void cpu_gatedadd(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *y = cpu_in(t, 1), *gate = cpu_in(t, 2),
                        *out = cpu_out(t, 0);
    const int ndim = x->type.ndim;
    const size_t cols = ndim > 0 ? (size_t)x->type.dim[ndim - 1] : 0, n = cpu_elements(x);

    if (cols == 0 || !floats_of(x, n) || !floats_of(y, n) || !floats_of(out, n) ||
        !floats_of(gate, n / cols) || cpu_in(t, 3)) {
        cpu_fail(t, ST_SHAPE, "inputs and output do not fit each other");
        return;
    }
    const struct cpu_share s = cpu_share(t, n / cols, 1);
    const enum dtype dt = out->type.dtype;
    float *a = t->scratch, *b = a + cols;
    uint16_t *half = (uint16_t *)(void *)(b + cols);
    for (size_t r = s.begin; r < s.end; r++) {
        float g;

        cpu_to_f32(a, x->data, x->type.dtype, r * cols, cols);
        cpu_to_f32(b, y->data, y->type.dtype, r * cols, cols);
        cpu_to_f32(&g, gate->data, gate->type.dtype, r, 1);
        kern.affine_f32(b, b, cols, g, 0);
        if (dt != DT_F32) {
            cpu_from_f32(half, dt, 0, b, cols);
            cpu_to_f32(b, half, dt, 0, cols);
        }
        kern.add_f32(a, a, b, cols);
        cpu_from_f32(out->data, dt, r * cols, a, cols);
    }
}

/* ---- LpNormalization ---- */

/* Lane `lane` of the axis: elements at + i * stride. */
static void norm_lane(const struct tensor *x, const struct tensor *out, size_t at, size_t n,
                      size_t stride, int64_t p)
{
    const enum dtype dt = x->type.dtype;
    union cpu_chunk c;
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        cpu_load(&c, x->data, dt, (int64_t)(at + i * stride), 1, 1);
        const double v = dt == DT_F64 ? c.f64[0] : (double)c.f32[0];
        sum += p == 1 ? fabs(v) : v * v;
    }
    const double norm = p == 1 ? sum : sqrt(sum);
    for (size_t i = 0; i < n; i++) {
        cpu_load(&c, x->data, dt, (int64_t)(at + i * stride), 1, 1);
        if (dt == DT_F64)
            c.f64[0] = norm != 0 ? c.f64[0] / norm : 0;
        else
            c.f32[0] = norm != 0 ? (float)((double)c.f32[0] / norm) : 0;
        cpu_store(out->data, dt, at + i * stride, &c, 1);
    }
}

void cpu_lpnorm(const struct cpu_task *t)
{
    const struct attrs_lpnorm *a = &t->call->attr.lpnorm;
    const struct tensor *x = cpu_in(t, 0), *out = cpu_out(t, 0);
    const int axis = cpu_axis(a->axis, x->type.ndim);
    const bool is_float = cpu_is_float(x->type.dtype) || x->type.dtype == DT_F64;

    if (axis < 0 || !is_float || (a->p != 1 && a->p != 2)) {
        cpu_fail(t, ST_SHAPE, "axis %lld, p %lld", (long long)a->axis, (long long)a->p);
        return;
    }
    const size_t n = (size_t)x->type.dim[axis], inner = cpu_span(x, axis + 1, x->type.ndim);
    const struct cpu_share s = cpu_share(t, cpu_span(x, 0, axis) * inner, 1);
    for (size_t lane = s.begin; n > 0 && lane < s.end; lane++)
        norm_lane(x, out, lane / inner * n * inner + lane % inner, n, inner, a->p);
}
