/* SPDX-License-Identifier: MIT */
/* Half-float conversions: every half, and floats on and around every rounding boundary. */
#include <math.h>
#include <string.h>

#include "tests/checkkernel/check.h"

/* Value of a format with `exponent` and `mantissa` bits, in double: exact. */
static double decode(uint16_t h, int exponent, int mantissa)
{
    const int e = h >> mantissa & ((1 << exponent) - 1), m = h & ((1 << mantissa) - 1);
    const int bias = (1 << (exponent - 1)) - 1;
    double x = e ? ldexp(1 + ldexp(m, -mantissa), e - bias) : ldexp(m, 1 - bias - mantissa);

    if (e == (1 << exponent) - 1) x = m ? (double)NAN : (double)INFINITY;
    return h >> 15 ? -x : x;
}

static void check_widen(struct check *t, kern_cvt_f16_f32_fn *fn, int exponent, int mantissa)
{
    enum { ALL = 65536 };
    uint16_t *in = check_bytes(t, ALL * sizeof *in);
    float *out = check_output(t, ALL);

    for (size_t i = 0; i < ALL; i++) in[i] = (uint16_t)i;
    fn(out, in, ALL);
    for (size_t i = 0; i < ALL; i++) {
        check_near(t, out[i], decode(in[i], exponent, mantissa), 0, AT("value of half", i, 0));
        if ((signbit(out[i]) != 0) != (i >> 15 != 0) && !isnan(out[i]))
            check_fail(t, "sign of %zu", i);
    }
    check_free(t);
    for (size_t n = 0; n < 40; n++) {
        uint16_t *some = check_bytes(t, n * sizeof *some);
        float *to = check_output(t, n);

        for (size_t i = 0; i < n; i++) some[i] = (uint16_t)(0x3c00 + 77 * i);
        fn(to, some, n);
        for (size_t i = 0; i < n; i++)
            check_near(t, to[i], decode(some[i], exponent, mantissa), 0, AT("short array", n, i));
        check_free(t);
    }
}

/* The nearest of the two halves around x, ties to the even one. `below` is the one toward zero. */
static uint16_t nearest(double x, uint16_t below, int exponent, int mantissa)
{
    const uint16_t above = (uint16_t)(below + 1);
    const double a = fabs(decode(below, exponent, mantissa));
    double b = fabs(decode(above, exponent, mantissa));

    if (isinf(b)) b = ldexp(1, 1 << (exponent - 1)); /* where the next number would be */
    if (fabs(x) - a == b - fabs(x)) return below % 2 ? above : below;
    return fabs(x) - a < b - fabs(x) ? below : above;
}

static void check_narrow(struct check *t, kern_cvt_f32_f16_fn *fn, int exponent, int mantissa)
{
    enum { ALL = 65536 };
    const uint16_t infinity = (uint16_t)(((1 << exponent) - 1) << mantissa);

    for (int nudge = -1; nudge <= 2;
         nudge++) { /* just under, on, just over the middle; on a half */
        float *in = check_floats(t, ALL, 0, 1);
        uint16_t *out = check_bytes(t, ALL * sizeof *out);

        for (size_t i = 0; i < ALL; i++) {
            const uint16_t h = (uint16_t)i;
            double x = decode(h, exponent, mantissa);

            if ((h & 0x7fff) < infinity && nudge < 2) {
                double next = decode((uint16_t)(h + 1), exponent, mantissa);

                if (isinf(next)) next = copysign(ldexp(1, 1 << (exponent - 1)), x);
                x = (x + next) / 2;
            }
            in[i] = (float)x;
            if (nudge == -1) in[i] = nextafterf(in[i], 0);
            if (nudge == 1) in[i] = nextafterf(in[i], copysignf(INFINITY, in[i]));
        }
        fn(out, in, ALL);
        for (size_t i = 0; i < ALL; i++) {
            const uint16_t h = (uint16_t)i;

            if ((h & 0x7fff) > infinity) {
                if (!isnan(decode(out[i], exponent, mantissa))) check_fail(t, "NaN lost at %zu", i);
                continue;
            }
            const bool exact = nudge == 2 || (h & 0x7fff) == infinity;
            uint16_t want = exact ? h : nearest(in[i], h, exponent, mantissa);

            if (nudge == -1 && (h & 0x7fff) == infinity) want = (uint16_t)(h); /* largest float */
            if (out[i] != want)
                check_fail(t, "%.9g became %#x, not %#x", (double)in[i], out[i], want);
        }
        check_free(t);
    }
    for (size_t n = 0; n < 40; n++) {
        const float *in = check_floats(t, n, -100, 100);
        uint16_t *out = check_bytes(t, n * sizeof *out);

        fn(out, in, n);
        for (size_t i = 0; i < n; i++)
            check_near(t, decode(out[i], exponent, mantissa), in[i],
                       ldexp(fabs(in[i]), -mantissa - 1), AT("short array", n, i));
        check_free(t);
    }
}

/* NaNs whose payload the shorter format cannot hold. */
static void check_nan(struct check *t, kern_cvt_f32_f16_fn *fn, int exponent, int mantissa)
{
    static const uint32_t bits[] = { 0x7f800001, 0xff800001, 0x7fffffff, 0xffffffff, 0x7f80ffff };
    enum { N = 40 };
    float *in = check_floats(t, N, 0, 1);
    uint16_t *out = check_bytes(t, N * sizeof *out);

    for (size_t i = 0; i < N; i++) memcpy(in + i, &bits[i % COUNT(bits)], sizeof *in);
    fn(out, in, N);
    for (size_t i = 0; i < N; i++)
        if (!isnan(decode(out[i], exponent, mantissa)))
            check_fail(t, "NaN %#x became %#x", bits[i % COUNT(bits)], out[i]);
    check_free(t);
}

void check_cvt_f16_f32(struct check *t, kern_cvt_f16_f32_fn *fn) { check_widen(t, fn, 5, 10); }

void check_cvt_bf16_f32(struct check *t, kern_cvt_bf16_f32_fn *fn) { check_widen(t, fn, 8, 7); }

void check_cvt_f32_f16(struct check *t, kern_cvt_f32_f16_fn *fn)
{
    check_narrow(t, fn, 5, 10);
    check_nan(t, fn, 5, 10);
}

void check_cvt_f32_bf16(struct check *t, kern_cvt_f32_bf16_fn *fn)
{
    check_narrow(t, fn, 8, 7);
    check_nan(t, fn, 8, 7);
}
