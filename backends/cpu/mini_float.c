/* SPDX-License-Identifier: MIT */
#include "backends/cpu/mini_float.h"
#include <math.h>

struct form {
    int mant, bias;     /* bits of the mantissa; of the exponent */
    int sign_shift;     /* position of the sign bit */
    double max;         /* largest finite number */
    uint8_t nan, inf;   /* codes without sign; 0: none */
    bool unsigned_zero; /* the sign bit alone is NaN */
};

static const struct form forms[] = {
    [MINI_E4M3FN] = { 3, 7, 7, 448, 0x7f, 0, false },
    [MINI_E4M3FNUZ] = { 3, 8, 7, 240, 0x80, 0, true },
    [MINI_E5M2] = { 2, 15, 7, 57344, 0x7f, 0x7c, false },
    [MINI_E5M2FNUZ] = { 2, 16, 7, 57344, 0x80, 0, true },
    [MINI_E2M1] = { 1, 1, 3, 6, 0, 0, false },
};

float mini_to_f32(enum mini_kind kind, uint8_t code)
{
    if (kind == MINI_E8M0) return code == 255 ? NAN : (float)ldexp(1.0, code - 127);
    const struct form *f = &forms[kind];
    const int low = code & ((1 << f->sign_shift) - 1);
    const float sign = code >> f->sign_shift & 1 ? -1.0f : 1.0f;
    const int exponent = low >> f->mant, mantissa = low & ((1 << f->mant) - 1);

    if (f->unsigned_zero && code == f->nan) return NAN;
    if (f->inf && low == f->inf) return sign * INFINITY;
    if (f->nan && !f->unsigned_zero && (f->inf ? low > f->inf : low == f->nan)) return NAN;
    if (exponent == 0) return sign * (float)ldexp(mantissa, 1 - f->bias - f->mant);
    return sign * (float)ldexp(mantissa + (1 << f->mant), exponent - f->bias - f->mant);
}

/* The scale is the exponent alone: x > 0. */
static uint8_t scale_from_f32(double x, enum mini_round round)
{
    int e;
    const double m = frexp(x, &e) * 2; /* x = m * 2^(e - 1), 1 <= m < 2 */

    e -= 1;
    if ((round == MINI_UP && m > 1) || (round == MINI_NEAREST && m >= 1.5)) e++;
    return (uint8_t)((e < -127 ? -127 : e > 127 ? 127 : e) + 127);
}

uint8_t mini_from_f32(enum mini_kind kind, float value, bool saturate, enum mini_round round)
{
    double x = fabs((double)value);

    if (kind == MINI_E8M0) {
        if (value != value) return 255;
        return x == 0 ? 0 : isinf(x) ? (saturate ? 254 : 255) : scale_from_f32(x, round);
    }
    const struct form *f = &forms[kind];
    const uint8_t sign = (uint8_t)((signbit(value) ? 1 : 0) << f->sign_shift);
    int e = 0;

    if (value != value && f->nan) return f->unsigned_zero ? f->nan : (uint8_t)(sign | f->nan);
    if (x != x) return (uint8_t)(1 << f->sign_shift); /* e2m1 has none: -0 */
    if (x <= 0) return f->unsigned_zero ? 0 : sign;
    if (!isinf(x)) {
        (void)frexp(x, &e);
        e = e - 1 < 1 - f->bias ? 1 - f->bias : e - 1;
        x = ldexp(rint(ldexp(x, f->mant - e)), e - f->mant);
    }
    if (x > f->max && !saturate && kind != MINI_E2M1)
        return f->unsigned_zero ? f->nan : (uint8_t)(sign | (f->inf ? f->inf : f->nan));
    if (x > f->max) x = f->max;
    if (x <= 0) return f->unsigned_zero ? 0 : sign;
    (void)frexp(x, &e);
    e = e - 1 < 1 - f->bias ? 1 - f->bias : e - 1;
    const int q = (int)ldexp(x, f->mant - e); /* exact: mantissa with its leading bit, if normal */
    const int low = q < 1 << f->mant ? q : q + ((e + f->bias - 1) << f->mant);
    return (uint8_t)(sign | low);
}
