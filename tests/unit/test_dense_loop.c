/* SPDX-License-Identifier: MIT */
/* Loop and Scan in the generic executor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "helper_dense.h"

/* s = s + step; stops when s[0] > 6; pieces are s after each turn. `step` is captured. */
#define SUM                                                                                        \
    "graph g { opset 21\n"                                                                         \
    "in most: i64[] in go: bool[] in s: f32[2] const step: f32[2] = {2, 1} const lim: f32[] = "    \
    "{6} const at: i64[1] = {0}\n"                                                                 \
    "end, all = Loop(most, go, s) {body: graph b { in i: i64[] in c: bool[] in v: f32[2]\n"        \
    "capture step capture lim capture at\n"                                                        \
    "w = Add(v, step) f = Gather(w, at) q = Squeeze(f) n = LessOrEqual(q, lim)\n"                  \
    "o = Identity(w) out n, w, o }}\n"                                                             \
    "out end, all }"

static void loop_stops_by_its_condition(void **state)
{
    int64_t most = 100;
    bool go = true;
    float s[2] = { 1, 10 };
    const struct tensor in[] = { { type_make(DT_I64, 0, NULL), &most },
                                 { type_make(DT_BOOL, 0, NULL), &go },
                                 { type_make(DT_F32, 1, (int64_t[]){ 2 }), s } };
    struct dense_fixture f;

    (void)state;
    assert_int_equal(dense_start(&f, SUM, in), ST_OK);
    dense_expect(&f, 0, 1, (int64_t[]){ 2 }, (float[]){ 7, 13 });
    dense_expect(&f, 1, 2, (int64_t[]){ 3, 2 }, (float[]){ 3, 11, 5, 12, 7, 13 });
    dense_finish(&f);
}

static void loop_stops_by_its_count(void **state)
{
    int64_t most = 2;
    bool go = true;
    float s[2] = { 1, 10 };
    const struct tensor in[] = { { type_make(DT_I64, 0, NULL), &most },
                                 { type_make(DT_BOOL, 0, NULL), &go },
                                 { type_make(DT_F32, 1, (int64_t[]){ 2 }), s } };
    struct dense_fixture f;

    (void)state;
    assert_int_equal(dense_start(&f, SUM, in), ST_OK);
    dense_expect(&f, 0, 1, (int64_t[]){ 2 }, (float[]){ 5, 12 });
    assert_int_equal(f.out[1].type.dim[0], 2);
    dense_finish(&f);
}

static void loop_of_no_turns_gives_its_inputs(void **state)
{
    int64_t most = 5;
    bool go = false;
    float s[2] = { 1, 10 };
    const struct tensor in[] = { { type_make(DT_I64, 0, NULL), &most },
                                 { type_make(DT_BOOL, 0, NULL), &go },
                                 { type_make(DT_F32, 1, (int64_t[]){ 2 }), s } };
    struct dense_fixture f;

    (void)state;
    assert_int_equal(dense_start(&f, SUM, in), ST_OK);
    dense_expect(&f, 0, 1, (int64_t[]){ 2 }, s);
    assert_int_equal(f.out[1].type.ndim, 2);
    assert_int_equal(f.out[1].type.dim[0], 0);
    dense_finish(&f);
}

static void loop_without_end_is_stopped(void **state)
{
    int64_t most = INT64_MAX;
    bool go = true;
    const struct tensor in[] = { { type_make(DT_I64, 0, NULL), &most },
                                 { type_make(DT_BOOL, 0, NULL), &go } };
    struct dense_fixture f;

    (void)state;
    assert_int_equal(dense_start(&f,
                                 "graph g { opset 21 in most: i64[] in go: bool[]\n"
                                 "p = Loop(most, go) {body: graph b { in i: i64[] in c: bool[]\n"
                                 "out c, i }} out p }",
                                 in),
                     ST_LIMIT);
    assert_non_null(strstr(f.err.text, "turns"));
    dense_finish(&f);
}

/* Along axis 1, backwards; the running sum is stacked along axis 1, backwards too. */
static void scan_runs_backwards_over_any_axis(void **state)
{
    float s[2] = { 0, 0 }, x[6] = { 1, 2, 3, 10, 20, 30 };
    const struct tensor in[] = { { type_make(DT_F32, 1, (int64_t[]){ 2 }), s },
                                 { type_make(DT_F32, 2, (int64_t[]){ 2, 3 }), x } };
    struct dense_fixture f;

    (void)state;
    assert_int_equal(
        dense_start(
            &f,
            "graph g { opset 21 in s: f32[2] in x: f32[2,3]\n"
            "end, all = Scan(s, x) {num_scan_inputs: 1, scan_input_axes: [1], "
            "scan_input_directions: [1], scan_output_axes: [1], scan_output_directions: [1],\n"
            "body: graph b { in v: f32[2] in p: f32[2] w = Add(v, p) o = Identity(w) out w, o }}\n"
            "out end, all }",
            in),
        ST_OK);
    dense_expect(&f, 0, 1, (int64_t[]){ 2 }, (float[]){ 6, 60 });
    dense_expect(&f, 1, 2, (int64_t[]){ 2, 3 }, (float[]){ 6, 5, 3, 60, 50, 30 });
    dense_finish(&f);
}

/* The body gives back what went in: swapped, and as a piece. What a turn took may not be freed
 * before all of it is taken. */
static void a_state_may_be_an_output(void **state)
{
    int64_t most = 3;
    float a[2] = { 1, 2 }, b[2] = { 10, 20 };
    const struct tensor in[] = { { type_make(DT_I64, 0, NULL), &most },
                                 { type_make(DT_F32, 1, (int64_t[]){ 2 }), a },
                                 { type_make(DT_F32, 1, (int64_t[]){ 2 }), b } };
    struct dense_fixture f;

    (void)state;
    assert_int_equal(
        dense_start(
            &f,
            "graph g { opset 21 in most: i64[] in a: f32[2] in b: f32[2] const go: bool[] = {1}\n"
            "x, y, all = Loop(most, go, a, b) {body: graph l { in i: i64[] in c: bool[]\n"
            "in p: f32[2] in q: f32[2] out c, q, p, p }}\n"
            "out x, y, all }",
            in),
        ST_OK);
    dense_expect(&f, 0, 1, (int64_t[]){ 2 }, (float[]){ 10, 20 });
    dense_expect(&f, 1, 1, (int64_t[]){ 2 }, (float[]){ 1, 2 });
    dense_expect(&f, 2, 2, (int64_t[]){ 3, 2 }, (float[]){ 1, 2, 10, 20, 1, 2 });
    dense_finish(&f);
}

static void a_scan_keeps_its_previous_state(void **state)
{
    float s[2] = { 0, 0 }, x[4] = { 1, 2, 10, 20 };
    const struct tensor in[] = { { type_make(DT_F32, 1, (int64_t[]){ 2 }), s },
                                 { type_make(DT_F32, 1, (int64_t[]){ 2 }), s },
                                 { type_make(DT_F32, 2, (int64_t[]){ 2, 2 }), x } };
    struct dense_fixture f;

    (void)state;
    assert_int_equal(
        dense_start(&f,
                    "graph g { opset 21 in s: f32[2] in t: f32[2] in x: f32[2,2]\n"
                    "end, last = Scan(s, t, x) {num_scan_inputs: 1, body: graph b {\n"
                    "in v: f32[2] in u: f32[2] in p: f32[2] w = Add(v, p) out w, v }}\n"
                    "out end, last }",
                    in),
        ST_OK);
    dense_expect(&f, 0, 1, (int64_t[]){ 2 }, (float[]){ 11, 22 });
    dense_expect(&f, 1, 1, (int64_t[]){ 2 }, (float[]){ 1, 2 });
    dense_finish(&f);
}

/* A captured value outlives the branch that gives it; the If is its last use. */
static void a_branch_may_give_what_it_captured(void **state)
{
    bool yes = true;
    float s[2] = { 1, 2 };
    const struct tensor in[] = { { type_make(DT_BOOL, 0, NULL), &yes },
                                 { type_make(DT_F32, 1, (int64_t[]){ 2 }), s } };
    struct dense_fixture f;

    (void)state;
    assert_int_equal(dense_start(&f,
                                 "graph g { opset 21 in c: bool[] in s: f32[2]\n"
                                 "v = Neg(s)\n"
                                 "x, y = If(c) {then_branch: graph t { capture v out v, v },\n"
                                 "else_branch: graph e { capture v w = Abs(v) out w, w }}\n"
                                 "out x, y }",
                                 in),
                     ST_OK);
    dense_expect(&f, 0, 1, (int64_t[]){ 2 }, (float[]){ -1, -2 });
    dense_expect(&f, 1, 1, (int64_t[]){ 2 }, (float[]){ -1, -2 });
    dense_finish(&f);
}

static void a_body_that_does_not_fit_is_refused(void **state)
{
    struct dense_fixture f;

    (void)state;
    assert_int_equal(dense_start(&f,
                                 "graph g { opset 21 in most: i64[] in go: bool[] in s: f32[2]\n"
                                 "e = Loop(most, go, s) {body: graph b { in i: i64[] in c: bool[]\n"
                                 "out c, i }} out e }",
                                 NULL),
                     ST_FORMAT);
    assert_non_null(strstr(f.err.text, "body"));
    dense_finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop_stops_by_its_condition),
        cmocka_unit_test(loop_stops_by_its_count),
        cmocka_unit_test(loop_of_no_turns_gives_its_inputs),
        cmocka_unit_test(loop_without_end_is_stopped),
        cmocka_unit_test(scan_runs_backwards_over_any_axis),
        cmocka_unit_test(a_state_may_be_an_output),
        cmocka_unit_test(a_scan_keeps_its_previous_state),
        cmocka_unit_test(a_branch_may_give_what_it_captured),
        cmocka_unit_test(a_body_that_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
