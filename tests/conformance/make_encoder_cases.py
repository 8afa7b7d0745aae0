#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records the cases of encoder operators (theme "encoders"): dynamic quantisation, integer products, fused attention.
Outputs are onnxruntime's; the file format and the helpers are make_op_cases.py's.

    python tests/conformance/make_encoder_cases.py     writes tests/fixtures/ops/encoders.bin
"""
import numpy as np

import make_op_cases as m
from make_op_cases import MS, Const, normal

rng = m.rng = np.random.default_rng(20261122)


def case(name, op, inputs, attrs=None, domain=MS, version=1, **more):
    m.case("encoders", name, op, inputs, attrs, domain, version, **more)


def as_const(inputs, which):
    return [Const(x) if i in which and x is not None else x for i, x in enumerate(inputs)]


def bytes_of(dtype, *shape):
    low, high = (0, 256) if dtype == np.uint8 else (-128, 128)
    return rng.integers(low, high, shape).astype(dtype)


def dynamic():
    for tag, x in (("", normal(3, 70)), ("_positive", np.abs(normal(2, 9)) + 1), ("_negative", -np.abs(normal(5))),
                   ("_zero", np.zeros((2, 3), np.float32)), ("_long", normal(3000, scale=4)), ("_ties", np.float32([0, 255, 0.5, 1.5, 2.5, 254.5]))):
        case("DynamicQuantizeLinear" + tag, "DynamicQuantizeLinear", [x], None, "", 11, n_out=3, tol=(0, 0))


def products():
    for at, bt in ((np.uint8, np.int8), (np.uint8, np.uint8)):
        tag = f"{np.dtype(at).name}_{np.dtype(bt).name}"
        for shape, n in (((5, 7), 3), ((2, 3, 64), 40), ((1, 1), 1), ((70, 33), 90)):
            a, b = bytes_of(at, *shape), bytes_of(bt, shape[-1], n)
            za, zb = np.array(rng.integers(0, 100), at), np.array(rng.integers(0, 100), bt)
            zbs = rng.integers(0, 100, n).astype(bt)
            for name, more in (("", []), ("_zeros", [za, zb]), ("_each", [za, zbs]), ("_b", [None, zb])):
                case(f"MatMulInteger_{tag}_{shape}_{n}{name}", "MatMulInteger", as_const([a, b] + more, (1,)), None, "", 10, tol=(0, 0))
        a, b = bytes_of(at, 2, 3, 5, 7), bytes_of(bt, 2, 3, 7, 20)
        case(f"MatMulInteger_{tag}_batch", "MatMulInteger", [a, b, np.array(3, at), np.array(5, bt)], None, "", 10, tol=(0, 0))
        case(f"MatMulInteger_{tag}_free", "MatMulInteger", [a[0, 0], b[0, 0]], None, "", 10, tol=(0, 0))
        a, b = bytes_of(at, 4, 33), bytes_of(bt, 33, 18)
        sa, sb, bias = np.float32([0.01]), np.float32([0.02]), normal(18)
        sbs, zbs = rng.uniform(0.01, 0.03, 18).astype(np.float32), rng.integers(0, 100, 18).astype(bt)
        za, zb = np.array([7], at), np.array([9], bt)
        for name, more in (("", []), ("_zeros", [za, zb]), ("_bias", [za, zb, bias]), ("_only_bias", [None, None, bias])):
            case(f"MatMulIntegerToFloat_{tag}{name}", "MatMulIntegerToFloat", as_const([a, b, sa, sb] + more, (1,)), tol=(2e-4, 1e-5))
        case(f"MatMulIntegerToFloat_{tag}_each", "MatMulIntegerToFloat", as_const([a, b, sa, sbs, za, zbs], (1,)), tol=(2e-4, 1e-5))
    for bt in (np.int8, np.uint8):
        x, b = normal(3, 6, 48), bytes_of(bt, 48, 37)
        sb, sbs, zb, zbs = np.float32([0.02]), rng.uniform(0.01, 0.03, 37).astype(np.float32), np.array([9], bt), rng.integers(0, 100, 37).astype(bt)
        tag = np.dtype(bt).name
        case(f"DynamicQuantizeMatMul_{tag}", "DynamicQuantizeMatMul", as_const([x, b, sb], (1,)), tol=(2e-4, 1e-5))
        case(f"DynamicQuantizeMatMul_{tag}_zero", "DynamicQuantizeMatMul", as_const([x, b, sb, zb, normal(37)], (1,)), tol=(2e-4, 1e-5))
        case(f"DynamicQuantizeMatMul_{tag}_each", "DynamicQuantizeMatMul", as_const([x, b, sbs, zbs], (1, 3)), tol=(2e-4, 1e-5))


def fused_products():
    for ta in (0, 1):
        for tb in (0, 1):
            for lead in ((), (2, 3), (4,)):
                a, b = normal(*lead, *((7, 5) if ta else (5, 7))), normal(*lead, *((9, 7) if tb else (7, 9)))
                case(f"FusedMatMul_{ta}{tb}_{len(lead)}", "FusedMatMul", [a, b], {"transA": ta, "transB": tb, "alpha": 0.25}, tol=(1e-5, 1e-5))
    case("FusedMatMul_f64", "FusedMatMul", [rng.standard_normal((3, 70, 5)), rng.standard_normal((3, 70, 8))], {"transA": 1, "alpha": 2.0}, tol=(1e-10, 1e-10))
    case("FusedMatMul_const", "FusedMatMul", [normal(2, 5, 7), Const(normal(7, 20))], tol=(1e-5, 1e-5))
    case("FusedMatMul_const_alpha", "FusedMatMul", [normal(2, 5, 7), Const(normal(20, 7))], {"transB": 1, "alpha": 0.5}, tol=(1e-5, 1e-5))


def embed_norm():
    words, positions, segments, gamma, beta = normal(30, 24), normal(12, 24), normal(2, 24), normal(24), normal(24)
    ids, seg = rng.integers(0, 30, (2, 5)).astype(np.int32), rng.integers(0, 2, (2, 5)).astype(np.int32)
    mask = np.int32([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    pos = rng.integers(0, 12, (2, 5)).astype(np.int32)
    tol = (2e-5, 1e-5)
    case("EmbedNorm", "EmbedLayerNormalization", [ids, seg, words, positions, segments, gamma, beta, mask], {"epsilon": 1e-12}, n_out=3, tol=tol)
    case("EmbedNorm_plain", "EmbedLayerNormalization", [ids, None, words, positions, None, gamma, beta], {"epsilon": 1e-5}, n_out=2, tol=tol)
    case("EmbedNorm_positions", "EmbedLayerNormalization", [ids, None, words, positions, None, gamma, beta, None, pos], {"epsilon": 1e-5}, n_out=2, tol=tol)
    case("EmbedNorm_one_row", "EmbedLayerNormalization", [ids, None, words, positions, None, gamma, beta, mask, pos[:1]], {"epsilon": 1e-5}, n_out=2, tol=tol)
    h = [x.astype(np.float16) for x in (words, positions, segments, gamma, beta)]
    f = [x.astype(np.float32) for x in h]

    def exact(ids, seg, w, p, s, g, b, mask):
        x = f[0][ids] + f[1][:ids.shape[1]] + f[2][seg]
        y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12) * f[3] + f[4]
        return y.astype(np.float16), mask.sum(1).astype(np.int32)
    case("EmbedNorm_f16", "EmbedLayerNormalization", [ids, seg, h[0], h[1], h[2], h[3], h[4], mask], {"epsilon": 1e-12}, n_out=2, tol=(4e-3, 2e-3), ref=exact)


def masks(b, s, t):
    flags = (np.arange(t)[None] < rng.integers(1, t + 1, (b, 1))).astype(np.int32)
    ends = flags.sum(1).astype(np.int32)
    return {"ends": ends, "both": np.concatenate([np.maximum(ends, 2), np.zeros(b, np.int32)]), "flags": flags,
            "rows": np.maximum(rng.integers(0, 2, (b, s, t)), np.eye(s, t, dtype=np.int64)[None]).astype(np.int32)}


def attention():
    tol = (2e-5, 2e-5)
    for b, s, n, h in ((2, 5, 3, 8), (1, 70, 2, 16), (3, 1, 1, 4)):
        d = n * h
        x, w, bias = normal(b, s, 20), normal(20, 3 * d, scale=0.3), normal(3 * d)
        tag = f"{b}_{s}_{n}_{h}"
        case(f"Attention_{tag}", "Attention", as_const([x, w, bias], (1, 2)), {"num_heads": n}, tol=tol)
        for kind, mask in masks(b, s, s).items():
            case(f"Attention_{tag}_{kind}", "Attention", as_const([x, w, bias, mask], (1, 2)), {"num_heads": n}, tol=tol)
        case(f"Attention_{tag}_filter", "Attention", as_const([x, w, bias, masks(b, s, s)["flags"]], (1, 2)), {"num_heads": n, "mask_filter_value": -3.4028234663852886e38}, tol=tol)
        case(f"Attention_{tag}_causal", "Attention", as_const([x, w, bias], (1, 2)), {"num_heads": n, "unidirectional": 1}, tol=tol)
        case(f"Attention_{tag}_bias", "Attention", as_const([x, w, bias, None, None, normal(1, n, s, s)], (1, 2)), {"num_heads": n, "scale": 0.2}, tol=tol)
        past = normal(2, b, n, 4, h)
        case(f"Attention_{tag}_past", "Attention", as_const([x, w, bias, None, past], (1, 2)), {"num_heads": n, "unidirectional": 1}, n_out=2, tol=tol)
        case(f"Attention_{tag}_past_flags", "Attention", as_const([x, w, bias, masks(b, s, s + 4)["flags"], past], (1, 2)), {"num_heads": n, "unidirectional": 1}, n_out=2, tol=tol)
    x, w, bias = normal(2, 6, 20), normal(20, 2 * 12 + 18, scale=0.3), normal(2 * 12 + 18)
    case("Attention_uneven", "Attention", as_const([x, w, bias], (1, 2)), {"num_heads": 3, "qkv_hidden_sizes": [12, 12, 18]}, tol=tol)


def multi_head():
    tol = (2e-5, 2e-5)
    for b, s, t, n, h, hv in ((2, 5, 5, 3, 8, 8), (1, 40, 70, 2, 16, 16), (2, 3, 9, 2, 4, 6)):
        q, k, v = normal(b, s, n * h), normal(b, t, n * h), normal(b, t, n * hv)
        bias = normal(2 * n * h + n * hv)
        tag = f"{b}_{s}_{t}_{n}_{h}_{hv}"
        case(f"MHA_{tag}", "MultiHeadAttention", [q, k, v], {"num_heads": n}, tol=tol)
        case(f"MHA_{tag}_bias", "MultiHeadAttention", [q, k, v, bias], {"num_heads": n}, tol=tol)
        for kind in ("ends", "flags", "rows"):
            case(f"MHA_{tag}_{kind}", "MultiHeadAttention", [q, k, v, bias, masks(b, s, t)[kind]], {"num_heads": n}, tol=tol)
        case(f"MHA_{tag}_score_bias", "MultiHeadAttention", [q, k, v, None, None, normal(1, n, s, t)], {"num_heads": n, "scale": 0.3}, tol=tol)
        case(f"MHA_{tag}_score_bias_1", "MultiHeadAttention", [q, k, v, None, None, normal(b, 1, s, t)], {"num_heads": n}, tol=tol)
        if h == hv:
            cache_k, cache_v = normal(b, n, t, h), normal(b, n, t, hv)
            case(f"MHA_{tag}_cross", "MultiHeadAttention", [q, cache_k, cache_v], {"num_heads": n}, tol=tol)
        if s == t:
            case(f"MHA_{tag}_causal", "MultiHeadAttention", [q, k, v], {"num_heads": n, "unidirectional": 1}, tol=tol)
        if h != hv:
            continue
        past_k, past_v = normal(b, n, 3, h), normal(b, n, 3, hv)
        case(f"MHA_{tag}_past", "MultiHeadAttention", [q, normal(b, s, n * h), normal(b, s, n * hv), None, None, None, past_k, past_v], {"num_heads": n, "unidirectional": 1}, n_out=3, tol=tol)
    packed = normal(2, 5, 3, 3, 8)

    def unpacked(x):
        q, k, v = (x[:, :, :, i].astype(np.float64).transpose(0, 2, 1, 3) for i in range(3))
        p = np.exp(q @ k.transpose(0, 1, 3, 2) / np.sqrt(8))
        y = (p / p.sum(-1, keepdims=True)) @ v
        return y.transpose(0, 2, 1, 3).reshape(2, 5, 24).astype(np.float32)
    case("MHA_packed_qkv", "MultiHeadAttention", [packed], {"num_heads": 3}, tol=tol, ref=unpacked)
    half = [normal(2, 4, 16, dtype=np.float16) for _ in range(3)]

    def exact(q, k, v):
        q, k, v = (x.astype(np.float64).reshape(2, 4, 2, 8).transpose(0, 2, 1, 3) for x in (q, k, v))
        p = np.exp(q @ k.transpose(0, 1, 3, 2) / np.sqrt(8))
        return ((p / p.sum(-1, keepdims=True)) @ v).transpose(0, 2, 1, 3).reshape(2, 4, 16).astype(np.float16)
    case("MHA_f16", "MultiHeadAttention", half, {"num_heads": 2}, tol=(2e-3, 2e-3), ref=exact)


for make in (dynamic, products, embed_norm, attention, multi_head, fused_products):
    make()
m.write_all()
