#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records the cases of QMoE with quant_type fp4 (MXFP4): experts of 4-bit floats in blocks of 32 that share a power of two,
in the layout of onnxruntime-genai's builder: weights u8 [E, K, N/2], the lower nibble being the even column; scales [E, N,
K/32], exponents; a global factor for each expert. onnxruntime's CPU provider has no kernel for them: the answers are float64.

    python tests/conformance/make_fp4_cases.py     writes tests/fixtures/ops/fp4.bin
"""
import numpy as np
import onnx

import make_decoder_cases as decoder
import make_op_cases as base
from make_op_cases import MS, Const, Packed, case, normal

base.rng = decoder.rng = rng = np.random.default_rng(20240924)
base.themes.clear()
THEME = "fp4"


class Exponents(Packed):
    """A tensor of the type float8e8m0."""

    def __init__(self, codes):
        super().__init__(onnx.TensorProto.FLOAT8E8M0, codes)

    def tobytes(self):
        return self.values.tobytes()


def e2m1(code):
    """By the definition of the format: a sign, two bits of exponent with bias 1, one of mantissa, subnormals."""
    sign, exponent, mantissa = code >> 3, code >> 1 & 3, code & 1
    return (-1) ** sign * (0.5 * mantissa if exponent == 0 else 2.0 ** (exponent - 1) * (1 + mantissa / 2))


VALUES = np.array([e2m1(c) for c in range(16)])
assert list(VALUES[:8]) == [0, 0.5, 1, 1.5, 2, 3, 4, 6]


def experts(e, n, k, typed, with_global):
    codes = rng.integers(0, 16, (e, n, k)).astype(np.uint8)
    exponents = rng.integers(120, 126, (e, n, k // 32)).astype(np.uint8)
    factor = rng.uniform(0.5, 2, e).astype(np.float32) if with_global else None
    real = VALUES[codes] * 2.0 ** (exponents.astype(np.float64) - 127).repeat(32, -1)
    if with_global:
        real *= factor[:, None, None]
    by_k = codes.transpose(0, 2, 1)
    packed = (by_k[..., 0::2] | by_k[..., 1::2] << 4).astype(np.uint8)
    return packed, Exponents(exponents) if typed else exponents, factor, real


def qmoe(name, rows=5, hidden=64, inter=32, e=3, k=2, fusion=1, act="swiglu", typed=False, factors=True, bias=True, level=0,
         dtype=np.float32, block=32, **attrs):
    x, router = normal(rows, hidden, dtype=dtype), normal(rows, e, dtype=dtype)
    w1, s1, g1, real1 = experts(e, inter * (2 if fusion else 1), hidden, typed, factors)
    w2, s2, g2, real2 = experts(e, hidden, inter, typed, factors)
    b1, b2 = (normal(*r.shape[:2], scale=0.3, dtype=dtype) if bias else None for r in (real1, real2))
    const = lambda a: None if a is None else Const(a)
    ins = [x, router, const(w1), const(s1), const(b1), const(w2), const(s2), const(b2)] + [None] * 7 + [const(g1), const(g2)]
    while ins[-1] is None:
        ins.pop()
    at = {"k": k, "activation_type": act, "swiglu_fusion": fusion, "normalize_routing_weights": 1, "expert_weight_bits": 4,
          "quant_type": "fp4", "accuracy_level": level, **({"block_size": block} if block else {}), **attrs}
    ref = lambda *_: decoder.moe_reference(x, router, (real1, b1), (real2, b2), None, k, act, fusion, attrs.get("activation_alpha", 1.0),
                                           attrs.get("activation_beta", 0.0), attrs.get("swiglu_limit", np.inf)).astype(dtype)
    case(THEME, f"QMoE_fp4_{name}", "QMoE", ins, at, MS, 1, ref=ref, tol=(5e-5, 5e-5) if dtype == np.float32 else (2e-2, 4e-3))


if __name__ == "__main__":
    gpt = {"activation_alpha": 1.702, "activation_beta": 1.0, "swiglu_limit": 7.0}
    qmoe("gpt_oss", typed=True, **gpt)
    qmoe("gpt_oss_u8", **gpt)
    qmoe("gpt_oss_f16", dtype=np.float16, **gpt)
    qmoe("no_factors", factors=False, **gpt)
    qmoe("no_bias", bias=False)
    qmoe("level4", level=4)
    qmoe("no_block_size", block=0)
    qmoe("halves", fusion=2)
    for act in ("silu", "gelu", "relu", "identity"):
        qmoe(act, fusion=0, act=act)
    for rows in (1, 2, 3, 9, 17, 70):
        qmoe(f"rows{rows}", rows=rows)
    for hidden, inter in ((32, 32), (96, 32), (32, 96), (128, 64)):
        qmoe(f"{hidden}x{inter}", hidden=hidden, inter=inter)
    qmoe("one_expert", e=1, k=1)
    qmoe("all_experts", e=3, k=3)
    base.write_all()
