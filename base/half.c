/* SPDX-License-Identifier: MIT */
/* Half floats, scalar, on bit patterns: no float arithmetic, so no rounding mode matters. */
#include "base/half.h"
#include <string.h>

static float half_bits_f32(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t half_f32_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

float half_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31;
    uint32_t mantissa = h & 0x3FF;

    if (exponent == 31) return half_bits_f32(sign | 0x7F800000u | mantissa << 13);
    if (exponent != 0) return half_bits_f32(sign | (exponent + 112) << 23 | mantissa << 13);
    if (mantissa == 0) return half_bits_f32(sign);
    /* Subnormal: shift the leading one up to bit 10, one exponent step each. */
    uint32_t e = 113;
    for (; !(mantissa & 0x400); mantissa <<= 1) e--;
    return half_bits_f32(sign | e << 23 | (mantissa & 0x3FF) << 13);
}

/* v >> shift, rounded to nearest even; shift is 1..31. */
static uint32_t half_round_shift(uint32_t v, uint32_t shift)
{
    const uint32_t kept = v >> shift, rest = v & ((1u << shift) - 1), tie = 1u << (shift - 1);
    return kept + (rest > tie || (rest == tie && (kept & 1)));
}

uint16_t half_from_f32(float f)
{
    const uint32_t bits = half_f32_bits(f), sign = bits >> 16 & 0x8000,
                   magnitude = bits & 0x7FFFFFFFu;

    if (magnitude > 0x7F800000u) /* NaN: its top payload bits, made quiet */
        return (uint16_t)(sign | 0x7E00 | (magnitude >> 13 & 0x3FF));
    if (magnitude >= 0x47800000u) return (uint16_t)(sign | 0x7C00); /* 2^16 and more */
    if (magnitude >=
        0x38800000u) /* normal: a carry out of the mantissa raises the exponent, up to infinity */
        return (uint16_t)(sign | half_round_shift(magnitude - 0x38000000u, 13));
    if (magnitude < 0x33000000u) return (uint16_t)sign; /* below half of the least subnormal */
    const uint32_t shift = 126 - (magnitude >> 23);
    return (uint16_t)(sign | half_round_shift((magnitude & 0x7FFFFFu) | 0x800000u, shift));
}

float bf16_to_f32(uint16_t h) { return half_bits_f32((uint32_t)h << 16); }

uint16_t bf16_from_f32(float f)
{
    const uint32_t bits = half_f32_bits(f);

    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
