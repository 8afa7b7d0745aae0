/* SPDX-License-Identifier: MIT */
/* RMS and layer normalisation, alone, after a residual addition, and by head. Rows are independent:
 * a worker takes some of them. f16 and bf16 rows are normalised in fp32; where doubles take part,
 * or scales that are no vector of columns, all goes by elements in f64. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

enum { LINES = 7 }; /* scratch lines of a row: x, skip, weight, beta, bias, sum, out */

/* One norm in general form; absent parts are NULL. */
struct norm {
    const struct tensor *x, *skip, *weight, *beta, *bias;
    const struct tensor *out, *sum, *mean, *inv_std;
    bool is_rms, by_element;
    size_t rows, cols, skip_rows;
    float eps;
};

static bool is_f64(const struct tensor *x) { return x && x->type.dtype == DT_F64; }

static bool fits(const struct tensor *x, size_t n)
{
    return !x || ((cpu_is_float(x->type.dtype) || is_f64(x)) && cpu_elements(x) == n);
}

static bool scale_fits(const struct norm *n, const struct tensor *x)
{
    return fits(x, x && n->by_element ? cpu_elements(x) : n->cols);
}

static bool norm_ok(const struct cpu_task *t, const struct norm *n)
{
    const size_t all = n->rows * n->cols;

    if (n->x && n->out && fits(n->x, all) && fits(n->out, all) && fits(n->sum, all) &&
        scale_fits(n, n->weight) && scale_fits(n, n->beta) && fits(n->bias, n->cols) &&
        fits(n->mean, n->rows) && fits(n->inv_std, n->rows) &&
        (!n->skip || (n->skip_rows > 0 && n->rows % n->skip_rows == 0 &&
                      fits(n->skip, n->skip_rows * n->cols))))
        return true;
    cpu_fail(t, ST_SHAPE, "inputs and outputs of the norm do not fit each other");
    return false;
}

/* Mean and 1 / sqrt(variance + eps) of a row, for whoever wants them as outputs. */
static void put_statistics(const struct norm *n, const float *x, size_t row)
{
    double sum = 0, square = 0;

    if (!n->mean && !n->inv_std) return;
    for (size_t c = 0; !n->is_rms && c < n->cols; c++) sum += (double)x[c];
    const double mean = sum / (double)n->cols;
    for (size_t c = 0; c < n->cols; c++) {
        const double d = (double)x[c] - mean;
        square += d * d;
    }
    const float m = (float)mean;
    const float inv = (float)(1.0 / sqrt(square / (double)n->cols + (double)n->eps));
    if (n->mean) cpu_from_f32(n->mean->data, n->mean->type.dtype, row, &m, 1);
    if (n->inv_std) cpu_from_f32(n->inv_std->data, n->inv_std->type.dtype, row, &inv, 1);
}

static void norm_row(const struct norm *n, float *lines, size_t row, const float *weight,
                     const float *beta, const float *bias)
{
    const size_t at = row * n->cols;
    const float *x = cpu_row_f32(n->x, at, n->cols, lines);
    const bool direct = n->out->type.dtype == DT_F32;
    float *out = direct ? (float *)n->out->data + at : lines + 6 * n->cols;
    float *sum =
        n->sum && n->sum->type.dtype == DT_F32 ? (float *)n->sum->data + at : lines + 5 * n->cols;

    if (n->skip) {
        const float *skip =
            cpu_row_f32(n->skip, row % n->skip_rows * n->cols, n->cols, lines + n->cols);
        const struct kern_skip_norm_args a = { .x = x,
                                               .skip = skip,
                                               .skip_rows = 1,
                                               .bias = bias,
                                               .weight = weight,
                                               .beta = beta,
                                               .sum = sum,
                                               .out = out,
                                               .rows = 1,
                                               .cols = n->cols,
                                               .eps = n->eps };
        if (n->is_rms)
            kern.skip_rmsnorm_f32(&a);
        else
            kern.skip_layernorm_f32(&a);
        put_statistics(n, sum, row);
        if (n->sum && n->sum->type.dtype != DT_F32)
            cpu_from_f32(n->sum->data, n->sum->type.dtype, at, sum, n->cols);
    } else {
        put_statistics(n, x, row);
        const struct kern_layernorm_args a = { .in = x,
                                               .weight = weight,
                                               .beta = beta,
                                               .out = out,
                                               .rows = 1,
                                               .cols = n->cols,
                                               .eps = n->eps };
        if (n->is_rms)
            kern.rmsnorm_f32(out, x, weight, 1, n->cols, n->eps);
        else
            kern.layernorm_f32(&a);
    }
    if (!direct) cpu_from_f32(n->out->data, n->out->type.dtype, at, out, n->cols);
}

/* Operand i of the walk at element j of the piece, or `absent`. */
static double operand(const struct tensor *x, const struct cpu_piece *p, int i, size_t j,
                      double absent)
{
    return x ? cpu_get(x, (size_t)(p->off[i] + (int64_t)j * p->step[i])) : absent;
}

/* A row of LayerNormalization or RMSNormalization by elements; walk: weight and beta over the rows.
 */
static void norm_row_f64(const struct norm *n, struct cpu_walk walk, size_t row)
{
    const size_t at = row * n->cols;
    double sum = 0, square = 0;
    struct cpu_piece p;

    for (size_t c = 0; !n->is_rms && c < n->cols; c++) sum += cpu_get(n->x, at + c);
    const double mean = sum / (double)n->cols;
    for (size_t c = 0; c < n->cols; c++) {
        const double d = cpu_get(n->x, at + c) - mean;
        square += d * d;
    }
    const double inv = 1 / sqrt(square / (double)n->cols + (double)n->eps);
    if (n->mean) cpu_put(n->mean, row, mean);
    if (n->inv_std) cpu_put(n->inv_std, row, inv);
    cpu_walk_begin(&walk, at, at + n->cols);
    while (cpu_walk_next(&walk, n->cols, &p))
        for (size_t j = 0; j < p.n; j++) {
            const double v = (cpu_get(n->x, p.at + j) - mean) * inv;

            cpu_put(n->out, p.at + j,
                    v * operand(n->weight, &p, 0, j, 1) + operand(n->beta, &p, 1, j, 0));
        }
}

static void norm_by_element(const struct cpu_task *t, const struct norm *n)
{
    static const struct tensor none; /* a scalar: its strides are 0 */
    const struct cpu_share s = cpu_share(t, n->rows, 1);
    const struct tensor *list[] = { n->weight, n->beta };
    struct cpu_walk walk;

    cpu_walk_init(&walk, n->x);
    for (size_t i = 0; i < COUNT(list); i++)
        if (!cpu_walk_broadcast(&walk, list[i] ? list[i] : &none)) {
            cpu_fail(t, ST_SHAPE, "scale or bias do not broadcast to the input");
            return;
        }
    for (size_t r = s.begin; r < s.end; r++) norm_row_f64(n, walk, r);
}

static void run_norm(const struct cpu_task *t, const struct norm *n)
{
    const size_t cols = n->cols;
    float *lines = t->scratch;

    if (!norm_ok(t, n)) return;
    if (n->by_element) {
        norm_by_element(t, n);
        return;
    }
    const struct cpu_share s = cpu_share(t, n->rows, 1);
    if (s.begin == s.end) return;
    const float *w = n->weight ? cpu_row_f32(n->weight, 0, cols, lines + 2 * cols) : NULL;
    const float *beta = n->beta ? cpu_row_f32(n->beta, 0, cols, lines + 3 * cols) : NULL;
    const float *bias = n->bias ? cpu_row_f32(n->bias, 0, cols, lines + 4 * cols) : NULL;
    for (size_t r = s.begin; r < s.end; r++) norm_row(n, lines, r, w, beta, bias);
}

/* Whether w has one number for each column of a norm from the axis on. */
static bool is_columns(const struct tensor *w, const struct tensor *x, int axis)
{
    for (int i = 1; w && i <= x->type.ndim; i++) {
        const int64_t want = x->type.ndim - i >= axis ? x->type.dim[x->type.ndim - i] : 1;

        if ((i <= w->type.ndim ? w->type.dim[w->type.ndim - i] : 1) != want) return false;
    }
    return true;
}

/* Rows and columns of a norm over the dimensions from `axis` on. */
static bool split_at(struct norm *n, int64_t axis_given)
{
    const int axis = cpu_axis(axis_given, n->x->type.ndim);

    if (axis < 0) return false;
    n->rows = cpu_span(n->x, 0, axis);
    n->cols = cpu_span(n->x, axis, n->x->type.ndim);
    n->by_element = is_f64(n->x) || is_f64(n->weight) || !is_columns(n->weight, n->x, axis) ||
                    !is_columns(n->beta, n->x, axis);
    return n->cols > 0;
}

void cpu_rmsnorm(const struct cpu_task *t)
{
    const struct attrs_rmsnorm *a = &t->call->attr.rmsnorm;
    struct norm n = { .x = cpu_in(t, 0),
                      .weight = cpu_in(t, 1),
                      .out = cpu_out(t, 0),
                      .inv_std = cpu_out(t, 1),
                      .is_rms = true,
                      .eps = a->epsilon };

    if (split_at(&n, a->axis))
        run_norm(t, &n);
    else
        cpu_fail(t, ST_SHAPE, "axis %lld, or rows of no elements", (long long)a->axis);
}

void cpu_layernorm(const struct cpu_task *t)
{
    const struct attrs_layernorm *a = &t->call->attr.layernorm;
    struct norm n = { .x = cpu_in(t, 0),
                      .weight = cpu_in(t, 1),
                      .beta = cpu_in(t, 2),
                      .out = cpu_out(t, 0),
                      .mean = cpu_out(t, 1),
                      .inv_std = cpu_out(t, 2),
                      .eps = a->epsilon };

    if (split_at(&n, a->axis))
        run_norm(t, &n);
    else
        cpu_fail(t, ST_SHAPE, "axis %lld, or rows of no elements", (long long)a->axis);
}

static void run_skip(const struct cpu_task *t, struct norm *n)
{
    n->x = cpu_in(t, 0);
    n->skip = cpu_in(t, 1);
    n->weight = cpu_in(t, 2);
    n->out = cpu_out(t, 0);
    n->mean = cpu_out(t, 1);
    n->inv_std = cpu_out(t, 2);
    n->sum = cpu_out(t, 3);
    n->eps = t->call->attr.skipnorm.epsilon;
    if (!n->skip || !split_at(n, -1)) {
        cpu_fail(t, ST_SHAPE, "no skip input, or rows of no elements");
        return;
    }
    n->skip_rows = cpu_elements(n->skip) / n->cols;
    if (n->rows > 0) run_norm(t, n);
}

void cpu_skiprmsnorm(const struct cpu_task *t)
{
    struct norm n = { .bias = cpu_in(t, 3), .is_rms = true };

    run_skip(t, &n);
}

void cpu_skiplayernorm(const struct cpu_task *t)
{
    struct norm n = { .beta = cpu_in(t, 3), .bias = cpu_in(t, 4) };

    run_skip(t, &n);
}

void cpu_headnorm(const struct cpu_task *t)
{
    const struct attrs_headnorm *a = &t->call->attr.headnorm;
    struct norm n = { .x = cpu_in(t, 0),
                      .weight = cpu_in(t, 1),
                      .out = cpu_out(t, 0),
                      .is_rms = true,
                      .eps = a->epsilon };

    if (a->head_dim < 1 || cpu_elements(n.x) % (size_t)a->head_dim != 0) {
        cpu_fail(t, ST_SHAPE, "head_dim %lld does not divide the input", (long long)a->head_dim);
        return;
    }
    n.cols = (size_t)a->head_dim;
    n.rows = cpu_elements(n.x) / n.cols;
    run_norm(t, &n);
}

status cpu_norm_scratch(const struct op_call *call, const struct prepared *p,
                        const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const struct tensor *w = cpu_call_in(call, 0);
    size_t n;

    (void)p;
    (void)b;
    /* A row is at most what the first weight has; without one, the whole input. */
    for (int i = 1; i < call->n_in && i < 3; i++)
        if (cpu_call_in(call, i)) w = &call->in[i];
    if (!w || !type_elements(&w->type, &n) || !checked_mul(n, LINES * sizeof(float), &out->worker))
        return FAIL(err, ST_SHAPE, "%s: shape of the norm is not known", call->node);
    return ST_OK;
}
