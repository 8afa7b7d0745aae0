/* SPDX-License-Identifier: MIT */
/* lower_decoder on dynamic quantisation, whose ranges become numbers of each sequence, and on
 * merged decoders, whose two branches become one graph. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "helper_lower.h"

/* ---- dynamic quantisation ---- */

#define BYTES                                                                                      \
    "graph g { opset 24, com.microsoft 1, cupola 1\n"                                              \
    "in input_ids: i64[B,S]\n"                                                                     \
    "in past_key_values.0.key: f32[B,1,P,4] in past_key_values.0.value: f32[B,1,P,4]\n"            \
    "const emb: f32[10,8] = fill(0.5) const wq: i8[8,8] = fill(1) const wk: i8[8,4] = fill(2)\n"   \
    "const head: i8[8,10] = fill(3) const zw: i8[] = {0} const sw: f32[] = {0.1}\n"                \
    "const sc: f32[10] = fill(0.1) const bk: f32[4] = fill(0.3)\n"                                 \
    "x = Gather(emb, input_ids) xq, xs, xz = DynamicQuantizeLinear(x)\n"
#define PRODUCT(A, W, Y)                                                                           \
    Y "_i = MatMulInteger(" A "q, " W ", " A "z, zw) " Y "_f = Cast(" Y "_i) {to: 1} " Y           \
      "_s = Mul(" A "s, sw) " Y " = Mul(" Y "_f, " Y "_s)\n"
#define ATTEND                                                                                     \
    "a, present.0.key, present.0.value = Attention(q, k, v, _, past_key_values.0.key, "            \
    "past_key_values.0.value) {is_causal: 1, q_num_heads: 2, kv_num_heads: 1}\n"                   \
    "y = Add(a, x)\n"
/* scales of columns: the product of both is one of each column too */
#define LAST                                                                                       \
    "yq, ys, yz = DynamicQuantizeLinear(y) hi = MatMulInteger(yq, head, yz)\n"                     \
    "hf = Cast(hi) {to: 1} hs = Mul(ys, sc) logits = Mul(hf, hs)\n"                                \
    "out logits, present.0.key, present.0.value }"

static void ranges_are_of_each_sequence(void **state)
{
    struct lower_info info;
    status st;
    char *got = lowered(BYTES PRODUCT("x", "wq", "q") PRODUCT("x", "wk", "k")
                            PRODUCT("x", "wk", "v") ATTEND LAST,
                        &info, &st);

    (void)state;
    if (st != ST_OK) fail_msg("%s", got);
    assert_true(info.whole_pieces);
    mem_free(got);
    /* the head runs on chosen rows, but its range is that of all: chosen behind it */
    expect_lowered(
        BYTES PRODUCT("x", "wq", "q") PRODUCT("x", "wk", "k") PRODUCT("x", "wk", "v") ATTEND LAST,
        (const char *const[]){ "xq: u8[tokens,8], xs: f32[tokens,1], xz: u8[tokens,1] = "
                               "cupola.SeqQuantize(x)",
                               "u8[rows,8] = cupola.SelectRows(yq)",
                               "f32[rows,1] = cupola.SelectRows(ys)",
                               "u8[rows,1] = cupola.SelectRows(yz)", "hs: f32[rows,10]", NULL },
        "= DynamicQuantizeLinear");
}

static void fused_forms_are_taken_apart(void **state)
{
    (void)state;
    expect_lowered(BYTES "q = com.microsoft.DynamicQuantizeMatMul(x, wq, sw, zw)\n"
                         "k = com.microsoft.MatMulIntegerToFloat(xq, wk, xs, sw, xz, zw, bk)\n"
                         "v = com.microsoft.MatMulIntegerToFloat(xq, wk, xs, sw, xz)\n" ATTEND LAST,
                   (const char *const[]){
                       "v.0: u8[tokens,8], v.1: f32[tokens,1], v.2: u8[tokens,1] "
                       "= cupola.SeqQuantize(x)",
                       "= MatMulInteger(v.0, wq, v.2, zw)", /* one range of x */
                       "= MatMulInteger(v.0, wk, v.2, zw)", "= MatMulInteger(v.0, wk, v.2, _)",
                       "k: f32[tokens,4] = Add(", NULL },
                   "= com.microsoft");
}

static void what_has_no_rows_is_refused(void **state)
{
    (void)state;
    expect_refusal(BYTES PRODUCT("x", "wq", "q") PRODUCT("x", "wk", "k") PRODUCT("x", "wk", "v")
                       ATTEND
                   "const hs0: i64[4] = {0, 0, 2, 4} yh = Reshape(y, hs0)\n"
                   "yq, ys, yz = DynamicQuantizeLinear(yh) c = Cast(yq) {to: 1} logits = Mul(c, ys)"
                   "out logits, present.0.key, present.0.value }",
                   "(DynamicQuantizeLinear): its input is not rows of tokens");
    expect_refusal(BYTES PRODUCT("x", "wq", "q") PRODUCT("x", "wk", "k") PRODUCT("x", "wk", "v")
                       ATTEND
                   "yq, ys, yz = DynamicQuantizeLinear(y) const w: i8[1,8,10] = fill(1)\n"
                   "hi = MatMulInteger(yq, w, yz) logits = Cast(hi) {to: 1}\n"
                   "out logits, present.0.key, present.0.value }",
                   "its weights are no constant matrix");
    expect_refusal(BYTES PRODUCT("x", "wq", "q") PRODUCT("x", "wk", "k") PRODUCT("x", "wk", "v")
                       ATTEND "yq, ys, yz = DynamicQuantizeLinear(y)\n"
                              "const two: f32[2,1,1] = {1, 2} hs = Mul(ys, two)\n"
                              "logits = Mul(y, hs) out logits, present.0.key, present.0.value }",
                   "more than one dimension");
}

/* ---- merged decoders ---- */

#define OUTER                                                                                      \
    "graph g { opset 18, cupola 1\n"                                                               \
    "in input_ids: i64[B,S] in attention_mask: i64[B,T] in use_cache_branch: bool[1]\n"            \
    "in past_key_values.0.key: f32[B,1,P,8] in past_key_values.0.value: f32[B,1,P,8]\n"            \
    "const emb: f32[10,8] = fill(0.5) const wq: f32[8,8] = fill(0.1)\n"                            \
    "const wk: f32[8,8] = fill(0.2) const wv: f32[8,8] = fill(0.3)\n"                              \
    "const head: f32[8,10] = fill(1) const other: f32[8,10] = fill(2)\n"                           \
    "const h4: i64[4] = {0, 0, 1, 8} const h3: i64[3] = {0, 0, 8} const i0: i64[] = {0}\n"         \
    "const i1: i64[] = {1} const i2: i64[] = {2} const one: i64[1] = {1}\n"                        \
    "const low: f32[] = {-3.4e38}\n"                                                               \
    "logits, present.0.key, present.0.value = If(use_cache_branch) {then_branch: graph t {\n"
#define INNER(WK)                                                                                  \
    "x = Gather(emb, input_ids) q0 = MatMul(x, wq) k0 = MatMul(x, " WK ") v0 = MatMul(x, wv)\n"    \
    "q1 = Reshape(q0, h4) k1 = Reshape(k0, h4) v1 = Reshape(v0, h4)\n"                             \
    "q = Transpose(q1) {perm: [0, 2, 1, 3]} k = Transpose(k1) {perm: [0, 2, 1, 3]}\n"              \
    "v = Transpose(v1) {perm: [0, 2, 1, 3]} xs = Shape(x) xt = Gather(xs, i1)\n"
/* scores, mask, values: the last query is position `T - 1` */
#define REST(T, V, HEAD, SEES)                                                                     \
    "tq = Sub(" T ", xt) key = Range(i0, " T ", i1) query = Range(tq, " T ", i1)\n"                \
    "qu = Unsqueeze(query, one) m = " SEES "(key, qu) s = MatMul(q, kt)\n"                         \
    "sm = Where(m, s, low) p = Softmax(sm) {axis: -1} o = MatMul(p, " V ")\n"                      \
    "ot = Transpose(o) {perm: [0, 2, 1, 3]} a = Reshape(ot, h3) y = Add(a, x)\n"                   \
    "l = MatMul(y, " HEAD ")\n"
#define WITH_PAST                                                                                  \
    INNER("wk")                                                                                    \
    "pk = Concat(past_key_values.0.key, k) {axis: 2}\n"                                            \
    "pv = Concat(past_key_values.0.value, v) {axis: 2} ps = Shape(pk) pt = Gather(ps, i2)\n"       \
    "kt = Transpose(pk) {perm: [0, 1, 3, 2]}\n" REST("pt", "pv", "head",                           \
                                                     "LessOrEqual") "out l, pk, pv }"
/* two Transposes of keys are one here, as exporters make them */
#define WITHOUT(WK, HEAD, SEES)                                                                    \
    ", else_branch: graph e {" INNER(WK) "kt = Transpose(k1) {perm: [0, 2, 3, 1]}\n" REST(         \
        "xt", "v", HEAD, SEES) "out l, k, v }}\n"
#define OUTPUTS "out logits, present.0.key, present.0.value }"

static void branches_that_agree_become_one(void **state)
{
    (void)state;
    expect_lowered(OUTER WITH_PAST WITHOUT("wk", "head", "LessOrEqual") OUTPUTS,
                   (const char *const[]){ "SeqAttention(", "out logits", NULL }, "PastChoice");
}

static void what_branches_do_differently_is_chosen_by_row(void **state)
{
    struct lower_info info;
    status st;
    char *got = lowered(OUTER WITH_PAST WITHOUT("wk", "other", "LessOrEqual") OUTPUTS, &info, &st);

    (void)state;
    if (st != ST_OK) fail_msg("%s", got);
    const char *choice = strstr(got, "logits: f32[rows,10] = cupola.PastChoice(");
    if (!choice) fail_msg("%s", got);
    /* the rest is there once: two heads, of the same rows */
    const char *first = strstr(got, "SeqAttention(");
    assert_non_null(first);
    assert_null(strstr(first + 1, "SeqAttention("));
    assert_int_equal(info.n_layers, 1);
    mem_free(got);
}

static void branches_with_other_caches_are_refused(void **state)
{
    (void)state;
    expect_refusal(OUTER WITH_PAST WITHOUT("wv", "head", "LessOrEqual") OUTPUTS,
                   "output present.0.key: the branches");
}

/* A mask that hides a token from itself: attention of its own, which has no cache. */
static void branches_with_other_masks_are_refused(void **state)
{
    (void)state;
    expect_refusal(OUTER WITH_PAST WITHOUT("wk", "head", "Less") OUTPUTS, "(MatMul)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_of_each_sequence),
        cmocka_unit_test(fused_forms_are_taken_apart),
        cmocka_unit_test(what_has_no_rows_is_refused),
        cmocka_unit_test(branches_that_agree_become_one),
        cmocka_unit_test(what_branches_do_differently_is_chosen_by_row),
        cmocka_unit_test(branches_with_other_caches_are_refused),
        cmocka_unit_test(branches_with_other_masks_are_refused),
    };

    return cmocka_run_group_tests(tests, lower_setup, lower_teardown);
}
