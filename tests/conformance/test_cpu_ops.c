/* SPDX-License-Identifier: MIT */
/* Every recorded operator case on the cpu backend: one and several threads, native and scalar
 * kernels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/conformance/helper_cases.h"

static void run_theme_as(const char *theme, const char *precision)
{
    const struct backend_config configs[] = {
        { .n_threads = 1, .precision = precision },
        { .n_threads = 3, .precision = precision },
        { .n_threads = 2, .isa = "scalar", .precision = precision },
    };
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

static void run_theme(const char *theme) { run_theme_as(theme, NULL); }

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

static void encoder_ops_match(void **state)
{
    (void)state;
    run_theme("encoders");
}

static void decoder_ops_match(void **state)
{
    (void)state;
    run_theme("decoder");
}

/* Whatever accuracy_level says: the recorded answers are those of dequantised weights. */
static void strict_precision_is_fp32(void **state)
{
    (void)state;
    run_theme_as("strict", "strict");
}

/* There is nothing else to compute them in: strict changes nothing. */
static void fp4_experts_match(void **state)
{
    (void)state;
    run_theme("fp4");
    run_theme_as("fp4", "strict");
}

static void every_element_type_matches(void **state)
{
    (void)state;
    run_theme("types");
}

/* ---- hostile calls ---- */

static uint32_t random_state = 1;

static uint32_t roll(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

/* A copy of the tensor with other integers, another dimension, or another element type; its memory
 * is as large as its type says. */
static void mutate(struct arena *a, struct case_tensor *x, bool types)
{
    static const int64_t odd[] = {
        -1, 0, 1, 2, 7, 100, INT32_MIN, INT32_MAX, -1000000, 1000000000, INT64_MIN, INT64_MAX
    };
    static const enum dtype dtypes[] = { DT_F32, DT_F16,  DT_U8, DT_I64, DT_I32, DT_BOOL,
                                         DT_F64, DT_BF16, DT_I8, DT_U4,  DT_U64 };
    struct tensor_type *t = &x->tensor.type;
    const struct tensor old = x->tensor;
    size_t n = 0, bytes = 0, old_bytes = 0;

    type_bytes(t, &old_bytes);
    if (types && t->ndim > 0 && roll(2))
        t->dim[roll((uint32_t)t->ndim)] = roll(9);
    else if (types && roll(2))
        t->dtype = dtypes[roll(COUNT(dtypes))];
    else if (types)
        t->ndim = (int)roll((uint32_t)t->ndim + 1);
    type_bytes(t, &bytes);
    type_elements(t, &n);
    x->tensor.data = arena_alloc(a, bytes + 1);
    memcpy(x->tensor.data, old.data, bytes < old_bytes ? bytes : old_bytes);
    for (size_t i = 0; i < n && i < 4; i++) {
        const size_t at = n < 4 ? i : roll((uint32_t)n);
        const int64_t v = odd[roll(COUNT(odd))];

        if (roll(2)) continue;
        if (t->dtype == DT_I64) ((int64_t *)x->tensor.data)[at] = v;
        if (t->dtype == DT_I32) ((int32_t *)x->tensor.data)[at] = (int32_t)v;
    }
}

/* One case with one tensor changed. The outcome may be an error or numbers without meaning. */
static void run_mutated(struct backend *be, const struct op_case *from)
{
    struct arena a = { 0 };
    struct op_case c = *from;
    void *out[8] = { NULL };
    const uint32_t n_in = (uint32_t)c.call.n_in, n_out = (uint32_t)c.call.n_out;
    struct case_tensor *in = arena_memdup(&a, c.in, (n_in + 1) * sizeof *in);
    struct case_tensor *outs = arena_memdup(&a, c.out, n_out * sizeof *outs);
    const uint32_t which = roll(n_in + n_out);
    struct case_tensor *x = which < n_in ? &in[which] : &outs[which - n_in];

    c.in = in;
    c.out = outs;
    c.call.in = arena_memdup(&a, c.call.in, (n_in + 1) * sizeof *c.call.in);
    c.call.out = arena_memdup(&a, c.call.out, n_out * sizeof *c.call.out);
    if (x->tensor.type.dtype != DT_NONE) mutate(&a, x, which >= n_in || roll(3) != 0);
    for (uint32_t i = 0; i < n_in; i++) c.call.in[i].type = in[i].tensor.type;
    for (uint32_t i = 0; i < n_out; i++) c.call.out[i].type = outs[i].tensor.type;
    case_outputs(be, &c, &a, out, NULL);
    arena_fini(&a);
}

/* Inference keeps such calls away; a backend that is handed one all the same must not read or write
 * outside the tensors (the sanitizers see), hang or die. */
static void mutated_cases_stay_in_bounds(void **state)
{
    static const char *const themes[] = { "decoder", "encoders", "elementwise", "shapes", "reduce",
                                          "norms",   "matrices", "attention",   "fp4" };
    const struct backend_config cfg = { .n_threads = 2 };
    struct backend *be;

    (void)state;
    assert_int_equal(backend_find("cpu")->open(&be, &cfg, NULL), ST_OK);
    for (size_t t = 0; t < COUNT(themes); t++) {
        struct case_file f;

        cases_open(&f, themes[t]);
        for (size_t i = 0; i < f.n; i++)
            for (int k = 0; k < 12; k++) run_mutated(be, &f.cases[i]);
        cases_close(&f);
    }
    be->ops->close(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise_ops_match), cmocka_unit_test(shape_ops_match),
        cmocka_unit_test(reductions_match),      cmocka_unit_test(norms_and_rotary_match),
        cmocka_unit_test(matrix_ops_match),      cmocka_unit_test(attention_matches),
        cmocka_unit_test(decoder_ops_match),     cmocka_unit_test(every_element_type_matches),
        cmocka_unit_test(encoder_ops_match),     cmocka_unit_test(strict_precision_is_fp32),
        cmocka_unit_test(fp4_experts_match),     cmocka_unit_test(mutated_cases_stay_in_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
