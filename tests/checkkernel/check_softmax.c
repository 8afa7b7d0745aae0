/* SPDX-License-Identifier: MIT */
/* Softmax of rows. */
#include <math.h>

#include "tests/checkkernel/check.h"

/* exp is off by 2 ulp and by the rounding of its argument, eps |x - max|; the sum by n roundings
 * more; two for the quotient. Results below the normal range may be flushed. */
static void expect_row(struct check *t, const float *out, const float *in, size_t n)
{
    double most = -INFINITY, sum = 0, reach = 0;

    for (size_t c = 0; c < n; c++) most = fmax(most, in[c]);
    for (size_t c = 0; c < n && most > -INFINITY; c++) {
        const double e = exp(in[c] - most);

        sum += e;
        reach = fmax(reach, e > 0 ? e * (most - in[c]) : 0);
    }
    for (size_t c = 0; c < n; c++) {
        const double want = most == -INFINITY ? 0 : exp(in[c] - most) / sum;
        const double away = in[c] == -INFINITY ? 0 : most - in[c];

        check_near(t, out[c], want,
                   ((double)n + 12 + away + (double)n * reach) * EPS * want + 0x1p-126,
                   AT("softmax", n, c));
    }
}

void check_softmax_f32(struct check *t, kern_softmax_f32_fn *fn)
{
    static const size_t widths[] = { 1, 2, 7, 8, 15, 16, 17, 33, 100, 1000 };
    enum { ROWS = 5 };

    for (size_t i = 0; i < COUNT(widths); i++) {
        const size_t n = widths[i];
        float *in = check_floats(t, ROWS * n, -20, 20), *out = check_output(t, ROWS * n);

        for (size_t c = 0; c < n; c++) {
            in[n + c] = -INFINITY;                /* nothing to choose from */
            if (c % 3) in[2 * n + c] = -INFINITY; /* masked */
            in[3 * n + c] *= 1e4f;                /* far apart */
        }
        fn(out, in, ROWS, n);
        for (size_t r = 0; r < ROWS; r++) expect_row(t, out + r * n, in + r * n, n);
        fn(in, in, ROWS, n);
        check_same(t, in, out, ROWS * n * sizeof *in, AT("in place", n, 0));
        check_free(t);
    }
    enum { N = 32768 };
    const float *in = check_floats(t, N, -9, 9);
    float *out = check_output(t, N);

    CHECK_BENCH(t, "32768", 8 * N, N, fn(out, in, 1, N));
    check_free(t);
}
