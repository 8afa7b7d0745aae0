/* SPDX-License-Identifier: MIT */
/* Operators that only rename or make elements: reshapes, constants, shapes, ranges, selected rows.
 */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

enum { GRAIN_BYTES = 4096 };

/* Identity, Reshape, Flatten, Squeeze, Unsqueeze: the same elements under another shape. The memory
 * plan lays output on input where it can; then there is nothing to do. */
void cpu_copy(const struct cpu_task *t)
{
    const struct tensor *in = cpu_in(t, 0), *out = cpu_out(t, 0);
    const size_t bytes = cpu_bytes(out);

    if (cpu_bytes(in) != bytes) {
        cpu_fail(t, ST_SHAPE, "%zu bytes do not fill a shape of %zu", cpu_bytes(in), bytes);
        return;
    }
    if (in->data == out->data) return;
    const struct cpu_share s = cpu_share(t, bytes, GRAIN_BYTES);
    if (s.begin < s.end)
        memcpy((char *)out->data + s.begin, (const char *)in->data + s.begin, s.end - s.begin);
}

/* Everything passes; the mask is true. training_mode would draw numbers: refused. */
void cpu_dropout(const struct cpu_task *t)
{
    const struct tensor *in = cpu_in(t, 0), *out = cpu_out(t, 0), *mask = cpu_out(t, 1);
    const struct tensor *ratio = cpu_in(t, 1), *training = cpu_in(t, 2);

    if (t->worker != 0) return;
    if (training && *(const uint8_t *)training->data &&
        (ratio ? cpu_get(ratio, 0) : (double)t->call->attr.dropout.ratio) != 0) {
        cpu_fail(t, ST_UNSUPPORTED, "training_mode with a ratio other than 0");
        return;
    }
    if (out && out->data != in->data) memcpy(out->data, in->data, cpu_bytes(in));
    for (size_t i = 0; mask && i < cpu_elements(mask); i++) cpu_put(mask, i, 1);
}

/* ---- made from attributes ---- */

static void write_ints(const struct tensor *out, const int64_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        union cpu_chunk x;

        x.i64[0] = v[i];
        cpu_store(out->data, out->type.dtype, i, &x, 1);
    }
}

void cpu_constant(const struct cpu_task *t)
{
    const struct attrs_constant *a = &t->call->attr.constant;
    const struct tensor *out = cpu_out(t, 0);
    const size_t n = cpu_elements(out), bytes = cpu_bytes(out);

    if (t->worker != 0) return;
    if (a->value && a->value->data && cpu_bytes(a->value) == bytes) {
        memcpy(out->data, a->value->data, bytes);
    } else if (out->type.dtype == DT_I64 && a->value_ints.n > 0 && (size_t)a->value_ints.n == n) {
        memcpy(out->data, a->value_ints.v, bytes);
    } else if (out->type.dtype == DT_F32 && a->value_floats.n > 0 &&
               (size_t)a->value_floats.n == n) {
        memcpy(out->data, a->value_floats.v, bytes);
    } else if (out->type.dtype == DT_I64 && n == 1 && a->has_value_int) {
        memcpy(out->data, &a->value_int, bytes);
    } else if (out->type.dtype == DT_F32 && n == 1) {
        memcpy(out->data, &a->value_float, bytes);
    } else if (n > 0) {
        cpu_fail(t, ST_UNSUPPORTED, "constant of this kind");
    }
}

/* ConstantOfShape: one element everywhere, zero unless given. */
void cpu_fill(const struct cpu_task *t)
{
    const struct tensor *value = t->call->attr.fill.value, *out = cpu_out(t, 0);
    const size_t size = cpu_size(out->type.dtype);
    const struct cpu_share s = cpu_share(t, cpu_elements(out), GRAIN_BYTES);
    char *o = (char *)out->data + s.begin * size;

    if (value &&
        (!value->data || cpu_elements(value) != 1 || value->type.dtype != out->type.dtype)) {
        cpu_fail(t, ST_SHAPE, "value is not one element of %s", dtype_name(out->type.dtype));
        return;
    }
    for (size_t i = s.begin; size == 0 && i < s.end; i++) /* less than a byte */
        cpu_put(out, i, value ? cpu_get(value, 0) : 0);
    for (size_t i = s.begin; size > 0 && i < s.end; i++, o += size) {
        if (value)
            memcpy(o, value->data, size);
        else
            memset(o, 0, size);
    }
}

/* ---- made from shapes and scalars ---- */

static int64_t clamp(int64_t x, int64_t lo, int64_t hi) { return x < lo ? lo : x > hi ? hi : x; }

void cpu_shape(const struct cpu_task *t)
{
    const struct attrs_shape *a = &t->call->attr.shape;
    const struct tensor *in = cpu_in(t, 0), *out = cpu_out(t, 0);
    const int64_t ndim = in->type.ndim;
    const int64_t end_given = a->has_end ? a->end : ndim;
    const int64_t start = clamp(a->start < 0 ? a->start + ndim : a->start, 0, ndim);
    const int64_t end = clamp(end_given < 0 ? end_given + ndim : end_given, 0, ndim);
    const int64_t n = end > start ? end - start : 0;

    if (t->worker != 0) return;
    if (cpu_elements(out) != (size_t)n) {
        cpu_fail(t, ST_SHAPE, "output is not %d dimensions", (int)n);
        return;
    }
    write_ints(out, in->type.dim + start, (size_t)n);
}

void cpu_size_op(const struct cpu_task *t)
{
    const int64_t n = (int64_t)cpu_elements(cpu_in(t, 0));

    if (t->worker != 0) return;
    if (cpu_elements(cpu_out(t, 0)) == 1)
        write_ints(cpu_out(t, 0), &n, 1);
    else
        cpu_fail(t, ST_SHAPE, "output is no scalar");
}

/* start, start + delta, …; in f64 for floats, exact for integers. */
void cpu_range(const struct cpu_task *t)
{
    const struct tensor *out = cpu_out(t, 0);
    const enum dtype dt = out->type.dtype;
    const enum cpu_class cls = cpu_class_of(dt);
    const size_t n = cpu_elements(out);
    union cpu_chunk v[3];

    if (t->worker != 0) return;
    for (int i = 0; i < 3; i++) {
        if (!cpu_in(t, i) || cpu_elements(t->in[i]) != 1 || t->in[i]->type.dtype != dt) {
            cpu_fail(t, ST_SHAPE, "input %d is not one element of %s", i, dtype_name(dt));
            return;
        }
        cpu_load(&v[i], t->in[i]->data, dt, 0, 1, 1);
    }
    union cpu_chunk d[3];
    memcpy(d, v, sizeof d);
    for (int i = 0; i < 3; i++) cpu_convert(&d[i], cls, CPU_F64, 1);
    const double count = ceil((d[1].f64[0] - d[0].f64[0]) / d[2].f64[0]);
    if ((count > 0 ? count : 0) != (double)n) {
        cpu_fail(t, ST_SHAPE, "%g elements (output has %zu)", count, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        union cpu_chunk x;

        if (cls == CPU_F32)
            x.f32[0] = v[0].f32[0] + (float)i * v[2].f32[0];
        else if (cls == CPU_F64)
            x.f64[0] = v[0].f64[0] + (double)i * v[2].f64[0];
        else
            x.u64[0] = v[0].u64[0] + (uint64_t)i * v[2].u64[0];
        cpu_store(out->data, dt, i, &x, 1);
    }
}

/* ---- the step's rows ---- */

void cpu_selectrows(const struct cpu_task *t)
{
    const struct tensor *in = cpu_in(t, 0), *out = cpu_out(t, 0);
    const size_t width = cpu_span(in, 1, in->type.ndim) * cpu_size(in->type.dtype);
    const struct cpu_share s = cpu_share(t, (size_t)t->step->n_rows, 1);

    if (in->type.ndim < 1 || out->type.ndim < 1 || in->type.dim[0] != t->step->n_tokens ||
        out->type.dim[0] != t->step->n_rows ||
        cpu_span(out, 1, out->type.ndim) != cpu_span(in, 1, in->type.ndim)) {
        cpu_fail(t, ST_SHAPE, "rows of another width or number");
        return;
    }
    for (size_t i = s.begin; i < s.end; i++)
        memcpy((char *)out->data + i * width,
               (const char *)in->data + (size_t)t->step->rows[i] * width, width);
}

void cpu_filllike(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *value = cpu_in(t, 1), *out = cpu_out(t, 0);
    const size_t size = cpu_size(out->type.dtype), n = cpu_elements(out);

    if (size == 0 || cpu_elements(value) != 1 || value->type.dtype != out->type.dtype ||
        cpu_elements(x) != n) {
        cpu_fail(t, ST_SHAPE, "value and output do not fit each other");
        return;
    }
    const struct cpu_share s = cpu_share(t, n, 64);
    for (size_t i = s.begin; i < s.end; i++)
        memcpy((char *)out->data + i * size, value->data, size);
}
