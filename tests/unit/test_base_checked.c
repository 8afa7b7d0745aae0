/* SPDX-License-Identifier: MIT */
/* Checked arithmetic at its edges. */
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void add_and_mul_refuse_overflow(void **state)
{
    size_t v = 7;

    (void)state;
    assert_true(checked_add(SIZE_MAX - 1, 1, &v));
    assert_true(v == SIZE_MAX);
    v = 7;
    assert_false(checked_add(SIZE_MAX, 1, &v));
    assert_int_equal(v, 7);
    assert_true(checked_mul(SIZE_MAX / 3, 3, &v));
    v = 7;
    assert_false(checked_mul(SIZE_MAX / 3 + 1, 3, &v));
    assert_false(checked_mul((size_t)1 << 32, (size_t)1 << 32, &v));
    assert_int_equal(v, 7);
    assert_true(checked_mul(0, SIZE_MAX, &v));
    assert_int_equal(v, 0);
}

static void signed_versions_refuse_both_ends(void **state)
{
    int64_t v = 7;

    (void)state;
    assert_false(checked_add_i64(INT64_MAX, 1, &v));
    assert_false(checked_add_i64(INT64_MIN, -1, &v));
    assert_false(checked_mul_i64(INT64_MIN, -1, &v));
    assert_false(checked_mul_i64(INT64_MAX / 2 + 1, 2, &v));
    assert_int_equal(v, 7);
    assert_true(checked_mul_i64(INT64_MAX / 7, -7, &v));
    assert_true(v == -(INT64_MAX / 7) * 7);
    assert_true(checked_add_i64(INT64_MIN, INT64_MAX, &v));
    assert_int_equal(v, -1);
}

static void range_is_inside_or_not(void **state)
{
    (void)state;
    assert_true(checked_range(0, 0, 0));
    assert_true(checked_range(10, 0, 10));
    assert_false(checked_range(11, 0, 10));
    assert_true(checked_range(4, 6, 10));
    assert_false(checked_range(4, 7, 10));
    assert_false(checked_range(UINT64_MAX, 2, 10));
    assert_false(checked_range(5, UINT64_MAX - 2, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_and_mul_refuse_overflow),
        cmocka_unit_test(signed_versions_refuse_both_ends),
        cmocka_unit_test(range_is_inside_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
