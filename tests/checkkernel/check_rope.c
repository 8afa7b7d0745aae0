/* SPDX-License-Identifier: MIT */
/* Rotary position embedding. */
#include <math.h>
#include <string.h>

#include "tests/checkkernel/check.h"

typedef void rope_fn(float *x, size_t n_heads, size_t head_stride, const float *cos,
                     const float *sin, size_t rot_dim);

/* Elements a and b, turned by the angle of that cosine and sine. */
struct pair {
    size_t a, b;
    double c, s;
};

/* Two products and a sum: 2 eps of their magnitudes. */
static void expect_pair(struct check *t, const float *got, const float *was, struct pair p)
{
    const size_t a = p.a, b = p.b;
    const double x = was[a], y = was[b], c = p.c, s = p.s;

    check_near(t, got[a], x * c - y * s, 2.1 * EPS * (fabs(x * c) + fabs(y * s)), AT("a", a, b));
    check_near(t, got[b], x * s + y * c, 2.1 * EPS * (fabs(x * s) + fabs(y * c)), AT("b", a, b));
}

static void check_rope(struct check *t, rope_fn *fn, bool paired)
{
    static const struct {
        size_t heads, stride, rot;
    } cases[] = { { 1, 2, 2 },   { 3, 64, 64 }, { 2, 96, 32 },  { 5, 37, 18 }, { 1, 128, 128 },
                  { 2, 10, 10 }, { 3, 80, 66 }, { 2, 256, 64 }, { 4, 40, 34 } };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const size_t half = cases[i].rot / 2, stride = cases[i].stride;
        const size_t n = (cases[i].heads - 1) * stride + cases[i].rot;
        const float *cosine = check_floats(t, half, -1, 1), *sine = check_floats(t, half, -1, 1);
        const float *was = check_floats(t, n, -4, 4);
        float *x = check_output(t, n);

        memcpy(x, was, n * sizeof *x);
        fn(x, cases[i].heads, stride, cosine, sine, cases[i].rot);
        for (size_t h = 0; h < cases[i].heads; h++) {
            const float *from = was + h * stride, *to = x + h * stride;

            for (size_t p = 0; p < half; p++)
                expect_pair(t, to, from,
                            (struct pair){ paired ? 2 * p : p, paired ? 2 * p + 1 : p + half,
                                           cosine[p], sine[p] });
            for (size_t d = cases[i].rot; d < stride && h * stride + d < n; d++)
                check_near(t, to[d], from[d], 0, AT("beyond rot_dim", h, d));
        }
        check_free(t);
    }
    float *x = check_floats(t, 32 * 128, -1, 1);
    const float *cosine = check_floats(t, 64, -1, 1), *sine = check_floats(t, 64, -1, 1);

    CHECK_BENCH(t, "32x128", 2 * 4 * 32 * 128, 3 * 32 * 128, fn(x, 32, 128, cosine, sine, 128));
    check_free(t);
}

void check_rope_half_f32(struct check *t, kern_rope_half_f32_fn *fn) { check_rope(t, fn, false); }

void check_rope_pair_f32(struct check *t, kern_rope_pair_f32_fn *fn) { check_rope(t, fn, true); }
