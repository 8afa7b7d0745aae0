/* SPDX-License-Identifier: MIT */
/* Inference of every operator: a text graph a case, with the type its value y must get, or a part
 * of the error. */
#include "helper_graph.h"
#include "engine/ops/op_arity.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

struct good {
    const char *body, *type; /* of the value y */
};
struct bad {
    const char *body, *error;
};

// clang-format off
/* Inputs that bodies share: letters are dimensions. */
static const char header[] = "graph g { in f: f32[a,b,4]  in g2: f32[3,4]  in h: f16[a,4]  in v: f32[4]  in s: f32[]  in i: i64[a,b]  in j: i32[2]  in n: i64[2]\n"
                             "in c: bool[a,1]  in u: f32[*]  in d5: f32[5]  in e: f32[1,2,3,4]\n"
                             "const i0: i64[] = {0}  const i1: i64[1] = {1}  const i2: i64[2] = {0, 2}  const im1: i64[1] = {-1}  const i9: i64[1] = {9}\n";

static const struct good goods[] = {
    /* element by element */
    { "y = Relu(f)", "f32[a,b,4]" }, { "y = Erf(h)", "f16[a,4]" }, { "y = Not(c)", "bool[a,1]" }, { "y = Identity(u)", "f32[*]" }, { "y = Neg(i)", "i64[a,b]" },
    { "y = Clip(f, s, s)", "f32[a,b,4]" }, { "y = Clip(f, _, s)", "f32[a,b,4]" }, { "y = Clip(f) {min: 0.0, max: 6.0} @6", "f32[a,b,4]" },
    { "y = Softmax(f) {axis: 2}", "f32[a,b,4]" }, { "y = Softmax(f) @11", "f32[a,b,4]" }, { "y = CumSum(f, i0)", "f32[a,b,4]" }, { "y = Trilu(g2, i0) {upper: 0}", "f32[3,4]" },
    { "y = Gelu(f) {approximate: \"tanh\"}", "f32[a,b,4]" }, { "y = IsNaN(f)", "bool[a,b,4]" }, { "y = IsInf(h) {detect_negative: 0}", "bool[a,4]" },
    { "y = com.microsoft.FastGelu(f, v)", "f32[a,b,4]" }, { "y = com.microsoft.BiasGelu(f, v)", "f32[a,b,4]" }, { "y = com.microsoft.QuickGelu(f) {alpha: 1.5}", "f32[a,b,4]" },
    /* broadcasting keeps symbols; a known dimension beats an unknown one */
    { "y = Add(f, v)", "f32[a,b,4]" }, { "y = Mul(f, s)", "f32[a,b,4]" }, { "y = Sub(g2, f)", "f32[a,3,4]" }, { "y = Div(u, f)", "f32[*]" }, { "y = Mod(f, f) {fmod: 1}", "f32[a,b,4]" },
    { "y = Pow(f, i0)", "f32[a,b,4]" }, { "y = Equal(i, i1)", "bool[a,b]" }, { "y = Less(f, s)", "bool[a,b,4]" }, { "y = GreaterOrEqual(i, i0)", "bool[a,b]" }, { "y = And(c, c)", "bool[a,1]" },
    { "y = Max(v, s, g2)", "f32[3,4]" }, { "y = Min(v)", "f32[4]" }, { "y = Where(c, v, s)", "f32[a,4]" },
    /* types, shapes */
    { "y = Cast(f) {to: 7}", "i64[a,b,4]" }, { "y = Cast(c) {to: 1}", "f32[a,1]" }, { "y = CastLike(i, h)", "f16[a,b]" }, { "y = Shape(f)", "i64[3]" }, { "y = Shape(f) {start: 1}", "i64[2]" },
    { "y = Shape(f) {start: -1}", "i64[1]" }, { "y = Shape(f) {start: 2, end: 1}", "i64[0]" }, { "y = Shape(f) {end: -9}", "i64[0]" }, { "y = Shape(u)", "i64[?]" }, { "y = Size(f)", "i64[]" },
    { "y = Constant() {value_ints: [1, 2]}", "i64[2]" }, { "y = Constant() {value: f16[1]{1.0}}", "f16[1]" }, { "y = ConstantOfShape(i2)", "f32[0,2]" }, { "y = ConstantOfShape(n) {value: i64[1]{3}}", "i64[?,?]" },
    { "const r: i64[3] = {0, -1, 2}  y = Reshape(f, r)", "f32[a,?,2]" }, { "const r: i64[2] = {0, -1}  y = Reshape(g2, r)", "f32[3,4]" }, { "const r: i64[2] = {-1, 6}  y = Reshape(g2, r)", "f32[2,6]" },
    { "const r: i64[4] = {0, 0, 2, -1}  y = Reshape(f, r)", "f32[a,b,2,2]" }, { "const r: i64[3] = {0, -1, 4}  y = Reshape(f, r)", "f32[a,b,4]" }, { "y = Reshape(f, n)", "f32[?,?]" },
    { "const r: i64[2] = {0, 5}  in z: f32[5,0]  y = Reshape(z, r) {allowzero: 1}", "f32[0,5]" }, { "const r: i64[0] = {}  in z: f32[1,1]  y = Reshape(z, r)", "f32[]" },
    { "y = Flatten(e)", "f32[1,24]" }, { "y = Flatten(e) {axis: -1}", "f32[6,4]" }, { "y = Flatten(e) {axis: 0}", "f32[1,24]" }, { "y = Transpose(f)", "f32[4,b,a]" }, { "y = Transpose(e) {perm: [0, 2, 1, 3]}", "f32[1,3,2,4]" },
    { "y = Squeeze(e)", "f32[2,3,4]" }, { "y = Squeeze(e, i0)", "f32[2,3,4]" }, { "y = Squeeze(e) {axes: [0]} @11", "f32[2,3,4]" }, { "y = Squeeze(f)", "f32[*]" }, { "y = Unsqueeze(v, i2)", "f32[1,4,1]" },
    { "y = Unsqueeze(v) {axes: [-1]} @11", "f32[4,1]" }, { "y = Unsqueeze(v, n)", "f32[?,?,?]" }, { "y = Concat(f, f) {axis: -1}", "f32[a,b,8]" }, { "y = Concat(f, f) {axis: 1}", "f32[a,?,4]" }, 
    { "y, z = Split(f) {axis: 2}", "f32[a,b,2]" }, { "const p: i64[2] = {1, 3}  z, y = Split(f, p) {axis: -1}", "f32[a,b,3]" }, { "z, y = Split(v) {split: [3, 1]} @11", "f32[1]" }, { "z, w, y = Split(d5) {num_outputs: 3} @18", "f32[1]" },
    { "y = Slice(f, i1, i9, im1)", "f32[a,b,3]" }, { "const b9: i64[1] = {9223372036854775807}  const z0: i64[1] = {0}  y = Slice(f, z0, b9, i1)", "f32[a,b,4]" },
    { "const st: i64[1] = {-1}  const en: i64[1] = {-9223372036854775808}  const sp: i64[1] = {-2}  const ax: i64[1] = {0}  y = Slice(d5, st, en, ax, sp)", "f32[3]" }, { "y = Slice(d5) {starts: [1], ends: [-1]} @9", "f32[3]" },
    { "y = Slice(f, n, n)", "f32[?,?,4]" }, { "const x2: i64[2] = {3, 1}  y = Expand(v, x2)", "f32[3,4]" }, { "y = Expand(v, n)", "f32[?,4]" }, { "const t: i64[2] = {2, 3}  y = Tile(g2, t)", "f32[6,12]" },
    { "const ra: i64[] = {2}  const rb: i64[] = {11}  const rc: i64[] = {3}  y = Range(ra, rb, rc)", "i64[3]" }, { "const ra: i64[] = {2}  const rb: i64[] = {-3}  const rc: i64[] = {-2}  y = Range(ra, rb, rc)", "i64[3]" },
    { "const ra: f32[] = {0.0}  const rb: f32[] = {1.0}  const rc: f32[] = {0.3}  y = Range(ra, rb, rc)", "f32[4]" }, { "y = Range(s, s, s)", "f32[?]" },
    { "y = Gather(g2, i)", "f32[a,b,4]" }, { "y = Gather(f, i0) {axis: 1}", "f32[a,4]" }, { "y = Gather(f, j) {axis: -1}", "f32[a,b,2]" },
    /* reductions */
    { "y = ReduceSum(f, i1)", "f32[a,1,4]" }, { "y = ReduceSum(f, im1) {keepdims: 0}", "f32[a,b]" }, { "y = ReduceSum(f)", "f32[1,1,1]" }, { "y = ReduceSum(f) {noop_with_empty_axes: 1}", "f32[a,b,4]" }, { "y = ReduceMean(f) {axes: [-1]} @17", "f32[a,b,1]" },
    { "y = ReduceMax(f, im1) {keepdims: 0} @18", "f32[a,b]" }, { "y = ReduceMean(f, n) {keepdims: 0} @18", "f32[?]" }, { "y = ArgMax(f) {axis: -1, keepdims: 0}", "i64[a,b]" },
    /* products */
    { "in w: f32[4,7]  y = MatMul(f, w)", "f32[a,b,7]" }, { "y = MatMul(v, v)", "f32[]" }, { "in w: f32[4,7]  y = MatMul(v, w)", "f32[7]" }, { "y = MatMul(g2, v)", "f32[3]" }, { "in w: f32[5,1,4,2]  y = MatMul(f, w)", "f32[5,a,b,2]" },
    { "in w: f32[7,4]  in k: f32[7]  y = Gemm(g2, w, k) {transB: 1}", "f32[3,7]" }, { "in w: f32[3,7]  y = Gemm(g2, w) {transA: 1}", "f32[4,7]" },
    { "in q: u8[3,4]  y = DequantizeLinear(q, s)", "f32[3,4]" }, { "in q: i8[3,4]  in z: i8[4]  y = DequantizeLinear(q, v, z)", "f32[3,4]" }, { "in q: u4[3,70]  in z: f16[3,3]  y = DequantizeLinear(q, z) {axis: -1, block_size: 32}", "f16[3,70]" },
    { "in x: f32[b,s,70]  in w: u8[5,3,16]  in z: f32[5,3]  y = com.microsoft.MatMulNBits(x, w, z) {K: 70, N: 5, bits: 4, block_size: 32}", "f32[b,s,5]" },
    { "in x: f32[b,70]  in w: u8[240]  in z: f32[15]  in p: u8[10]  y = com.microsoft.MatMulNBits(x, w, z, p) {K: 70, N: 5, bits: 4, block_size: 32}", "f32[b,5]" },
    { "in x: f16[b,64]  in w: u8[5,2,32]  in z: f16[5,2]  in p: f16[10]  in k: f16[5]  y = com.microsoft.MatMulNBits(x, w, z, p, _, k) {K: 64, N: 5, bits: 8, block_size: 32, accuracy_level: 4}", "f16[b,5]" },
    { "in t: u8[9,32]  in z: f32[9,2]  in p: u8[9,1]  y = com.microsoft.GatherBlockQuantized(t, i, z, p) {block_size: 32, bits: 4}", "f32[a,b,64]" },
    { "in t: i4[9,64]  in z: f16[9,2]  y = com.microsoft.GatherBlockQuantized(t, j, z) {block_size: 32}", "f16[2,64]" },
    /* norms, rotary, attention */
    { "y = SimplifiedLayerNormalization(f, v) {axis: -1, epsilon: 1e-6, stash_type: 1}", "f32[a,b,4]" }, { "in k: f32[a,1,1]  y = SimplifiedLayerNormalization(f, k) {axis: 1}", "f32[a,b,4]" }, { "y = RMSNormalization(f, v) @23", "f32[a,b,4]" }, { "z, y, w = LayerNormalization(f, v, v) @17", "f32[a,b,1]" },
    { "z, _, _, y = com.microsoft.SkipSimplifiedLayerNormalization(f, f, v)", "f32[a,b,4]" }, { "in k: f32[1,b,4]  y = com.microsoft.SkipLayerNormalization(f, k, v, v, v)", "f32[a,b,4]" }, { "in k: f32[b,4]  y = com.microsoft.SkipLayerNormalization(f, k, v)", "f32[a,b,4]" },
    { "in x: f32[b,s,32]  in p: i64[b,s]  in k: f32[100,4]  y = com.microsoft.RotaryEmbedding(x, p, k, k) {num_heads: 4}", "f32[b,s,32]" }, { "in x: f32[b,4,s,8]  in p: i64[1]  in k: f32[100,4]  y = com.microsoft.RotaryEmbedding(x, p, k, k)", "f32[b,4,s,8]" },
    { "in x: f32[b,4,s,8]  in p: i64[b,s]  in k: f32[100,2]  y = RotaryEmbedding(x, k, k, p) {rotary_embedding_dim: 4} @23", "f32[b,4,s,8]" }, { "in x: f32[b,s,32]  in k: f32[b,s,4]  y = RotaryEmbedding(x, k, k) {num_heads: 4} @23", "f32[b,s,32]" },
#define PAST "in pk: f32[B,2,P,8]  in sl: i32[B]  in tl: i32[] "
    { PAST "in q: f32[B,S,64]  y, k, w = com.microsoft.GroupQueryAttention(q, _, _, pk, pk, sl, tl) {num_heads: 4, kv_num_heads: 2}", "f32[B,S,32]" },
    { PAST "in q: f32[B,S,64]  z, y, w = com.microsoft.GroupQueryAttention(q, _, _, pk, pk, sl, tl) {num_heads: 4, kv_num_heads: 2}", "f32[B,2,?,8]" },
    { PAST "in q: f32[B,S,32]  in k: f32[B,S,16]  in cs: f32[50,4]  y, z, w = com.microsoft.GroupQueryAttention(q, k, k, pk, pk, sl, tl, cs, cs) {num_heads: 4, kv_num_heads: 2, do_rotary: 1}", "f32[B,S,32]" },
    { "in q: f32[1,5,64]  in pk: f32[1,2,3,8]  const sl: i32[1] = {7}  const tl: i32[] = {8}  z, y, w = com.microsoft.GroupQueryAttention(q, _, _, pk, pk, sl, tl) {num_heads: 4, kv_num_heads: 2}", "f32[1,2,8,8]" },
    { "in q: f32[1,1,64]  in pk: f32[1,2,64,8]  const sl: i32[1] = {7}  const tl: i32[] = {8}  z, y, w = com.microsoft.GroupQueryAttention(q, _, _, pk, pk, sl, tl) {num_heads: 4, kv_num_heads: 2}", "f32[1,2,64,8]" },
    { "in q: f32[B,S,64]  in pk: u8[B,2,P,4]  in sl: i32[B]  in tl: i32[1]  in ks: f32[1]  z, y, w = com.microsoft.GroupQueryAttention(q, _, _, pk, pk, sl, tl, _, _, _, _, _, ks, ks) {num_heads: 4, kv_num_heads: 2, k_quant_type: \"PER_TENSOR\", v_quant_type: \"PER_TENSOR\", kv_cache_bit_width: 4}", "u8[B,2,?,4]" },
    { "in k: bool[]  y = If(k) {then_branch: graph t { p = Relu(f) out p }, else_branch: graph e { p = Softplus(f) out p }}", "f32[a,b,4]" },
    { "in k: bool[]  y = If(k) {then_branch: graph t { out v }, else_branch: graph e { out d5 }}", "f32[?]" },
    /* the lowered form */
    { "in x: f32[tokens,8]  in w: f32[8,3]  y = cupola.Linear(x, w) {K: 8, N: 3}", "f32[tokens,3]" }, { "in x: f32[rows,8]  in w: f16[3,8]  in k: f32[3]  y = cupola.Linear(x, w, _, _, k) {K: 8, N: 3, trans_b: 1}", "f32[rows,3]" },
    { "in x: f32[tokens,64]  in w: u8[5,2,16]  in z: f32[5,2]  y = cupola.Linear(x, w, z) {K: 64, N: 5, bits: 4, block_size: 32}", "f32[tokens,5]" },
    { "in x: f32[tokens,8]  y = cupola.GatedAct(x, x) {act: \"gelu_tanh\"}", "f32[tokens,8]" }, { "in x: f32[tokens,8]  y = cupola.GatedAct(x)", "f32[tokens,4]" }, { "in x: f32[tokens,8]  y = cupola.HeadNorm(x, v) {head_dim: 4}", "f32[tokens,8]" },
    { "in x: f32[tokens,96]  y = cupola.SelfAttention(x) {num_heads: 4, kv_num_heads: 4, head_dim: 8}", "f32[tokens,32]" }, { "in x: i32[tokens]  in k: f32[99,2]  y = cupola.PositionRows(x, k)", "f32[tokens,2]" },
    { "in x: f32[tokens,4,8]  y = cupola.SelfAttention(x, x, x) {num_heads: 4, kv_num_heads: 4, head_dim: 8, left: 3}", "f32[tokens,4,8]" }, { "in x: i64[tokens]  y = cupola.SeqCumSum(x)", "i64[tokens]" },
    { "in w: f16[8,300]  in x: i64[tokens]  y = cupola.GatherColumns(w, x)", "f16[tokens,8]" }, { "in w: f32[8,300]  y = cupola.GatherColumns(w, j)", "f32[2,8]" },
    { "in x: f32[rows,8]  y = cupola.PastChoice(x, x)", "f32[rows,8]" }, { "in x: f32[rows,8]  in k: f32[rows,?]  y = cupola.PastChoice(k, x)", "f32[rows,8]" },
    { "in x: f32[tokens,8]  y, p, q = cupola.SeqQuantize(x)", "u8[tokens,8]" }, { "in x: f32[tokens,8]  p, y, q = cupola.SeqQuantize(x)", "f32[tokens,1]" },
    { "in x: f32[tokens,8]  y = cupola.SelectRows(x)", "f32[rows,8]" }, { "in x: f32[tokens,64]  in k: f32[99,2]  y = cupola.SeqAttention(x, _, _, k, k) {num_heads: 4, kv_num_heads: 2, head_dim: 8, do_rotary: 1}", "f32[tokens,32]" },
    { "in x: f32[tokens,8]  y = cupola.SelectRows(x)", "f32[rows,8]" }, { "in x: f32[tokens,2,4]  y = cupola.SelectRows(x)", "f32[rows,2,4]" },
    { "in x: f32[tokens,8]  in w: f32[8,1,3]  y = cupola.SeqCausalConv(x, w) {state_offset: 64}", "f32[tokens,8]" },
    { "in lq: f32[tokens,8]  in lv: f32[tokens,12]  in ld: f32[tokens,4]  y = cupola.SeqLinearAttention(lq, lq, lv, _, ld, ld) {q_num_heads: 2, kv_num_heads: 4}", "f32[tokens,12]" }, { "in x: f32[tokens,64]  in k: f32[99,2]  y = cupola.SeqAttention(x, _, _, k, k) {num_heads: 4, kv_num_heads: 2, head_dim: 8, do_rotary: 1}", "f32[tokens,32]" },
};

static const struct bad bads[] = {
    { "y = Relu(c)", "expected a number" }, { "y = Sqrt(i)", "expected f32, f16, bf16 or f64" }, { "y = Not(f)", "expected bool" }, { "y = Clip(f, v)", "expected a scalar" }, { "y = Clip(f, s) @6", "need opset 11" }, { "y = Clip(f, h)", "expected one type" },
    { "y = Softmax(f) {axis: 3}", "axis is 3, expected -3 to 2" }, { "y = Softmax(s)", "axis is -1" }, { "const k: i64[] = {5}  y = CumSum(f, k)", "the axis is 5" }, { "y = CumSum(f, s)", "expected i32 or i64" }, { "y = Trilu(v)", "1 dimensions" },
    { "y = Gelu(f) {approximate: \"erf\"}", "approximate is 'erf'" }, { "y = com.microsoft.BiasGelu(f, d5)", "dimension 0 is 5, expected 4" }, { "y = com.microsoft.BiasGelu(f, s)", "0 dimensions" },
    { "y = Add(f, h)", "expected one type" }, { "y = Add(f, d5)", "do not broadcast" }, { "y = Mod(f, f)", "fmod is 0 with floats" }, { "y = Pow(f, h) @7", "expected one type" }, { "y = Less(c, c)", "expected a number" }, { "y = And(f, f)", "expected bool" }, { "y = Where(f, v, v)", "expected bool" },
    { "y = Where(c, v, d5)", "do not broadcast" }, { "y = Max(v, d5)", "do not broadcast" }, { "y = Cast(f) {to: 8}", "a cast from f32 to string" }, { "y = Cast(f) {to: 77}", "an unknown type" }, { "y = Cast(f)", "to none" },
    { "y = ConstantOfShape(im1)", "dimension 0 would be -1" }, { "y = ConstantOfShape(f)", "expected i64" }, { "y = ConstantOfShape(i2) {value: f32[2]{1.0, 2.0}}", "not one number" }, { "const k: i64[2] = {4611686018427387904, 8}  y = ConstantOfShape(k)", "would be" },
    { "const r: i64[2] = {-1, -1}  y = Reshape(g2, r)", "two -1" }, { "const r: i64[2] = {5, -1}  y = Reshape(g2, r)", "cannot become" }, { "const r: i64[1] = {11}  y = Reshape(g2, r)", "cannot become" }, { "const r: i64[1] = {-2}  y = Reshape(g2, r)", "holds -2" },
    { "const r: i64[3] = {12, 1, 0}  y = Reshape(g2, r)", "dimension 2 is to be copied" }, { "const r: i64[9] = fill(1)  y = Reshape(g2, r)", "at most 8" }, { "y = Reshape(g2, j)", "expected i64" }, { "y = Reshape(g2)", "input 1 is required" },
    { "y = Flatten(e) {axis: 5}", "axis 5" }, { "y = Transpose(e) {perm: [0, 1]}", "perm has 2" }, { "y = Transpose(g2) {perm: [0, 0]}", "no permutation" }, { "y = Transpose(g2) {perm: [0, 7]}", "no permutation" },
    { "y = Squeeze(e, i1)", "dimension 1 is 2, expected 1" }, { "y = Squeeze(e, i9)", "an axis is 9" }, { "y = Squeeze(e, i0) @11", "need opset 13" }, { "y = Unsqueeze(v)", "axes are required" }, { "const k: i64[2] = {1, 1}  y = Unsqueeze(v, k)", "given twice" }, { "const k: i64[8] = fill(0)  y = Unsqueeze(v, k)", "9 dimensions" },
    { "y = Concat(f, g2) {axis: 0}", "2 dimensions, expected 3" }, { "in k: f32[3,5]  y = Concat(g2, k) {axis: 0}", "dimension 1 is 5, expected 4" }, { "y = Concat(f, h) {axis: 0}", "expected one type" }, { "y = Concat(g2, _) {axis: 0}", "input 1 is missing" },
    { "y, z, w = Split(g2) {axis: 1} @13", "4 elements into 3" }, { "const p: i64[2] = {1, 2}  y, z = Split(v, p)", "the parts have 3 elements" }, { "const p: i64[2] = {5, -1}  y, z = Split(v, p)", "would have -1" }, { "const p: i64[3] = {1, 1, 2}  y, z = Split(v, p)", "3 sizes for 2 outputs" },
    { "y, z = Split(v) {num_outputs: 3} @18", "num_outputs is 3" }, { "in k: f32[5]  y, z, w, q = Split(k) {num_outputs: 4} @18", "5 elements into 4" }, { "y = Split(s)", "axis is 0" },
    { "const sp: i64[1] = {0}  const ax: i64[1] = {0}  y = Slice(d5, i1, i9, ax, sp)", "a step is 0" }, { "y = Slice(d5, i1, i9, i9)", "an axis is 9" }, { "y = Slice(g2, i2, i2, i1)", "differ in length" }, { "y = Slice(d5, i1, j)", "expected one type" }, { "y = Slice(d5, i1)", "starts and ends are inputs" }, { "y = Slice(d5, i1, i9) @9", "attributes before opset 10" },
    { "const k: i64[2] = {0, 0}  y = Slice(g2, i2, i2, k)", "cut twice" }, { "const k: i64[1] = {3}  y = Expand(v, k)", "do not broadcast" }, { "y = Expand(v, im1)", "would be -1" }, { "y = Tile(g2, i1)", "1 repeats for 2 dimensions" }, { "const k: i64[2] = {4611686018427387904, 4611686018427387904}  y = Tile(g2, k)", "a dimension of" },
    { "y = Range(i0, i0, i0)", "the step is 0" }, { "y = Range(i0, s, s)", "expected one type" }, { "y = Range(v, s, s)", "expected a scalar" }, { "const z: f32[] = {nan}  y = Range(z, z, z)", "not finite" }, { "const z: i64[] = {9223372036854775807} const w: i64[] = {-9223372036854775808} const k: i64[] = {1}  y = Range(w, z, k)", "elements" },
    { "y = Gather(g2, s)", "expected i32 or i64" }, { "y = Gather(g2, i) {axis: 2}", "axis is 2" }, { "y = Gather(s, i)", "0 dimensions" }, { "y = ReduceSum(f, i9)", "an axis is 9" }, { "y = ReduceSum(f) {axes: [0]}", "attribute 'axes'" }, { "y = ReduceMean(f, i1) @17", "need opset 18" }, { "y = ReduceSum(c)", "expected a number" },
    { "y = ArgMax(f) {axis: 5}", "axis is 5" }, { "in k: f32[0,3]  y = ArgMax(k)", "the axis is empty" }, { "y = MatMul(f, g2)", "times" }, { "y = MatMul(s, v)", "0 dimensions" }, { "y = MatMul(f, h)", "expected one type" }, { "y = Gemm(g2, g2)", "dimension 0 is 3, expected 4" }, { "y = Gemm(g2, v)", "1 dimensions, expected 2" },
    { "y = Gemm(g2, g2, d5) {transB: 1}", "does not broadcast" }, { "y = Gemm(g2, g2) {transB: 1} @7", "before opset 11" }, { "y = DequantizeLinear(f, s)", "expected a quantised type" }, { "in q: u8[3,4]  y = DequantizeLinear(q, d5)", "dimension 0 is 5, expected 4" }, { "in q: u8[3,4]  in z: i8[]  y = DequantizeLinear(q, s, z)", "expected one type" },
    { "in q: u4[3,70]  in z: f16[3,2]  y = DequantizeLinear(q, z) {axis: 1, block_size: 32}", "dimension 1 is 2, expected 3" }, { "in q: u4[3,70]  in z: f16[3,3]  y = DequantizeLinear(q, z) {axis: 1, block_size: 32} @19", "needs opset 21" },
#define NB "in x: f32[b,70]  in w: u8[5,3,16]  in z: f32[5,3]  "
    { NB "y = com.microsoft.MatMulNBits(x, w, z) {K: 64, N: 5, block_size: 32}", "expected 5 x 32" }, { NB "y = com.microsoft.MatMulNBits(x, w, z) {K: 70, N: 6, block_size: 32}", "dimension 0 is 5, expected 6" }, { NB "y = com.microsoft.MatMulNBits(x, w, z) {K: 70, N: 5, block_size: 24}", "block_size is 24" },
    { NB "y = com.microsoft.MatMulNBits(x, w, z) {K: 70, N: 5, bits: 3, block_size: 32}", "bits is 3" }, { NB "y = com.microsoft.MatMulNBits(x, w, z) {K: 0, N: 5, block_size: 32}", "K is 0" }, { NB "y = com.microsoft.MatMulNBits(x, w, z)", "N is 0" }, { NB "y = com.microsoft.MatMulNBits(x, w, z) {K: 2147483647, N: 2147483647, bits: 8, block_size: 16}", "expected" },
    { NB "in p: u8[9]  y = com.microsoft.MatMulNBits(x, w, z, p) {K: 70, N: 5, block_size: 32}", "zero_points" }, { NB "in p: i8[10]  y = com.microsoft.MatMulNBits(x, w, z, p) {K: 70, N: 5, block_size: 32}", "f32, f16 or bf16" }, { NB "const p: i32[70] = fill(3)  y = com.microsoft.MatMulNBits(x, w, z, _, p) {K: 70, N: 5, block_size: 32}", "holds 3 with 3 blocks" },
    { NB "y = com.microsoft.MatMulNBits(x, w, z, _, _, v) {K: 70, N: 5, block_size: 32}", "dimension 0 is 4, expected 5" }, { NB "y = com.microsoft.MatMulNBits(v, w, z) {K: 70, N: 5, block_size: 32}", "dimension 0 is 4, expected 70" }, { NB "y = com.microsoft.MatMulNBits(x, w, z) {K: 70, N: 5, block_size: 32, weight_prepacked: 1}", "weight_prepacked is 1" },
    { "in t: u8[9,32]  in z: f32[9,3]  y = com.microsoft.GatherBlockQuantized(t, i, z) {block_size: 32, bits: 4}", "dimension 1 is 3, expected 2" }, { "in t: u8[9,32]  in z: f32[9,2]  y = com.microsoft.GatherBlockQuantized(t, i, z) {block_size: 32, bits: 4, gather_axis: 1}", "gather_axis 1" }, { "in t: i8[9,32]  in z: f32[9,2]  y = com.microsoft.GatherBlockQuantized(t, i, z)", "expected u8, u4 or i4" },
    { "in t: u8[9,32]  in z: f32[9,2]  in p: u8[9,2]  y = com.microsoft.GatherBlockQuantized(t, i, z, p) {block_size: 32, bits: 4}", "dimension 1 is 2, expected 1" },
    { "y = SimplifiedLayerNormalization(f, d5)", "f32[5], does not broadcast to f32[" }, { "in k: f32[1,a,b,4]  y = SimplifiedLayerNormalization(f, k)", "does not broadcast" }, { "y = SimplifiedLayerNormalization(f, v) {epsilon: nan}", "epsilon" }, { "y = SimplifiedLayerNormalization(i, v)", "expected f32, f16, bf16 or f64" }, { "y = LayerNormalization(f, v, d5)", "input 2, f32[5], does not broadcast" },
    { "in k: f32[a,b,5]  y = com.microsoft.SkipSimplifiedLayerNormalization(f, k, v)", "dimension 2 is 5, expected 4" }, { "in k: f32[1,1,b,4]  y = com.microsoft.SkipSimplifiedLayerNormalization(f, k, v)", "4 dimensions" },
    { "in x: f32[b,s,32]  in p: i64[b,s]  in k: f32[100,5]  y = com.microsoft.RotaryEmbedding(x, p, k, k) {num_heads: 4}", "tables for 10 dimensions, expected 8" }, { "in x: f32[b,s,33]  in p: i64[b,s]  in k: f32[100,4]  y = com.microsoft.RotaryEmbedding(x, p, k, k) {num_heads: 4}", "33 columns in 4 heads" },
    { "in x: f32[1,2,32]  const p: i64[1,2] = {0, 100}  in k: f32[100,4]  y = com.microsoft.RotaryEmbedding(x, p, k, k) {num_heads: 4}", "position 100" }, { "in x: f32[1,2,32]  const p: i64[1] = {99}  in k: f32[100,4]  y = com.microsoft.RotaryEmbedding(x, p, k, k) {num_heads: 4}", "position 99" },
    { "in x: f32[b,s,32]  in p: i64[b,s]  in k: f32[100,4]  y = com.microsoft.RotaryEmbedding(x, p, k, k) {rotary_embedding_dim: 8}", "num_heads is required" },
#define GQA(q, attrs) PAST "in q: f32[" q "]  y, k, w = com.microsoft.GroupQueryAttention(q, _, _, pk, pk, sl, tl) {" attrs "}"
    { GQA("B,S,64", "num_heads: 4, kv_num_heads: 3"), "num_heads 4, kv_num_heads 3" }, { GQA("B,S,64", "num_heads: 0, kv_num_heads: 0"), "num_heads 0" }, { GQA("B,S,65", "num_heads: 4, kv_num_heads: 2"), "65 columns for 8 heads" }, { GQA("B,S,72", "num_heads: 4, kv_num_heads: 2"), "dimension 3 is 8, expected 9" },
    { GQA("B,S,64", "num_heads: 4, kv_num_heads: 2, do_rotary: 1"), "do_rotary without cos_cache" }, { GQA("B,S,64", "num_heads: 4, kv_num_heads: 2, softcap: -1.0"), "softcap -1" }, { GQA("B,S,64", "num_heads: 4, kv_num_heads: 2, scale: inf"), "scale inf" }, { GQA("B,S,64", "num_heads: 4, kv_num_heads: 2, k_quant_type: \"PER_TENSOR\""), "with v_quant_type 'NONE'" },
#define GQA1(sl, tl, past, extra) "in q: f32[1,5,64]  in pk: f32[1,2," past ",8]  const sl: i32[1] = {" sl "}  const tl: i32[] = {" tl "}  in cs: f32[10,4]  y, k, w = com.microsoft.GroupQueryAttention(q, _, _, pk, pk, sl, tl" extra ") {num_heads: 4, kv_num_heads: 2, do_rotary: 1}"
    { GQA1("7", "9", "3", ", cs, cs"), "total_sequence_length 9 with a past of 3 and 5" }, { GQA1("8", "8", "3", ", cs, cs"), "seqlens_k[0] is 8" }, { GQA1("-1", "8", "3", ", cs, cs"), "seqlens_k[0] is -1" }, { GQA1("2", "8", "3", ", cs, cs"), "seqlens_k[0] is 2" }, { GQA1("3", "4", "3", ", cs, cs"), "total_sequence_length 4" }, { GQA1("11", "12", "7", ", cs, cs"), "the rotary tables have 10 rows" },
    { PAST "in q: f32[B,S,32]  in k: f32[B,S,24]  y, z, w = com.microsoft.GroupQueryAttention(q, k, k, pk, pk, sl, tl) {num_heads: 4, kv_num_heads: 2}", "dimension 2 is 24, expected 16" }, { PAST "in q: f32[B,S,64]  y = com.microsoft.GroupQueryAttention(q, _, _, pk, _, sl, tl) {num_heads: 4, kv_num_heads: 2}", "past_key and past_value go together" },
    { PAST "in q: f32[B,S,64]  y = com.microsoft.GroupQueryAttention(q, _, _, pk, pk, sl) {num_heads: 4, kv_num_heads: 2}", "inputs 5 (seqlens_k) and 6" }, { PAST "in q: f32[B,S,64]  y = com.microsoft.GroupQueryAttention(q, _, _, pk, pk, sl, tl, _, _, _, _, v) {num_heads: 8, kv_num_heads: 2}", "columns for 12 heads" },
    { "in k: bool[2]  y = If(k) {then_branch: graph t { out f }, else_branch: graph e { out f }}", "the condition has 2 elements" }, { "in k: bool[]  y = If(k) {then_branch: graph t { out f }}", "'else_branch' is missing" }, { "in k: bool[]  y = If(k) {then_branch: graph t { out f }, else_branch: graph e { out f, f }}", "else_branch has 0 inputs and 2 outputs" },
    { "in x: f32[tokens,8]  in w: f32[8,4]  y = cupola.Linear(x, w) {K: 8, N: 3}", "dimension 1 is 4, expected 3" }, { "in x: f32[tokens,9]  in w: f32[8,3]  y = cupola.Linear(x, w) {K: 8, N: 3}", "dimension 1 is 9, expected 8" }, { "in x: f32[tokens,8]  in w: f32[8,3]  y = cupola.Linear(x, w, w) {K: 8, N: 3}", "scales with float weights" },
    { "in x: f32[tokens,7]  y = cupola.GatedAct(x)", "do not halve" }, { "in x: f32[tokens,8]  in z: f32[rows,8]  y = cupola.GatedAct(x, z)", "dimension 0 is rows, expected tokens" }, { "in x: f32[tokens,8]  y = cupola.GatedAct(x) {act: \"swish\"}", "act is 'swish'" }, { "in x: f32[tokens,9]  y = cupola.HeadNorm(x, v) {head_dim: 4}", "no multiple" },
    { "in x: f32[tokens,63]  y = cupola.SelfAttention(x) {num_heads: 4, kv_num_heads: 4, head_dim: 8}", "rows of 63 elements, expected 96" }, { "in x: f32[tokens]  y = cupola.SeqCumSum(x)", "SeqCumSum" },
    { "in w: f32[8,300,2]  in x: i64[tokens]  y = cupola.GatherColumns(w, x)", "3 dimensions" }, { "in w: f32[8,300]  in x: f32[tokens]  y = cupola.GatherColumns(w, x)", "expected i32 or i64" }, { "in w: i8[8,300]  y = cupola.GatherColumns(w, j)", "expected f32" }, { "in w: f32[8,3]  const k: i64[1] = {3}  y = cupola.GatherColumns(w, k)", "index 3" },
    { "in x: f32[tokens,32]  y = cupola.SelfAttention(x, x) {num_heads: 4, kv_num_heads: 4, head_dim: 8}", "keys and values go together" }, { "in x: f32[tokens,2,8]  y, p, q = cupola.SeqQuantize(x)", "SeqQuantize" }, { "in x: f32[rows,8]  in k: f32[rows,9]  y = cupola.PastChoice(x, k)", "dimension 1 is 9, expected 8" },
    { "in x: f32[rows,8]  y = cupola.SelectRows(x)", "dimension 0 is rows, expected tokens" }, { "in x: f32[tokens,64]  y = cupola.SeqAttention(x) {num_heads: 4, kv_num_heads: 2, head_dim: 8, do_rotary: 1}", "do_rotary without tables" }, { "in x: f32[tokens,63]  y = cupola.SeqAttention(x) {num_heads: 4, kv_num_heads: 2, head_dim: 8}", "dimension 1 is 63, expected 64" },
    { "in x: f32[rows,8]  y = cupola.SelectRows(x)", "dimension 0 is rows, expected tokens" },
    { "in x: f32[tokens,8]  in w: f32[6,1,3]  y = cupola.SeqCausalConv(x, w)", "expected 8" },
    { "in x: f32[tokens,8]  in w: f32[8,1,3]  y = cupola.SeqCausalConv(x, w) {state_offset: -1}", "state_offset is -1" },
    { "in lq: f32[tokens,8]  in ld: f32[tokens,2]  in ls: f32[1,2,4,4]  y = cupola.SeqLinearAttention(lq, lq, lq, ls, ld, ld) {q_num_heads: 2, kv_num_heads: 2}", "a past state" }, { "in x: f32[tokens,64]  y = cupola.SeqAttention(x) {num_heads: 4, kv_num_heads: 2, head_dim: 8, do_rotary: 1}", "do_rotary without tables" }, { "in x: f32[tokens,63]  y = cupola.SeqAttention(x) {num_heads: 4, kv_num_heads: 2, head_dim: 8}", "dimension 1 is 63, expected 64" },
    { "in x: f32[tokens,64]  in k: f32[99,5]  y = cupola.SeqAttention(x, _, _, k, k) {num_heads: 4, kv_num_heads: 2, head_dim: 8, do_rotary: 1}", "tables for 10 dimensions" },
};
// clang-format on

/* The graph of a body, its one result the output; parsing must succeed but for arity. */
static status run(const char *body, struct graph **g, struct err *err)
{
    struct str text = { 0 };

    str_printf(&text, "%s %s  out y }", header, body);
    status st = graph_parse(text.data, text.len, g, err);
    str_fini(&text);
    return st == ST_OK ? graph_infer(*g, err) : st;
}

static void gives_the_type_of_the_result(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(goods); i++) {
        struct graph *g = NULL;
        struct err err = { 0 };

        if (run(goods[i].body, &g, &err) != ST_OK)
            fail_msg("%s\ngave: %s", goods[i].body, err.text);
        if (strcmp(type_of(g, "y"), goods[i].type) != 0)
            fail_msg("%s\ngave %s, expected %s", goods[i].body, type_of(g, "y"), goods[i].type);
        graph_destroy(g);
    }
}

static void refuses_what_kernels_must_not_see(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bads); i++) {
        struct graph *g = NULL;
        struct err err = { 0 };

        if (run(bads[i].body, &g, &err) == ST_OK)
            fail_msg("accepted: %s\nas %s", bads[i].body, type_of(g, "y"));
        if (!strstr(err.text, bads[i].error))
            fail_msg("%s\ngave: %s\nexpected: %s", bads[i].body, err.text, bads[i].error);
        if (!strstr(err.text, "node '")) fail_msg("no node in: %s", err.text);
        graph_destroy(g);
    }
}

enum { OPSET_LAST = 28 };

/* Every kind has a row, an arity, and appears in a case above by name. */
static void covers_every_operator(void **state)
{
    (void)state;
    for (int k = OP_NONE + 1; k < OP_COUNT; k++) {
        const struct op_row *row = op_row((enum op_kind)k);
        const struct op_arity *a = op_arity((enum op_kind)k);

        assert_int_equal(row->kind, k);
        assert_non_null(row->infer);
        if (a->out_max < 1 || a->out_min < 1 || a->in_max < a->in_min)
            fail_msg("%s has no arity", row->name);
        assert_int_equal(op_find(row->domain, row->name, OPSET_LAST), k);
        assert_int_equal(op_find(row->domain, row->name, row->since - 1), OP_NONE);
    }
    assert_int_equal(op_find("ai.onnx", "Add", 13), OP_ADD);
    assert_int_equal(op_find("ai.onnx", "RMSNormalization", 23), OP_RMSNORM);
    assert_int_equal(op_find("", "RMSNormalization", 22), OP_NONE);
}

/* With no inputs at all, or all of them of no rank, nothing is read past the arrays. */
static void survives_calls_without_inputs(void **state)
{
    (void)state;
    for (int k = OP_NONE + 1; k < OP_COUNT; k++) {
        for (int n = 0; n <= 16; n++) {
            struct tensor *in = mem_calloc((size_t)n, sizeof *in),
                          *out = mem_calloc(4, sizeof *out);
            struct op_call call = { .op = (enum op_kind)k,
                                    .version = 22,
                                    .node = "n",
                                    .n_in = n,
                                    .n_out = 1 + n % 4,
                                    .in = in,
                                    .out = out };
            struct err err = { 0 };

            assert_int_equal(op_attrs_read((enum op_kind)k, NULL, 0, &call.attr, &err), ST_OK);
            for (int i = 0; i < n; i++)
                in[i].type =
                    (struct tensor_type){ .dtype = (enum dtype)(1 + (i * 7 + n) % 26), .ndim = -1 };
            (void)op_row((enum op_kind)k)->infer(&call, &err);
            mem_free(in);
            mem_free(out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_type_of_the_result),
        cmocka_unit_test(refuses_what_kernels_must_not_see),
        cmocka_unit_test(covers_every_operator),
        cmocka_unit_test(survives_calls_without_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
