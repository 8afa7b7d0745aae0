/* SPDX-License-Identifier: MIT */
/* What lower_encoder makes of the attention operators of an encoder's graph, and what it refuses.
 * The numbers are test_lower_encoder's: here is what a small graph shows of each rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper_graph.h"
#include "helper_lower.h"

/* Rows x: 2 heads of 4 (x4: [batch, heads, sequence, head]), a mask of what is no padding (bool
 * [batch, 1, 1, sequence]) and the mask as it comes. */
static const char *const frame =
    "graph g { in input_ids: i64[batch,seq] in attention_mask: i64[batch,seq] "
    "const table: f32[20,8] = fill(0.5) const four: i64[4] = {0, 0, 2, 4} "
    "const ax: i64[2] = {1, 2} const zero: i64[] = {0} const none: f32[] = {-100000.0} "
    "x = Gather(table, input_ids) x3 = Reshape(x, four) "
    "x4 = Transpose(x3) {perm: [0, 2, 1, 3]} "
    "mask = Cast(attention_mask) {to: 6} m4 = Unsqueeze(attention_mask, ax) keep = Cast(m4) {to: "
    "9} %s out y }";

static const enum lower_role roles[] = { LOWER_IDS, LOWER_MASK };

/* The lowered form printed, or the reason of refusal. The caller frees. */
static char *lower_rule(const char *nodes, status *st)
{
    const struct lower_encoder_spec spec = { .roles = roles, .length_max = 64 };
    const struct pass_context ctx = { .backend = lower_backend(), .positions_max = 64 };
    struct graph *g, *passed = NULL, *low = NULL;
    struct err err = { 0 };
    char text[4096];

    assert_true(snprintf(text, sizeof text, frame, nodes) < (int)sizeof text);
    g = graph_of(text);
    if (passes_run(g, NULL, &ctx, &passed, &err) != ST_OK) fail_msg("%s\n%s", err.text, text);
    *st = lower_encoder(passed, &spec, &ctx, &low, &err);
    graph_destroy(g);
    graph_destroy(passed);
    return lowered_text(low, &err);
}

static void expect(const char *nodes, const char *found, const char *missing)
{
    status st;
    char *got = lower_rule(nodes, &st);

    if (st != ST_OK) fail_msg("%s\nrefused: %s", nodes, got);
    if (!strstr(got, found)) fail_msg("%s\nno \"%s\" in\n%s", nodes, found, got);
    if (missing && strstr(got, missing)) fail_msg("%s\n\"%s\" in\n%s", nodes, missing, got);
    mem_free(got);
}

static void refuse(const char *nodes, const char *why)
{
    status st;
    char *got = lower_rule(nodes, &st);

    if (st != ST_UNSUPPORTED || !strstr(got, why)) fail_msg("%s\nnot \"%s\": %s", nodes, why, got);
    mem_free(got);
}

#define SELF(args, attrs) "cupola.SelfAttention(" args ") {" attrs "}"
#define HEADS             "num_heads: 2, kv_num_heads: 2, head_dim: 4, "

/* A mask over sequence by sequence of tokens at most two apart. */
#define NEAR                                                                                       \
    "sh = Shape(input_ids) const one: i64[] = {1} const i1: i64[] = {1} n = Gather(sh, one) "      \
    "r = Range(zero, n, i1) const f: i64[1] = {1} const h: i64[1] = {0} ri = Unsqueeze(r, f) "     \
    "rj = Unsqueeze(r, h) d = Sub(ri, rj) a = Abs(d) const two: i64[] = {2} "                      \
    "near = LessOrEqual(a, two) "

static void multi_head_attention(void **state)
{
    (void)state;
    expect("y = com.microsoft.MultiHeadAttention(x, x, x, _, mask) {num_heads: 2}",
           SELF("v.1, v.1, v.1", HEADS "scale: 0.0, left: -1, right: -1"), "attention_mask");
    expect("y = com.microsoft.MultiHeadAttention(x, x, x) {num_heads: 4, scale: 0.25}",
           "{num_heads: 4, kv_num_heads: 4, head_dim: 2, scale: 0.25, left: -1, right: -1}", NULL);
    expect(
        "const b: f32[24] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, "
        "20, 21, 22, 23} y = com.microsoft.MultiHeadAttention(x, x, x, b) {num_heads: 2}",
        "= {16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0}", NULL);
    refuse("y = com.microsoft.MultiHeadAttention(x, x, x) {num_heads: 2, unidirectional: 1}",
           "not the attention of an encoder");
    refuse(NEAR "fd = Cast(a) {to: 1} const u: i64[2] = {0, 1} b = Unsqueeze(fd, u) "
                "y = com.microsoft.MultiHeadAttention(x, x, x, _, _, b) {num_heads: 2}",
           "mask");
}

static void packed_attention(void **state)
{
    (void)state;
    expect("const w: f32[8,24] = fill(0.1) const b: f32[24] = fill(0.1) "
           "const c: i64[1] = {1} s = ReduceSum(attention_mask, c) {keepdims: 0} "
           "s32 = Cast(s) {to: 6} "
           "y = com.microsoft.Attention(x, w, b, s32) {num_heads: 2}",
           "{num_heads: 2, kv_num_heads: 2, head_dim: 4, scale: 0.0, left: -1, right: -1}",
           "attention_mask");
    expect("const w: f32[8,24] = fill(0.1) y = com.microsoft.Attention(x, w) {num_heads: 2}",
           "cupola.Linear(v.1, w, _, _, _) {K: 8, N: 24", NULL);
    refuse("const w: f32[8,24] = fill(0.1) "
           "y = com.microsoft.Attention(x, w) {num_heads: 2, unidirectional: 1}",
           "not the attention of an encoder");
    refuse("const w: f32[8,24] = fill(0.1) "
           "y = com.microsoft.Attention(x, w) {num_heads: 2, qkv_hidden_sizes: [4, 4, 16]}",
           "unlike width");
}

static void onnx_attention(void **state)
{
    (void)state;
    expect("y = Attention(x, x, x, keep) {q_num_heads: 2, kv_num_heads: 2} @23",
           SELF("v.1, v.1, v.1", HEADS "scale: 0.0, left: -1, right: -1"), "attention_mask");
    expect("y4 = Attention(x4, x4, x4, keep) {scale: 0.5} @23 "
           "y3 = Transpose(y4) {perm: [0, 2, 1, 3]} const o: i64[3] = {0, 0, 8} "
           "y = Reshape(y3, o)",
           HEADS "scale: 0.5, left: -1, right: -1}", NULL);
    expect(NEAR "y = Attention(x, x, x, near) {q_num_heads: 2, kv_num_heads: 2} @23",
           SELF("v.1, v.1, v.1", HEADS "scale: 0.0, left: 2, right: 2"), NULL);
    refuse("y = Attention(x, x, x) {q_num_heads: 2, kv_num_heads: 2, is_causal: 1} @23", "causal");
    refuse("y = Attention(x, x, x) {q_num_heads: 2, kv_num_heads: 2, softcap: 5.0} @23", "causal");
    refuse("y, k, v, s = Attention(x, x, x) {q_num_heads: 2, kv_num_heads: 2} @23 out s", "scores");
}

static const char pieces[] = "xt = Transpose(x3) {perm: [0, 2, 3, 1]} s0 = MatMul(x4, xt) "
                             "const half: f32[] = {0.5} s1 = Mul(s0, half) %s "
                             "p = Softmax(s2) {axis: -1} @13 y4 = MatMul(p, x4) "
                             "y3 = Transpose(y4) {perm: [0, 2, 1, 3]} "
                             "const o: i64[3] = {0, 0, 8} y = Reshape(y3, o)";

static void with_mask(char *out, size_t n, const char *mask)
{
    assert_true(snprintf(out, n, pieces, mask) < (int)n);
}

static void attention_in_pieces(void **state)
{
    char nodes[2048];

    (void)state;
    with_mask(nodes, sizeof nodes, "s2 = Where(keep, s1, none)");
    expect(nodes, HEADS "scale: 0.5, left: -1, right: -1}", "Softmax");
    with_mask(nodes, sizeof nodes, "hide = Not(keep) s2 = Where(hide, none, s1)");
    expect(nodes, HEADS "scale: 0.5, left: -1, right: -1}", "Where");
    with_mask(nodes, sizeof nodes, NEAR "s2 = Where(near, s1, none)");
    expect(nodes, HEADS "scale: 0.5, left: 2, right: 2}", "Where");
    with_mask(nodes, sizeof nodes, "s2 = Where(keep, none, s1)"); /* the padding is what it sees */
    refuse(nodes, "mask");
    with_mask(nodes, sizeof nodes, "const low: f32[] = {-5.0} s2 = Where(keep, s1, low)");
    refuse(nodes, "hides no key");
    with_mask(nodes, sizeof nodes, "s3 = Where(keep, s1, none) s2 = Mul(s3, half)");
    refuse(nodes, "not scaled by one number");
}

#define ROTARY_TABLES                                                                              \
    "const cs: f32[64,2] = fill(0.5) const sn: f32[64,2] = fill(0.5) "                             \
    "sh = Shape(input_ids) const one: i64[] = {1} n = Gather(sh, one) r = Range(zero, n, one) "    \
    "const h: i64[1] = {0} "
#define PLACES(row) "p1 = Unsqueeze(" row ", h) pos = Expand(p1, sh) "

static void rotary_by_positions_that_count(void **state)
{
    (void)state;
    expect(ROTARY_TABLES PLACES(
               "r") "y = com.microsoft.RotaryEmbedding(x, pos, cs, sn) {num_heads: 2}",
           "cupola.SeqRotary(v.1, cs, sn) {head_dim: 4, interleaved: 0}", "RotaryEmbedding(");
    expect(ROTARY_TABLES PLACES("r") "y4 = RotaryEmbedding(x4, cs, sn, pos) "
                                     "{interleaved: 1} @23 y3 = Transpose(y4) {perm: [0, 2, 1, 3]} "
                                     "const o: i64[3] = {0, 0, 8} y = Reshape(y3, o)",
           "{head_dim: 4, interleaved: 1}", "RotaryEmbedding(");
    refuse(ROTARY_TABLES "r1 = Add(r, one) " PLACES(
               "r1") "y = com.microsoft.RotaryEmbedding(x, pos, cs, sn) {num_heads: 2}",
           "not rows of tokens turned by their positions");
    refuse(ROTARY_TABLES PLACES(
               "r") "y = com.microsoft.RotaryEmbedding(x, pos, cs, sn) {num_heads: 2, scale: 2.0}",
           "not rows of tokens turned by their positions");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multi_head_attention),
        cmocka_unit_test(packed_attention),
        cmocka_unit_test(onnx_attention),
        cmocka_unit_test(attention_in_pieces),
        cmocka_unit_test(rotary_by_positions_that_count),
    };

    return cmocka_run_group_tests(tests, lower_setup, lower_teardown);
}
