/* SPDX-License-Identifier: MIT */
/* Operators at their edges, in the generic executor: absent and unread operands, odd shapes,
 * numbers that are none. What is expected is onnxruntime's answer where nothing else is said. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "helper_dense.h"

/* ---- outputs that nobody reads ---- */

static void parts_of_a_split_may_go_unread(void **state)
{
    (void)state;
    dense_gives("graph g { opset 21 const x: f32[4] = {1, 2, 3, 4}\n"
                "a, b = Split(x) {num_outputs: 2} y = Neg(b) out y }",
                2, (float[]){ -3, -4 });
    dense_gives("graph g { opset 21 const x: f32[4] = {1, 2, 3, 4}\n"
                "a, b = Split(x) {num_outputs: 2} y = Neg(a) out y }",
                2, (float[]){ -1, -2 });
}

static void the_first_output_may_go_unread(void **state)
{
    (void)state;
    dense_gives("graph g { opset 21 const x: f32[2] = {1, 3} const w: f32[2] = {1, 1}\n"
                "y, m, v = LayerNormalization(x, w) {epsilon: 0.0} out m }",
                1, (float[]){ 2 });
    dense_gives("graph g { opset 21, com.microsoft 1 const x: f32[1,2] = {1, 3}\n"
                "const s: f32[1,2] = {10, 20} const w: f32[2] = {1, 1}\n"
                "y, m, v, sum = com.microsoft.SkipLayerNormalization(x, s, w) out sum }",
                2, (float[]){ 11, 23 });
    dense_gives("graph g { opset 21 const x: f32[2] = {0, 510}\n"
                "y, scale, zero = DynamicQuantizeLinear(x) out scale }",
                1, (float[]){ 2 });
}

static void nodes_that_nobody_reads_do_not_run(void **state)
{
    (void)state;
    dense_gives("graph g { opset 21 const x: f32[1] = {1} const c: bool[] = {1}\n"
                "y = If(c) {then_branch: graph t { capture x dead = Exp(x) deader = Neg(dead)\n"
                "v = Neg(x) out v }, else_branch: graph e { capture x w = Abs(x) out w }}\n"
                "gone = Exp(x) out y }",
                1, (float[]){ -1 });
}

/* ---- signals ---- */

static void stft_takes_a_signal_of_two_dimensions(void **state)
{
    (void)state;
    dense_gives("graph g { opset 17 const x: f32[1,6] = {1, 2, 3, 4, 5, 6} const hop: i64[] = {2}\n"
                "const w: f32[2] = {1, 1} y = STFT(x, hop, w) out y }",
                12, (float[]){ 3, 0, -1, 0, 7, 0, -1, 0, 11, 0, -1, 0 });
}

/* ---- norms ---- */

/* A scale and a bias broadcast to the input as any operand does: they need not be columns. */
static void layer_norm_takes_what_broadcasts(void **state)
{
    (void)state;
    dense_gives("graph g { opset 17 const x: f32[2,2] = {1, 3, 5, 7} const w: f32[1] = {2}\n"
                "y = LayerNormalization(x, w) {epsilon: 0.0} out y }",
                4, (float[]){ -2, 2, -2, 2 });
    dense_gives("graph g { opset 17 const x: f32[2,2] = {1, 3, 5, 7} const w: f32[] = {2}\n"
                "const b: f32[2,1] = {10, 20}\n"
                "y = LayerNormalization(x, w, b) {epsilon: 0.0} out y }",
                4, (float[]){ 8, 12, 18, 22 });
    dense_gives("graph g { opset 17 const x: f32[2,1,2] = {1, 3, 5, 7}\n"
                "const w: f32[2,1,1] = {2, 3}\n"
                "y = LayerNormalization(x, w) {epsilon: 0.0} out y }",
                4, (float[]){ -2, 2, -3, 3 });
}

static void rms_norm_takes_what_broadcasts(void **state)
{
    (void)state;
    dense_gives("graph g { opset 23 const x: f32[2,2] = {3, 3, 5, 5} const w: f32[2,1] = {2, 4}\n"
                "y = RMSNormalization(x, w) {epsilon: 0.0} out y }",
                4, (float[]){ 2, 2, 4, 4 });
}

/* ---- numbers that are none ---- */

static void softmax_of_nan_is_nan(void **state)
{
    (void)state;
    dense_gives("graph g { opset 21 const x: f32[1,3] = {1, nan, 2} y = Softmax(x) out y }", 3,
                (float[]){ NAN, NAN, NAN });
    dense_gives(
        "graph g { opset 21 const x: f32[3,1] = {1, nan, 2} y = Softmax(x) {axis: 0} out y }", 3,
        (float[]){ NAN, NAN, NAN });
    dense_gives("graph g { opset 21 const x: f16[1,3] = {1, nan, 2} s = Softmax(x)\n"
                "y = Cast(s) {to: 1} out y }",
                3, (float[]){ NAN, NAN, NAN });
    dense_gives("graph g { opset 21 const x: f64[1,3] = {1, nan, 2} s = LogSoftmax(x)\n"
                "y = Cast(s) {to: 1} out y }",
                3, (float[]){ NAN, NAN, NAN });
}

/* The attention operators make zeros of such a row; this one does not. */
static void softmax_of_nothing_but_minus_infinity_is_nan(void **state)
{
    (void)state;
    dense_gives(
        "graph g { opset 21 const x: f32[2,2] = {-inf, -inf, -inf, 0} y = Softmax(x) out y }", 4,
        (float[]){ NAN, NAN, 0, 1 });
    dense_gives("graph g { opset 21 const x: f32[2,2] = {-inf, -inf, -inf, 0}\n"
                "y = Softmax(x) {axis: 0} out y }",
                4, (float[]){ NAN, 0, NAN, 1 });
    dense_gives("graph g { opset 21 const x: f64[1,2] = {-inf, -inf} s = Softmax(x)\n"
                "y = Cast(s) {to: 1} out y }",
                2, (float[]){ NAN, NAN });
}

/* An absent bound is the type's last number. */
static void clip_without_a_bound_cuts_infinity(void **state)
{
    (void)state;
    dense_gives("graph g { opset 13 const x: f32[3] = {inf, -inf, nan} const hi: f32[] = {0.5}\n"
                "y = Clip(x, _, hi) out y }",
                3, (float[]){ 0.5f, -FLT_MAX, NAN });
    dense_gives("graph g { opset 13 const x: f16[2] = {inf, -inf} c = Clip(x)\n"
                "y = Cast(c) {to: 1} out y }",
                2, (float[]){ 65504, -65504 });
}

static void celu_of_nan_is_nan(void **state)
{
    (void)state;
    dense_gives("graph g { opset 13 const x: f32[4] = {nan, -inf, 2, -1} y = Celu(x) out y }", 4,
                (float[]){ NAN, -1, 2, -0.6321206f });
}

/* ---- places ---- */

/* Stepping backwards a start before the front is the front, for which there is an element. */
static void slice_clamps_a_start_before_the_front(void **state)
{
    (void)state;
    dense_gives("graph g { opset 13 const x: f32[4] = {1, 2, 3, 4} const s: i64[1] = {-7}\n"
                "const e: i64[1] = {-9} const a: i64[1] = {0} const d: i64[1] = {-1}\n"
                "y = Slice(x, s, e, a, d) out y }",
                1, (float[]){ 1 });
    dense_gives("graph g { opset 13 const x: f32[0] = {} const s: i64[1] = {-7}\n"
                "const e: i64[1] = {-9} const a: i64[1] = {0} const d: i64[1] = {-1}\n"
                "y = Slice(x, s, e, a, d) out y }",
                0, NULL);
}

/* 0.75 beyond the last of 2: of four taps three are the border, and the kernel overshoots. */
static void cubic_grid_samples_clamp_taps(void **state)
{
    (void)state;
    dense_gives("graph g { opset 20 const x: f32[1,1,1,2] = {0, 1}\n"
                "const at: f32[1,1,1,2] = {1.25, 0}\n"
                "y = GridSample(x, at) {mode: \"cubic\", padding_mode: \"border\", "
                "align_corners: 0} out y }",
                1, (float[]){ 1.0351562f });
}

/* One element is taken from the front, not from half a step before it. */
static void resize_to_one_element_starts_at_the_front(void **state)
{
    (void)state;
    dense_gives("graph g { opset 19 const x: f32[1,1,1,4] = {1, 2, 4, 8}\n"
                "const n: i64[4] = {1, 1, 1, 1} y = Resize(x, _, _, n) {mode: \"cubic\", "
                "coordinate_transformation_mode: \"pytorch_half_pixel\"} out y }",
                1, (float[]){ 1 });
}

/* ---- tables ---- */

#define THREES "3, 3, 3, 3, 3, 3, 3, 3, "

/* 17 rows of two columns in blocks of 16 rows; the second column is taken, its scales are 2, 20. */
static void a_table_may_be_quantised_along_any_axis(void **state)
{
    float want[17];

    (void)state;
    for (int i = 0; i < 17; i++) want[i] = i < 16 ? 6 : 60;
    dense_gives("graph g { opset 21, com.microsoft 1\n"
                "const x: u4[17,2] = {" THREES THREES THREES THREES "3, 3}\n"
                "const at: i64[1] = {1} const s: f32[2,2] = {1, 2, 10, 20}\n"
                "y = com.microsoft.GatherBlockQuantized(x, at, s) "
                "{gather_axis: 1, quantize_axis: 0, block_size: 16} out y }",
                COUNT(want), want);
}

#define ONES_8  "1, 1, 1, 1, 1, 1, 1, 1, "
#define ONES_32 ONES_8 ONES_8 ONES_8 "1, 1, 1, 1, 1, 1, 1, 1"
#define BYTES_8 "153, 153, 153, 153, 153, 153, 153, 153"

/* Every weight is 9 less 8, times 1 or, in the second block, 10. */
static void weights_of_a_product_may_come_with_the_run(void **state)
{
    (void)state;
    dense_gives("graph g { opset 21, com.microsoft 1 const x: f32[1,32] = {" ONES_32 "}\n"
                "const c: u8[1,2,8] = {" BYTES_8 ", " BYTES_8 "} b = Identity(c)\n"
                "const s: f32[1,2] = {1, 10}\n"
                "y = com.microsoft.MatMulNBits(x, b, s) {K: 32, N: 1, bits: 4, block_size: 16}\n"
                "out y }",
                1, (float[]){ 176 });
}

/* By the document: scale and zero point of row k are those of block g_idx[k]. */
static void rows_of_weights_may_be_reordered(void **state)
{
    (void)state;
    dense_gives("graph g { opset 21, com.microsoft 1 const x: f32[1,32] = {" ONES_32 "}\n"
                "const b: u8[1,2,8] = {" BYTES_8 ", " BYTES_8 "}\n"
                "const s: f32[1,2] = {1, 10} const at: i32[32] = {" ONES_32 "}\n"
                "y = com.microsoft.MatMulNBits(x, b, s, _, at) "
                "{K: 32, N: 1, bits: 4, block_size: 16} out y }",
                1, (float[]){ 320 });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_a_split_may_go_unread),
        cmocka_unit_test(the_first_output_may_go_unread),
        cmocka_unit_test(nodes_that_nobody_reads_do_not_run),
        cmocka_unit_test(stft_takes_a_signal_of_two_dimensions),
        cmocka_unit_test(layer_norm_takes_what_broadcasts),
        cmocka_unit_test(rms_norm_takes_what_broadcasts),
        cmocka_unit_test(softmax_of_nan_is_nan),
        cmocka_unit_test(softmax_of_nothing_but_minus_infinity_is_nan),
        cmocka_unit_test(clip_without_a_bound_cuts_infinity),
        cmocka_unit_test(celu_of_nan_is_nan),
        cmocka_unit_test(slice_clamps_a_start_before_the_front),
        cmocka_unit_test(cubic_grid_samples_clamp_taps),
        cmocka_unit_test(resize_to_one_element_starts_at_the_front),
        cmocka_unit_test(a_table_may_be_quantised_along_any_axis),
        cmocka_unit_test(weights_of_a_product_may_come_with_the_run),
        cmocka_unit_test(rows_of_weights_may_be_reordered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
