/* SPDX-License-Identifier: MIT */
/* Integer products and dynamic quantisation. Integers are exact. */
#include <math.h>
#include <string.h>

#include "tests/checkkernel/check.h"

/* A random matrix, packed; rows of x with zeros beyond k. */
struct product {
    struct kern_linear_i8_args a;
    const uint8_t *plain; /* [k][n] */
};

static struct product make_product(struct check *t, size_t m, size_t n, size_t k, uint8_t flip)
{
    const size_t row = kern_i8_row_bytes(k), panel = kern_i8_panel_bytes(k);
    const size_t panels = kern_panel_count(n);
    uint8_t *w = check_random_bytes(t, k * n), *packed = check_bytes(t, panels * panel);
    int8_t *x = (int8_t *)check_random_bytes(t, m * row);
    int32_t sum[KERN_NR];

    for (size_t i = 0; i < n && k > 1; i++) w[i] = i % 2 ? 255 : 0; /* extremes side by side */
    for (size_t r = 0; r < m; r++) memset(x + r * row + k, 0, row - k);
    for (size_t p = 0; p < panels; p++) {
        kern_pack_i8(packed + p * panel, sum, &(struct kern_i8_source){ w, n, k, flip }, p);
        for (size_t c = 0; c < KERN_NR && p * KERN_NR + c < n; c++) {
            int32_t want = 0;

            for (size_t i = 0; i < k; i++) want += w[i * n + p * KERN_NR + c] ^ flip;
            if (sum[c] != want) check_fail(t, "column %zu sums to %d, not %d", c, sum[c], want);
        }
    }
    return (struct product){ .a = { .w = packed, .x = x, .x_stride = row, .m = m, .n = n, .k = k },
                             .plain = w };
}

static void expect_product(struct check *t, const struct product *p, uint8_t flip)
{
    for (size_t r = 0; r < p->a.m; r++)
        for (size_t c = 0; c < p->a.n; c++) {
            int64_t want = 0;

            for (size_t k = 0; k < p->a.k; k++)
                want += (int64_t)(uint8_t)(p->plain[k * p->a.n + c] ^ flip) *
                        p->a.x[r * p->a.x_stride + k];
            check_near(t, p->a.out[r * p->a.out_stride + c], (double)(int32_t)want, 0,
                       AT("sum", r, c));
        }
}

void check_linear_i8(struct check *t, kern_linear_i8_fn *fn)
{
    static const struct {
        size_t m, n, k;
    } cases[] = { { 1, 16, 4 },  { 3, 5, 7 },    { 9, 33, 64 },  { 2, 1, 1 },   { 8, 48, 100 },
                  { 5, 17, 30 }, { 12, 16, 33 }, { 1, 64, 384 }, { 0, 16, 16 }, { 4, 31, 255 } };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const uint8_t flip = (uint8_t)(i % 2 * 0x80);
        struct product p = make_product(t, cases[i].m, cases[i].n, cases[i].k, flip);
        const size_t stride = cases[i].n + 3;

        if (cases[i].m > 0)
            p.a.out = check_bytes(t, ((cases[i].m - 1) * stride + cases[i].n) * sizeof(int32_t));
        p.a.out_stride = stride;
        fn(&p.a);
        expect_product(t, &p, flip);
        check_free(t);
    }

    enum { M = 64, N = 384, K = 384 };
    struct product p = make_product(t, M, N, K, 0x80);
    p.a.out = check_bytes(t, M * N * sizeof(int32_t));
    p.a.out_stride = N;
    CHECK_BENCH(t, "64x384x384", N * K + M * (K + 4.0 * N), 2.0 * M * N * K, fn(&p.a));
    check_free(t);
}

void check_range_f32(struct check *t, kern_range_f32_fn *fn)
{
    static const size_t sizes[] = { 0, 1, 7, 8, 9, 31, 33, 100, 1000 };

    for (size_t i = 0; i < COUNT(sizes); i++)
        for (int sign = -1; sign <= 1; sign++) {
            const size_t n = sizes[i];
            float *x = check_floats(t, n, sign > 0 ? 1 : -3, sign < 0 ? -1 : 3);
            float range[2] = { NAN, NAN };
            double low = 0, high = 0;

            if (n > 2) x[n / 2] = NAN;
            for (size_t k = 0; k < n; k++) low = fmin(low, x[k]), high = fmax(high, x[k]);
            fn(range, x, n);
            check_near(t, range[0], low, 0, AT("least", n, 0));
            check_near(t, range[1], high, 0, AT("largest", n, 0));
            check_free(t);
        }
}

void check_quantize_u8(struct check *t, kern_quantize_u8_fn *fn)
{
    static const size_t sizes[] = { 0, 1, 7, 8, 15, 16, 17, 250 };
    static const uint8_t zeros[] = { 0, 1, 128, 255 };

    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t z = 0; z < COUNT(zeros); z++) {
            const size_t n = sizes[i];
            float *x = check_floats(t, n, -40, 40);
            uint8_t *out = check_bytes(t, n), *again = check_bytes(t, n);
            const float scale = 0.25f; /* a power of two: ties are exact */

            for (size_t k = 0; k + 5 < n; k += 5) x[k] = 0.125f * (float)(2 * k + 1);
            if (n > 3) x[1] = INFINITY, x[2] = -INFINITY, x[3] = NAN;
            kern_quantize_u8_scalar(again, x, n, scale, zeros[z]);
            fn(out, x, n, scale, zeros[z]);
            for (size_t k = 0; k < n; k++) {
                const double q = isnan(x[k]) ? -1e9 : nearbyint((double)x[k] / scale) + zeros[z];

                check_near(t, out[k], fmin(fmax(q, 0), 255), 0, AT("byte", n, k));
            }
            check_same(t, out, again, n, AT("against scalar", n, z));
            check_free(t);
        }
}

void check_signed_row(struct check *t, kern_signed_row_fn *fn)
{
    static const size_t sizes[] = { 0, 1, 15, 16, 33, 200 };

    for (size_t i = 0; i < COUNT(sizes); i++)
        for (int flip = 0; flip <= 0x80; flip += 0x80) {
            const size_t n = sizes[i];
            const uint8_t *x = check_random_bytes(t, n);
            int8_t *out = check_bytes(t, n);
            const int32_t sum = fn(out, x, n, (uint8_t)flip);
            int32_t want = 0;

            for (size_t k = 0; k < n; k++) {
                const int one = flip ? (int)x[k] - 128 : (int)(int8_t)x[k];

                check_near(t, out[k], one, 0, AT("byte", n, k));
                want += one;
            }
            check_near(t, sum, want, 0, AT("sum", n, (size_t)flip));
            check_free(t);
        }
}
