/* SPDX-License-Identifier: MIT */
/* Quantised cache rows: every bit, ties and the numbers that are none included. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/checkkernel/check.h"

/* The quotient is rounded to fp32 (a double's quotient of floats rounds to the same), then to the
 * nearest whole number. */
static int expected(double x, double scale, int lo, int hi)
{
    const double r = nearbyint((float)(x / (scale == 0 ? 1 : scale)));

    return !(r < hi) ? hi : r < lo ? lo : (int)r;
}

/* Random numbers, most of them within range, with ties and what is no number among them. */
static float *numbers(struct check *t, size_t n, const float *scale, size_t step, int hi)
{
    static const float odd[] = { NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 0.0f, -0.0f, 1e-40f };
    float *x = check_floats(t, n, -1.2, 1.2);

    for (size_t i = 0; i < n; i++) {
        const float s = scale[i * step];

        x[i] = s == 0 ? x[i] * (float)hi : x[i] * (float)hi * s;
        if (check_random(t) % 4 == 0) x[i] = (float)((int)(check_random(t) % 20) - 10) * s + s / 2;
        if (check_random(t) % 16 == 0) x[i] = odd[check_random(t) % COUNT(odd)];
    }
    return x;
}

static float *scales(struct check *t, size_t n)
{
    float *s = check_floats(t, n, 0.001, 0.1);

    for (size_t i = 0; i < n; i++) {
        if (check_random(t) % 8 == 0) s[i] = 0;
        if (check_random(t) % 8 == 0) s[i] = -s[i];
        if (check_random(t) % 4 == 0) s[i] = 0.25f; /* halves of it are ties */
    }
    return s;
}

void check_kv_quant_i8(struct check *t, kern_kv_quant_i8_fn *fn)
{
    for (size_t n = 0; n < 300; n += n < 70 ? 1 : 37)
        for (size_t step = 0; step < 2; step++) {
            const float *scale = scales(t, step ? n : 1), *x = numbers(t, n, scale, step, 127);
            int8_t *out = check_bytes(t, n);

            fn(out, x, scale, step, n);
            for (size_t i = 0; i < n; i++)
                if (out[i] != expected(x[i], scale[i * step], -128, 127))
                    check_fail(t, "%.9g by %.9g became %d", (double)x[i], (double)scale[i * step],
                               out[i]);
            if (n == 255)
                CHECK_BENCH(t, step ? "per channel" : "per tensor", n * 5, 0,
                            fn(out, x, scale, step, n));
            check_free(t);
        }
}

void check_kv_quant_i4(struct check *t, kern_kv_quant_i4_fn *fn)
{
    for (size_t n = 0; n < 300; n += n < 70 ? 1 : 37)
        for (size_t step = 0; step < 2; step++) {
            const float *scale = scales(t, step ? n : 1), *x = numbers(t, n, scale, step, 7);
            uint8_t *out = check_bytes(t, (n + 1) / 2);

            fn(out, x, scale, step, n);
            for (size_t i = 0; i < n; i++) {
                const int got = (out[i / 2] >> (i % 2 ? 4 : 0) & 15) - 8;

                if (got != expected(x[i], scale[i * step], -8, 7))
                    check_fail(t, "%.9g by %.9g became %d", (double)x[i], (double)scale[i * step],
                               got);
            }
            if (n % 2 && out[n / 2] >> 4) check_fail(t, "n %zu: the nibble behind is not 0", n);
            check_free(t);
        }
}
