/* SPDX-License-Identifier: MIT */
/* Element-wise arithmetic and activations, with the error bounds of eltwise.h. */
#include <math.h>
#include <string.h>

#include "tests/checkkernel/check.h"

static const size_t sizes[] = { 0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 100, 1021 };

/* ---- unary ---- */

struct unary {
    double (*want)(double x);
    double ulps;     /* allowed, in ulps of the result */
    double absolute; /* allowed besides */
    double slope;    /* allowed besides, as a multiple of eps |x| */
};

static double want_neg(double x) { return -x; }
static double want_relu(double x) { return x < 0 ? 0 : x; }
static double want_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double want_silu(double x) { return x == -INFINITY ? (double)NAN : x / (1 + exp(-x)); }
static double want_quick_gelu(double x)
{
    return x == -INFINITY ? (double)NAN : x / (1 + exp(-1.702 * x));
}
static double want_gelu_erf(double x)
{
    return x == -INFINITY ? (double)NAN : x / 2 * erfc(-x * 0.70710678118654752440);
}
static double want_gelu_tanh(double x)
{
    const double y = 0.79788456080286535588 * (x + 0.044715 * x * x * x);

    return x == -INFINITY ? (double)NAN : x / (1 + exp(-2 * y));
}

static void expect_unary(struct check *t, const struct unary *u, const float *out, const float *x,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double want = u->want(x[i]);
        const double bound = u->ulps * check_ulp(want) + u->absolute + u->slope * EPS * fabs(x[i]);

        /* at -infinity x * sigmoid(x) is NaN and its limit 0: either will do */
        if (x[i] == -INFINITY && isnan(want) && out[i] == 0) continue;
        if ((float)want == INFINITY && out[i] == INFINITY) continue;
        check_near(t, out[i], want, bound, AT("f(x): x, i", (size_t)(x[i] * 1000), i));
    }
}

static void check_unary(struct check *t, kern_unary_f32_fn *fn, const struct unary *u)
{
    static const float special[] = { 0.0f,    -0.0f,       INFINITY, -INFINITY, NAN,      1e-30f,
                                     -1e-30f, 1e-45f,      -1e-45f,  88.72f,    88.73f,   -87.3f,
                                     -87.4f,  -103.9f,     -104.1f,  3.4e38f,   -3.4e38f, 0.625f,
                                     0.9375f, 3.95f,       9.0f,     -200.0f,   200.0f,   1.0f,
                                     -1.0f,   16777216.0f, 0.34657f };
    static const double ranges[] = { 0.01, 1, 4, 12, 110 };

    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t r = 0; r < COUNT(ranges); r++) {
            const size_t n = sizes[i];
            float *x = check_floats(t, n, -ranges[r], ranges[r]), *out = check_output(t, n);

            fn(out, x, n);
            expect_unary(t, u, out, x, n);
            fn(x, x, n);
            check_same(t, x, out, n * sizeof *x, AT("in place", n, 0));
            check_free(t);
        }
    for (size_t at = 0; at < 20; at++) { /* each lane, and the tail */
        float *x = check_floats(t, COUNT(special) + at, -1, 1);
        float *out = check_output(t, COUNT(special) + at);

        memcpy(x + at, special, sizeof special);
        fn(out, x, COUNT(special) + at);
        expect_unary(t, u, out, x, COUNT(special) + at);
        check_free(t);
    }
    enum { N = 4096 };
    const float *x = check_floats(t, N, -5, 5);
    float *out = check_output(t, N);

    CHECK_BENCH(t, "4096", 8 * N, N, fn(out, x, N));
    check_free(t);
}

#define UNARY(slot, ...)                                                                           \
    void check_##slot(struct check *t, kern_##slot##_fn *fn)                                       \
    {                                                                                              \
        check_unary(t, fn, &(const struct unary){ __VA_ARGS__ });                                  \
    }
UNARY(neg_f32, want_neg, 0, 0, 0)
UNARY(abs_f32, fabs, 0, 0, 0)
UNARY(relu_f32, want_relu, 0, 0, 0)
UNARY(sqrt_f32, sqrt, 0.5, 0, 0)
UNARY(exp_f32, exp, 2, 0, 0)
UNARY(tanh_f32, tanh, 4, 0, 0)
UNARY(erf_f32, erf, 4, 0, 0)
UNARY(sigmoid_f32, want_sigmoid, 4, 0x1p-120, 0)
UNARY(silu_f32, want_silu, 6, 0x1p-120, 0)
UNARY(quick_gelu_f32, want_quick_gelu, 6, 0x1p-120, 6)
UNARY(gelu_erf_f32, want_gelu_erf, 0, 0x1p-148, 6)
UNARY(gelu_tanh_f32, want_gelu_tanh, 0, 0x1p-148, 6)

/* ---- binary ---- */

static double want_add(double a, double b) { return a + b; }
static double want_sub(double a, double b) { return a - b; }
static double want_mul(double a, double b) { return a * b; }
static double want_div(double a, double b) { return a / b; }
static double want_max(double a, double b) { return a > b ? a : b; }
static double want_min(double a, double b) { return a < b ? a : b; }
static double want_silu_mul(double a, double b) { return want_silu(a) * b; }
static double want_gelu_erf_mul(double a, double b) { return want_gelu_erf(a) * b; }
static double want_gelu_tanh_mul(double a, double b) { return want_gelu_tanh(a) * b; }

/* slope: allowed as a multiple of eps |a b|, for the gates */
static void check_binary(struct check *t, kern_binary_f32_fn *fn, double (*want)(double, double),
                         double slope)
{
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const size_t n = sizes[i];
        float *a = check_floats(t, n, -9, 9), *b = check_floats(t, n, -9, 9);
        float *out = check_output(t, n);

        fn(out, a, b, n);
        for (size_t j = 0; j < n; j++) {
            const double x = want(a[j], b[j]);
            const double bound = 0.5 * check_ulp(x) + slope * EPS * fabs((double)a[j] * b[j]);

            check_near(t, out[j], x, bound, AT("f(a, b)", n, j));
        }
        fn(b, a, b, n);
        check_same(t, b, out, n * sizeof *b, AT("over b", n, 0));
        check_free(t);
    }
    enum { N = 4096 };
    const float *a = check_floats(t, N, -5, 5), *b = check_floats(t, N, 1, 5);
    float *out = check_output(t, N);

    CHECK_BENCH(t, "4096", 12 * N, N, fn(out, a, b, N));
    check_free(t);
}

#define BINARY(slot, want, slope)                                                                  \
    void check_##slot(struct check *t, kern_##slot##_fn *fn) { check_binary(t, fn, want, slope); }
BINARY(add_f32, want_add, 0)
BINARY(sub_f32, want_sub, 0)
BINARY(mul_f32, want_mul, 0)
BINARY(div_f32, want_div, 0)
BINARY(max_f32, want_max, 0)
BINARY(min_f32, want_min, 0)
BINARY(silu_mul_f32, want_silu_mul, 7)
BINARY(gelu_erf_mul_f32, want_gelu_erf_mul, 7)
BINARY(gelu_tanh_mul_f32, want_gelu_tanh_mul, 7)

/* ---- scalars and rows: one rounding ---- */

void check_affine_f32(struct check *t, kern_affine_f32_fn *fn)
{
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const size_t n = sizes[i];
        float *x = check_floats(t, n, -9, 9), *out = check_output(t, n);

        fn(out, x, n, 1.7f, -0.3f);
        for (size_t j = 0; j < n; j++) {
            const double want = (double)x[j] * 1.7f + -0.3f;

            check_near(t, out[j], want, 0.5 * check_ulp(want), AT("x * scale + shift", n, j));
        }
        fn(x, x, n, 1.7f, -0.3f);
        check_same(t, x, out, n * sizeof *x, AT("in place", n, 0));
        check_free(t);
    }
}

void check_axpy_f32(struct check *t, kern_axpy_f32_fn *fn)
{
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const size_t n = sizes[i];
        const float *x = check_floats(t, n, -9, 9), *was = check_floats(t, n, -9, 9);
        float *y = check_output(t, n);

        memcpy(y, was, n * sizeof *y);
        fn(y, x, n, 1.7f);
        for (size_t j = 0; j < n; j++) {
            const double want = (double)x[j] * 1.7f + was[j];

            check_near(t, y[j], want, 0.5 * check_ulp(want), AT("x * scale + y", n, j));
        }
        check_free(t);
    }
}

void check_scale_add_row_f32(struct check *t, kern_scale_add_row_f32_fn *fn)
{
    enum { ROWS = 3 };

    for (size_t i = 0; i < COUNT(sizes); i++) {
        const size_t n = sizes[i];
        float *x = check_floats(t, ROWS * n, -9, 9), *out = check_output(t, ROWS * n);
        const float *row = check_floats(t, n, -9, 9);

        fn(out, x, row, ROWS, n, 0.37f);
        for (size_t j = 0; j < ROWS * n; j++) {
            const double want = (double)x[j] * 0.37f + row[j % n];

            check_near(t, out[j], want, 0.5 * check_ulp(want), AT("x * scale + row", n, j));
        }
        fn(x, x, row, ROWS, n, 0.37f);
        check_same(t, x, out, ROWS * n * sizeof *x, AT("in place", n, 0));
        check_free(t);
    }
}

void check_mul_row_f32(struct check *t, kern_mul_row_f32_fn *fn)
{
    enum { ROWS = 3 };

    for (size_t i = 0; i < COUNT(sizes); i++) {
        const size_t n = sizes[i];
        const float *x = check_floats(t, ROWS * n, -9, 9), *row = check_floats(t, n, -9, 9);
        float *out = check_output(t, ROWS * n);

        fn(out, x, row, ROWS, n);
        for (size_t j = 0; j < ROWS * n; j++) {
            const double want = (double)x[j] * row[j % n];

            check_near(t, out[j], want, 0.5 * check_ulp(want), AT("x * row", n, j));
        }
        check_free(t);
    }
}
