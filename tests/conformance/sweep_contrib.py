# SPDX-License-Identifier: MIT
"""Calls of com.microsoft operators for type_sweep.py, as in sweep_recipes.py. Const(...) is an
initializer: what onnxruntime wants packed, or reads when it loads."""
import numpy as np

from sweep_recipes import frac, n, one, p, v


class Const:
    def __init__(self, values, element=None):
        self.values, self.element = values, element


def u(*shape, seed=0):
    """Bytes."""
    return v(*shape, low=0, high=256, seed=seed)


def c(values, element=None):
    return Const(values, element)


def cu(*shape, seed=0):
    """Bytes as an initializer, whatever else its type variable may be."""
    return Const(u(*shape, seed=seed), "uint8")


X = v(2, 3, 8)
TABLES = [c(frac(16, 4)), c(frac(16, 4, seed=1))]
POS = n([0, 1, 2], [3, 4, 5])


def gemm_calls():
    out = []
    for attrs in ({}, {"transA": 1}, {"transB": 1}, {"alpha": 0.5}, {"transA": 1, "transB": 1, "alpha": 2.0}):
        a = v(2, 4, 3) if attrs.get("transA") else v(2, 3, 4)
        b = v(2, 5, 4, seed=1) if attrs.get("transB") else v(2, 4, 5, seed=1)
        out += one(a, b, **attrs)
    out += one(v(2, 3, 4), v(4, 5), alpha=0.25) + one(v(4), v(4, 5)) + one(v(3, 4), v(4))
    # batches moved behind the rows: a [S, B, K] as [B, S, K]
    out += one(v(3, 2, 4), v(2, 4, 5), transBatchA=1) + one(v(2, 3, 4), v(4, 2, 5), transBatchB=1)
    out += one(v(4, 2, 3), v(2, 4, 5), transBatchA=1, transA=1) + one(v(2, 3, 4), v(5, 2, 4), transBatchB=1, transB=1)
    return out


def nbits_calls():
    out = []
    for bits in (2, 4, 8):
        for block in (16, 32, 64, 128, 256):
            k, cols = 272 if block == 256 else 2 * block + 8, 5
            blocks = -(-k // block)
            q, s = cu(cols, blocks, block * bits // 8), c(p(cols, blocks) / 16)
            zero = cu(cols, -(-blocks * bits // 8), seed=3)
            base = {"K": k, "N": cols, "bits": bits, "block_size": block}
            out += one(frac(3, k), q, s, **base) + one(frac(3, k), q, s, zero, **base)
            if block == 32:
                out += one(frac(1, k), q, s, zero, None, c(v(cols)), **base)
                out += one(frac(2, 3, k), q, c(p(cols * blocks) / 16), **base)
                out += one(frac(3, k), q, s, c(p(cols, blocks, seed=2)), **base) if bits == 4 else []
                for level in (1, 2, 3):
                    out += one(frac(3, k), q, s, accuracy_level=level, **base)
    return out


def gatherq_calls():
    out = []
    index = n([0, 3, 1], [2, 2, 0])
    for bits in (2, 4, 8):
        for zero in (None, 1):
            z = cu(5, -(-2 * bits // 8), seed=1) if zero else None
            out += one(cu(5, 32 * bits // 8), index, c(p(5, 2) / 16), z, bits=bits, block_size=16, gather_axis=0, quantize_axis=1)
    out += one(cu(5, 3, 16), index, c(p(5, 3, 2) / 16), bits=4, block_size=16, gather_axis=0, quantize_axis=2)
    out += one(cu(5, 16), n(1, 0), c(p(5, 2) / 16), bits=4, block_size=16, gather_axis=0, quantize_axis=-1)
    return out


def gqa_calls():
    q, kv = v(1, 3, 64) / 2, (v(1, 3, 32, seed=1) / 2, v(1, 3, 32, seed=2) / 2)
    past = (v(1, 2, 4, 16, seed=3) / 2, v(1, 2, 4, 16, seed=4) / 2)
    lens, total = n(6), n(7)
    base = {"num_heads": 4, "kv_num_heads": 2}
    plain = [q, *kv, *past, lens, total]
    out = one(*plain, outs=3, **base)
    out += one(*plain, outs=3, **base, softcap=2.0) + one(*plain, outs=3, **base, local_window_size=2)
    out += one(*plain, outs=3, **base, scale=0.5, smooth_softmax=1)
    tables = [c(frac(16, 8)), c(frac(16, 8, seed=1))]
    for inter in (0, 1):
        out += one(*plain, *tables, outs=3, **base, do_rotary=1, rotary_interleaved=inter)
    out += one(*plain, *tables, n([4, 5, 6]), outs=3, **base, do_rotary=1)
    out += one(*plain, None, None, None, v(1, 4, 3, 7, seed=7) / 4, outs=3, **base)
    out += one(*plain, None, None, None, v(1, 1, 3, 7, seed=7) / 4, outs=3, **base)
    out += one(*plain, None, None, None, None, v(4) / 2, outs=3, **base)
    out += one(v(1, 3, 128) / 2, None, None, *past, lens, total, outs=3, **base)
    out += one(*plain, outs=4, **base, qk_output=1) + one(*plain, outs=4, **base, qk_output=2)
    return out


def mha_calls():
    q, k, w = v(2, 3, 16) / 2, v(2, 5, 16, seed=1) / 2, v(2, 5, 16, seed=2) / 2
    base = {"num_heads": 4}
    out = one(q, k, w, **base) + one(q, k, w, c(v(48) / 4), **base) + one(q, q, q, unidirectional=1, **base)
    out += one(q, k, w, None, n([1, 1, 1, 0, 0], [1, 1, 1, 1, 1]), **base) + one(q, k, w, None, n(3, 5), **base)
    out += one(q, k, w, None, None, v(2, 4, 3, 5, seed=5) / 4, **base) + one(q, k, w, None, None, v(1, 1, 3, 5, seed=5) / 4, **base)
    past = (v(2, 4, 2, 4, seed=3) / 2, v(2, 4, 2, 4, seed=4) / 2)
    out += one(q, q, q, None, None, None, *past, outs=3, **base) + one(q, k, w, scale=0.25, outs=1, **base)
    out += one(q, v(2, 4, 5, 4, seed=1) / 2, v(2, 4, 5, 4, seed=2) / 2, **base) + one(v(2, 3, 4, 3, 4) / 2, **base)
    out += one(q, v(2, 5, 4, 2, 4) / 2, **base)
    return out


def attention_calls():
    x, w, b = v(2, 3, 8) / 2, c(frac(8, 24)), c(frac(24))
    base = {"num_heads": 2}
    out = one(x, w, b, **base)
    out += one(x, w, b, unidirectional=1, **base) + one(x, w, b, n(2, 3), **base) + one(x, w, b, n([1, 1, 0], [1, 1, 1]), **base)
    out += one(x, w, b, None, v(2, 2, 2, 4, 4) / 2, outs=2, **base) + one(x, w, b, None, None, v(2, 2, 3, 3) / 4, **base)
    out += one(x, w, b, scale=0.5, **base) + one(x, c(frac(8, 28)), c(frac(28)), qkv_hidden_sizes=[8, 8, 12], **base)
    out += one(x, w, b, n(2, 3, 0, 1), **base) + one(x, w, b, n([[1, 0, 0], [1, 1, 0], [1, 1, 1]], [[1, 0, 0], [1, 1, 0], [1, 1, 1]]), **base)
    return out


def skip_calls(betas):
    x, s, g = v(2, 3, 8), v(2, 3, 8, seed=1), c(p(8))
    extra = [c(v(8, seed=2)), c(v(8, seed=3))]
    out = one(x, s, g, outs=4) if betas == 1 else one(x, s, g, extra[0], outs=4)
    out += one(x, s, g, *extra[:betas], outs=4) + one(x, v(1, 3, 8, seed=1), g, epsilon=0.5) + one(x, v(3, 8, seed=1), g)
    return out + one(v(6, 8), v(6, 8, seed=1), g)


def moe_calls():
    x, r = v(4, 8) / 4, n([0.1, 1.2, -0.5], [2, -1, 0.5], [0.3, 0.2, 0.9], [-1, -2, 0.25])
    w1, w2, w3 = c(frac(3, 16, 8)), c(frac(3, 8, 16)), c(frac(3, 16, 8, seed=2))
    out = []
    for act in ("relu", "gelu", "silu", "identity"):
        out += one(x, r, w1, None, w2, k=2, activation_type=act)
    out += one(x, r, w1, c(v(3, 16) / 4), w2, c(v(3, 8) / 4), k=1, normalize_routing_weights=1)
    out += one(x, r, w1, None, w2, None, w3, k=2, activation_type="silu")
    out += one(x, r, c(frac(3, 32, 8)), c(v(3, 32) / 4), w2, c(v(3, 8) / 4), k=2, activation_type="swiglu", swiglu_fusion=1, activation_alpha=1.702,
               activation_beta=1.0, swiglu_limit=7.0, normalize_routing_weights=1)
    return out


ROWS = v(2, 3, 8) / 4
TABLE = {
    "Gelu": one(X), "FastGelu": one(X) + one(X, v(8)), "BiasGelu": one(X, v(8)), "QuickGelu": one(X) + one(X, alpha=0.5),
    "FusedMatMul": gemm_calls(), "TransposeMatMul": gemm_calls(), "MatMulNBits": nbits_calls(), "GatherBlockQuantized": gatherq_calls(),
    "MatMulIntegerToFloat": one(p(3, 4), c(p(4, 5)), c(n(0.5)[0]), c(p(5) / 4), c(n(2)[0]), c(p(5, seed=1)), c(v(5)))
    + one(p(2, 3, 4), c(p(4, 5)), c(n(0.5)[0]), c(n(0.25)[0])) + one(p(3, 4), p(4, 5), n(0.5)[0], n(0.25)[0], n(1)[0], n(3)[0]),
    "DynamicQuantizeMatMul": one(v(3, 4), c(p(4, 5)), c(n(0.5)[0]), c(n(2)[0]), c(v(5))) + one(v(2, 3, 4), c(p(4, 5)), c(p(5) / 4), c(p(5, seed=1)))
    + one(v(3, 4), p(4, 5), n(0.5)[0], n(2)[0]),
    "MoE": moe_calls(), "SkipSimplifiedLayerNormalization": skip_calls(1), "SkipLayerNormalization": skip_calls(2),
    "EmbedLayerNormalization": one(p(2, 3), p(2, 3) * 0, c(v(9, 4)), c(v(8, 4)), c(v(2, 4)), c(p(4)), c(v(4)), outs=2)
    + one(p(2, 3), None, c(v(9, 4)), c(v(8, 4)), None, c(p(4)), c(v(4)), n([1, 1, 0], [1, 1, 1]), outs=3),
    "Attention": attention_calls(), "MultiHeadAttention": mha_calls(), "GroupQueryAttention": gqa_calls(),
    "RotaryEmbedding": one(v(2, 3, 16) / 2, POS, *TABLES, num_heads=2) + one(v(2, 3, 16) / 2, POS, *TABLES, num_heads=2, interleaved=1)
    + one(v(2, 2, 3, 8) / 2, POS, *TABLES) + one(v(2, 3, 16) / 2, n(4), *TABLES) + one(v(2, 2, 3, 16) / 2, POS, *TABLES, num_heads=2, rotary_embedding_dim=8)
    + one(v(2, 3, 32) / 2, POS, *TABLES, num_heads=2, rotary_embedding_dim=8),
    "MRotaryEmbedding": one(v(2, 3, 16) / 2, np.stack([POS, POS + 1, POS]), *TABLES, num_heads=2, mrope_section=[2, 1, 1])
    + one(v(2, 3, 16) / 2, np.stack([POS, POS + 1, POS]), *TABLES, num_heads=2, mrope_section=[2, 1, 1], mrope_layout=1)
    + one(v(2, 3, 16) / 2, np.stack([POS, POS + 1, POS]), *TABLES, num_heads=2, mrope_section=[2, 1, 1], interleaved=1),
    "GatedRMSNorm": one(ROWS, c(p(8)), v(2, 3, 8, seed=1)) + one(ROWS, c(p(4)), v(2, 3, 8, seed=1), activation="sigmoid"),
    "GatedAdd": one(ROWS, v(2, 3, 8, seed=1), v(2, 3, 1)),
    "CausalConvWithState": one(v(2, 4, 5), c(v(4, 1, 3)), c(v(4)), v(2, 4, 2), outs=2, activation="silu") + one(v(2, 4, 5), c(v(4, 1, 3)), outs=2)
    + one(v(2, 4, 1), c(v(4, 1, 4)), None, v(2, 4, 3), outs=2, activation="swish"),
    "LinearAttention": [call for rule, ins in (("linear", 0), ("gated", 1), ("delta", 2), ("gated_delta", 3)) for call in one(
        ROWS, v(2, 3, 8, seed=1) / 4, v(2, 3, 8, seed=2) / 4, v(2, 2, 4, 4, seed=3) / 4, -p(2, 3, 2) / 8 if ins & 1 else None, p(2, 3, 2) / 8 if ins & 2 else None,
        outs=2, q_num_heads=2, kv_num_heads=2, update_rule=rule)] + one(
        v(2, 3, 16) / 4, v(2, 3, 8, seed=1) / 4, v(2, 3, 8, seed=2) / 4, None, -p(2, 3, 8) / 8, p(2, 3, 2) / 8, outs=2, q_num_heads=4, kv_num_heads=2, update_rule="gated_delta"),
    "LinearAttentionGate": one(v(2, 3, 4), c(v(4)), c(v(4, seed=1)), v(2, 3, 4, seed=2), outs=2) + one(v(2, 3, 4), c(v(4)), c(v(4, seed=1)), outs=1),
}
