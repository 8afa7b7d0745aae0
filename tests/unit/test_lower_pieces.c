/* SPDX-License-Identifier: MIT */
/* lower_decoder on attention in primitive operators, caches of fixed capacity, and what follows
 * from positions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "helper_lower.h"

/* Two query heads of width 4 on one KV head. */
#define HEAD                                                                                       \
    "graph g { opset 18, cupola 1\n"                                                               \
    "in input_ids: i64[B,S] in attention_mask: i64[B,T] in position_ids: i64[B,S]\n"               \
    "in past_key_values.0.key: f32[B,1,P,4] in past_key_values.0.value: f32[B,1,P,4]\n"            \
    "const emb: f32[10,8] = fill(0.5) const wq: f32[8,8] = fill(0.1)\n"                            \
    "const wk: f32[8,4] = fill(0.1) const wv: f32[8,4] = fill(0.2) const head: f32[8,10] = "       \
    "fill(1)\n"                                                                                    \
    "const i0: i64[] = {0} const i1: i64[] = {1} const i2: i64[] = {2} const zero: i64[1] = {0}\n" \
    "const one: i64[1] = {1} const two: i64[1] = {2} const four: i64[1] = {4}\n"                   \
    "const last: i64[1] = {-1} const f0: f32[] = {0} const low: f32[] = {-3.4e38}\n"               \
    "x = Gather(emb, input_ids) q0 = MatMul(x, wq) k0 = MatMul(x, wk) v0 = MatMul(x, wv)\n"        \
    "xs = Shape(x) xb = Gather(xs, i0) xt = Gather(xs, i1) ub = Unsqueeze(xb, zero)\n"             \
    "ut = Unsqueeze(xt, zero) hs = Concat(ub, ut, last, four) {axis: 0}\n"                         \
    "q1 = Reshape(q0, hs) q = Transpose(q1) {perm: [0, 2, 1, 3]}\n"                                \
    "k1 = Reshape(k0, hs) k = Transpose(k1) {perm: [0, 2, 1, 3]}\n"                                \
    "v1 = Reshape(v0, hs) v = Transpose(v1) {perm: [0, 2, 1, 3]}\n"
/* cos and sin [1, 1, S, 4] computed from positions */
#define ANGLES                                                                                     \
    "const freq: f32[1,2,1] = {1, 0.1} pu = Unsqueeze(position_ids, one) pf = Cast(pu) {to: 1}\n"  \
    "an = MatMul(freq, pf) at = Transpose(an) {perm: [0, 2, 1]} e = Concat(at, at) {axis: -1}\n"   \
    "co = Cos(e) si = Sin(e) cu = Unsqueeze(co, one) su = Unsqueeze(si, one)\n"
#define ROTATE(X, Y)                                                                               \
    Y "_a = Mul(" X ", cu) " Y "_l = Slice(" X ", zero, two, last) " Y "_h = Slice(" X             \
      ", two, four, last)\n" Y "_n = Neg(" Y "_h) " Y "_r = Concat(" Y "_n, " Y                    \
      "_l) {axis: -1}\n" Y "_b = Mul(" Y "_r, su) " Y " = Add(" Y "_a, " Y "_b)\n"
/* the cache, its repetition for both heads by Expand and Reshape */
#define CACHE(K, V)                                                                                \
    "present.0.key = Concat(past_key_values.0.key, " K ") {axis: -2}\n"                            \
    "present.0.value = Concat(past_key_values.0.value, " V ") {axis: -2}\n"                        \
    "ps = Shape(present.0.key) pt = Gather(ps, i2) pu1 = Unsqueeze(pt, zero)\n"                    \
    "rs = Concat(ub, two, pu1, four) {axis: 0}\n"
#define REPEAT(AXIS, SHAPE)                                                                        \
    "es = Concat(" SHAPE ") {axis: 0} ku = Unsqueeze(present.0.key, " AXIS ") kx = Expand(ku, "    \
    "es)\n"                                                                                        \
    "kr = Reshape(kx, rs) vu = Unsqueeze(present.0.value, " AXIS ") vx = Expand(vu, es)\n"         \
    "vr = Reshape(vx, rs) kt = Transpose(kr) {perm: [0, 1, 3, 2]}\n"
#define GROUPED CACHE("k", "v") REPEAT("two", "ub, one, two, pu1, four")
/* keys up to the query's position, as a bool [1, 1, S, T] */
#define CAUSAL                                                                                     \
    "tq = Sub(pt, xt) key = Range(i0, pt, i1) query = Range(tq, pt, i1)\n"                         \
    "qu = Unsqueeze(query, one) see = LessOrEqual(key, qu) s1 = Unsqueeze(see, zero)\n"            \
    "m = Unsqueeze(s1, zero)\n"
#define TAIL                                                                                       \
    "o = MatMul(p, vr) ot = Transpose(o) {perm: [0, 2, 1, 3]} os = Concat(ub, ut, last) {axis: "   \
    "0}\n"                                                                                         \
    "a = Reshape(ot, os) y = Add(a, x) logits = MatMul(y, head)\n"                                 \
    "out logits, present.0.key, present.0.value }"

static void pieces_become_attention(void **state)
{
    (void)state;
    expect_lowered(HEAD GROUPED CAUSAL "s = MatMul(q, kt) w = Where(m, f0, low) sm = Add(s, w)\n"
                                       "p = Softmax(sm) {axis: -1}\n" TAIL,
                   (const char *const[]){ "SeqAttention(q0, k0, v0)",
                                          "num_heads: 2, kv_num_heads: 1",
                                          "head_dim: 4, scale: 1.0,", "window: -1", NULL },
                   "Reshape");
}

static void scales_and_masks_may_stand_anywhere(void **state)
{
    (void)state;
    expect_lowered(HEAD GROUPED CAUSAL
                   "const h: f32[] = {0.5} const c: f32[] = {4} qh = Mul(q, h) kh = Mul(kt, h)\n"
                   "s = MatMul(qh, kh) sd = Div(s, c) sm = Where(m, sd, low)\n"
                   "pn = Softmax(sm) {axis: -1} nan = IsNaN(pn) p = Where(nan, f0, pn)\n" TAIL,
                   (const char *const[]){ "SeqAttention(q0, k0, v0)", "scale: 0.0625,", NULL },
                   "Mul(");
    expect_lowered(HEAD GROUPED CAUSAL "n = Not(m) s = MatMul(q, kt) sm = Where(n, low, s)\n"
                                       "p = Softmax(sm) {axis: -1}\n" TAIL,
                   (const char *const[]){ "SeqAttention", NULL }, NULL);
}

static void tanh_between_factors_is_a_softcap(void **state)
{
    (void)state;
    expect_lowered(HEAD GROUPED CAUSAL
                   "const c: f32[] = {20} const h: f32[] = {0.5} s = MatMul(q, kt)\n"
                   "sh = Mul(s, h) sd = Div(sh, c) th = Tanh(sd) sc = Mul(th, c)\n"
                   "sm = Where(m, sc, low) p = Softmax(sm) {axis: -1}\n" TAIL,
                   (const char *const[]){ "scale: 0.5,", "softcap: 20", NULL }, "Tanh");
    expect_refusal(HEAD GROUPED CAUSAL "s = MatMul(q, kt) th = Tanh(s) sm = Where(m, th, low)\n"
                                       "p = Softmax(sm) {axis: -1}\n" TAIL,
                   "scores go another way");
}

static void windows_are_found(void **state)
{
    (void)state;
    expect_lowered(HEAD GROUPED CAUSAL
                   "const w: i64[] = {7} qw = Sub(qu, w) g = Greater(key, qw) mm = And(m, g)\n"
                   "s = MatMul(q, kt) sm = Where(mm, s, low) p = Softmax(sm) {axis: -1}\n" TAIL,
                   (const char *const[]){ "window: 7", NULL }, NULL);
}

static void what_is_not_causal_attention_is_refused(void **state)
{
    (void)state;
    expect_refusal(HEAD GROUPED "s = MatMul(q, kt) p = Softmax(s) {axis: -1}\n" TAIL, "not causal");
    expect_refusal(
        HEAD GROUPED CAUSAL
        "kf0 = Cast(key) {to: 1} kf = Unsqueeze(kf0, zero) s = MatMul(q, kt) al = Add(s, kf)\n"
        "sm = Where(m, al, low) p = Softmax(sm) {axis: -1}\n" TAIL,
        "adds to the scores");
    expect_refusal(HEAD GROUPED CAUSAL "const c: f32[] = {4} s = MatMul(q, kt) w = Where(m, f0, "
                                       "low) sw = Add(s, w) sm = Mul(sw, c)\n"
                                       "p = Softmax(sm) {axis: -1}\n" TAIL,
                   "scores go another way");
    /* heads of the second repetition behind those of the first: another order of KV heads */
    expect_refusal(HEAD CACHE("k", "v") REPEAT("one", "ub, two, one, pu1, four") CAUSAL
                   "s = MatMul(q, kt) sm = Where(m, s, low) p = Softmax(sm) {axis: -1}\n" TAIL,
                   "another way than attention's");
}

static void rotations_in_pieces_become_rotary(void **state)
{
    (void)state;
    expect_lowered(
        HEAD ANGLES ROTATE("q", "qr") ROTATE("k", "kr0") CACHE("kr0", "v")
            REPEAT("two", "ub, one, two, pu1, four") CAUSAL
        "s = MatMul(qr, kt) sm = Where(m, s, low) p = Softmax(sm) {axis: -1}\n" TAIL,
        (const char *const[]){ "f32[64,2]", "SeqRotary(q0", "SeqRotary(k0", "{head_dim: 4}", NULL },
        "Slice");
}

static void other_uses_of_positions_read_a_table(void **state)
{
    struct lower_info info;
    status st;
    /* a learned embedding of 24 positions, and a product that turns nothing */
    char *got =
        lowered(HEAD ANGLES "const wpe: f32[24,8] = fill(0.25) pe = Gather(wpe, position_ids)\n"
                            "qc = Mul(q, cu) xp = Add(x, pe)\n" GROUPED CAUSAL
                            "s = MatMul(qc, kt) sm = Where(m, s, low) p = Softmax(sm) {axis: -1}\n"
                            "o = MatMul(p, vr) ot = Transpose(o) {perm: [0, 2, 1, 3]}\n"
                            "os = Concat(ub, ut, last) {axis: 0} a = Reshape(ot, os)\n"
                            "y = Add(a, xp) logits = MatMul(y, head)\n"
                            "out logits, present.0.key, present.0.value }",
                &info, &st);

    (void)state;
    assert_int_equal(st, ST_UNSUPPORTED); /* a product alone is no rows */
    mem_free(got);
    got = lowered(HEAD "const wpe: f32[24,8] = fill(0.25) pe = Gather(wpe, position_ids)\n"
                       "xp = Add(x, pe)\n" GROUPED CAUSAL
                       "s = MatMul(q, kt) sm = Where(m, s, low) p = Softmax(sm) {axis: -1}\n"
                       "o = MatMul(p, vr) ot = Transpose(o) {perm: [0, 2, 1, 3]}\n"
                       "os = Concat(ub, ut, last) {axis: 0} a = Reshape(ot, os)\n"
                       "y = Add(a, xp) logits = MatMul(y, head)\n"
                       "out logits, present.0.key, present.0.value }",
                  &info, &st);
    if (st != ST_OK) print_error("%s\n", got);
    assert_int_equal(st, ST_OK);
    assert_non_null(strstr(got, "f32[24,8]"));
    assert_non_null(strstr(got, "PositionRows"));
    assert_int_equal(info.positions, 24);
    mem_free(got);
}

#define STATIC                                                                                     \
    "graph g { opset 24, com.microsoft 1, cupola 1\n"                                              \
    "in input_ids: i64[B,S] in kc: f32[B,32,4] in vc: f32[B,32,4] in at: i64[B] in n: i64[B]\n"    \
    "const emb: f32[10,8] = fill(0.5) const wq: f32[8,8] = fill(0.1)\n"                            \
    "const wk: f32[8,4] = fill(0.1) const wv: f32[8,4] = fill(0.2) const head: f32[8,10] = "       \
    "fill(1)\n"                                                                                    \
    "x = Gather(emb, input_ids) q = MatMul(x, wq) k = MatMul(x, wk) v = MatMul(x, wv)\n"

static void caches_of_fixed_capacity_are_paged(void **state)
{
    struct lower_info info;
    status st;
    char *got = lowered(STATIC "k2 = TensorScatter(kc, k, at) {axis: 1}\n"
                               "v2 = TensorScatter(vc, v, at) {axis: 1}\n"
                               "a = Attention(q, k2, v2, _, _, _, n) {is_causal: 1, q_num_heads: "
                               "2, kv_num_heads: 1}\n"
                               "y = Add(a, x) logits = MatMul(y, head) out logits, k2, v2 }",
                        &info, &st);

    (void)state;
    if (st != ST_OK) print_error("%s\n", got);
    assert_int_equal(st, ST_OK);
    assert_non_null(strstr(got, "SeqAttention(q, k, v)"));
    assert_int_equal(info.positions, 32);
    mem_free(got);
    expect_refusal(STATIC "k2 = TensorScatter(kc, k, at) {axis: 1, mode: \"circular\"}\n"
                          "v2 = TensorScatter(vc, v, at) {axis: 1, mode: \"circular\"}\n"
                          "a = Attention(q, k2, v2, _, _, _, n) {is_causal: 1, q_num_heads: 2, "
                          "kv_num_heads: 1}\n"
                          "y = Add(a, x) logits = MatMul(y, head) out logits, k2, v2 }",
                   "not a cache that this step's rows are written into");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_become_attention),
        cmocka_unit_test(scales_and_masks_may_stand_anywhere),
        cmocka_unit_test(tanh_between_factors_is_a_softcap),
        cmocka_unit_test(windows_are_found),
        cmocka_unit_test(what_is_not_causal_attention_is_refused),
        cmocka_unit_test(rotations_in_pieces_become_rotary),
        cmocka_unit_test(other_uses_of_positions_read_a_table),
        cmocka_unit_test(caches_of_fixed_capacity_are_paged),
    };

    return cmocka_run_group_tests(tests, lower_setup, lower_teardown);
}
