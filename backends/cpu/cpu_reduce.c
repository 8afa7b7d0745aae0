/* SPDX-License-Identifier: MIT */
/* Reductions, softmax, running sums. Sums are carried in f64 (floats) or wrap in 64 bits
 * (integers), in a fixed order, so that results do not depend on the number of workers. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

/* ---- which axes ---- */

/* Bit mask of the reduced axes; false when one is out of range. */
static bool reduced_axes(const struct cpu_task *t, int ndim, unsigned *mask)
{
    const struct attrs_reduce *a = &t->call->attr.reduce;
    const struct tensor *x = cpu_in(t, 1);
    const size_t n = x ? cpu_elements(x) : (size_t)(a->axes.n > 0 ? a->axes.n : 0);

    *mask = 0;
    for (size_t i = 0; i < n; i++) {
        const int axis = cpu_axis(x ? cpu_int_at(x, i) : a->axes.v[i], ndim);

        if (axis < 0) return false;
        *mask |= 1u << axis;
    }
    if (n == 0 && !a->noop_with_empty_axes) *mask = (1u << ndim) - 1;
    return true;
}

/* Splits the input into a space of kept and a space of reduced dimensions, both with the input's
 * strides. Each is described by a tensor whose type holds the dimensions. */
struct split_space {
    struct tensor kept, gone;
    int64_t kept_stride[IR_DIMS_MAX], gone_stride[IR_DIMS_MAX];
};

static void split_axes(const struct tensor *in, unsigned mask, struct split_space *s)
{
    int64_t step = 1, stride[IR_DIMS_MAX];

    memset(s, 0, sizeof *s);
    for (int d = in->type.ndim - 1; d >= 0; d--) {
        stride[d] = step;
        step *= in->type.dim[d];
    }
    for (int d = 0; d < in->type.ndim; d++) {
        struct tensor *x = mask >> d & 1 ? &s->gone : &s->kept;
        int64_t *to = mask >> d & 1 ? s->gone_stride : s->kept_stride;

        to[x->type.ndim] = stride[d];
        x->type.dim[x->type.ndim++] = in->type.dim[d];
    }
}

/* ---- accumulators ---- */

struct acc {
    double f;
    int64_t i;
    double max; /* ReduceLogSumExp: f is relative to its exponential */
};

/* Roots and logarithms of integers go through f64, too. */
static bool in_floats(enum op_kind op)
{
    return op == OP_REDUCEL2 || op == OP_REDUCELOGSUM || op == OP_REDUCELOGSUMEXP;
}

/* The lowest (or highest) number of an integer type of up to 64 bits, signed, or below 64 bits. */
static int64_t int_end(enum dtype dt, bool high)
{
    const unsigned bits = dtype_bits(dt);
    const bool sign = dt == DT_I8 || dt == DT_I16 || dt == DT_I32 || dt == DT_I64;

    if (sign) return high ? (int64_t)(UINT64_MAX >> (65 - bits)) : INT64_MIN >> (64 - bits);
    return high ? ((int64_t)1 << bits) - 1 : 0;
}

static struct acc acc_start(enum op_kind op, enum cpu_class cls, enum dtype dt)
{
    if (op == OP_REDUCEPROD) return (struct acc){ 1, 1, 0 };
    if (op == OP_REDUCELOGSUMEXP) return (struct acc){ 0, 0, -INFINITY };
    if (dt == DT_BOOL) return (struct acc){ 0, op == OP_REDUCEMIN, 0 };
    if (dtype_is_int(dt) && cls == CPU_I64 && (op == OP_REDUCEMAX || op == OP_REDUCEMIN))
        return (struct acc){ 0, int_end(dt, op == OP_REDUCEMIN), 0 };
    if (op == OP_REDUCEMAX) return (struct acc){ -INFINITY, 0, 0 };
    if (op == OP_REDUCEMIN) return (struct acc){ INFINITY, -1, 0 };
    return (struct acc){ 0, 0, 0 };
}

/* What sums add up. */
static double addend(enum op_kind op, double x)
{
    if (op == OP_REDUCEL1) return fabs(x);
    return op == OP_REDUCEL2 || op == OP_REDUCESUMSQUARE ? x * x : x;
}

static void acc_exp(struct acc *a, double x)
{
    if (x > a->max) {
        a->f *= exp(a->max - x);
        a->max = x;
    }
    a->f += x == a->max ? 1 : exp(x - a->max);
}

static double acc_float(enum op_kind op, const struct acc *a, size_t count)
{
    switch (op) {
    case OP_REDUCEMEAN: return a->f / (double)count;
    case OP_REDUCEL2: return sqrt(a->f);
    case OP_REDUCELOGSUM: return log(a->f);
    case OP_REDUCELOGSUMEXP: return a->max + log(a->f);
    default: return a->f;
    }
}

static void acc_floats(enum op_kind op, struct acc *a, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (op == OP_REDUCEMAX)
            a->f = x[i] > a->f || x[i] != x[i] ? x[i] : a->f;
        else if (op == OP_REDUCEMIN)
            a->f = x[i] < a->f || x[i] != x[i] ? x[i] : a->f;
        else if (op == OP_REDUCEPROD)
            a->f *= x[i];
        else if (op == OP_REDUCELOGSUMEXP)
            acc_exp(a, x[i]);
        else
            a->f += addend(op, x[i]);
    }
}

static void acc_ints(enum op_kind op, struct acc *a, const int64_t *x, size_t n, bool is_unsigned)
{
    for (size_t i = 0; i < n; i++) {
        const bool less = is_unsigned ? (uint64_t)x[i] < (uint64_t)a->i : x[i] < a->i;

        if (op == OP_REDUCEMAX)
            a->i = less ? a->i : x[i];
        else if (op == OP_REDUCEMIN)
            a->i = less ? x[i] : a->i;
        else if (op == OP_REDUCEPROD)
            a->i = (int64_t)((uint64_t)a->i * (uint64_t)x[i]);
        else if (op == OP_REDUCEL1 && !is_unsigned && x[i] < 0)
            a->i = (int64_t)((uint64_t)a->i - (uint64_t)x[i]);
        else if (op == OP_REDUCESUMSQUARE)
            a->i = (int64_t)((uint64_t)a->i + (uint64_t)x[i] * (uint64_t)x[i]);
        else
            a->i = (int64_t)((uint64_t)a->i + (uint64_t)x[i]);
    }
}

static void acc_store(enum op_kind op, const struct acc *a, enum cpu_class cls, size_t count,
                      const struct tensor *out, size_t at)
{
    union cpu_chunk x;

    if (cls == CPU_F32 || cls == CPU_F64) {
        x.f64[0] = acc_float(op, a, count);
        cpu_convert(&x, CPU_F64, cls, 1);
    } else if (in_floats(op)) {
        x.f64[0] = acc_float(op, a, count);
        cpu_convert(&x, CPU_F64, cls, 1);
    } else {
        x.i64[0] = a->i;
        if (op == OP_REDUCEMEAN && count > 0)
            x.i64[0] = cls == CPU_U64 ? (int64_t)((uint64_t)a->i / count) : a->i / (int64_t)count;
    }
    cpu_store(out->data, out->type.dtype, at, &x, 1);
}

static struct acc reduce_one(const struct cpu_task *t, const struct split_space *s, int64_t base)
{
    const struct tensor *in = cpu_in(t, 0);
    const enum cpu_class cls = cpu_class_of(in->type.dtype);
    const bool is_float = cls == CPU_F32 || cls == CPU_F64 || in_floats(t->call->op);
    struct acc a = acc_start(t->call->op, cls, in->type.dtype);
    struct cpu_walk w;
    struct cpu_piece p;
    union cpu_chunk x;

    cpu_walk_init(&w, &s->gone);
    cpu_walk_strides(&w, s->gone_stride);
    cpu_walk_begin(&w, 0, SIZE_MAX);
    while (cpu_walk_next(&w, CPU_CHUNK, &p)) {
        cpu_load(&x, in->data, in->type.dtype, base + p.off[0], p.step[0], p.n);
        if (is_float) {
            cpu_convert(&x, cls, CPU_F64, p.n);
            acc_floats(t->call->op, &a, x.f64, p.n);
        } else {
            acc_ints(t->call->op, &a, x.i64, p.n, cls == CPU_U64);
        }
    }
    return a;
}

void cpu_reduce(const struct cpu_task *t)
{
    const struct tensor *in = cpu_in(t, 0), *out = cpu_out(t, 0);
    struct split_space s;
    struct cpu_walk w;
    struct cpu_piece p;
    unsigned mask;

    if (!reduced_axes(t, in->type.ndim, &mask)) {
        cpu_fail(t, ST_INVALID, "axis out of range");
        return;
    }
    split_axes(in, mask, &s);
    const size_t n = cpu_elements(&s.kept), count = cpu_elements(&s.gone);
    if (cpu_elements(out) != n) {
        cpu_fail(t, ST_SHAPE, "axes do not lead to the output's shape");
        return;
    }
    const struct cpu_share share = cpu_share(t, n, 1);
    cpu_walk_init(&w, &s.kept);
    cpu_walk_strides(&w, s.kept_stride);
    cpu_walk_begin(&w, share.begin, share.end);
    while (cpu_walk_next(&w, 1, &p)) {
        const struct acc a = reduce_one(t, &s, p.off[0]);

        acc_store(t->call->op, &a, cpu_class_of(out->type.dtype), count, out, p.at);
    }
}

/* ---- lines along one axis: element j of line i at (i / inner * dim + j) * inner + i % inner ----
 */

struct lines {
    size_t outer, dim, inner;
};

static bool lines_of(const struct tensor *x, int64_t axis_given, struct lines *l)
{
    const int axis = cpu_axis(axis_given, x->type.ndim);

    if (axis < 0) return false;
    *l = (struct lines){ cpu_span(x, 0, axis), (size_t)x->type.dim[axis],
                         cpu_span(x, axis + 1, x->type.ndim) };
    return true;
}

static int64_t line_start(const struct lines *l, size_t i)
{
    return (int64_t)(i / l->inner * l->dim * l->inner + i % l->inner);
}

void cpu_argmax(const struct cpu_task *t)
{
    const struct attrs_arg *a = &t->call->attr.arg;
    const struct tensor *in = cpu_in(t, 0), *out = cpu_out(t, 0);
    const enum cpu_class cls = cpu_class_of(in->type.dtype);
    struct lines l;

    if (!lines_of(in, a->axis, &l) || cpu_elements(out) != l.outer * l.inner || l.dim == 0 ||
        out->type.dtype != DT_I64) {
        cpu_fail(t, ST_SHAPE, "axis does not lead to the output's shape");
        return;
    }
    const struct cpu_share s = cpu_share(t, l.outer * l.inner, 1);
    for (size_t i = s.begin; i < s.end; i++) {
        union cpu_chunk x;
        double best = 0;
        int64_t at = 0;

        for (size_t j = 0; j < l.dim; j++) {
            cpu_load(&x, in->data, in->type.dtype, line_start(&l, i) + (int64_t)(j * l.inner), 1,
                     1);
            cpu_convert(&x, cls, CPU_F64, 1);
            if (t->call->op == OP_ARGMIN) x.f64[0] = -x.f64[0];
            if (j > 0 && (a->select_last ? x.f64[0] < best : x.f64[0] <= best)) continue;
            best = x.f64[0];
            at = (int64_t)j;
        }
        ((int64_t *)out->data)[i] = at;
    }
}

/* ---- softmax ---- */

/* One line in f64: strided, or of another type than f32. */
static void softmax_line(const struct tensor *in, const struct tensor *out, int64_t start, size_t n,
                         size_t step, bool is_log)
{
    const enum cpu_class cls = cpu_class_of(in->type.dtype);
    double max = -INFINITY, sum = 0;
    union cpu_chunk x;

    for (int pass = 0; pass < 3; pass++) {
        for (size_t j = 0; j < n; j++) {
            const int64_t at = start + (int64_t)(j * step);

            cpu_load(&x, in->data, in->type.dtype, at, 1, 1);
            cpu_convert(&x, cls, CPU_F64, 1);
            if (pass == 0) {
                if (x.f64[0] > max) max = x.f64[0];
                continue;
            }
            const double shifted = x.f64[0] - max;

            x.f64[0] = exp(shifted);
            if (pass == 1) {
                sum += x.f64[0];
                continue;
            }
            x.f64[0] = is_log ? shifted - log(sum) : x.f64[0] / sum;
            cpu_convert(&x, CPU_F64, cls, 1);
            cpu_store(out->data, out->type.dtype, (size_t)at, &x, 1);
        }
    }
}

/* Attention's rows, of which the kernel makes zeros where all of them is masked: by ONNX's formula
 * -inf less -inf is no number. Any other row has a largest element, which is not 0. */
static void softmax_rows(float *out, const float *in, size_t rows, size_t cols)
{
    kern.softmax_f32(out, in, rows, cols);
    for (size_t r = 0; r < rows; r++) {
        size_t c = 0;

        while (c < cols && out[r * cols + c] == 0) c++;
        for (size_t i = 0; c == cols && i < cols; i++) out[r * cols + i] = NAN;
    }
}

/* One for the first of the largest, zero for all others. */
static void hardmax_line(const struct tensor *in, const struct tensor *out, int64_t start, size_t n,
                         size_t step)
{
    size_t best = 0;

    for (size_t j = 1; j < n; j++)
        if (cpu_get(in, (size_t)start + j * step) > cpu_get(in, (size_t)start + best * step))
            best = j;
    for (size_t j = 0; j < n; j++) cpu_put(out, (size_t)start + j * step, j == best);
}

/* Since opset 13 along one axis; before, over all dimensions from the axis on. */
void cpu_softmax(const struct cpu_task *t)
{
    const struct attrs_softmax *a = &t->call->attr.softmax;
    const struct tensor *in = cpu_in(t, 0), *out = cpu_out(t, 0);
    const bool flat = t->call->version < 13;
    struct lines l;

    if (!lines_of(in,
                  a->has_axis ? a->axis
                  : flat      ? 1
                              : -1,
                  &l) ||
        cpu_class_of(in->type.dtype) == CPU_NONE) {
        cpu_fail(t, ST_SHAPE, "axis out of range");
        return;
    }
    if (flat) {
        l.dim *= l.inner;
        l.inner = 1;
    }
    const struct cpu_share s = cpu_share(t, l.outer * l.inner, 1);
    if (l.dim == 0 || s.begin == s.end) return;
    if (l.inner == 1 && in->type.dtype == DT_F32 && t->call->op == OP_SOFTMAX) {
        softmax_rows((float *)out->data + s.begin * l.dim,
                     (const float *)in->data + s.begin * l.dim, s.end - s.begin, l.dim);
        return;
    }
    for (size_t i = s.begin; i < s.end; i++) {
        if (t->call->op == OP_HARDMAX)
            hardmax_line(in, out, line_start(&l, i), l.dim, l.inner);
        else
            softmax_line(in, out, line_start(&l, i), l.dim, l.inner, t->call->op == OP_LOGSOFTMAX);
    }
}

/* ---- running sums and products ---- */

static void cumsum_line(const struct cpu_task *t, int64_t start, size_t n, size_t step)
{
    const struct attrs_cumsum *a = &t->call->attr.cumsum;
    const struct tensor *in = cpu_in(t, 0), *out = cpu_out(t, 0);
    const enum cpu_class cls = cpu_class_of(in->type.dtype);
    const bool is_float = cls == CPU_F32 || cls == CPU_F64;
    const bool product = t->call->op == OP_CUMPROD;
    struct acc sum = { product, product, 0 };

    for (size_t k = 0; k < n; k++) {
        const size_t at = (size_t)start + (a->reverse ? n - 1 - k : k) * step;
        union cpu_chunk x, y;
        const struct acc before = sum;

        cpu_load(&x, in->data, in->type.dtype, (int64_t)at, 1, 1);
        if (is_float) cpu_convert(&x, cls, CPU_F64, 1);
        if (is_float)
            sum.f = product ? sum.f * x.f64[0] : sum.f + x.f64[0];
        else
            sum.i = (int64_t)(product ? (uint64_t)sum.i * x.u64[0] : (uint64_t)sum.i + x.u64[0]);
        const struct acc *from = a->exclusive ? &before : &sum;
        if (is_float)
            y.f64[0] = from->f;
        else
            y.i64[0] = from->i;
        if (is_float) cpu_convert(&y, CPU_F64, cls, 1);
        cpu_store(out->data, out->type.dtype, at, &y, 1);
    }
}

void cpu_cumsum(const struct cpu_task *t)
{
    const struct tensor *in = cpu_in(t, 0), *axis = cpu_in(t, 1);
    struct lines l;

    if (!axis || cpu_elements(axis) != 1 || !lines_of(in, cpu_int_at(axis, 0), &l)) {
        cpu_fail(t, ST_INVALID, "axis out of range");
        return;
    }
    const struct cpu_share s = cpu_share(t, l.outer * l.inner, 1);
    for (size_t i = s.begin; i < s.end; i++) cumsum_line(t, line_start(&l, i), l.dim, l.inner);
}
