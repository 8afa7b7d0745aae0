/* SPDX-License-Identifier: MIT */
/* lower_decoder on what other exporters write: masks by computation, positions and their tables,
 * half floats, experts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/passes/mask_probe.h"
#include "helper_graph.h"
#include "helper_lower.h"

/* A decoder of one layer: embedding, q, k, v, ai.onnx Attention, head. The mask is `m`. */
#define HEAD(F)                                                                                    \
    "graph g { opset 24, com.microsoft 1, cupola 1\n"                                              \
    "in input_ids: i64[B,S] in attention_mask: i64[B,T] in position_ids: i64[B,S]\n"               \
    "in past_key_values.0.key: " F "[B,1,P,4] in past_key_values.0.value: " F "[B,1,P,4]\n"        \
    "const emb: " F "[10,8] = fill(0.5) const wq: " F "[8,8] = fill(0.1)\n"                        \
    "const wk: " F "[8,4] = fill(0.1) const head: " F "[8,10] = fill(1)\n"                         \
    "const one: i64[1] = {1} const ten: i64[] = {10} const ax1: i64[1] = {1}\n"                    \
    "const ax2: i64[1] = {2} const i0: i64[] = {0} const top: i64[1] = {9}\n"                      \
    "x = Gather(emb, input_ids) q = MatMul(x, wq) k = MatMul(x, wk) v = MatMul(x, wk)\n"
/* keys [1, 1, 1, T] and queries [1, 1, S, 1] counted from 0, from attention_mask alone */
#define COUNTS                                                                                     \
    "c = CumSum(attention_mask, ax1) s = Shape(input_ids) {start: 1} t = Shape(attention_mask) "   \
    "{start: 1}\n"                                                                                 \
    "d = Sub(t, s) e = Slice(c, d, t, ax1) key = Unsqueeze(c, ax1) query = Unsqueeze(e, ax2)\n"
#define ATTEND(Q, K, ATTRS)                                                                        \
    "a, present.0.key, present.0.value = Attention(" Q ", " K                                      \
    ", v, m, past_key_values.0.key, past_key_values.0.value) "                                     \
    "{q_num_heads: 2, kv_num_heads: 1" ATTRS "}\n"
#define TAIL "y = Add(a, x) logits = MatMul(y, head) out logits, present.0.key, present.0.value }"

static void finds_a_causal_mask(void **state)
{
    struct lower_info info;
    status st;
    char *got =
        lowered(HEAD("f32") COUNTS
                "g = GreaterOrEqual(query, key) m = Unsqueeze(g, ax1)\n" ATTEND("q", "k", "") TAIL,
                &info, &st);

    (void)state;
    assert_non_null(strstr(got, "SeqAttention"));
    assert_non_null(strstr(got, "window: -1"));
    assert_int_equal(info.kv[0].window, 0);
    assert_int_equal(st, ST_OK);
    assert_int_equal(info.n_layers, 1);
    mem_free(got);
}

static void finds_the_window_of_a_mask(void **state)
{
    struct lower_info info;
    status st;
    char *got = lowered(HEAD("f32") COUNTS
                        "g = GreaterOrEqual(query, key) w = Sub(query, key) l = Less(w, ten)\n"
                        "h = And(g, l) m = Unsqueeze(h, ax1)\n" ATTEND("q", "k", "") TAIL,
                        &info, &st);

    (void)state;
    assert_non_null(strstr(got, "window: 10"));
    assert_int_equal(info.kv[0].window, 10);
    assert_int_equal(st, ST_OK);
    mem_free(got);
}

static void refuses_a_mask_that_weighs(void **state)
{
    struct lower_info info;
    status st;
    char *got = lowered(HEAD("f32") COUNTS
                        "w = Sub(key, query) f = Cast(w) {to: 1}\n"
                        "m = Unsqueeze(f, ax1)\n" ATTEND("q", "k", ", is_causal: 1") TAIL,
                        &info, &st);

    (void)state;
    assert_int_equal(st, ST_UNSUPPORTED);
    assert_non_null(strstr(got, "adds to the scores"));
    mem_free(got);
}

static void refuses_attention_that_sees_the_future(void **state)
{
    struct lower_info info;
    status st;
    char *got = lowered(HEAD("f32") "b = Cast(attention_mask) {to: 9} u = Unsqueeze(b, ax1)\n"
                                    "m = Unsqueeze(u, ax1)\n" ATTEND("q", "k", "") TAIL,
                        &info, &st);

    (void)state;
    assert_int_equal(st, ST_UNSUPPORTED);
    assert_non_null(strstr(got, "not causal"));
    mem_free(got);
}

#define OPEN_MASK "b = Cast(attention_mask) {to: 9} u = Unsqueeze(b, ax1) m = Unsqueeze(u, ax1)\n"

static void offset_tables_become_two(void **state)
{
    struct lower_info info;
    status st;
    char *got = lowered(
        HEAD("f32") OPEN_MASK
        "const cos: f32[24,2] = fill(1) const sin: f32[24,2] = fill(0) const lim: i64[] = {7}\n"
        "const off: i64[] = {8}\n"
        "lp = ReduceMax(position_ids) {keepdims: 0} lg = Greater(lp, lim) li = Cast(lg) {to: 7}\n"
        "lo = Mul(li, off) pos = Add(position_ids, lo)\n"
        "rq = com.microsoft.RotaryEmbedding(q, pos, cos, sin)\n"
        "cr = Gather(cos, pos) sr = Gather(sin, pos)\n"
        "rk = RotaryEmbedding(k, cr, sr) {num_heads: 1}\n" ATTEND("rq", "rk", ", is_causal: 1")
            TAIL,
        &info, &st);

    (void)state;
    assert_int_equal(st, ST_OK);
    assert_int_equal(info.long_threshold, 8);
    assert_non_null(strstr(got, "SeqRotary"));
    assert_non_null(strstr(got, "f32[8,2]"));
    assert_non_null(strstr(got, "f32[16,2]"));
    assert_non_null(strstr(got, "long_threshold: 8"));
    mem_free(got);
}

static void halves_are_widened(void **state)
{
    struct lower_info info;
    status st;
    char *got = lowered(HEAD("f16") OPEN_MASK ATTEND("q", "k", ", is_causal: 1") TAIL, &info, &st);

    (void)state;
    assert_int_equal(st, ST_OK);
    assert_int_equal(info.kv_dtype, DT_F16);
    const char *embedding = strstr(got, "f16[tokens");
    assert_non_null(embedding); /* as it leaves its table; nothing else is computed in halves */
    assert_null(strstr(embedding + 1, "f16[tokens"));
    assert_non_null(strstr(got, "wq: f16[8,8]")); /* weights stay */
    mem_free(got);
}

static void experts_take_flat_routers(void **state)
{
    struct lower_info info;
    status st;
    char *got =
        lowered(HEAD("f32") OPEN_MASK ATTEND(
                    "q", "k", ", is_causal: 1") "const wr: f32[8,3] = fill(1) const f1: f32[3,4,8] "
                                                "= fill(1) const f2: f32[3,8,4] = "
                                                "fill(1) const rs: i64[2] = {-1, 3}\n"
                                                "r = MatMul(a, wr) rf = Reshape(r, rs) e = "
                                                "com.microsoft.MoE(a, rf, f1, _, f2) {k: 2}\n"
                                                "y = Add(e, x) logits = MatMul(y, head) out "
                                                "logits, present.0.key, present.0.value }",
                &info, &st);

    (void)state;
    assert_int_equal(st, ST_OK);
    assert_non_null(strstr(got, "MoE"));
    mem_free(got);
}

static void shapes_of_rows_are_filled(void **state)
{
    struct lower_info info;
    status st;
    char *got = lowered(
        HEAD("f32") OPEN_MASK ATTEND(
            "q", "k",
            ", is_causal: 1") "const k2: i64[1] = {2} sh = Shape(x) none = ConstantOfShape(sh)\n"
                              "best, at = TopK(a, k2) sa = Shape(at) const seven: f32[] = {7} full "
                              "= Expand(seven, sa)\n"
                              "sc = ScatterElements(none, at, full) {axis: -1} y = Add(sc, x)\n"
                              "logits = MatMul(y, head) out logits, present.0.key, present.0.value "
                              "}",
        &info, &st);

    (void)state;
    assert_int_equal(st, ST_OK);
    const char *first = strstr(got, "FillLike");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "FillLike"));
    mem_free(got);
}

/* A gated convolution in front of attention, as exporters write it: turned, and turned back. The
 * state's names say nothing. */
#define CONV_IO                                                                                    \
    "in held: f32[B,8,2] const wi: f32[8,24] = fill(0.1) const taps: f32[8,1,3] = fill(0.2)\n"     \
    "const half: f32[1,8,1] = fill(0.5)\n"
#define CONV(X, PERM, AXIS)                                                                        \
    "p = MatMul(" X ", wi) pt = Transpose(p) {perm: " PERM "}\n"                                   \
    "b, c, u = Split(pt) {axis: " AXIS ", num_outputs: 3} bu = Mul(b, u) bh = Mul(bu, half)\n"     \
    "cv, kept = com.microsoft.CausalConvWithState(bh, taps, _, held)\n"                            \
    "cc = Mul(c, cv) o = Transpose(cc) {perm: [0, 2, 1]}\n"
#define MIX                                                                                        \
    "ax, present.0.key, present.0.value = Attention(q, k, v, _, past_key_values.0.key, "           \
    "past_key_values.0.value) {q_num_heads: 2, kv_num_heads: 1, is_causal: 1}\n"

static void states_are_found_by_their_readers(void **state)
{
    struct lower_info info;
    status st;
    char *got = lowered(HEAD("f32") CONV_IO CONV("x", "[0, 2, 1]", "1") MIX
                        "y = Add(ax, o) logits = MatMul(y, head)\n"
                        "out logits, present.0.key, present.0.value, kept }",
                        &info, &st);

    (void)state;
    if (st != ST_OK) print_error("%s\n", got);
    assert_int_equal(st, ST_OK);
    assert_non_null(strstr(got, "SeqCausalConv"));
    assert_null(strstr(got, "Transpose"));
    assert_null(strstr(got, "Identity"));
    assert_int_equal(info.n_states, 1);
    assert_int_equal(info.state_floats, 16); /* two rows of eight channels */
    mem_free(got);
}

/* Behind the last attention, too, every token goes through: the next step needs its state. */
static void rows_are_cut_behind_the_last_state(void **state)
{
    struct lower_info info;
    status st;
    char *got =
        lowered(HEAD("f32") CONV_IO MIX "z = Add(ax, x)\n" CONV(
                    "z", "[0, 2, 1]", "1") "logits = MatMul(o, head)\n"
                                           "out logits, present.0.key, present.0.value, kept }",
                &info, &st);

    (void)state;
    if (st != ST_OK) print_error("%s\n", got);
    assert_int_equal(st, ST_OK);
    const char *conv = strstr(got, "SeqCausalConv"), *cut = strstr(got, "SelectRows");
    assert_non_null(conv);
    assert_non_null(cut);
    assert_true(conv < cut);
    mem_free(got);
}

static void refuses_what_moves_tokens(void **state)
{
    static const char *const texts[] = {
        /* the state is not handed on */
        HEAD("f32") CONV_IO CONV("x", "[0, 2, 1]", "1") MIX
        "y = Add(ax, o) logits = MatMul(y, head) out logits, present.0.key, present.0.value }",
        /* batch and sequence change places */
        HEAD("f32") MIX "t = Transpose(x) {perm: [1, 0, 2]} u = Transpose(t) {perm: [1, 0, 2]}\n"
                        "y = Add(ax, u) logits = MatMul(y, head)\n"
                        "out logits, present.0.key, present.0.value }",
        /* a norm over the sequence */
        HEAD("f32") MIX "t = Transpose(x) {perm: [0, 2, 1]} n = Softmax(t) {axis: -1}\n"
                        "u = Transpose(n) {perm: [0, 2, 1]}\n"
                        "y = Add(ax, u) logits = MatMul(y, head)\n"
                        "out logits, present.0.key, present.0.value }",
    };
    static const char *const why[] = { "held", "moves tokens", "features before the sequence" };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct lower_info info;
        status st;
        char *got = lowered(texts[i], &info, &st);

        assert_int_equal(st, ST_UNSUPPORTED);
        if (!strstr(got, why[i])) fail_msg("%zu: %s", i, got);
        mem_free(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_a_causal_mask),
        cmocka_unit_test(finds_the_window_of_a_mask),
        cmocka_unit_test(refuses_a_mask_that_weighs),
        cmocka_unit_test(refuses_attention_that_sees_the_future),
        cmocka_unit_test(offset_tables_become_two),
        cmocka_unit_test(halves_are_widened),
        cmocka_unit_test(experts_take_flat_routers),
        cmocka_unit_test(shapes_of_rows_are_filled),
        cmocka_unit_test(states_are_found_by_their_readers),
        cmocka_unit_test(rows_are_cut_behind_the_last_state),
        cmocka_unit_test(refuses_what_moves_tokens),
    };

    return cmocka_run_group_tests(tests, lower_setup, lower_teardown);
}
