/* SPDX-License-Identifier: MIT */
/* Every recorded operator case on the cpu backend: one and several threads, native and scalar
 * kernels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/conformance/helper_cases.h"

static void run_theme(const char *theme)
{
    static const struct backend_config configs[] = { { .n_threads = 1 },
                                                     { .n_threads = 3 },
                                                     { .n_threads = 2, .isa = "scalar" } };
    struct case_file f;
    size_t failed = 0;

    cases_open(&f, theme);
    assert_true(f.n > 20);
    for (size_t c = 0; c < COUNT(configs); c++) {
        struct backend *be;
        struct err err = { 0 };

        assert_int_equal(backend_find("cpu")->open(&be, &configs[c], &err), ST_OK);
        for (size_t i = 0; i < f.n; i++) failed += !case_run(be, &f.cases[i]);
        be->ops->close(be);
    }
    cases_close(&f);
    assert_int_equal(failed, 0);
}

static void elementwise_ops_match(void **state)
{
    (void)state;
    run_theme("elementwise");
}

static void shape_ops_match(void **state)
{
    (void)state;
    run_theme("shapes");
}

static void reductions_match(void **state)
{
    (void)state;
    run_theme("reduce");
}

static void norms_and_rotary_match(void **state)
{
    (void)state;
    run_theme("norms");
}

static void matrix_ops_match(void **state)
{
    (void)state;
    run_theme("matrices");
}

static void attention_matches(void **state)
{
    (void)state;
    run_theme("attention");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise_ops_match), cmocka_unit_test(shape_ops_match),
        cmocka_unit_test(reductions_match),      cmocka_unit_test(norms_and_rotary_match),
        cmocka_unit_test(matrix_ops_match),      cmocka_unit_test(attention_matches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
