/* SPDX-License-Identifier: MIT */
/* RMS and layer normalisation, alone and after a residual addition. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/checkkernel/check.h"

static const size_t widths[] = { 1, 7, 8, 9, 15, 16, 17, 33, 64, 65, 576, 1000 };
enum { ROWS = 3 };

/* The sum of squares is off by at most (n + 2) eps of itself, the root halves that; 5 more
 * roundings: the mean, eps, the root, the quotient, two products. */
static void expect_rms(struct check *t, const float *out, const double *in, const float *weight,
                       size_t n, double eps)
{
    double sum = 0;

    for (size_t c = 0; c < n; c++) sum += in[c] * in[c];
    for (size_t c = 0; c < n; c++) {
        const double want = in[c] / sqrt(sum / (double)n + eps) * (weight ? weight[c] : 1);

        check_near(t, out[c], want, ((double)n / 2 + 6) * EPS * fabs(want), AT("norm", n, c));
    }
}

/* What a norm's rows are scaled and shifted by; NULL: 1 and 0. */
struct affine {
    const float *weight, *beta; /* [n] */
};

/* The mean is off by n eps of the mean magnitude A; a deviation by that and one rounding of itself;
 * the variance by twice the relative deviation error, (n + 2) eps and the square of the mean's
 * error. All stated against max(A, |x|) / sqrt(var + eps). */
static void expect_layer(struct check *t, const float *out, const double *in, struct affine a,
                         size_t n, double eps)
{
    double mean = 0, var = 0, magnitude = 0;

    for (size_t c = 0; c < n; c++) {
        mean += in[c] / (double)n;
        magnitude += fabs(in[c]) / (double)n;
    }
    for (size_t c = 0; c < n; c++) var += (in[c] - mean) * (in[c] - mean) / (double)n;
    const double factor = 1 / sqrt(var + eps), off = (double)n * EPS * magnitude;

    for (size_t c = 0; c < n; c++) {
        const double gain = a.weight ? a.weight[c] : 1, shift = a.beta ? a.beta[c] : 0;
        const double centred = in[c] - mean, want = centred * factor * gain + shift;
        const double spread = off * factor;
        const double bound =
            fabs(gain) * factor * (off + EPS * fabs(centred)) +
            fabs(centred * factor * gain) * (((double)n / 2 + 6) * EPS + spread + spread * spread) +
            2 * EPS * fabs(shift);

        check_near(t, out[c], want, bound, AT("norm", n, c));
    }
}

void check_rmsnorm_f32(struct check *t, kern_rmsnorm_f32_fn *fn)
{
    double wide[1000];

    for (size_t i = 0; i < 2 * COUNT(widths); i++) {
        const size_t n = widths[i / 2];
        const float *w = i % 2 ? check_floats(t, n, -2, 2) : NULL;
        float *in = check_floats(t, ROWS * n, -8, 8), *out = check_output(t, ROWS * n);

        fn(out, in, w, ROWS, n, 1e-5f);
        for (size_t r = 0; r < ROWS; r++) {
            for (size_t c = 0; c < n; c++) wide[c] = in[r * n + c];
            expect_rms(t, out + r * n, wide, w, n, 1e-5f);
        }
        fn(in, in, w, ROWS, n, 1e-5f);
        check_same(t, in, out, ROWS * n * sizeof *in, AT("in place", n, 0));
        check_free(t);
    }
    enum { WIDE = 4096 };
    const float *in = check_floats(t, WIDE, -8, 8), *w = check_floats(t, WIDE, -2, 2);
    float *out = check_output(t, WIDE);

    CHECK_BENCH(t, "4096", 3 * 4 * WIDE, 4 * WIDE, fn(out, in, w, 1, WIDE, 1e-5f));
    check_free(t);
}

void check_layernorm_f32(struct check *t, kern_layernorm_f32_fn *fn)
{
    double wide[1000];

    for (size_t i = 0; i < 4 * COUNT(widths); i++) {
        const size_t n = widths[i / 4];
        float *in = check_floats(t, ROWS * n, -4, 8), *out = check_output(t, ROWS * n);
        struct kern_layernorm_args a = { in, NULL, NULL, out, ROWS, n, 1e-5f };

        if (i % 2) a.weight = check_floats(t, n, -2, 2);
        if (i % 4 > 1) a.beta = check_floats(t, n, -2, 2);
        fn(&a);
        for (size_t r = 0; r < ROWS; r++) {
            for (size_t c = 0; c < n; c++) wide[c] = in[r * n + c];
            expect_layer(t, out + r * n, wide, (struct affine){ a.weight, a.beta }, n, 1e-5f);
        }
        a.out = in;
        fn(&a);
        check_same(t, in, out, ROWS * n * sizeof *in, AT("in place", n, 0));
        check_free(t);
    }
    enum { WIDE = 4096 };
    const struct kern_layernorm_args a = { check_floats(t, WIDE, -8, 8),
                                           check_floats(t, WIDE, -2, 2),
                                           NULL,
                                           check_output(t, WIDE),
                                           1,
                                           WIDE,
                                           1e-5f };

    CHECK_BENCH(t, "4096", 3 * 4 * WIDE, 7 * WIDE, fn(&a));
    check_free(t);
}

/* Runs one shape; the norm is judged from the sums the kernel itself wrote. */
static void check_skip_shape(struct check *t, void (*fn)(const struct kern_skip_norm_args *a),
                             size_t n, size_t skip_rows, bool layer, int options)
{
    double wide[1000];
    float *sum = check_output(t, ROWS * n), *out = check_output(t, ROWS * n);
    float *again = check_output(t, ROWS * n);
    struct kern_skip_norm_args a = { .x = check_floats(t, ROWS * n, -4, 4),
                                     .sum = sum,
                                     .out = out,
                                     .skip = check_floats(t, skip_rows * n, -4, 4),
                                     .skip_rows = skip_rows,
                                     .rows = ROWS,
                                     .cols = n,
                                     .eps = 1e-6f };

    if (options & 1) a.bias = check_floats(t, n, -1, 1);
    if (options & 2) a.weight = check_floats(t, n, -2, 2);
    if (options & 4) a.beta = check_floats(t, n, -2, 2);
    fn(&a);
    for (size_t i = 0; i < ROWS * n; i++) {
        const double skip = a.skip[i % (skip_rows * n)], bias = a.bias ? a.bias[i % n] : 0;
        const double size = fabs(a.x[i] + skip) + fabs(a.x[i] + skip + bias);

        check_near(t, sum[i], a.x[i] + skip + bias, EPS * size, AT("sum", n, i));
    }
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t c = 0; c < n; c++) wide[c] = sum[r * n + c];
        if (layer)
            expect_layer(t, out + r * n, wide, (struct affine){ a.weight, a.beta }, n, 1e-6f);
        else
            expect_rms(t, out + r * n, wide, a.weight, n, 1e-6f);
    }
    a.sum = NULL;
    a.out = again;
    fn(&a);
    check_same(t, again, out, ROWS * n * sizeof *out, AT("without sum", n, 0));
    a.sum = (float *)(uintptr_t)a.x;
    fn(&a);
    check_same(t, a.x, sum, ROWS * n * sizeof *out, AT("sum over x", n, 0));
    check_same(t, again, out, ROWS * n * sizeof *out, AT("norm, sum over x", n, 0));
    check_free(t);
}

static void check_skip(struct check *t, void (*fn)(const struct kern_skip_norm_args *a), bool layer)
{
    for (size_t i = 0; i < COUNT(widths); i++)
        for (int options = 0; options < (layer ? 8 : 4); options++) {
            check_skip_shape(t, fn, widths[i], ROWS, layer, options);
            check_skip_shape(t, fn, widths[i], 1, layer, options);
        }
    enum { WIDE = 4096 };
    struct kern_skip_norm_args a = { .skip_rows = 1, .rows = 1, .cols = WIDE, .eps = 1e-6f };

    a.x = check_floats(t, WIDE, -4, 4);
    a.skip = check_floats(t, WIDE, -4, 4);
    a.weight = check_floats(t, WIDE, -2, 2);
    a.sum = check_output(t, WIDE);
    a.out = check_output(t, WIDE);
    CHECK_BENCH(t, "4096", 5 * 4 * WIDE, 5 * WIDE, fn(&a));
    check_free(t);
}

void check_skip_rmsnorm_f32(struct check *t, kern_skip_rmsnorm_f32_fn *fn)
{
    check_skip(t, fn, false);
}

void check_skip_layernorm_f32(struct check *t, kern_skip_layernorm_f32_fn *fn)
{
    check_skip(t, fn, true);
}
