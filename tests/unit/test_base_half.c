/* SPDX-License-Identifier: MIT */
/* Half floats against their definition, computed in double. */
#include "base/base.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* Value of a finite half by IEEE 754's formula. */
static double half_value(uint16_t h)
{
    const int exponent = h >> 10 & 31, mantissa = h & 0x3FF;
    const double v = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
    return h & 0x8000 ? -v : v;
}

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static void every_half_has_its_value(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float f = half_to_f32((uint16_t)h);
        if ((h & 0x7C00) != 0x7C00) {
            assert_true((double)f == half_value((uint16_t)h));
            assert_int_equal(bits_of(f) >> 31, h >> 15);
        } else if (h & 0x3FF) {
            assert_true(isnan(f));
        } else {
            assert_true(isinf(f) && (f < 0) == (h >> 15));
        }
    }
}

static void every_half_round_trips(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const uint16_t back = half_from_f32(half_to_f32((uint16_t)h));
        const bool is_nan = (h & 0x7C00) == 0x7C00 && (h & 0x3FF);
        assert_int_equal(back, is_nan ? h | 0x200 : h); /* NaN stays NaN, made quiet */
    }
}

/* Between two neighbours the midpoint goes to the even one, and what is next to it to the nearer
 * one. */
static void halves_round_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7C00; h++) {
        const double low = half_value((uint16_t)h);
        const double high =
            h == 0x7BFF ? 65536.0 : half_value((uint16_t)(h + 1)); /* 65536 stands for infinity */
        const float middle = (float)((low + high) / 2);
        assert_true((double)middle == (low + high) / 2);
        assert_int_equal(half_from_f32(middle), h + (h & 1));
        assert_int_equal(half_from_f32(nextafterf(middle, 0)), h);
        assert_int_equal(half_from_f32(nextafterf(middle, INFINITY)), h + 1);
        assert_int_equal(half_from_f32(-middle), 0x8000 | (h + (h & 1)));
    }
    assert_int_equal(half_from_f32(INFINITY), 0x7C00);
    assert_int_equal(half_from_f32(3e38f), 0x7C00);
    assert_int_equal(half_from_f32(-1e-40f), 0x8000);
    assert_int_equal(half_from_f32(NAN) & 0x7E00, 0x7E00);
}

static void every_bf16_round_trips(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float f = bf16_to_f32((uint16_t)h);
        assert_int_equal(bits_of(f), h << 16);
        const bool is_nan = (h & 0x7F80) == 0x7F80 && (h & 0x7F);
        assert_int_equal(bf16_from_f32(f), is_nan ? h | 0x40 : h);
    }
}

static float from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static void bf16_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7F80; h++) {
        const uint32_t middle = h << 16 | 0x8000;
        assert_int_equal(bf16_from_f32(from_bits(middle)), h + (h & 1));
        assert_int_equal(bf16_from_f32(from_bits(middle - 1)), h);
        assert_int_equal(bf16_from_f32(from_bits(middle + 1)), h + 1);
    }
    /* NaN whose payload lies only in the low bits may not turn into infinity. */
    assert_true(isnan(bf16_to_f32(bf16_from_f32(from_bits(0x7F800001)))));
    assert_true(isnan(bf16_to_f32(bf16_from_f32(from_bits(0xFFFFFFFF)))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_has_its_value),     cmocka_unit_test(every_half_round_trips),
        cmocka_unit_test(halves_round_to_nearest_even), cmocka_unit_test(every_bf16_round_trips),
        cmocka_unit_test(bf16_rounds_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
