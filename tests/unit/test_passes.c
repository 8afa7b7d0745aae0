/* SPDX-License-Identifier: MIT */
/* Each pass on a small graph in text form: what must be recognised, and what must be left alone. */
#include "engine/passes/length_switch.h"
#include "engine/passes/passes.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include <string.h>

#include "helper_graph.h"
#include "helper_lower.h"

/* The graph of a text with its types inferred. */
static struct graph *parse(const char *text)
{
    struct graph *g = graph_of(text);
    struct err err = { 0 };

    if (graph_infer(g, &err) != ST_OK) fail_msg("%s", err.text);
    return g;
}

/* The graph after one pass and dead code, printed. The caller frees. */
static char *after(const char *text, pass_fn *pass)
{
    const struct pass_context ctx = { .backend = lower_backend() };
    const struct graph_print_options opt = { .constant_elements_max = 16 };
    struct graph *g = parse(text);
    struct err err = { 0 };
    struct str out = { 0 };

    if (pass(g, &ctx, &err) != ST_OK || pass_dead_code(g, &ctx, &err) != ST_OK ||
        graph_compact(g, &err) != ST_OK || graph_infer(g, &err) != ST_OK ||
        graph_print(g, &opt, &out, &err) != ST_OK)
        fail_msg("%s", err.text);
    graph_destroy(g);
    return str_take(&out);
}

static void check(const char *text, pass_fn *pass, const char *has, const char *has_not)
{
    char *got = after(text, pass);

    if (has && !strstr(got, has)) fail_msg("no '%s' in\n%s", has, got);
    if (has_not && strstr(got, has_not)) fail_msg("'%s' is still in\n%s", has_not, got);
    mem_free(got);
}

/* ---- folding, cleaning ---- */

static void folds_arithmetic_of_constants(void **state)
{
    (void)state;
    check("graph g { const a: i64[2] = {3, 4} const b: i64[1] = {5}\n"
          "c = Add(a, b) d = Mul(c, b) out d }",
          pass_fold_constants, "{40, 45}", "Mul");
}

static void folds_the_shape_of_known_types(void **state)
{
    (void)state;
    check("graph g { in x: f32[2,7] s = Shape(x) out s }", pass_fold_constants, "{2, 7}", "Shape(");
    check("graph g { in x: f32[n,7] s = Shape(x) out s }", pass_fold_constants, "Shape(", NULL);
}

static void merges_equal_nodes_only(void **state)
{
    (void)state;
    check("graph g { in x: f32[4] a = Relu(x) b = Relu(x) c = Add(a, b) out c }", pass_cse,
          "Add(a, a)", NULL);
    check("graph g { in x: f32[4,4] a = Softmax(x) {axis: 0} b = Softmax(x) {axis: 1} c = Add(a, "
          "b) out c }",
          pass_cse, "Add(a, b)", NULL);
}

static void drops_casts_to_the_same_type(void **state)
{
    (void)state;
    check("graph g { in x: f32[4] a = Cast(x) {to: 1} b = Relu(a) out b }", pass_remove_casts,
          "Relu(x)", "Cast");
    check("graph g { in x: f32[4] a = Cast(x) {to: 7} b = Neg(a) out b }", pass_remove_casts,
          "Cast(x)", NULL);
}

/* ---- products ---- */

static void matmul_by_a_constant_is_linear(void **state)
{
    (void)state;
    check("graph g { in x: f32[B,S,4] const w: f32[4,3] = fill(1) y = MatMul(x, w) out y }",
          pass_fuse_linear, "cupola.Linear(x, w", "MatMul(");
    check("graph g { in x: f32[B,S,4] in w: f32[4,3] y = MatMul(x, w) out y }", pass_fuse_linear,
          "MatMul(x, w)", "Linear");
}

static void weights_without_elements_are_left_alone(void **state)
{
    (void)state;
    check("graph g { in x: f32[B,4] const w: f32[4,0] = {} y = MatMul(x, w) out y }",
          pass_fuse_linear, "MatMul(x, w)", "Linear");
    check("graph g { in x: f32[B,0] const w: f32[0,3] = {} y = Gemm(x, w) out y }",
          pass_fuse_linear, "Gemm(x, w)", "Linear");
    check("graph g { in x: f32[B,0] const w: f32[3,0] = {} t = Transpose(w) y = MatMul(x, t) "
          "out y }",
          pass_fuse_linear, "MatMul(x, t)", "Linear");
}

/* The transpose of a head's weights, read by an embedding alone: nothing is transposed. */
static void embedding_of_a_transposed_head_gathers_its_columns(void **state)
{
    static const char tied[] = "graph g { in ids: i64[b,s] in h: f32[b,4] const w: f32[4,3] = "
                               "fill(0) t = Transpose(w) {perm: [1, 0]} "
                               "e = Gather(t, ids) %s l = MatMul(h, w) out e out l%s }";
    char text[512];

    (void)state;
    snprintf(text, sizeof text, tied, "", "");
    check(text, pass_fold_constants, "= Transpose(w)", NULL);
    check(text, pass_fuse_linear, "e: f32[b,s,4] = cupola.GatherColumns(w, ids)", "Gather(");
    snprintf(text, sizeof text, tied, "r = Relu(t)", " out r");
    check(text, pass_fold_constants, "e: f32[b,s,4] = Gather(t, ids)", "Transpose(");
    check("graph g { in ids: i64[s] const w: f32[4,3] = fill(0) t = Transpose(w) "
          "e = Gather(t, ids) out e }",
          pass_fold_constants, "Gather(t, ids)", "Transpose(");
    check("graph g { in h: f32[s,4] const w: f32[4,3] = fill(0) const ids: i64[2] = {0, 2} "
          "t = Transpose(w) e = Gather(t, ids) l = MatMul(h, w) out e out l }",
          pass_fold_constants, "out e", "Gather(");
    check("graph g { in ids: i64[s] const w: f32[4,3] = fill(0) t = Transpose(w) "
          "e = Gather(t, ids) {axis: 1} out e }",
          pass_fold_constants, "Gather(t, ids) {axis: 1}", "Transpose(");
}

static void gemm_with_alpha_is_left_alone(void **state)
{
    (void)state;
    check("graph g { in x: f32[B,4] const w: f32[3,4] = fill(1) y = Gemm(x, w) {transB: 1} out y }",
          pass_fuse_linear, "trans_b: 1", "Gemm(");
    check(
        "graph g { in x: f32[B,4] const w: f32[4,3] = fill(1) y = Gemm(x, w) {alpha: 0.5} out y }",
        pass_fuse_linear, "Gemm(", "Linear");
}

static void linear_takes_its_bias(void **state)
{
    static const char text[] = "graph g { opset 21, cupola 1 in x: f32[B,S,4] const w: f32[4,3] = "
                               "fill(1) const b: f32[3] = fill(2)\n"
                               "h = cupola.Linear(x, w) {K: 4, N: 3} y = Add(b, h) out y }";
    static const char shared[] = "graph g { opset 21, cupola 1 in x: f32[B,S,4] const w: f32[4,3] "
                                 "= fill(1) const b: f32[3] = fill(2)\n"
                                 "h = cupola.Linear(x, w) {K: 4, N: 3} y = Add(b, h) out y, h }";

    (void)state;
    check(text, pass_fuse_bias, "Linear(x, w, _, _, b)", "Add(");
    check(shared, pass_fuse_bias, "Add(", NULL); /* h itself is an output */
}

/* Two columns of 16 weights: codes k and 15-k, scales 1 and 2, zero points 8 and 3. */
static void dequantised_weights_keep_their_values(void **state)
{
    static const char text[] =
        "graph g { in x: f32[B,16]\n"
        "const q: u4[16,2] = {0,15, 1,14, 2,13, 3,12, 4,11, 5,10, 6,9, 7,8, 8,7, 9,6, 10,5, 11,4, "
        "12,3, 13,2, 14,1, 15,0}\n"
        "const s: f32[1,2] = {1, 2} const z: u4[1,2] = {8, 3}\n"
        "w = DequantizeLinear(q, s, z) {axis: 0, block_size: 16} y = MatMul(x, w) out y }";
    char *got = after(text, pass_fuse_dequant);

    (void)state;
    /* column 0 holds 0..15 and column 1 the reverse, low nibble first */
    assert_non_null(
        strstr(got, "{16, 50, 84, 118, 152, 186, 220, 254, 239, 205, 171, 137, 103, 69, 35, 1}"));
    assert_non_null(strstr(got, "= {8, 3}"));
    assert_non_null(strstr(got, "bits: 4"));
    mem_free(got);
}

/* One scale for all, or one a column: blocks get them each. */
static void scales_that_go_further_are_given_to_each_block(void **state)
{
    (void)state;
    check("graph g { in x: f32[B,16] const q: u8[16,2] = fill(7) const s: f32[] = {0.5}\n"
          "const z: u8[] = {3} w = DequantizeLinear(q, s, z) y = MatMul(x, w) out y }",
          pass_fuse_dequant, "f32[2,1] = {0.5, 0.5}", "DequantizeLinear");
    check("graph g { in x: f32[B,16] const q: i8[16,2] = fill(7) const s: f32[2] = {1, 2}\n"
          "const z: i8[2] = {8, -3} w = DequantizeLinear(q, s, z) {axis: 1} y = MatMul(x, w) out y "
          "}",
          pass_fuse_dequant, "u8[2,1] = {136, 125}", "DequantizeLinear");
    /* one a row of K goes with the activations, not with a column */
    check("graph g { in x: f32[B,16] const q: u8[16,16] = fill(7) const s: f32[16] = fill(2)\n"
          "w = DequantizeLinear(q, s) {axis: 0} y = MatMul(x, w) out y }",
          pass_fuse_dequant, "DequantizeLinear", "Linear(x");
}

/* ---- gates, norms ---- */

static void recognises_swiglu(void **state)
{
    (void)state;
    check("graph g { in a: f32[B,S,8] in b: f32[B,S,8] s = Sigmoid(a) m = Mul(a, s) y = Mul(m, b) "
          "out y }",
          pass_fuse_gated, "GatedAct(a, b) {act: \"silu\"}", "Sigmoid");
    check("graph g { in a: f32[B,S,8] in b: f32[B,S,8] s = Sigmoid(b) m = Mul(a, s) y = Mul(m, b) "
          "out y }",
          pass_fuse_gated, "Sigmoid", "GatedAct");
}

static void gate_and_up_of_one_split_stay_packed(void **state)
{
    (void)state;
    check("graph g { in x: f32[B,S,8] const k: i64[2] = {4, 4} a, b = Split(x, k) {axis: -1}\n"
          "s = Sigmoid(a) m = Mul(a, s) y = Mul(m, b) out y }",
          pass_fuse_gated, "GatedAct(x)", "Split");
}

static void recognises_rms_norm(void **state)
{
    (void)state;
    check("graph g { in x: f32[B,S,8] const two: f32[] = {2} const e: f32[] = {1e-5} const ax: "
          "i64[1] "
          "= {-1} const w: f32[8] = fill(1)\n"
          "p = Pow(x, two) m = ReduceMean(p, ax) a = Add(m, e) r = Sqrt(a) d = Div(x, r) y = "
          "Mul(w, d) out y }",
          pass_fuse_rmsnorm, "SimplifiedLayerNormalization(x, w)", "ReduceMean");
    check("graph g { in x: f32[B,S,8] const two: f32[] = {3} const e: f32[] = {1e-5} const ax: "
          "i64[1] "
          "= {-1} const w: f32[8] = fill(1)\n"
          "p = Pow(x, two) m = ReduceMean(p, ax) a = Add(m, e) r = Sqrt(a) d = Div(x, r) y = "
          "Mul(w, d) out y }",
          pass_fuse_rmsnorm, "ReduceMean", "SimplifiedLayerNormalization");
}

/* ---- lower_decoder ---- */

#define INPUTS(cache)                                                                              \
    "graph g { opset 21, com.microsoft 1, cupola 1\n"                                              \
    "in input_ids: i64[B,S] in attention_mask: i64[B,T]\n"                                         \
    "in past_key_values.0.key: " cache " in past_key_values.0.value: " cache "\n"
#define HEAD_OF(cache)                                                                             \
    INPUTS(cache)                                                                                  \
    "const emb: f32[10,8] = fill(0.5) const wq: f32[8,16] = fill(0.1) const head: f32[8,10] = "    \
    "fill(1)\n"                                                                                    \
    "const one: i64[1] = {1} const i1: i64[] = {1}\n"                                              \
    "n = ReduceSum(attention_mask, one) {keepdims: 0} n1 = Sub(n, one) seq = Cast(n1) {to: 6}\n"   \
    "sh = Shape(attention_mask) t = Gather(sh, i1) total = Cast(t) {to: 6}\n"                      \
    "x = Gather(emb, input_ids) qkv = MatMul(x, wq)\n"
#define HEAD HEAD_OF("f32[B,1,P,4]")
#define GQA                                                                                        \
    "a, present.0.key, present.0.value = com.microsoft.GroupQueryAttention(qkv, _, _, "            \
    "past_key_values.0.key, past_key_values.0.value, seq, total, cos, sin) "                       \
    "{num_heads: 2, kv_num_heads: 1, do_rotary: 1}\n"
#define TAIL "y = Add(a, x) logits = MatMul(y, head) out logits, present.0.key, present.0.value }"

static void lowers_a_decoder(void **state)
{
    struct lower_info info;
    status st;
    char *got =
        lowered(HEAD "const cos: f32[16,2] = fill(1) const sin: f32[16,2] = fill(0)\n" GQA TAIL,
                &info, &st);

    (void)state;
    if (st != ST_OK) fail_msg("%s", got);
    assert_int_equal(info.n_layers, 1);
    assert_int_equal(info.kv[0].n_heads, 1);
    assert_int_equal(info.vocab, 10);
    assert_int_equal(info.long_threshold, 0);
    assert_non_null(strstr(got, "in input_ids: i32[tokens]"));
    assert_non_null(strstr(got, "cupola.SeqAttention(qkv"));
    assert_non_null(strstr(got, "logits: f32[rows,10]"));
    assert_null(strstr(got, "attention_mask"));
    assert_null(strstr(got, "past_key_values"));
    mem_free(got);
}

/* A decoder with caches of type `cache`, the given scales and attributes. */
#define QUANTISED(cache, scales, kind, bits)                                                       \
    HEAD_OF(cache)                                                                                 \
    "const cos: f32[16,2] = fill(1) const sin: f32[16,2] = fill(0)\n"                              \
    "const qs: f32[1] = {0.5} const qc: f32[4] = {1, 2, 3, 4} live = Cast(total) {to: 1}\n"        \
    "a, present.0.key, present.0.value = com.microsoft.GroupQueryAttention(qkv, _, _, "            \
    "past_key_values.0.key, past_key_values.0.value, seq, total, cos, sin, _, _, _, " scales       \
    ") {num_heads: 2, kv_num_heads: 1, do_rotary: 1, k_quant_type: \"" kind                        \
    "\", v_quant_type: \"" kind "\", kv_cache_bit_width: " bits "}\n" TAIL

static void quantised_caches_are_lowered(void **state)
{
    static const struct {
        const char *text, *scales, *bits;
        int n_bits;
    } cases[] = {
        { QUANTISED("i8[B,1,P,4]", "qs, qs", "PER_TENSOR", "8"), "qs, qs)", "kv_bits: 8", 8 },
        { QUANTISED("u8[B,1,P,2]", "qc, qc", "PER_CHANNEL", "4"), "qc, qc)", "kv_bits: 4", 4 },
        { QUANTISED("f32[B,1,P,4]", "qs, qs", "NONE", "8"), "sin", "SeqAttention", 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct lower_info info;
        status st;
        char *got = lowered(cases[i].text, &info, &st);

        if (st != ST_OK) fail_msg("%s", got);
        assert_int_equal(info.kv[0].bits, cases[i].n_bits);
        assert_int_equal(info.kv_dtype, DT_F32);
        if (!strstr(got, cases[i].scales) || !strstr(got, cases[i].bits)) fail_msg("%s", got);
        if (cases[i].n_bits == 0) assert_null(strstr(got, "qs"));
        mem_free(got);
    }
}

static void refuses_scales_that_are_computed(void **state)
{
    struct lower_info info;
    status st;
    char *got = lowered(QUANTISED("i8[B,1,P,4]", "qs, live", "PER_TENSOR", "8"), &info, &st);

    (void)state;
    assert_int_equal(st, ST_UNSUPPORTED);
    if (!strstr(got, "v_scale")) fail_msg("%s", got);
    mem_free(got);
}

#define SWITCH                                                                                     \
    "const th: i64[] = {8} c = Greater(t, th)\n"                                                   \
    "cos, sin = If(c) {then_branch: graph tb { const lc: f32[16,2] = fill(3) const ls: f32[16,2] " \
    "= fill(4) out lc, ls },\n"                                                                    \
    "else_branch: graph eb { const sc: f32[16,2] = fill(1) const ss: f32[16,2] = fill(2) out sc, " \
    "ss }}\n"

static void longrope_becomes_two_tables(void **state)
{
    struct lower_info info;
    status st;
    char *got = lowered(HEAD SWITCH GQA TAIL, &info, &st);

    (void)state;
    if (st != ST_OK) fail_msg("%s", got);
    assert_int_equal(info.long_threshold, 8);
    assert_non_null(strstr(got, "long_threshold: 8"));
    assert_null(strstr(got, "If("));
    mem_free(got);
}

static void refuses_what_mixes_tokens(void **state)
{
    struct lower_info info;
    status st;
    char *got = lowered(HEAD "const cos: f32[16,2] = fill(1) const sin: f32[16,2] = fill(0)\n" GQA
                             "s = Softmax(a) {axis: 1} y = Add(s, x) logits = MatMul(y, head) out "
                             "logits, present.0.key, present.0.value }",
                        &info, &st);

    (void)state;
    assert_int_equal(st, ST_UNSUPPORTED);
    assert_non_null(strstr(got, "Softmax"));
    mem_free(got);
}

static void refuses_bias_of_attention(void **state)
{
    struct lower_info info;
    status st;
    char *got = lowered(HEAD "const cos: f32[16,2] = fill(1) const sin: f32[16,2] = fill(0)\n"
                             "const bias: f32[1,1,1,1] = fill(0)\n"
                             "a, present.0.key, present.0.value = "
                             "com.microsoft.GroupQueryAttention(qkv, _, _, past_key_values.0.key, "
                             "past_key_values.0.value, seq, total, cos, sin, _, bias) {num_heads: "
                             "2, kv_num_heads: 1, do_rotary: 1}\n" TAIL,
                        &info, &st);

    (void)state;
    assert_int_equal(st, ST_UNSUPPORTED);
    assert_non_null(strstr(got, "attention_bias"));
    mem_free(got);
}

static void finds_the_length_switch(void **state)
{
    struct graph *g = parse(HEAD SWITCH GQA TAIL);
    const struct length_inputs in = { graph_find_value(g, "attention_mask"), -1 };
    const struct length_inputs other = { graph_find_value(g, "input_ids"), -1 };

    (void)state;
    assert_int_equal(length_switch_common(g, &in), 8);
    assert_int_equal(length_switch_common(g, &other), 0);
    graph_destroy(g);
}

/* The largest position is the length less one. */
static void finds_the_switch_on_positions(void **state)
{
    struct graph *g = parse("graph g { in p: i64[1,s] const c: i64[] = {63}\n"
                            "m = ReduceMax(p) {keepdims: 0} l = Greater(m, c)\n"
                            "n = Cast(l) {to: 7} y = Add(p, n) out y }");
    const struct length_inputs in = { -1, graph_find_value(g, "p") }, none = { -1, -1 };

    (void)state;
    assert_int_equal(length_switch_common(g, &in), 64);
    assert_int_equal(length_switch_common(g, &none), 0);
    graph_destroy(g);
}

static void unknown_pass_is_named(void **state)
{
    const struct pass_context ctx = { .backend = lower_backend() };
    struct graph *g = parse("graph g { in x: f32[4] y = Relu(x) out y }"), *out = NULL;
    struct err err = { 0 };

    (void)state;
    assert_int_equal(passes_run(g, "fuse_everything", &ctx, &out, &err), ST_NOT_FOUND);
    assert_non_null(strstr(err.text, "fuse_everything"));
    graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folds_arithmetic_of_constants),
        cmocka_unit_test(folds_the_shape_of_known_types),
        cmocka_unit_test(merges_equal_nodes_only),
        cmocka_unit_test(drops_casts_to_the_same_type),
        cmocka_unit_test(matmul_by_a_constant_is_linear),
        cmocka_unit_test(embedding_of_a_transposed_head_gathers_its_columns),
        cmocka_unit_test(gemm_with_alpha_is_left_alone),
        cmocka_unit_test(weights_without_elements_are_left_alone),
        cmocka_unit_test(linear_takes_its_bias),
        cmocka_unit_test(dequantised_weights_keep_their_values),
        cmocka_unit_test(scales_that_go_further_are_given_to_each_block),
        cmocka_unit_test(recognises_swiglu),
        cmocka_unit_test(gate_and_up_of_one_split_stay_packed),
        cmocka_unit_test(recognises_rms_norm),
        cmocka_unit_test(lowers_a_decoder),
        cmocka_unit_test(quantised_caches_are_lowered),
        cmocka_unit_test(refuses_scales_that_are_computed),
        cmocka_unit_test(longrope_becomes_two_tables),
        cmocka_unit_test(refuses_what_mixes_tokens),
        cmocka_unit_test(refuses_bias_of_attention),
        cmocka_unit_test(finds_the_length_switch),
        cmocka_unit_test(finds_the_switch_on_positions),
        cmocka_unit_test(unknown_pass_is_named),
    };

    return cmocka_run_group_tests(tests, lower_setup, lower_teardown);
}
