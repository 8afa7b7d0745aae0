#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records the cases of operators that decoders are made of beyond attention: mixtures of experts,
recurrences, caches. Like make_op_cases.py, with a seed of its own.

    python tests/conformance/make_decoder_cases.py     writes tests/fixtures/ops/decoder.bin
"""
import numpy as np
import onnxruntime as ort
from onnx import helper, numpy_helper

import make_op_cases as base
from make_op_cases import MS, Const, case, normal

base.rng = np.random.default_rng(20240917)
rng = base.rng
THEME = "decoder"


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def run_const(op, attrs, inputs):
    """One com.microsoft node in onnxruntime with its Const inputs as initializers: it packs those, and then computes differently."""
    names, feeds, infos, inits = [], {}, [], []
    for i, x in enumerate(inputs):
        names.append("" if x is None else f"x{i}")
        if isinstance(x, Const):
            inits.append(numpy_helper.from_array(x.array, f"x{i}"))
        elif x is not None:
            feeds[f"x{i}"] = x
            infos.append(helper.make_tensor_value_info(f"x{i}", base.NP_TO_ONNX[x.dtype], x.shape))
    graph = helper.make_graph([helper.make_node(op, names, ["y"], domain=MS, **attrs)], "g", infos, [helper.make_empty_tensor_value_info("y")], inits)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid(MS, 1)], ir_version=10)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)[0]


# ---- mixtures of experts ----

def moe_reference(x, router, fc1, fc2, fc3, k, act, fusion, alpha=1.0, beta=0.0, limit=np.inf, over_all=False, own=None):
    """fc: (weights [E, N, K], bias [E, N] or None), in float64."""
    rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
    out = np.zeros_like(rows)
    for t, row in enumerate(rows):
        logits = router[t].astype(np.float64)
        top = np.argsort(-logits, kind="stable")[:k]
        e = np.exp(logits - logits.max())
        p = e[top] / (e.sum() if over_all else e[top].sum())
        if own is not None:
            p = own[t][top]
        for j, i in enumerate(top):
            h = fc1[0][i].astype(np.float64) @ row + (0 if fc1[1] is None else fc1[1][i])
            g, l = (h[0::2], h[1::2]) if fusion == 1 else np.split(h, 2) if fusion == 2 else (h, None)
            if fc3 is not None:
                l = fc3[0][i].astype(np.float64) @ row + (0 if fc3[1] is None else fc3[1][i])
            if act == "swiglu":
                g, l = np.minimum(g, limit), np.clip(l, -limit, limit)
                a = g * sigmoid(alpha * g) * (l + beta)
            else:
                tanh_gelu = lambda v: 0.5 * v * (1 + np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v ** 3)))
                a = {"relu": lambda v: np.maximum(v, 0), "silu": lambda v: v * sigmoid(v), "gelu": tanh_gelu,
                     "geglu": tanh_gelu, "identity": lambda v: v}[act](g)
                a = a if l is None else a * l
            out[t] += p[j] * (fc2[0][i].astype(np.float64) @ a + (0 if fc2[1] is None else fc2[1][i]))
    return out.reshape(x.shape)


def floats(e, n, k, bias, dtype=np.float32):
    return normal(e, n, k, scale=0.3, dtype=dtype), normal(e, n, scale=0.3, dtype=dtype) if bias else None


def moe(name, act, fusion=0, shape=(2, 3, 32), inter=24, e=5, k=2, norm=1, bias=True, fc3=False, ref=False, dtype=np.float32, tol=(2e-5, 2e-5), **attrs):
    hidden = shape[-1]
    x, router = normal(*shape, dtype=dtype), normal(int(np.prod(shape[:-1])), e, dtype=dtype)
    f1 = floats(e, inter * (2 if fusion else 1), hidden, bias, dtype)
    f2 = floats(e, hidden, inter, bias, dtype)
    f3 = floats(e, inter, hidden, bias, dtype) if fc3 else None
    wrap = lambda f: [Const(f[0]), None if f[1] is None else Const(f[1])]
    ins = [x, router] + wrap(f1) + wrap(f2) + (wrap(f3) if fc3 else [])
    at = {"k": k, "activation_type": act, "swiglu_fusion": fusion, "normalize_routing_weights": norm, **attrs}
    fn = None
    if ref:
        fn = lambda *_: moe_reference(x, router, f1, f2, f3, k, act, fusion, attrs.get("activation_alpha", 1.0), attrs.get("activation_beta", 0.0),
                                      attrs.get("swiglu_limit", np.inf), over_all=not norm).astype(dtype)
    case(THEME, f"MoE_{name}", "MoE", ins, at, MS, 1, ref=fn, tol=tol)


def packed(e, n, k, bits, block, zp):
    """Weights in QMoE's form and what they stand for. block 0: one scale a row."""
    per, blocks = 8 // bits, k // block if block else 1
    q = rng.integers(0, 1 << bits, (e, n, k)).astype(np.uint8)
    w = sum((q[..., i::per] << (bits * i)) for i in range(per)).astype(np.uint8)
    s = (rng.uniform(0.5, 1.5, (e, n, blocks)) * 0.4 * 2.0 ** -bits).astype(np.float32)
    z = rng.integers(0, 1 << bits, (e, n, blocks)).astype(np.uint8) if zp else np.full((e, n, blocks), 1 << (bits - 1), np.uint8)
    real = (q - z.repeat(k // blocks, -1).astype(np.float64)) * s.repeat(k // blocks, -1)
    zi = None
    if zp:
        flat = z if block else z[..., 0]
        pad = np.concatenate([flat, np.zeros(flat.shape[:-1] + (-flat.shape[-1] % per,), np.uint8)], -1)
        zi = sum((pad[..., i::per] << (bits * i)) for i in range(per)).astype(np.uint8)
    return w, s if block else s[..., 0], zi, real


def qmoe(name, bits=4, block=32, zp=False, shape=(7, 64), inter=32, e=4, k=2, own=False, ref=None, fc3=False, fusion=1, tol=(2e-5, 2e-5), act="swiglu", **attrs):
    hidden = shape[-1]
    x, router = normal(*shape), normal(int(np.prod(shape[:-1])), e)
    own_w = np.abs(normal(*router.shape)) if own else None
    p1, p2 = packed(e, inter * (2 if fusion else 1), hidden, bits, block, zp), packed(e, hidden, inter, bits, block, zp)
    p3 = packed(e, inter, hidden, bits, block, zp) if fc3 else None
    b1, b2 = normal(*p1[0].shape[:2], scale=0.3), normal(*p2[0].shape[:2], scale=0.3)
    c = lambda a: None if a is None else Const(a)
    ins = [x, router, c(p1[0]), c(p1[1]), c(b1), c(p2[0]), c(p2[1]), c(b2), c(p3 and p3[0]), c(p3 and p3[1]), None,
           c(p1[2]), c(p2[2]), c(p3 and p3[2]), own_w]
    while ins[-1] is None:
        ins.pop()
    at = {"k": k, "activation_type": act, "swiglu_fusion": fusion, "normalize_routing_weights": 1, "expert_weight_bits": bits,
          **({"block_size": block} if block else {}), **attrs}
    fn = lambda *_: run_const("QMoE", at, ins)
    if ref:
        fn = lambda *_: moe_reference(x, router, (p1[3], b1), (p2[3], b2), p3 and (p3[3], None), k, act, fusion,
                                      attrs.get("activation_alpha", 1.0), attrs.get("activation_beta", 0.0)).astype(np.float32)
    case(THEME, f"QMoE_{name}", "QMoE", ins, at, MS, 1, ref=fn, tol=tol)


def experts():
    for act in ("relu", "silu", "gelu", "identity"):
        moe(act, act)
    moe("swiglu", "swiglu", 1, activation_alpha=1.702, activation_beta=1.0, swiglu_limit=0.7)
    moe("swiglu_plain", "swiglu", 1, bias=False)
    moe("over_all", "swiglu", 1, norm=0)
    moe("k1", "silu", k=1, e=3, norm=0)
    moe("k_all", "silu", k=3, e=3)
    moe("many", "silu", shape=(150, 32), inter=40, e=9, k=4, tol=(5e-5, 5e-5))
    moe("odd", "relu", shape=(5, 19), inter=7, e=3, k=2)
    # forms that onnxruntime's CPU refuses
    moe("halves", "swiglu", 2, ref=True)
    moe("fc3", "swiglu", fc3=True, ref=True)
    moe("silu_fc3", "silu", fc3=True, ref=True)
    moe("geglu", "geglu", 1, ref=True)
    moe("f16", "swiglu", 1, dtype=np.float16, ref=True, tol=(4e-3, 4e-3))
    for bits in (4, 8):
        for zp in (False, True):
            tag = f"{bits}{'z' if zp else ''}"
            qmoe(f"{tag}_block", bits, 32, zp, activation_alpha=1.702, activation_beta=1.0, swiglu_limit=7.0, tol=(2e-5, 2e-5))
            qmoe(f"{tag}_row", bits, 0, zp, tol=(2e-5, 5e-5))
    qmoe("block16", block=16)
    qmoe("block64", block=64, inter=64)
    qmoe("acc4", accuracy_level=4)
    qmoe("acc4_many", shape=(2, 70, 64), e=6, k=3, accuracy_level=4)
    qmoe("8_many", bits=8, shape=(100, 64), e=6, k=3)
    qmoe("2", bits=2, ref=True)
    qmoe("2z", bits=2, zp=True, ref=True)
    qmoe("silu", act="silu", fusion=0)
    qmoe("fc3", fusion=0, fc3=True, ref=True)
    qmoe("router_weights", own=True)
    qmoe("router_weights_raw", own=True, normalize_routing_weights=0)


if __name__ == "__main__":
    experts()
    base.write_all()
