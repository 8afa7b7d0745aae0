#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records operator cases: inputs from a fixed seed, outputs from onnxruntime (graph optimisations off)
or, where it has no kernel, from the numpy formula beside the case.

    python tests/conformance/make_op_cases.py          writes tests/fixtures/ops/<theme>.bin
    needs: numpy, onnx, onnxruntime

A file is a sequence of little-endian records, read by tests/conformance/helper_cases.c:
    file:    "CUPOPS1\\0", u32 n_cases, cases
    case:    str name, str domain, str op, i32 version, f32 abs_tol, f32 rel_tol,
             u32 n_attrs, attrs, u32 n_in, tensors, u32 n_out, tensors
    attr:    str name, u8 type (enum attr_type), value: i64 | f32 | str | u32 n + i64[] | u32 n + f32[] | tensor
    tensor:  u8 dtype (0 = absent), u8 is_const, u8 ndim, i64 dims[], u32 n_bytes, data
    str:     u16 length, bytes
"""
import os
import struct

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper, numpy_helper

OUT = os.path.join(os.path.dirname(__file__), "..", "fixtures", "ops")
MS = "com.microsoft"
rng = np.random.default_rng(20240601)
themes = {}

NP_TO_ONNX = {np.dtype(k): v for k, v in {
    np.float32: T.FLOAT, np.uint8: T.UINT8, np.int8: T.INT8, np.uint16: T.UINT16,
    np.int16: T.INT16, np.int32: T.INT32, np.int64: T.INT64, np.bool_: T.BOOL,
    np.float16: T.FLOAT16, np.float64: T.DOUBLE, np.uint32: T.UINT32, np.uint64: T.UINT64}.items()}


class Packed:
    """A 4-bit tensor: dtype, shape, and values 0..15 or -8..7."""

    def __init__(self, dtype, values):
        self.onnx_dtype, self.values = dtype, np.asarray(values)
        self.shape = self.values.shape

    def tobytes(self):
        v = self.values.reshape(-1).astype(np.int64) & 15
        v = np.append(v, 0) if v.size % 2 else v
        return (v[0::2] | v[1::2] << 4).astype(np.uint8).tobytes()


class Const:
    def __init__(self, array):
        self.array = array


def dtype_of(x):
    if isinstance(x, Packed):
        return x.onnx_dtype
    return NP_TO_ONNX[x.dtype] if x.dtype in NP_TO_ONNX else helper.np_dtype_to_tensor_dtype(x.dtype)


def normal(*shape, scale=1.0, dtype=np.float32):
    return (rng.standard_normal(shape) * scale).astype(dtype)


def run_ort(op, domain, version, attrs, inputs, n_out):
    names, feeds, infos, inits = [], {}, [], []
    for i, x in enumerate(inputs):
        if x is None:
            names.append("")
            continue
        name = f"x{i}"
        names.append(name)
        if isinstance(x, Packed):
            inits.append(helper.make_tensor(name, x.onnx_dtype, x.shape, x.tobytes(), raw=True))
            continue
        infos.append(helper.make_tensor_value_info(name, NP_TO_ONNX[x.dtype], x.shape))
        feeds[name] = x
    outs = [f"y{i}" if i in n_out else "" for i in range(max(n_out) + 1)]
    node = helper.make_node(op, names, outs, domain=domain, **attrs)
    graph = helper.make_graph([node], "g", infos,
                              [helper.make_empty_tensor_value_info(o) for o in outs if o], inits)
    opsets = [helper.make_opsetid("", version if domain == "" else 21), helper.make_opsetid(MS, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    so = ort.SessionOptions()
    so.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    so.log_severity_level = 3
    so.intra_op_num_threads = 1
    sess = ort.InferenceSession(model.SerializeToString(), so, providers=["CPUExecutionProvider"])
    got = sess.run(None, feeds)
    result = [None] * len(outs)
    for name, value in zip([o for o in outs if o], got):
        result[int(name[1:])] = value
    return result


def case(theme, name, op, inputs, attrs=None, domain="", version=21, n_out=(0,), ref=None,
         tol=(1e-5, 1e-5), attr_tensors=(), cupola=None):
    """cupola: (domain, op, attrs) recorded instead of what the reference ran."""
    attrs = attrs or {}
    n_out = tuple(range(n_out)) if isinstance(n_out, int) else n_out
    consts = [isinstance(x, Const) for x in inputs]
    arrays = [x.array if isinstance(x, Const) else x for x in inputs]
    arrays = [np.asarray(x) if isinstance(x, np.generic) else x for x in arrays]
    if ref is not None:
        outputs = ref(*arrays)
        outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    else:
        outputs = run_ort(op, domain, version, attrs, arrays, n_out)
    if cupola:
        domain, op, attrs = cupola
    themes.setdefault(theme, []).append((name, domain, op, version, tol, attrs, arrays, consts, outputs))


# ---- writing ----

def w_str(s):
    b = s.encode() if isinstance(s, str) else s
    return struct.pack("<H", len(b)) + b


def w_tensor(x, const=False):
    if x is None:
        return struct.pack("<BBB", 0, 0, 0) + struct.pack("<I", 0)
    if not isinstance(x, Packed):
        x = np.asarray(x)
    data = x.tobytes()
    head = struct.pack("<BBB", dtype_of(x), int(const), len(x.shape))
    return head + b"".join(struct.pack("<q", d) for d in x.shape) + struct.pack("<I", len(data)) + data


def w_attr(name, v):
    head = w_str(name)
    if isinstance(v, (bool, int, np.integer)):
        return head + struct.pack("<Bq", 0, int(v))
    if isinstance(v, float):
        return head + struct.pack("<Bf", 1, v)
    if isinstance(v, str):
        return head + struct.pack("<B", 2) + w_str(v)
    if isinstance(v, onnx.TensorProto):
        return head + struct.pack("<B", 3) + w_tensor(numpy_helper.to_array(v))
    if isinstance(v, (list, tuple)) and all(isinstance(i, (int, np.integer)) for i in v):
        return head + struct.pack("<BI", 5, len(v)) + b"".join(struct.pack("<q", int(i)) for i in v)
    if isinstance(v, (list, tuple)):
        return head + struct.pack("<BI", 6, len(v)) + b"".join(struct.pack("<f", i) for i in v)
    raise TypeError(f"{name}: {type(v)}")


def write_all(themes):
    os.makedirs(OUT, exist_ok=True)
    for theme, cases in themes.items():
        blob = b"CUPOPS1\0" + struct.pack("<I", len(cases))
        for name, domain, op, version, tol, attrs, arrays, consts, outputs in cases:
            blob += w_str(name) + w_str(domain) + w_str(op) + struct.pack("<iff", version, *tol)
            blob += struct.pack("<I", len(attrs)) + b"".join(w_attr(k, v) for k, v in attrs.items())
            blob += struct.pack("<I", len(arrays))
            blob += b"".join(w_tensor(a, c) for a, c in zip(arrays, consts))
            blob += struct.pack("<I", len(outputs)) + b"".join(w_tensor(o) for o in outputs)
        with open(os.path.join(OUT, theme + ".bin"), "wb") as f:
            f.write(blob)
        print(f"{theme}: {len(cases)} cases, {len(blob)} bytes")


# ---- element by element ----

def elementwise():
    x = np.concatenate([normal(40, scale=3), np.float32([0, -0.0, 0.5, -0.5, 1.5, 2.5, 30, -30, 100, -100, 1e-8])])
    pos = np.abs(x) + np.float32(0.01)
    for op in ("Neg", "Abs", "Exp", "Erf", "Sigmoid", "Tanh", "Relu", "Softplus", "Cos", "Sin", "Floor", "Ceil", "Round", "Identity"):
        case("elementwise", f"{op}_f32", op, [np.clip(x, -80, 80) if op == "Exp" else x], tol=(1e-6, 2e-6))
    for op in ("Sqrt", "Log", "Reciprocal"):
        case("elementwise", f"{op}_f32", op, [pos], tol=(1e-6, 2e-6))
    for op in ("Sqrt", "Exp", "Sigmoid", "Tanh", "Relu", "Neg", "Abs", "Erf"):
        case("elementwise", f"{op}_f16", op, [np.abs(normal(3, 7, scale=2, dtype=np.float16))], tol=(2e-3, 2e-3))
    for op in ("Neg", "Abs", "Exp", "Sqrt", "Floor", "Tanh", "Sin"):
        case("elementwise", f"{op}_f64", op, [np.abs(rng.standard_normal(9))], tol=(1e-12, 1e-12))
    for dt in (np.int8, np.int32, np.int64):
        case("elementwise", f"Neg_{dt.__name__}", "Neg", [np.array([-3, 0, 7, 100], dt)])
        case("elementwise", f"Abs_{dt.__name__}", "Abs", [np.array([-3, 0, 7, -100], dt)])
    case("elementwise", "Not", "Not", [np.array([[True, False], [False, True]])])
    case("elementwise", "Gelu_erf", "Gelu", [x], tol=(2e-6, 2e-6))
    case("elementwise", "Gelu_tanh", "Gelu", [x], {"approximate": "tanh"}, tol=(2e-6, 2e-6))
    case("elementwise", "QuickGelu", "QuickGelu", [normal(3, 50)], {"alpha": 1.702}, MS, 1, tol=(2e-6, 2e-6))
    case("elementwise", "QuickGelu_alpha1", "QuickGelu", [normal(3, 50)], {"alpha": 1.0}, MS, 1, tol=(2e-6, 2e-6))
    case("elementwise", "FastGelu", "FastGelu", [normal(2, 5, 12)], {}, MS, 1, tol=(3e-6, 3e-6))
    case("elementwise", "FastGelu_bias", "FastGelu", [normal(2, 5, 12), normal(12)], {}, MS, 1, tol=(3e-6, 3e-6))
    case("elementwise", "BiasGelu", "BiasGelu", [normal(2, 5, 12), normal(12)], {}, MS, 1, tol=(3e-6, 3e-6))
    case("elementwise", "Clip_both", "Clip", [x, np.float32(-1), np.float32(2)])
    case("elementwise", "Clip_max", "Clip", [x, None, np.float32(2)])
    case("elementwise", "Clip_i64", "Clip", [np.arange(-9, 9), np.int64(-3), np.int64(5)])
    case("elementwise", "Clip_6", "Clip", [x], {"min": -1.5, "max": 0.25}, version=6)
    case("elementwise", "IsNaN", "IsNaN", [np.float32([1, np.nan, np.inf, -np.inf, 0])])
    case("elementwise", "IsInf", "IsInf", [np.float32([1, np.nan, np.inf, -np.inf, 0])])
    case("elementwise", "IsInf_neg", "IsInf", [np.float32([1, np.nan, np.inf, -np.inf, 0])], {"detect_positive": 0})
    shapes = [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (4,)), ((2, 3, 4), (3, 1)), ((2, 1, 4), (5, 1)), ((), (3, 2)), ((1,), (2, 600)), ((3, 1, 5), (1, 4, 1)), ((0, 4), (4,))]
    for op in ("Add", "Sub", "Mul", "Div"):
        for i, (a, b) in enumerate(shapes):
            case("elementwise", f"{op}_{i}", op, [normal(*a), normal(*b) + np.float32(3)], tol=(1e-6, 1e-6))
        for dt in (np.int32, np.int64):
            case("elementwise", f"{op}_{dt.__name__}", op, [rng.integers(-50, 50, (3, 4)).astype(dt), rng.integers(1, 9, (4,)).astype(dt)])
        case("elementwise", f"{op}_f16", op, [normal(4, 5, dtype=np.float16), normal(5, dtype=np.float16) + np.float16(3)], tol=(2e-3, 1e-3))
        case("elementwise", f"{op}_f64", op, [rng.standard_normal((4, 5)), rng.standard_normal(5)], tol=(1e-12, 1e-12))
    case("elementwise", "Div_negative_i64", "Div", [np.array([-7, 7, -7, 7], np.int64), np.array([2, -2, -2, 2], np.int64)])
    case("elementwise", "Mod_i64", "Mod", [np.array([-7, 7, -7, 7, 6], np.int64), np.array([3, -3, -3, 3, 3], np.int64)])
    case("elementwise", "Mod_i64_fmod", "Mod", [np.array([-7, 7, -7, 7, 6], np.int64), np.array([3, -3, -3, 3, 3], np.int64)], attrs={"fmod": 1})
    case("elementwise", "Pow_2", "Pow", [normal(3, 5), np.float32(2)])
    case("elementwise", "Pow_float", "Pow", [pos, np.float32(0.37)], tol=(1e-5, 1e-5))
    case("elementwise", "Pow_i64_exp", "Pow", [pos[:8], np.array(3, np.int64)], tol=(1e-5, 1e-5))
    case("elementwise", "Pow_i64", "Pow", [np.array([2, 3, -4], np.int64), np.array([5, 2, 3], np.int64)])
    for op in ("Min", "Max"):
        case("elementwise", f"{op}_3", op, [normal(3, 4), normal(4), normal(3, 1)])
        case("elementwise", f"{op}_1", op, [normal(3, 4)])
        case("elementwise", f"{op}_i64", op, [np.array([1, -5, 7]), np.array([2], np.int64)])
    for op in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"):
        for dt in (np.float32, np.int64, np.int32):
            case("elementwise", f"{op}_{dt.__name__}", op, [rng.integers(0, 4, (3, 5)).astype(dt), rng.integers(0, 4, (5,)).astype(dt)])
    case("elementwise", "Equal_bool", "Equal", [np.array([True, False]), np.array([True, True])])
    for op in ("And", "Or"):
        case("elementwise", op, op, [rng.integers(0, 2, (3, 5)).astype(bool), rng.integers(0, 2, (5,)).astype(bool)])
    for dt in (np.float32, np.int64, np.float16, np.uint8):
        case("elementwise", f"Where_{dt.__name__}", "Where", [rng.integers(0, 2, (3, 1)).astype(bool), rng.integers(0, 99, (4,)).astype(dt), rng.integers(0, 99, (3, 4)).astype(dt)])
    f = np.float32([-2.7, -0.5, 0, 0.5, 1.5, 2.5, 300.9, 65504])
    for src in (np.float32, np.float16, np.float64, np.int64, np.int32, np.bool_, np.uint8):
        for dst in (T.FLOAT, T.FLOAT16, T.DOUBLE, T.INT64, T.INT32, T.BOOL):
            base = f if np.issubdtype(src, np.floating) else np.array([0, 1, 2, 3, 200])
            case("elementwise", f"Cast_{np.dtype(src).name}_{dst}", "Cast", [base.astype(src)], {"to": dst})
    case("elementwise", "CastLike", "CastLike", [f, np.zeros(1, np.int64)], ref=lambda a, b: a.astype(np.int64))
    case("elementwise", "Cast_bf16", "Cast", [normal(300)], {"to": T.BFLOAT16},
         ref=lambda a: bf16_of(a))


class Bf16(Packed):
    def __init__(self, bits):
        self.bits, self.shape, self.onnx_dtype = bits, bits.shape, T.BFLOAT16

    def tobytes(self):
        return self.bits.tobytes()


def bf16_of(a):
    u = a.astype(np.float32).view(np.uint32)
    return Bf16(((u + 0x7FFF + ((u >> 16) & 1)) >> 16).astype(np.uint16))


def bf16_to_f32(x):
    return (x.bits.astype(np.uint32) << 16).view(np.float32)


# ---- shapes and movement ----

def shapes():
    x = normal(2, 3, 4)
    i64 = lambda *v: np.array(v, np.int64)
    case("shapes", "Reshape", "Reshape", [x, i64(0, -1)])
    case("shapes", "Reshape_u8", "Reshape", [rng.integers(0, 9, (4, 6)).astype(np.uint8), i64(2, 2, 6)])
    case("shapes", "Flatten", "Flatten", [x], {"axis": 2})
    case("shapes", "Squeeze", "Squeeze", [normal(1, 3, 1), i64(0)])
    case("shapes", "Squeeze_all", "Squeeze", [normal(1, 3, 1)])
    case("shapes", "Unsqueeze", "Unsqueeze", [normal(3), i64(0, 2)])
    for perm in ([2, 0, 1], [0, 2, 1], [1, 0, 2], [2, 1, 0]):
        case("shapes", f"Transpose_{perm}", "Transpose", [x], {"perm": perm})
    case("shapes", "Transpose_default", "Transpose", [x])
    case("shapes", "Transpose_i64_4d", "Transpose", [rng.integers(0, 99, (2, 3, 4, 5))], {"perm": [0, 2, 1, 3]})
    case("shapes", "Transpose_f16", "Transpose", [normal(2, 70, 9, dtype=np.float16)], {"perm": [0, 2, 1]})
    case("shapes", "Concat_0", "Concat", [normal(2, 3), normal(1, 3), normal(0, 3)], {"axis": 0})
    case("shapes", "Concat_neg", "Concat", [normal(2, 3, 2), normal(2, 3, 5)], {"axis": -1})
    case("shapes", "Concat_i64", "Concat", [i64(1), i64(2, 3)], {"axis": 0})
    case("shapes", "Split_sizes", "Split", [normal(2, 10), i64(3, 5, 2)], {"axis": 1}, n_out=3)
    case("shapes", "Split_num", "Split", [normal(7, 2)], {"axis": 0, "num_outputs": 3}, n_out=3)
    case("shapes", "Split_zero", "Split", [normal(2, 4), i64(0, 4)], {"axis": -1}, n_out=2)
    case("shapes", "Slice", "Slice", [normal(6, 7), i64(1, 0), i64(5, 100), i64(0, 1), i64(2, 3)])
    case("shapes", "Slice_neg_step", "Slice", [normal(6, 7), i64(-1), i64(-1000), i64(1), i64(-2)])
    case("shapes", "Slice_neg_axis", "Slice", [normal(6, 7), i64(-3), i64(-1), i64(-1)])
    case("shapes", "Slice_empty", "Slice", [normal(6, 7), i64(4), i64(2), i64(0)])
    case("shapes", "Slice_i32", "Slice", [normal(6, 7), np.array([2], np.int32), np.array([4], np.int32)])
    case("shapes", "Slice_reverse_all", "Slice", [normal(5), i64(10), i64(-10), i64(0), i64(-1)])
    case("shapes", "Slice_1", "Slice", [normal(6, 7)], {"starts": [1, 2], "ends": [3, -1], "axes": [0, 1]}, version=9)
    case("shapes", "Expand", "Expand", [normal(3, 1), i64(2, 1, 4)])
    case("shapes", "Expand_i64", "Expand", [i64(5), i64(3, 3)])
    case("shapes", "Tile", "Tile", [normal(2, 3), i64(2, 3)])
    case("shapes", "Tile_3d", "Tile", [normal(2, 1, 3), i64(1, 4, 2)])
    case("shapes", "Range_i64", "Range", [np.int64(3), np.int64(20), np.int64(4)])
    case("shapes", "Range_neg", "Range", [np.int64(10), np.int64(-3), np.int64(-3)])
    case("shapes", "Range_f32", "Range", [np.float32(0), np.float32(1), np.float32(0.125)])
    case("shapes", "Range_empty", "Range", [np.int64(5), np.int64(5), np.int64(1)])
    case("shapes", "Shape", "Shape", [x])
    case("shapes", "Shape_part", "Shape", [x], {"start": -2, "end": 10})
    case("shapes", "Size", "Size", [x])
    case("shapes", "ConstantOfShape", "ConstantOfShape", [i64(2, 3)], {"value": helper.make_tensor("v", T.INT64, [1], [7])})
    case("shapes", "ConstantOfShape_default", "ConstantOfShape", [i64(5)])
    case("shapes", "Constant", "Constant", [], {"value": helper.make_tensor("v", T.FLOAT, [2], [1.5, -2])})
    case("shapes", "Constant_int", "Constant", [], {"value_int": 42})
    case("shapes", "Constant_floats", "Constant", [], {"value_floats": [1.0, 2.5]})
    for k in (None, 1, -1, 9, -9):
        case("shapes", f"Trilu_upper_{k}", "Trilu", [normal(2, 4, 5)] + ([] if k is None else [np.int64(k)]))
        case("shapes", f"Trilu_lower_{k}", "Trilu", [normal(2, 4, 5)] + ([] if k is None else [np.int64(k)]), {"upper": 0})
    case("shapes", "Gather_0", "Gather", [normal(7, 5), np.array([[1, -1], [0, 6]])])
    case("shapes", "Gather_1", "Gather", [normal(3, 7, 2), np.array([2, 0], np.int32)], {"axis": 1})
    case("shapes", "Gather_scalar", "Gather", [i64(10, 20, 30), np.int64(-2)])


# ---- reductions ----

def reductions():
    x = normal(3, 4, 5)
    i64 = lambda *v: np.array(v, np.int64)
    for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"):
        case("reduce", f"{op}_last", op, [x, i64(-1)], tol=(1e-5, 1e-5))
        case("reduce", f"{op}_mid", op, [x, i64(1)], {"keepdims": 0}, tol=(1e-5, 1e-5))
        case("reduce", f"{op}_two", op, [x, i64(0, 2)], tol=(1e-5, 1e-5))
        case("reduce", f"{op}_all", op, [x], {"keepdims": 0}, tol=(1e-5, 1e-5))
        case("reduce", f"{op}_noop", op, [x, np.zeros(0, np.int64)], {"noop_with_empty_axes": 1})
        case("reduce", f"{op}_i64", op, [rng.integers(-9, 9, (3, 7)), i64(1)])
        case("reduce", f"{op}_long", op, [normal(3, 1500), i64(1)], tol=(1e-4, 1e-5))
    case("reduce", "ReduceSum_11", "ReduceSum", [x], {"axes": [1], "keepdims": 1}, version=11, tol=(1e-5, 1e-5))
    case("reduce", "ReduceMean_f16", "ReduceMean", [normal(3, 9, dtype=np.float16), i64(1)], tol=(2e-3, 2e-3))
    tie = np.float32([[1, 3, 3, 0], [2, 2, 1, 2]])
    for last in (0, 1):
        case("reduce", f"ArgMax_{last}", "ArgMax", [tie], {"axis": 1, "select_last_index": last, "keepdims": 0})
    case("reduce", "ArgMax_0", "ArgMax", [x], {"axis": 0})
    for axis in (-1, 0, 1):
        case("reduce", f"Softmax_{axis}", "Softmax", [x * 5], {"axis": axis}, tol=(1e-6, 1e-5))
    case("reduce", "Softmax_11", "Softmax", [x], {"axis": 1}, version=11, tol=(1e-6, 1e-5))
    case("reduce", "Softmax_11_default", "Softmax", [x], version=11, tol=(1e-6, 1e-5))
    case("reduce", "Softmax_f16", "Softmax", [normal(3, 9, dtype=np.float16)], tol=(1e-3, 2e-3))
    case("reduce", "Softmax_masked", "Softmax", [np.where(rng.integers(0, 2, (4, 600)), normal(4, 600), np.float32(-3.4028235e38))], tol=(1e-6, 1e-5))
    for ex in (0, 1):
        for rev in (0, 1):
            case("reduce", f"CumSum_{ex}{rev}", "CumSum", [normal(2, 6), np.int64(1)], {"exclusive": ex, "reverse": rev}, tol=(1e-5, 1e-5))
    case("reduce", "CumSum_i64", "CumSum", [rng.integers(0, 9, (4, 3)), np.int32(0)])


# ---- norms and rotary ----

def norms():
    for rows, cols in (((2, 5), 48), ((3,), 7), ((1,), 1000)):
        x, skip, g, b, bias = normal(*rows, cols), normal(*rows, cols), normal(cols), normal(cols), normal(cols)
        tag = f"{cols}"
        case("norms", f"RMS_{tag}", "SimplifiedLayerNormalization", [x, g], {"axis": -1, "epsilon": 1e-6, "stash_type": 1}, version=17)
        case("norms", f"Layer_{tag}", "LayerNormalization", [x, g, b], {"epsilon": 1e-6}, tol=(3e-5, 1e-5))
        case("norms", f"Layer_nobias_{tag}", "LayerNormalization", [x, g], tol=(3e-5, 1e-5))
        for name, ins in (("", [x, skip, g]), ("_bias", [x, skip, g, bias])):
            for outs in ((0,), (0, 3)):
                if len(rows) != 2 and outs == (0, 3) and name:
                    continue
                x3 = [a.reshape(1, -1, cols) if a.ndim == 2 and a.shape != (cols,) else a for a in ins]
                case("norms", f"SkipRMS{name}_{tag}_{len(outs)}", "SkipSimplifiedLayerNormalization", x3, {"epsilon": 1e-5}, MS, 1, outs)
        x3, s3 = x.reshape(1, -1, cols), skip.reshape(1, -1, cols)
        case("norms", f"SkipLayer_{tag}", "SkipLayerNormalization", [x3, s3, g, b, bias], {"epsilon": 1e-5}, MS, 1, (0, 3), tol=(3e-5, 2e-5))
        case("norms", f"SkipLayer_nobeta_{tag}", "SkipLayerNormalization", [x3, s3, g], {"epsilon": 1e-5}, MS, 1, (0,), tol=(3e-5, 2e-5))
    case("norms", "SkipRMS_broadcast", "SkipSimplifiedLayerNormalization", [normal(3, 4, 8), normal(1, 4, 8), normal(8)], {"epsilon": 1e-5}, MS, 1, (0, 3))
    case("norms", "SkipRMS_broadcast_2d", "SkipSimplifiedLayerNormalization", [normal(3, 4, 8), normal(4, 8), normal(8)], {"epsilon": 1e-5}, MS, 1, (0,))
    case("norms", "SkipRMS_f16", "SkipSimplifiedLayerNormalization", [normal(1, 4, 24, dtype=np.float16), normal(1, 4, 24, dtype=np.float16), normal(24, dtype=np.float16)], {"epsilon": 1e-5}, MS, 1, (0, 3), tol=(4e-3, 2e-3))
    case("norms", "Layer_axis1", "LayerNormalization", [normal(2, 3, 4), normal(3, 4), normal(3, 4)], {"axis": 1}, tol=(3e-5, 1e-5))
    case("norms", "Layer_stats", "LayerNormalization", [normal(4, 9), normal(9), normal(9)], {}, "", 17, 3, tol=(3e-5, 1e-5))
    x, w = normal(5, 3 * 16), normal(16)
    case("norms", "HeadNorm", "HeadNorm", [x, w], {"head_dim": 16, "epsilon": 1e-6}, "cupola", 1,
         ref=lambda x, w: (x.reshape(5, 3, 16) / np.sqrt((x.reshape(5, 3, 16).astype(np.float64) ** 2).mean(-1, keepdims=True) + 1e-6) * w).astype(np.float32).reshape(5, 48))
    cos, sin = tables(20, 16)
    pos = np.array([[3, 4, 5], [0, 1, 2]], np.int64)
    for inter in (0, 1):
        case("norms", f"Rotary3d_{inter}", "RotaryEmbedding", [normal(2, 3, 4 * 16), pos, cos, sin], {"interleaved": inter}, MS, 1)
        case("norms", f"Rotary4d_{inter}", "RotaryEmbedding", [normal(2, 4, 3, 16), pos, cos, sin], {"interleaved": inter}, MS, 1)
        case("norms", f"Rotary_offset_{inter}", "RotaryEmbedding", [normal(2, 3, 4 * 16), np.array([5], np.int64), cos, sin], {"interleaved": inter}, MS, 1)
        pc, ps = tables(20, 8)
        case("norms", f"Rotary_partial_{inter}", "RotaryEmbedding", [normal(2, 3, 4 * 16), pos, pc, ps], {"interleaved": inter, "num_heads": 4, "rotary_embedding_dim": 8}, MS, 1)
        case("norms", f"Rotary23_{inter}", "RotaryEmbedding", [normal(2, 4, 3, 16), cos, sin, pos], {"interleaved": inter}, "", 23)
        case("norms", f"Rotary23_rows_{inter}", "RotaryEmbedding", [normal(2, 3, 64), cos[:6].reshape(2, 3, 8), sin[:6].reshape(2, 3, 8)], {"interleaved": inter, "num_heads": 4}, "", 23)


def tables(n, dim, base=100.0):
    inv = base ** -(np.arange(0, dim, 2) / dim)
    ang = np.arange(n)[:, None] * inv[None]
    return np.cos(ang).astype(np.float32), np.sin(ang).astype(np.float32)


# ---- matrix products ----

def quantised(n, k, block, bits, zp):
    blocks = -(-k // block)
    q = rng.integers(0, 256, (n, blocks, block * bits // 8)).astype(np.uint8)
    scales = (rng.uniform(0.5, 1.5, (n, blocks)) * rng.choice([-1, 1], (n, blocks)) * 2.0 ** -bits).astype(np.float32)
    zps = rng.integers(0, 256, (n, -(-blocks * bits // 8))).astype(np.uint8) if zp else None
    return q, scales, zps


def dequantised(q, scales, zps, k, block, bits):
    n, blocks, _ = q.shape
    per = 8 // bits
    v = np.stack([(q >> (bits * i)) & ((1 << bits) - 1) for i in range(per)], -1).reshape(n, blocks, block).astype(np.float64)
    if zps is None:
        z = np.full((n, blocks), 1 << (bits - 1))
    elif zps.dtype == np.uint8:
        z = np.stack([(zps >> (bits * i)) & ((1 << bits) - 1) for i in range(per)], -1).reshape(n, -1)[:, :blocks]
    else:
        z = zps
    w = (v - z[:, :, None]) * scales[:, :, None].astype(np.float64)
    return w.reshape(n, -1)[:, :k]


def quantise_rows(x, block):
    m, k = x.shape
    pad = -k % block
    xb = np.pad(x, ((0, 0), (0, pad))).reshape(m, -1, block)
    amax = np.abs(xb).max(-1, keepdims=True)
    q = np.rint(xb * np.where(amax > 0, np.float32(127) / np.where(amax > 0, amax, 1), 0))
    return (q * (amax.astype(np.float64) / 127)).reshape(m, -1)[:, :k]


def matrices():
    for a, b in (((5, 7), (7, 3)), ((2, 5, 7), (7, 3)), ((2, 3, 5, 7), (2, 3, 7, 4)), ((2, 1, 5, 7), (3, 7, 4)), ((7,), (7, 3)), ((5, 7), (7,)), ((7,), (7,)), ((70, 33), (33, 90)), ((0, 4), (4, 3)), ((3, 0), (0, 2)), ((1, 2, 130, 5), (1, 2, 5, 130))):
        case("matrices", f"MatMul_{a}_{b}", "MatMul", [normal(*a), normal(*b)], tol=(1e-4, 1e-5))
    case("matrices", "MatMul_const", "MatMul", [normal(2, 5, 40), Const(normal(40, 33))], tol=(1e-4, 1e-5))
    case("matrices", "MatMul_const_f16", "MatMul", [normal(6, 40, dtype=np.float16), Const(normal(40, 33, dtype=np.float16))], tol=(2e-2, 2e-3))
    case("matrices", "MatMul_f16", "MatMul", [normal(2, 6, 40, dtype=np.float16), normal(2, 40, 9, dtype=np.float16)], tol=(2e-2, 2e-3))
    case("matrices", "MatMul_f64", "MatMul", [rng.standard_normal((3, 4)), rng.standard_normal((4, 2))], tol=(1e-10, 1e-10))
    case("matrices", "MatMul_i32", "MatMul", [rng.integers(-9, 9, (3, 4)).astype(np.int32), rng.integers(-9, 9, (4, 2)).astype(np.int32)])
    for ta in (0, 1):
        for tb in (0, 1):
            a, b = normal(*((7, 5) if ta else (5, 7))), normal(*((3, 7) if tb else (7, 3)))
            for cname, c in (("none", None), ("row", normal(3)), ("col", normal(5, 1)), ("full", normal(5, 3)), ("scalar", normal(1))):
                case("matrices", f"Gemm_{ta}{tb}_{cname}", "Gemm", [a, b] + ([c] if c is not None else []), {"alpha": 0.5, "beta": 0.25, "transA": ta, "transB": tb}, tol=(1e-4, 1e-5))
            case("matrices", f"Gemm_const_{ta}{tb}", "Gemm", [a, Const(b), Const(normal(3))], {"transA": ta, "transB": tb}, tol=(1e-4, 1e-5))
    for bits in (2, 4, 8):
        for block in (16, 32, 128):
            for zp in (False, True):
                for m, k, n in ((1, 96, 20), (5, 256, 33)):
                    if block == 128 and k == 96 and bits == 2:
                        continue
                    q, s, z = quantised(n, k, block, bits, zp)
                    x = normal(m, k)
                    attrs = {"K": k, "N": n, "bits": bits, "block_size": block}
                    tag = f"{bits}b{block}{'z' if zp else 's'}_{m}x{k}x{n}"
                    ins = [x, Const(q), Const(s)] + ([Const(z)] if zp else [])
                    case("matrices", f"NBits_{tag}", "MatMulNBits", ins, attrs, MS, 1, ref=lambda x, q, s, z=None, k=k, block=block, bits=bits: (x.astype(np.float64) @ dequantised(q, s, z, k, block, bits).T).astype(np.float32), tol=(2e-4, 2e-5))
                    case("matrices", f"NBits4_{tag}", "MatMulNBits", ins, {**attrs, "accuracy_level": 4}, MS, 1, ref=lambda x, q, s, z=None, k=k, block=block, bits=bits: (quantise_rows(x, block) @ dequantised(q, s, z, k, block, bits).T).astype(np.float32), tol=(4e-4, 4e-5))
    # the same against onnxruntime itself, flat scales, bias, float zero points, k tail
    q, s, z = quantised(24, 100, 32, 4, True)
    ortx = [normal(2, 3, 100), q, s.reshape(-1), z.reshape(-1)]
    case("matrices", "NBits_ort_tail", "MatMulNBits", [ortx[0]] + [Const(a) for a in ortx[1:]], {"K": 100, "N": 24, "bits": 4, "block_size": 32}, MS, 1, tol=(2e-4, 2e-5))
    case("matrices", "NBits_ort_bias", "MatMulNBits", [ortx[0]] + [Const(a) for a in ortx[1:]] + [None, Const(normal(24))], {"K": 100, "N": 24, "bits": 4, "block_size": 32}, MS, 1, tol=(2e-4, 2e-5))
    zf = rng.uniform(4, 12, (24, 4)).astype(np.float32)
    case("matrices", "NBits_ort_float_zp", "MatMulNBits", [ortx[0], Const(q), Const(s), Const(zf)], {"K": 100, "N": 24, "bits": 4, "block_size": 32, "accuracy_level": 4}, MS, 1, ref=lambda x, q, s, z: (x.astype(np.float64) @ dequantised(q, s, z, 100, 32, 4).T).astype(np.float32), tol=(2e-4, 2e-5))
    case("matrices", "NBits_ort_g_idx", "MatMulNBits", [ortx[0], Const(q), Const(s), Const(z), Const((np.arange(128) // 32).astype(np.int32))], {"K": 100, "N": 24, "bits": 4, "block_size": 32}, MS, 1, ref=lambda x, q, s, z, g: (x.astype(np.float64) @ dequantised(q, s, z, 100, 32, 4).T).astype(np.float32), tol=(2e-4, 2e-5))
    # vectors published with the operator (onnxruntime's web tests)
    case("matrices", "NBits_published_sym", "MatMulNBits", [np.arange(128, dtype=np.float32).reshape(8, 16), Const(np.arange(1, 65, dtype=np.uint8).reshape(8, 1, 8)), Const(np.arange(8, dtype=np.float32))], {"K": 16, "N": 8, "bits": 4, "block_size": 16}, MS, 1)
    assert list(themes["matrices"][-1][-1][0][0]) == [0, -385, -1120, -963, -1984, -1285, -2592, -1351]
    case("matrices", "NBits_published_asym", "MatMulNBits", [np.arange(256, dtype=np.float32).reshape(16, 16), Const(np.arange(128, dtype=np.uint8).reshape(16, 1, 8)), Const(np.arange(16, dtype=np.float32)), Const(np.full(16, 128, np.uint8))], {"K": 16, "N": 16, "bits": 4, "block_size": 16}, MS, 1)
    assert list(themes["matrices"][-1][-1][0][0][:4]) == [0, 728, 688, 2376]
    # Linear of the lowered form
    w = normal(40, 19)
    case("matrices", "Linear_f32", "Linear", [normal(5, 40), Const(w), None, None, Const(normal(19))], {"K": 40, "N": 19}, "cupola", 1, ref=lambda x, w, a, b, c: (x.astype(np.float64) @ w + c).astype(np.float32), tol=(1e-4, 1e-5))
    case("matrices", "Linear_trans", "Linear", [normal(5, 40), Const(np.ascontiguousarray(w.T))], {"K": 40, "N": 19, "trans_b": 1}, "cupola", 1, ref=lambda x, w: (x.astype(np.float64) @ w.T).astype(np.float32), tol=(1e-4, 1e-5))
    case("matrices", "Linear_f16", "Linear", [normal(70, 40, dtype=np.float16), Const(w.astype(np.float16))], {"K": 40, "N": 19}, "cupola", 1, ref=lambda x, w: (x.astype(np.float64) @ w).astype(np.float16), tol=(2e-2, 2e-3))
    case("matrices", "Linear_bf16_weights", "Linear", [normal(3, 40), Const(bf16_of(w))], {"K": 40, "N": 19}, "cupola", 1, ref=lambda x, w: (x.astype(np.float64) @ bf16_to_f32(w)).astype(np.float32), tol=(1e-4, 1e-5))
    q, s, z = quantised(40, 64, 32, 4, True)
    case("matrices", "Linear_q4", "Linear", [normal(70, 64), Const(q), Const(s), Const(z), Const(normal(40))], {"K": 64, "N": 40, "bits": 4, "block_size": 32}, "cupola", 1, ref=lambda x, q, s, z, b: (x.astype(np.float64) @ dequantised(q, s, z, 64, 32, 4).T + b).astype(np.float32), tol=(2e-4, 2e-5))
    case("matrices", "Linear_q4_f16_acc4", "Linear", [normal(9, 64, dtype=np.float16), Const(q), Const(s.astype(np.float16)), Const(z)], {"K": 64, "N": 40, "bits": 4, "block_size": 32, "accuracy_level": 4}, "cupola", 1, ref=lambda x, q, s, z: (quantise_rows(x.astype(np.float32), 32) @ dequantised(q, s.astype(np.float32), z, 64, 32, 4).T).astype(np.float16), tol=(2e-2, 2e-3))
    g, u = normal(5, 700), normal(5, 700)
    acts = {"silu": lambda g: g / (1 + np.exp(-g)), "relu": lambda g: np.maximum(g, 0), "sigmoid": lambda g: 1 / (1 + np.exp(-g)), "quick_gelu": lambda g: g / (1 + np.exp(-1.702 * g)),
            "gelu_tanh": lambda g: 0.5 * g * (1 + np.tanh(np.sqrt(2 / np.pi) * (g + 0.044715 * g ** 3)))}
    for act, fn in acts.items():
        ref = lambda g, u, fn=fn: (fn(g.astype(np.float64)) * u).astype(np.float32)
        case("matrices", f"GatedAct_{act}", "GatedAct", [g, u], {"act": act}, "cupola", 1, ref=ref, tol=(3e-6, 3e-6))
    case("matrices", "GatedAct_packed", "GatedAct", [np.concatenate([g, u], 1)], {"act": "silu"}, "cupola", 1, ref=lambda p: (acts["silu"](p[:, :700].astype(np.float64)) * p[:, 700:]).astype(np.float32), tol=(3e-6, 3e-6))
    # dequantisation and quantised gathers
    for dt, name in ((np.uint8, "u8"), (np.int8, "i8"), (np.int32, "i32")):
        x = rng.integers(0, 100, (3, 8)).astype(dt)
        case("matrices", f"Dequant_{name}", "DequantizeLinear", [x, np.float32(0.5)] + ([] if dt == np.int32 else [dt(3)]))
    x8 = rng.integers(-128, 127, (4, 6)).astype(np.int8)
    case("matrices", "Dequant_axis0", "DequantizeLinear", [x8, normal(4), rng.integers(-3, 3, 4).astype(np.int8)], {"axis": 0})
    case("matrices", "Dequant_axis1", "DequantizeLinear", [x8, normal(6)], {"axis": 1})
    case("matrices", "Dequant_block", "DequantizeLinear", [x8, normal(4, 3), rng.integers(-3, 3, (4, 3)).astype(np.int8)], {"axis": 1, "block_size": 2})
    case("matrices", "Dequant_block0", "DequantizeLinear", [x8, normal(2, 6)], {"axis": 0, "block_size": 2})
    case("matrices", "Dequant_u4", "DequantizeLinear", [Const(Packed(T.UINT4, rng.integers(0, 16, (4, 6)))), normal(2, 6), Const(Packed(T.UINT4, rng.integers(0, 16, (2, 6))))], {"axis": 0, "block_size": 2})
    case("matrices", "Dequant_i4", "DequantizeLinear", [Const(Packed(T.INT4, rng.integers(-8, 8, (4, 5)))), normal(4)], {"axis": 0})
    case("matrices", "Dequant_f16", "DequantizeLinear", [x8, np.float16(0.5), np.int8(-3)], tol=(1e-3, 1e-3))
    idx = np.array([[0, 5, -1], [3, 3, 2]], np.int64)
    for bits in (4, 8):
        for zp in (False, True):
            q = rng.integers(0, 256, (6, 64 * bits // 8)).astype(np.uint8)
            s = normal(6, 2)
            z = rng.integers(0, 256, (6, bits * 2 // 8)).astype(np.uint8)
            case("matrices", f"GatherQ_{bits}_{zp}", "GatherBlockQuantized", [Const(q), idx, Const(s)] + ([Const(z)] if zp else []), {"bits": bits, "block_size": 32, "gather_axis": 0, "quantize_axis": 1}, MS, 1, tol=(1e-5, 1e-5))
    case("matrices", "GatherQ_u4", "GatherBlockQuantized", [Const(Packed(T.UINT4, rng.integers(0, 16, (6, 64)))), idx, Const(normal(6, 2)), Const(Packed(T.UINT4, rng.integers(0, 16, (6, 2))))], {"block_size": 32}, MS, 1)
    case("matrices", "GatherQ_i4", "GatherBlockQuantized", [Const(Packed(T.INT4, rng.integers(-8, 8, (6, 64)))), idx, Const(normal(6, 2))], {"block_size": 32}, MS, 1)
    case("matrices", "GatherQ_f16", "GatherBlockQuantized", [Const(rng.integers(0, 256, (6, 32)).astype(np.uint8)), idx, Const(normal(6, 2, dtype=np.float16))], {"bits": 4, "block_size": 32}, MS, 1, tol=(1e-2, 1e-3))


# ---- attention ----

def gqa(name, b=1, s=1, past=0, heads=4, kv=2, dim=16, buffer=0, packed=True, rotary=0, interleaved=0,
        rot_dim=None, window=-1, softcap=0.0, sink=False, smooth=0, bias=None, positions=None, lens=None,
        dtype=np.float32, scale=None, quant=None, sliding=0, tol=(2e-5, 2e-5), ref=None, norm=False):
    """One GroupQueryAttention case; lens: valid lengths for right padding of a first prompt."""
    q_w, kv_w = heads * dim, kv * dim
    total = past + s
    xs = [normal(b, s, q_w + 2 * kv_w, dtype=dtype), None, None] if packed else [normal(b, s, w, dtype=dtype) for w in (q_w, kv_w, kv_w)]
    rows = buffer or past
    attrs = {"num_heads": heads, "kv_num_heads": kv}
    cache = dtype
    if quant:
        kind, bits = quant
        cache = np.int8 if bits == 8 else np.uint8
        shape = (b, kv, rows, dim if bits == 8 else dim // 2)
        pk, pv = [rng.integers(-128, 128, shape).astype(np.int8) if bits == 8 else rng.integers(0, 256, shape).astype(np.uint8) for _ in range(2)]
        attrs |= {"k_quant_type": kind, "v_quant_type": kind, "kv_cache_bit_width": bits}
        n = 1 if kind == "PER_TENSOR" else kv * dim
        ks, vs = [(rng.uniform(0.5, 1.5, n) * 3 / (1 << (bits - 1))).astype(np.float32) for _ in range(2)]
    else:
        pk, pv = normal(b, kv, rows, dim, dtype=dtype), normal(b, kv, rows, dim, dtype=dtype)
        ks = vs = None
    if buffer and not quant and not sliding:
        pk[:, :, past:], pv[:, :, past:] = 0, 0
    seqlens = np.array([total - 1] * b if lens is None else [n - 1 for n in lens], np.int32)
    cos = sin = None
    if rotary:
        cos, sin = [a.astype(dtype) for a in tables(max(total, 8) + 60, rot_dim or dim)]
        attrs |= {"do_rotary": 1, "rotary_interleaved": interleaved}
    if window > 0:
        attrs["local_window_size"] = window
    if softcap:
        attrs["softcap"] = softcap
    if smooth:
        attrs["smooth_softmax"] = 1
    if scale:
        attrs["scale"] = scale
    if sliding:
        attrs["sliding_window_cache"] = 1
    bias_t = normal(*[b if i == 0 and d else heads if i == 1 and d else 1 for i, d in enumerate(bias)], s, total, dtype=dtype) if bias else None
    norms = [normal(dim, dtype=dtype), normal(dim, dtype=dtype)] if norm else [None, None]
    ins = xs + [pk, pv, seqlens, np.int32(total) if not lens else np.int32(s)] + [cos, sin, positions, bias_t, normal(heads, dtype=dtype) if sink else None, ks, vs] + norms
    ins[6] = np.array([int(ins[6])], np.int32)
    while ins[-1] is None:
        ins.pop()
    case("attention", name, "GroupQueryAttention", ins, attrs, MS, 1, 3, tol=tol, ref=ref)


def attention():
    def attempt(name, **kw):
        try:
            gqa(name, **kw)
        except Exception as e:
            print(f"no reference for {name}: {str(e)[:160]}")

    attempt("prompt", s=7)
    attempt("prompt_unpacked", s=7, packed=False)
    attempt("prompt_mha", s=5, heads=3, kv=3, dim=24)
    attempt("prompt_mqa", s=5, heads=6, kv=1, dim=8)
    attempt("decode_grow", s=1, past=9)
    attempt("decode_batch", b=3, s=1, past=6)
    attempt("chunk_grow", s=4, past=9)
    attempt("decode_buffer", s=1, past=9, buffer=16)
    attempt("chunk_buffer", s=4, past=9, buffer=16)
    attempt("prompt_buffer", s=7, buffer=16)
    attempt("long", s=3, past=700, dim=8)
    attempt("long_group", s=40, past=600, heads=8, kv=1, dim=8)
    attempt("padded", b=3, s=6, lens=[6, 2, 4])
    attempt("rotary_half", s=5, past=4, rotary=1)
    attempt("rotary_interleaved", s=5, past=4, rotary=1, interleaved=1)
    attempt("rotary_partial", s=5, past=4, rotary=1, rot_dim=16, dim=32)
    attempt("rotary_prompt_padded", b=2, s=6, lens=[6, 3], rotary=1)
    attempt("rotary_decode_batch", b=2, s=1, past=5, rotary=1, packed=False)
    attempt("positions", s=3, past=2, rotary=1, positions=np.array([[7, 3, 9]], np.int64))
    for w in (1, 2, 5):
        attempt(f"window{w}", s=9, window=w)
        attempt(f"window{w}_past", s=3, past=8, window=w)
    attempt("softcap", s=6, past=3, softcap=2.0)
    attempt("scale", s=6, scale=0.7)
    attempt("sink", s=6, past=3, sink=True)
    attempt("sink_long", s=2, past=700, sink=True, dim=8)
    attempt("smooth", s=6, past=3, smooth=1)
    for b in ((0, 0), (1, 0), (0, 1), (1, 1)):
        attempt(f"bias_{b[0]}{b[1]}", b=2 if b[0] else 1, s=5, bias=b)
    attempt("bias_past", s=3, past=4, bias=(0, 1))
    attempt("bias_softcap_window", s=6, past=0, bias=(0, 1), softcap=3.0, window=3)
    attempt("f16", s=5, past=4, rotary=1, dtype=np.float16, tol=(4e-3, 4e-3))
    attempt("f16_bias", s=5, bias=(0, 1), dtype=np.float16, tol=(4e-3, 4e-3))
    for kind in ("PER_TENSOR", "PER_CHANNEL"):
        for bits in (8, 4):
            attempt(f"quant_{kind}_{bits}", s=3, past=5, buffer=12, quant=(kind, bits), rotary=1, tol=(2e-4, 2e-4))
            attempt(f"quant_prompt_{kind}_{bits}", s=6, buffer=12, quant=(kind, bits), tol=(2e-4, 2e-4))
    for past, s, cap in ((0, 5, 10), (6, 3, 10), (10, 1, 10), (11, 1, 10), (23, 4, 10), (23, 7, 10), (0, 17, 10), (9, 4, 10)):
        attempt(f"sliding_{past}_{s}", s=s, past=past, buffer=cap, window=4, sliding=1, rotary=1)


if __name__ == "__main__":
    elementwise()
    shapes()
    reductions()
    norms()
    matrices()
    attention()
    write_all(themes)
