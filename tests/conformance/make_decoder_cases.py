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


# ---- recurrences ----

def linear_attention():
    def one(name, b=1, t=5, hq=2, hkv=2, dk=8, dv=12, rule="gated_delta", past=True, per_key=False, one_beta=False, scale=0.0, dtype=np.float32, tol=(2e-5, 2e-5)):
        k = normal(b, t, hkv * dk, dtype=dtype)
        ins = [normal(b, t, hq * dk, dtype=dtype), (k.reshape(b, t, hkv, dk) / np.linalg.norm(k.reshape(b, t, hkv, dk), axis=-1, keepdims=True)).reshape(k.shape).astype(dtype),
               normal(b, t, hkv * dv, dtype=dtype), normal(b, hkv, dk, dv, dtype=dtype) if past else None,
               (-np.abs(normal(b, t, hkv * dk if per_key else hkv))).astype(dtype) if "gated" in rule else None,
               sigmoid(normal(b, t, 1 if one_beta else hkv)).astype(dtype) if "delta" in rule else None]
        while ins[-1] is None:
            ins.pop()
        case(THEME, f"LinearAttention_{name}", "LinearAttention", ins, {"q_num_heads": hq, "kv_num_heads": hkv, "update_rule": rule, "scale": scale}, MS, 1, 2, tol=tol)
    one("plain")
    one("empty", past=False)
    one("decode", b=3, t=1)
    one("long", t=70, dk=16, dv=16, tol=(5e-5, 5e-5))
    one("gqa", hq=6, hkv=2)
    one("inverse", hq=2, hkv=6)
    one("scale", scale=1.0)
    one("linear", rule="linear")
    one("gated", rule="gated")
    one("gated_per_key", rule="gated", per_key=True)
    one("delta", rule="delta")
    one("delta_per_key", per_key=True)
    one("one_beta", one_beta=True)
    one("odd", dk=5, dv=19, b=2)
    one("f16", dtype=np.float16, tol=(2e-2, 2e-2))
    for t in (1, 6):
        ins = [normal(2, t, 5), normal(5), -np.abs(normal(5)), normal(2, t, 5)]
        case(THEME, f"LinearAttentionGate_{t}", "LinearAttentionGate", ins, {}, MS, 1, 2)
    case(THEME, "LinearAttentionGate_decay", "LinearAttentionGate", ins[:3], {}, MS, 1, 1)
    case(THEME, "LinearAttentionGate_large", "LinearAttentionGate", [np.float32([[[90, -90, 0]]]), normal(3), normal(3)], {}, MS, 1, 1)


def convolutions():
    for name, b, c, l, k, at in (("plain", 1, 6, 9, 4, {}), ("silu", 2, 5, 7, 3, {"activation": "silu"}), ("decode", 2, 6, 1, 4, {"activation": "swish"}),
                                 ("short", 1, 4, 2, 5, {}), ("one_tap", 1, 4, 3, 1, {}), ("dilated", 1, 3, 11, 3, {"dilation": 2}), ("long", 1, 3, 200, 4, {})):
        state = (k - 1) * at.get("dilation", 1)
        for bias in (False, True):
            for past in (False, True):
                ins = [normal(b, c, l), normal(c, 1, k), normal(c) if bias else None, normal(b, c, state) if past else None]
                while ins[-1] is None:
                    ins.pop()
                case(THEME, f"CausalConv_{name}_{int(bias)}{int(past)}", "CausalConvWithState", ins, at, MS, 1, 2, tol=(1e-5, 1e-5))
    case(THEME, "CausalConv_f16", "CausalConvWithState", [normal(1, 4, 6, dtype=np.float16), normal(4, 1, 3, dtype=np.float16)], {}, MS, 1, 2, tol=(1e-2, 1e-2))


def gates():
    case(THEME, "GatedRMSNorm", "GatedRMSNorm", [normal(2, 3, 24), normal(24), normal(2, 3, 24)], {"epsilon": 1e-5}, MS, 1)
    case(THEME, "GatedRMSNorm_heads", "GatedRMSNorm", [normal(2, 3, 24), normal(8), normal(2, 3, 24)], {"epsilon": 1e-3}, MS, 1)
    case(THEME, "GatedRMSNorm_sigmoid", "GatedRMSNorm", [normal(4, 24), normal(8), normal(4, 24)], {"epsilon": 1e-5, "activation": "sigmoid"}, MS, 1)
    case(THEME, "GatedAdd", "GatedAdd", [normal(2, 3, 24), normal(2, 3, 24), normal(2, 3, 1)], {}, MS, 1)
    case(THEME, "GatedAdd_f16", "GatedAdd", [normal(3, 24, dtype=np.float16), normal(3, 24, dtype=np.float16), normal(3, 1, dtype=np.float16)], {}, MS, 1, tol=(2e-3, 1e-3))
    for p in (1, 2):
        case(THEME, f"LpNorm_{p}", "LpNormalization", [normal(3, 4, 5)], {"p": p}, version=22)
        case(THEME, f"LpNorm_{p}_axis", "LpNormalization", [normal(3, 4, 5)], {"p": p, "axis": 1}, version=22)
    case(THEME, "LpNorm_f64", "LpNormalization", [rng.standard_normal((3, 4))], {}, version=22, tol=(1e-12, 1e-12))
    case(THEME, "LpNorm_zero", "LpNormalization", [np.zeros((2, 3), np.float32)], {}, version=22)
    cos, sin = base.tables(20, 16)
    pos = rng.integers(0, 20, (3, 2, 5))
    for layout in (0, 1):
        for inter in (0, 1):
            at = {"mrope_section": [4, 2, 2], "mrope_layout": layout, "interleaved": inter}
            case(THEME, f"MRotary_{layout}{inter}", "MRotaryEmbedding", [normal(2, 5, 3 * 16), pos, cos, sin], {**at, "num_heads": 3}, MS, 1)
            case(THEME, f"MRotary4d_{layout}{inter}", "MRotaryEmbedding", [normal(2, 3, 5, 16), pos, cos, sin], at, MS, 1)
    case(THEME, "MRotary_partial", "MRotaryEmbedding", [normal(2, 5, 3 * 24), pos, cos, sin], {"mrope_section": [4, 2, 2], "mrope_layout": 1, "num_heads": 3, "rotary_embedding_dim": 16}, MS, 1)


# ---- ai.onnx Attention ----

def attention23():
    def one(name, b=1, hq=4, hkv=2, s=5, t=None, d=8, dv=None, past=0, rank=4, mask=None, nonpad=None, version=24, n_out=(0,), dtype=np.float32, tol=(2e-5, 2e-5), ref=None, **at):
        t, dv = t or s, dv or d
        shape = lambda n, rows, w: (b, n, rows, w) if rank == 4 else (b, rows, n * w)
        ins = [normal(*shape(hq, s, d), dtype=dtype), normal(*shape(hkv, t, d), dtype=dtype), normal(*shape(hkv, t, dv), dtype=dtype), mask]
        ins += [normal(b, hkv, past, d, dtype=dtype), normal(b, hkv, past, dv, dtype=dtype)] if past else [None, None]
        ins += [None if nonpad is None else np.array(nonpad, np.int64)]
        while ins[-1] is None:
            ins.pop()
        if rank == 3:
            at = {"q_num_heads": hq, "kv_num_heads": hkv, **at}
        try:
            case(THEME, f"Attention23_{name}", "Attention", ins, at, version=version, n_out=(0, 1, 2) if past else n_out, tol=tol, ref=ref)
        except Exception as e:
            print(f"no reference for Attention23_{name}: {str(e)[:160]}")
    boolean = lambda *shape: np.where(rng.random(shape) < 0.7, True, False)
    for rank in (3, 4):
        one(f"plain_{rank}", rank=rank, b=2)
        one(f"causal_{rank}", rank=rank, is_causal=1)
        one(f"past_{rank}", rank=rank, past=7, is_causal=1, b=2)
        one(f"decode_{rank}", rank=rank, past=300, s=1, is_causal=1)
        one(f"cross_{rank}", rank=rank, t=9, dv=12)
        one(f"bool_mask_{rank}", rank=rank, mask=boolean(5, 5))
    one("v23", version=23, is_causal=1, past=3)
    one("mha", hq=3, hkv=3, d=5)
    one("scale", scale=0.3, softcap=1.5)
    for name, mask in (("2d", normal(5, 8)), ("3d", normal(4, 5, 8)), ("4d", normal(1, 4, 5, 8)), ("4d_one", normal(1, 1, 5, 8)), ("bool_4d", boolean(1, 1, 5, 8)), ("keys", normal(1, 8))):
        one(f"mask_{name}", past=3, mask=mask, is_causal=int(name == "bool_4d"))
    one("batch_mask", b=3, mask=boolean(3, 1, 5, 5))
    one("short_mask", t=9, mask=normal(5, 6))
    one("causal_float_mask", past=3, mask=normal(5, 8), is_causal=1, softcap=2.0)
    one("blocks", s=70, t=70, past=230, hq=2, hkv=1, is_causal=1, mask=normal(70, 300))
    one("nonpad", b=2, s=2, t=9, nonpad=[9, 4])
    one("nonpad_causal", b=2, s=2, t=9, nonpad=[9, 4], is_causal=1)
    one("nonpad_3", b=2, s=1, t=9, rank=3, nonpad=[7, 3], is_causal=1)
    one("present_only", n_out=(0, 1, 2))
    for mode in (0, 1, 2, 3):
        one(f"scores_{mode}", n_out=(0, 3), qk_matmul_output_mode=mode, mask=normal(5, 5), softcap=1.5 if mode else 0.0)
    one("f16", dtype=np.float16, past=3, is_causal=1, tol=(4e-3, 4e-3))
    one("f16_mask", dtype=np.float16, mask=boolean(5, 5), tol=(4e-3, 4e-3))
    q, k, v = normal(1, 2, 3, 4), normal(1, 2, 6, 4), normal(1, 2, 6, 4)
    never = np.ones((3, 6), bool)
    never[1] = False
    def windows(q, k, v, mask=None, left=-1, right=-1, causal=0):
        out = np.zeros(q.shape)
        for h in range(2):
            for i in range(3):
                see = np.array([(not causal or j <= i) and (left < 0 or j >= i - left) and (right < 0 or j <= i + right) and (mask is None or mask[i, j]) for j in range(6)])
                if see.any():
                    p = np.exp(k[0, h, see].astype(np.float64) @ q[0, h, i] / 2)
                    out[0, h, i] = p @ v[0, h, see] / p.sum()
        return out.astype(np.float32)
    case(THEME, "Attention23_row_hidden", "Attention", [q, k, v, never], {}, version=24, ref=lambda *a: windows(q, k, v, never))
    case(THEME, "Attention23_windows", "Attention", [q, k, v], {"left_window_size": 1, "right_window_size": 2}, version=25, ref=lambda *a: windows(q, k, v, None, 1, 2))
    case(THEME, "Attention23_window_causal", "Attention", [q, k, v], {"left_window_size": 1, "is_causal": 1}, version=25, ref=lambda *a: windows(q, k, v, None, 1, -1, 1))


# ---- selection and caches ----

def elements():
    for name, x in (("f32", normal(3, 9)), ("f16", normal(3, 9, dtype=np.float16)), ("f64", rng.standard_normal((3, 9))), ("i64", rng.integers(-9, 9, (3, 9))), ("i32", rng.integers(-9, 9, (3, 9)).astype(np.int32))):
        if name == "f16":
            ref = lambda a, k: (np.take_along_axis(a, np.argsort(-a, 1, kind="stable")[:, :3], 1), np.argsort(-a, 1, kind="stable")[:, :3])
            case(THEME, f"TopK_{name}", "TopK", [x, np.array([3])], {}, version=24, n_out=2, ref=ref)
        else:
            case(THEME, f"TopK_{name}", "TopK", [x, np.array([3])], {}, version=11, n_out=2)
            case(THEME, f"TopK_{name}_smallest", "TopK", [x, np.array([4])], {"largest": 0}, version=11, n_out=2)
    case(THEME, "TopK_axis", "TopK", [normal(5, 6, 2), np.array([2])], {"axis": 1}, version=11, n_out=2)
    case(THEME, "TopK_all", "TopK", [normal(2, 33), np.array([33])], {}, version=11, n_out=2)
    case(THEME, "TopK_ties", "TopK", [np.float32([[1, 2, 2, 0, 2, 1]]), np.array([4])], {}, version=11, n_out=2)
    case(THEME, "TopK_many", "TopK", [normal(2, 3000), np.array([40])], {}, version=11, n_out=2)
    case(THEME, "TopK_none", "TopK", [normal(2, 5), np.array([0])], {}, version=11, n_out=2)
    x = normal(3, 4, 5)
    for axis in (0, 1, 2, -1):
        n = x.shape[axis]
        index = rng.integers(-n, n, (2, 3, 4))
        case(THEME, f"GatherElements_{axis}", "GatherElements", [x, index], {"axis": axis}, version=13)
        index = np.stack([rng.permutation(n)[:2] for _ in range(6)], 0).reshape(2, 3, 2)
        index = np.moveaxis(index, -1, axis) if axis != 1 else index.transpose(0, 2, 1)
        index = index[tuple(slice(0, min(a, b)) if d != axis % 3 else slice(None) for d, (a, b) in enumerate(zip(index.shape, x.shape)))]
        case(THEME, f"ScatterElements_{axis}", "ScatterElements", [x, index, normal(*index.shape)], {"axis": axis}, version=13)
    case(THEME, "GatherElements_i32", "GatherElements", [rng.integers(0, 9, (4, 4)), rng.integers(0, 4, (4, 2)).astype(np.int32)], {"axis": 1}, version=13)
    for how in ("add", "mul", "max", "min"):
        index = np.array([[0, 0, 1], [2, 2, 2]])
        case(THEME, f"ScatterElements_{how}", "ScatterElements", [normal(3, 3), index, normal(2, 3)], {"axis": 1, "reduction": how}, version=18)
        case(THEME, f"ScatterElements_{how}_i64", "ScatterElements", [rng.integers(-9, 9, (3, 3)), index, rng.integers(-9, 9, (2, 3))], {"axis": 0, "reduction": how}, version=18)
    for name, past, update, at, attrs in (("3d", (2, 8, 6), (2, 3, 6), [4, 0], {"axis": 1}), ("4d", (2, 3, 8, 4), (2, 3, 2, 4), [6, 1], {}), ("decode", (3, 8, 6), (3, 1, 6), [7, 0, 3], {"axis": 1}), ("circular", (2, 3, 8, 4), (2, 3, 3, 4), [6, 7], {"mode": "circular"})):
        case(THEME, f"TensorScatter_{name}", "TensorScatter", [normal(*past), normal(*update), np.array(at)], attrs, version=24)
    case(THEME, "FillLike", "FillLike", [rng.integers(0, 9, (3, 70)), np.float32([7])], {}, "cupola", 1, ref=lambda x, v: np.full(x.shape, v[0], np.float32))
    case(THEME, "TensorScatter_start", "TensorScatter", [normal(2, 8, 6), normal(2, 3, 6)], {"axis": 1}, version=24)


if __name__ == "__main__":
    experts()
    linear_attention()
    convolutions()
    gates()
    attention23()
    elements()
    base.write_all()
