# SPDX-License-Identifier: MIT
"""Operators for make_malformed.py: a small valid call of each, and calls that its schema forbids.

    op(name, inputs, bad, ...)   inputs: t("f32", 2, 3) from the graph's inputs, a numpy array for a
                                 constant, None for an absent one
    bad: (class, {input index: input, "attribute": value or None to leave it out}, word[, True])
         word: what the error has to contain besides the node's name
         True: what the weights hold is looked at when the backend packs them, before the first run"""
import numpy as np

I64 = np.int64


class Tensor:
    """A graph input: type and shape (integers, or names of symbols)."""

    def __init__(self, dtype, shape):
        self.dtype, self.shape = dtype, shape


class Call:
    def __init__(self, name, ins, bad, outs, attrs, domain, opset):
        self.name, self.ins, self.bad, self.outs = name, ins, bad, outs
        self.attrs, self.domain, self.opset = attrs, domain, opset


CALLS = []


def t(dtype, *shape):
    return Tensor(dtype, list(shape))


def k(*values, dtype=I64):
    return np.array(values, dtype)


def zeros(dtype, *shape):
    return np.zeros(shape, dtype)


def op(name, ins, bad=(), outs=1, domain="", opset=21, **attrs):
    CALLS.append(Call(name, list(ins), list(bad), outs, attrs, domain, opset))


def ms(name, ins, bad=(), outs=1, **attrs):
    op(name, ins, bad, outs, domain="com.microsoft", **attrs)


X = t("f32", 2, 3)
BIG = 1 << 62

# ---- element by element ----
for unary in ("Neg", "Abs", "Sqrt", "Reciprocal", "Exp", "Log", "Erf", "Sigmoid", "Tanh", "Relu",
              "Softplus", "Cos", "Sin", "Floor", "Ceil", "Round", "IsNaN", "IsInf"):
    op(unary, [X], [("op dtype", {0: t("bool", 2, 3)}, "input 0")])
op("Identity", [X])
op("Not", [t("bool", 2)], [("op dtype", {0: X}, "input 0")])
op("Gelu", [X], [("attribute value", {"approximate": "exactly"}, "approximate"),
                 ("op dtype", {0: t("i32", 2, 3)}, "input 0")], approximate="tanh")
op("Clip", [X, zeros("f4"), zeros("f4")],
   [("op dtype pair", {1: zeros("f8")}, "1"), ("op rank", {1: zeros("f4", 2)}, "input 1"),
    ("op dtype pair", {2: k(1)}, "2"), ("op rank", {2: zeros("f4", 3, 3)}, "input 2")])
op("Trilu", [X, zeros("i8")], [("op rank", {0: t("f32", 3)}, "input 0"),
                               ("op rank", {0: t("f32")}, "input 0"),
                               ("op dtype", {1: zeros("f4")}, "input 1")], upper=0)
op("CumSum", [X, zeros("i8")], [("axis range", {1: np.array(2)}, "axis"),
                                ("axis range", {1: np.array(-3)}, "axis"),
                                ("op dtype", {1: zeros("f4")}, "input 1"),
                                ("op rank", {1: k(0, 1)}, "input 1"),
                                ("op rank", {0: t("f32")}, "input 0")], exclusive=1)
for axis_op in ("Softmax",):
    op(axis_op, [X], [("axis range", {"axis": 2}, "axis"), ("axis range", {"axis": -3}, "axis"),
                      ("axis range", {"axis": BIG}, "axis"),
                      ("axis range", {"axis": -(1 << 63)}, "axis"),
                      ("op dtype", {0: t("i64", 2, 3)}, "input 0")], axis=1)
ms("FastGelu", [X, t("f32", 3)], [("op shape", {1: t("f32", 4)}, "input 1"),
                                  ("op rank", {1: t("f32", 1, 3)}, "input 1"),
                                  ("op dtype pair", {1: t("f16", 3)}, "1")])
ms("BiasGelu", [X, t("f32", 3)], [("op shape", {1: t("f32", 2)}, "input 1"),
                                  ("op dtype pair", {1: t("f64", 3)}, "1")])
ms("QuickGelu", [X], [("op dtype", {0: t("u8", 2, 3)}, "input 0")], alpha=1.5)

# ---- broadcasting ----
PAIRS = [("broadcast", {1: t("f32", 2, 4)}, "broadcast"), ("broadcast", {1: t("f32", 5)}, "broadcast"),
         ("broadcast", {0: t("f32", 7, 2, 3), 1: t("f32", 8, 2, 3)}, "broadcast"),
         ("op dtype pair", {1: t("f64", 2, 3)}, "1"), ("op dtype pair", {0: t("i32", 2, 3)}, "0")]
for binary in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Equal", "Less", "LessOrEqual", "Greater",
               "GreaterOrEqual"):
    op(binary, [X, X], PAIRS)
op("Pow", [X, X], PAIRS[:3])
op("Mod", [t("i32", 2, 3), t("i32", 3)],
   [("broadcast", {1: t("i32", 2)}, "broadcast"), ("op dtype pair", {1: t("i64", 3)}, "1")], fmod=1)
for logic in ("And", "Or"):
    op(logic, [t("bool", 2, 3), t("bool", 3)],
       [("broadcast", {1: t("bool", 2)}, "broadcast"), ("op dtype", {0: X}, "input 0"),
        ("op dtype pair", {1: t("i32", 3)}, "1")])
op("Where", [t("bool", 2, 3), X, X],
   [("op dtype", {0: X}, "input 0"), ("broadcast", {0: t("bool", 4)}, "broadcast"),
    ("broadcast", {2: t("f32", 5, 3)}, "broadcast"), ("op dtype pair", {2: t("i32", 2, 3)}, "2")])

# ---- types and shapes ----
op("Cast", [X], [("attribute missing", {"to": None}, "to"), ("attribute value", {"to": 0}, "to"),
                 ("attribute value", {"to": 99}, "to"), ("attribute value", {"to": -1}, "to"),
                 ("attribute value", {"to": 1 << 33}, "to")], to=11)
op("CastLike", [X, t("f64", 1)])
op("ConstantOfShape", [k(2, 3)],
   [("shape constant", {0: k(-1, 3)}, "-1"), ("overflow", {0: k(BIG, 3)}, ""),
    ("overflow", {0: k(BIG, BIG, BIG)}, ""), ("op dtype", {0: k(2, 3, dtype=np.int32)}, "input 0"),
    ("op dtype", {0: k(2, 3, dtype=np.float32)}, "input 0"), ("op rank", {0: k([2, 3])}, "input 0"),
    ("op dtype", {0: k(np.nan, np.inf, dtype=np.float32)}, "input 0"),
    ("too many dims", {0: np.ones(9, I64)}, "input 0"),
    ("attribute value", {"value": zeros("f4", 2)}, "value"),
    ("attribute value", {"value": zeros("f4", 0)}, "value")], value=zeros("f4", 1))
op("Shape", [X], start=0, end=1)
op("Size", [X])
op("Reshape", [X, k(3, 2)],
   [("shape constant", {1: k(4, 2)}, "cannot become"), ("shape constant", {1: k(-1, -1)}, "-1"),
    ("shape constant", {1: k(-2, 3)}, "-2"), ("shape constant", {1: k(-1, 4)}, ""),
    ("shape constant", {1: k(0, 0, 0)}, ""), ("shape constant", {1: k()}, ""),
    ("overflow", {1: k(BIG, BIG)}, ""), ("overflow", {1: k(1 << 32, 1 << 32)}, ""),
    ("shape constant", {1: k(-(1 << 63))}, ""), ("shape constant", {1: k(0, -1), "allowzero": 1}, ""),
    ("too many dims", {1: np.ones(9, I64)}, "input 1"),
    ("op rank", {1: k([3, 2])}, "input 1"), ("op rank", {1: np.array(6)}, "input 1"),
    ("op dtype", {1: k(3, 2, dtype=np.int32)}, "input 1"),
    ("op dtype", {1: k(3, np.nan, dtype=np.float32)}, "input 1"),
    ("op dtype", {1: k(np.inf, dtype=np.float64)}, "input 1")], allowzero=0)
op("Flatten", [X], [("axis range", {"axis": 3}, "axis"), ("axis range", {"axis": -3}, "axis"),
                    ("axis range", {"axis": BIG}, "axis")], axis=1)
op("Transpose", [X], [("attribute value", {"perm": [0]}, "perm"),
                      ("attribute value", {"perm": [0, 0]}, "perm"),
                      ("attribute value", {"perm": [0, 2]}, "perm"),
                      ("attribute value", {"perm": [-1, 0]}, "perm"),
                      ("attribute value", {"perm": [0, 1, 2]}, "perm"),
                      ("attribute value", {"perm": [1 << 32, 1]}, "perm"),
                      ("attribute value", {"perm": [BIG, 1]}, "perm")], perm=[1, 0])
op("Squeeze", [t("f32", 1, 3, 1), k(0)],
   [("axis range", {1: k(3)}, "ax"), ("axis range", {1: k(-4)}, "ax"),
    ("shape constant", {1: k(1)}, "3"), ("repeated axis", {1: k(0, 0)}, "ax"),
    ("repeated axis", {1: k(0, -3)}, "ax"), ("axis range", {1: k(BIG)}, "ax"),
    ("op dtype", {1: k(0, dtype=np.float32)}, "input 1")])
op("Unsqueeze", [X, k(0)],
   [("axis range", {1: k(3)}, "ax"), ("axis range", {1: k(-4)}, "ax"),
    ("repeated axis", {1: k(0, 0)}, "ax"), ("repeated axis", {1: k(0, -4, 1)}, "ax"),
    ("axis range", {1: k(-(1 << 63))}, "ax"), ("too many dims", {1: np.arange(9)}, ""),
    ("too many dims", {1: np.arange(7)}, ""), ("op dtype", {1: k(0, dtype=np.float32)}, "input 1")])
op("Concat", [X, X], [("axis range", {"axis": 2}, "axis"), ("axis range", {"axis": -3}, "axis"),
                      ("op shape", {1: t("f32", 3, 4)}, "input 1"),
                      ("op rank", {1: t("f32", 3)}, "input 1"), ("op rank", {0: t("f32")}, "input 0"),
                      ("op dtype pair", {1: t("f16", 2, 3)}, "1"),
                      ("attribute missing", {"axis": None}, "axis"),
                      ("overflow", {0: t("i8", BIG), 1: t("i8", BIG)}, "")], axis=0)
op("Split", [t("f32", 6, 2), k(2, 4)],
   [("shape constant", {1: k(2, 5)}, "6"), ("shape constant", {1: k(-1, 7)}, "-1"),
    ("shape constant", {1: k(6)}, "2 outputs"), ("shape constant", {1: k(1, 2, 3)}, "2 outputs"),
    ("axis range", {"axis": 2}, "axis"), ("axis range", {"axis": -3}, "axis"),
    ("overflow", {1: k(BIG, BIG)}, ""), ("op dtype", {1: k(2, 4, dtype=np.int32)}, "input 1"),
    ("op rank", {1: k([2, 4])}, "input 1"), ("attribute value", {"num_outputs": 2}, "num_outputs"),
    ("op rank", {0: t("f32")}, "")], outs=2, axis=0)
op("Slice", [t("f32", 6, 2), k(0), k(3), k(0), k(1)],
   [("axis range", {3: k(2)}, "axis"), ("axis range", {3: k(-3)}, "axis"),
    ("shape constant", {4: k(0)}, "step"), ("shape constant", {1: k(0, 0)}, "starts"),
    ("shape constant", {2: k(0, 0)}, "ends"), ("shape constant", {4: k(1, 1)}, "steps"),
    ("repeated axis", {1: k(0, 0), 2: k(1, 1), 3: k(0, 0), 4: k(1, 1)}, "axis 0"),
    ("repeated axis", {1: k(0, 0), 2: k(1, 1), 3: k(0, -2), 4: k(1, 1)}, "axis 0"),
    ("axis range", {3: k(BIG)}, "axis"), ("op dtype", {1: k(0, dtype=np.float32)}, "input 1"),
    ("op dtype pair", {2: k(3, dtype=np.int32)}, "2"), ("op rank", {1: k([0])}, "input 1"),
    ("too many dims", {1: np.zeros(9, I64), 2: np.ones(9, I64), 3: None, 4: None}, ""),
    ("shape constant", {1: k(0, 0, 0), 2: k(1, 1, 1), 3: None, 4: None}, "")])
op("Expand", [t("f32", 1, 3), k(2, 3)],
   [("broadcast", {1: k(2, 4)}, "broadcast"), ("shape constant", {1: k(-1, 3)}, "-1"),
    ("overflow", {1: k(BIG, 3)}, ""), ("too many dims", {1: np.ones(9, I64)}, "input 1"),
    ("op dtype", {1: k(2, 3, dtype=np.int32)}, "input 1"), ("op rank", {1: k([2, 3])}, "input 1")])
op("Tile", [X, k(2, 2)],
   [("shape constant", {1: k(-1, 2)}, "-1"), ("shape constant", {1: k(2)}, "1"),
    ("shape constant", {1: k(1, 1, 1)}, "3"), ("overflow", {1: k(BIG, BIG)}, ""),
    ("op dtype", {1: k(2, 2, dtype=np.int32)}, "input 1"), ("op rank", {1: k([2, 2])}, "input 1")])
op("Range", [np.array(0), np.array(5), np.array(1)],
   [("shape constant", {2: np.array(0)}, "0"), ("op dtype pair", {1: zeros("f4")}, "1"),
    ("op rank", {0: k(0, 1)}, "input 0"),
    ("overflow", {0: np.array(-(1 << 63)), 1: np.array((1 << 63) - 1)}, ""),
    ("nan in shape", {0: zeros("f4"), 1: np.array(np.nan, "f4"), 2: np.array(1, "f4")}, ""),
    ("nan in shape", {0: zeros("f4"), 1: np.array(np.inf, "f4"), 2: np.array(1, "f4")}, ""),
    ("nan in shape", {0: np.array(np.nan, "f8"), 1: np.array(1, "f8"), 2: np.array(1, "f8")}, ""),
    ("nan in shape", {0: zeros("f4"), 1: np.array(5, "f4"), 2: np.array(np.nan, "f4")}, ""),
    ("nan in shape", {0: zeros("f4"), 1: np.array(1e30, "f4"), 2: np.array(1e-9, "f4")}, "")])
GATHER = [("axis range", {"axis": 2}, "axis"), ("axis range", {"axis": -3}, "axis"),
          ("axis range", {"axis": BIG}, "axis"), ("op rank", {0: t("f32")}, "input 0")]
op("Gather", [X, k(0, 1)], GATHER + [
    ("op dtype", {1: k(0, dtype=np.float32)}, "input 1"), ("op dtype", {1: t("bool", 2)}, "input 1"),
    ("index range", {0: zeros("f4", 2, 3), 1: k(2)}, "2"),
    ("index range", {0: zeros("f4", 2, 3), 1: k(-3)}, "-3"), ("index range", {1: k(5)}, "5"),
    ("index range", {1: k(-(1 << 63))}, ""), ("index range", {1: k(0, 3), "axis": 1}, "3"),
    ("too many dims", {0: t("f32", 1, 1, 1, 1, 1), 1: t("i64", 1, 1, 1, 1, 1)}, "dimensions")], axis=0)
op("GatherElements", [X, t("i64", 2, 2)], GATHER[:3] + [
    ("op rank", {1: t("i64", 2)}, "1"), ("op dtype", {1: X}, "input 1"),
    ("op shape", {1: t("i64", 3, 3)}, "")], axis=1)
op("ScatterElements", [X, t("i64", 1, 2), t("f32", 1, 2)], GATHER[:3] + [
    ("op rank", {1: t("i64", 2)}, "1"), ("op shape", {2: t("f32", 2, 2)}, "2"),
    ("op dtype pair", {2: t("f16", 1, 2)}, "2"), ("op dtype", {1: X, 2: X}, "input 1"),
    ("attribute value", {"reduction": "median"}, "reduction")], axis=0, reduction="none")
op("TensorScatter", [t("f32", 2, 4, 8, 3), t("f32", 2, 4, 2, 3), t("i64", 2)],
   [("op shape", {1: t("f32", 2, 4, 2, 5)}, "1"), ("op shape", {1: t("f32", 2, 4, 9, 3)}, "9"),
    ("op shape", {2: t("i64", 3)}, "2"), ("op dtype", {2: t("f32", 2)}, "input 2"),
    ("op dtype pair", {1: t("f16", 2, 4, 2, 3)}, "1"), ("attribute value", {"mode": "spiral"}, "mode"),
    ("axis range", {"axis": 4}, "axis"), ("op rank", {1: t("f32", 2, 4, 2)}, "1")],
   opset=24, axis=-2, mode="linear")

# ---- reductions ----
for red in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"):
    op(red, [X, k(0)], [("axis range", {1: k(2)}, "ax"), ("axis range", {1: k(-3)}, "ax"),
                        ("repeated axis", {1: k(0, 0)}, "axis 0"),
                        ("repeated axis", {1: k(1, -1)}, "axis 1"),
                        ("op dtype", {1: k(0, dtype=np.float32)}, "input 1"),
                        ("op rank", {1: k([0])}, "input 1"),
                        ("attribute of an older opset", {1: None, "axes": [0]}, "axes"),
                        ("axis range", {1: k(BIG)}, "ax")], keepdims=0)
op("ArgMax", [X], GATHER[:3] + [("zero dim", {0: t("f32", 0, 3)}, "empty"),
                                ("op dtype", {0: t("bool", 2, 3)}, "input 0")], axis=0, keepdims=0)
op("TopK", [X, k(2)], [("axis range", {"axis": 2}, "axis"), ("shape constant", {1: k(4)}, "4"),
                       ("shape constant", {1: k(-1)}, "-1"), ("op rank", {1: k(1, 2)}, "1"),
                       ("op dtype", {1: k(2, dtype=np.float32)}, "input 1"),
                       ("op rank", {0: t("f32")}, "")], outs=2, axis=-1, largest=1)

# ---- matrices and quantisation ----
MAT = [("op shape", {1: t("f32", 4, 5)}, "3"), ("op dtype pair", {1: t("f16", 3, 5)}, "1"),
       ("op rank", {0: t("f32")}, "input 0"), ("op rank", {1: t("f32")}, "input 1")]
op("MatMul", [X, t("f32", 3, 5)], MAT + [
    ("broadcast", {0: t("f32", 2, 2, 3), 1: t("f32", 3, 3, 5)}, ""), ("op shape", {1: t("f32", 2)}, ""),
    ("overflow", {0: t("f32", 1 << 60, 1), 1: t("f32", 1, 1 << 60)}, "")])
ms("FusedMatMul", [X, t("f32", 3, 5)], MAT + [("op shape", {"transA": 1}, "")], transA=0, alpha=2.0)
op("Gemm", [X, t("f32", 3, 5), t("f32", 5)], [
    MAT[0], MAT[1], ("op rank", {0: t("f32", 3)}, "input 0"), ("op shape", {"transB": 1}, ""),
    ("op rank", {1: t("f32", 1, 3, 5)}, "input 1"), ("broadcast", {2: t("f32", 4)}, "input 2"),
    ("broadcast", {2: t("f32", 1, 2, 5)}, "input 2"), ("op dtype pair", {2: t("f64", 5)}, "2")],
   transB=0, alpha=1.0)
op("DequantizeLinear", [t("i8", 8, 4), zeros("f4", 4), zeros("i1", 4)],
   [("scale shape", {1: zeros("f4", 5), 2: zeros("i1", 5)}, "input 1"),
    ("zero-point shape", {2: zeros("i1", 3)}, "2"), ("zero-point type", {2: zeros("u1", 4)}, "2"),
    ("axis range", {"axis": 2}, "axis"), ("op dtype", {0: t("f32", 8, 4), 2: None}, "input 0"),
    ("op dtype", {1: zeros("i4", 4)}, "input 1"), ("zero-point shape", {2: zeros("i1")}, "2"),
    ("block size", {"block_size": 3}, ""), ("block size", {"block_size": -4}, "block_size"),
    ("scale shape", {1: zeros("f4", 2, 4, 1), 2: None, "block_size": 4, "axis": 0}, "input 1"),
    ("scale shape", {1: zeros("f4", 3, 4), 2: None, "block_size": 4, "axis": 0}, "input 1"),
    ("block size", {1: zeros("f4", 2, 4), 2: None, "block_size": 1 << 40, "axis": 0}, "")], axis=1)
op("DynamicQuantizeLinear", [X], [("op dtype", {0: t("f16", 2, 3)}, "input 0")], outs=3)
MMI = [("op shape", {1: t("u8", 4, 5)}, "3"), ("op dtype", {0: X}, "input 0"),
       ("op dtype", {1: t("i32", 3, 5)}, "input 1")]
op("MatMulInteger", [t("u8", 2, 3), t("u8", 3, 5), zeros("u1"), zeros("u1", 5)], MMI + [
    ("zero-point shape", {3: zeros("u1", 4)}, "input 3"), ("zero-point shape", {2: zeros("u1", 7)}, "input 2"),
    ("zero-point type", {3: zeros("i1", 5)}, "3"), ("zero-point type", {2: zeros("i4")}, "2")])
ms("MatMulIntegerToFloat", [t("u8", 2, 3), t("u8", 3, 5), zeros("f4"), zeros("f4", 5), zeros("u1"),
                            zeros("u1", 5), zeros("f4", 5)], MMI + [
    ("scale shape", {3: zeros("f4", 6)}, "input 3"), ("scale shape", {2: zeros("f4", 2)}, "input 2"),
    ("zero-point shape", {5: zeros("u1", 2)}, "input 5"), ("op shape", {6: zeros("f4", 4)}, "input 6"),
    ("op dtype", {2: zeros("i4")}, "input 2")])
ms("DynamicQuantizeMatMul", [X, t("u8", 3, 5), zeros("f4", 5), zeros("u1", 5), zeros("f4", 5)], [
    ("op shape", {1: t("u8", 4, 5)}, "3"), ("scale shape", {2: zeros("f4", 4)}, "input 2"),
    ("zero-point shape", {3: zeros("u1", 4)}, "input 3"), ("zero-point type", {3: zeros("i1", 5)}, "3"),
    ("op shape", {4: zeros("f4", 3)}, "input 4"), ("op dtype", {0: t("f16", 2, 3)}, "input 0")])
ms("MatMulNBits", [t("f32", 2, 32), zeros("u1", 8, 2, 8), zeros("f4", 16), zeros("u1", 8)], [
    ("block size", {"block_size": 15}, "block_size"), ("block size", {"block_size": 0}, "block_size"),
    ("block size", {"block_size": -16}, "block_size"), ("block size", {"block_size": 8}, "block_size"),
    ("block size", {"block_size": 24}, "block_size"), ("block size", {"block_size": 32}, "expected 8 x 1"),
    ("block size", {"block_size": BIG}, "block_size"), ("attribute value", {"bits": 5}, "bits"),
    ("attribute value", {"bits": 0}, "bits"), ("attribute value", {"bits": -4}, "bits"),
    ("attribute value", {"bits": 8}, "input 1"), ("attribute value", {"K": 33}, ""),
    ("attribute value", {"K": 0}, "K"), ("attribute value", {"N": -8}, "N"),
    ("attribute value", {"N": 9}, "input 1"), ("attribute value", {"K": BIG}, ""),
    ("attribute value", {"N": 1 << 40}, ""), ("attribute missing", {"K": None}, "K"),
    ("attribute missing", {"N": None}, "N"), ("attribute missing", {"block_size": None}, "block_size"),
    ("packing", {1: zeros("u1", 8, 2, 7)}, "input 1"), ("packing", {1: zeros("u1", 8, 3, 8)}, "input 1"),
    ("packing", {1: zeros("i1", 8, 2, 8)}, "input 1"), ("packing", {1: zeros("u1", 127)}, "input 1"),
    ("scale shape", {2: zeros("f4", 15)}, "input 2"), ("scale shape", {2: zeros("f4", 8, 3)}, "input 2"),
    ("op dtype pair", {2: zeros("f8", 16)}, "2"), ("zero-point shape", {3: zeros("u1", 7)}, "input 3"),
    ("zero-point type", {3: zeros("i4", 16)}, "input 3"), ("op shape", {0: t("f32", 2, 31)}, "input 0"),
    ("op rank", {0: t("f32")}, "input 0"), ("op dtype pair", {0: t("i32", 2, 32)}, "0")],
   K=32, N=8, bits=4, block_size=16)
ms("GatherBlockQuantized", [zeros("u1", 4, 16), t("i64", 2), zeros("f4", 4, 2)], [
    ("block size", {"block_size": 15}, "block_size"), ("block size", {"block_size": 0}, "block_size"),
    ("block size", {"block_size": -16}, "block_size"), ("axis range", {"quantize_axis": 2}, "quantize_axis"),
    ("axis range", {"gather_axis": 3}, "gather_axis"), ("scale shape", {2: zeros("f4", 4, 3)}, "input 2"),
    ("scale shape", {2: zeros("f4", 8)}, "2"), ("op dtype", {1: t("f32", 2)}, "input 1"),
    ("op dtype", {0: zeros("f4", 4, 16)}, "input 0"), ("attribute value", {"bits": 3}, "bits")],
   gather_axis=0, quantize_axis=1, block_size=16, bits=4)

# ---- norms, rotary ----
for norm in ("SimplifiedLayerNormalization",):
    op(norm, [X, zeros("f4", 3)], [
        ("op shape", {1: zeros("f4", 4)}, "input 1"), ("axis range", {"axis": 2}, "axis"),
        ("op dtype", {0: t("i32", 2, 3)}, "input 0"), ("op rank", {0: t("f32")}, "")],
       axis=-1, epsilon=1e-6)
op("LayerNormalization", [X, zeros("f4", 3), zeros("f4", 3)], [
    ("op shape", {1: zeros("f4", 4)}, "input 1"), ("op shape", {2: zeros("f4", 2)}, "input 2"),
    ("axis range", {"axis": 2}, "axis"), ("axis range", {"axis": -3}, "axis"),
    ("op dtype pair", {1: zeros("f8", 3)}, "1"), ("op dtype", {0: t("u8", 2, 3)}, "input 0")],
   axis=-1, epsilon=1e-6)
ms("SkipSimplifiedLayerNormalization", [t("f32", 1, 2, 4), t("f32", 1, 2, 4), zeros("f4", 4)], [
    ("op shape", {1: t("f32", 1, 2, 5)}, "input 1"), ("op shape", {2: zeros("f4", 3)}, "input 2"),
    ("op dtype pair", {1: t("f16", 1, 2, 4)}, "1"), ("op rank", {2: zeros("f4", 1, 4)}, "input 2")], epsilon=1e-6)
ms("SkipLayerNormalization", [t("f32", 1, 2, 4), t("f32", 1, 2, 4), zeros("f4", 4), zeros("f4", 4)], [
    ("op shape", {1: t("f32", 1, 3, 4)}, "input 1"), ("op shape", {2: zeros("f4", 3)}, "input 2"),
    ("op shape", {3: zeros("f4", 5)}, "input 3"), ("op dtype pair", {3: zeros("f8", 4)}, "3")], epsilon=1e-6)
op("LpNormalization", [X], GATHER[:3] + [("attribute value", {"p": 3}, "p"),
                                         ("attribute value", {"p": 0}, "p")], axis=1, p=2)
ROT = [("op shape", {0: t("f32", 1, 2, 3, 7)}, ""), ("op dtype pair", {2: zeros("f8", 8, 4)}, "2"),
       ("op rank", {2: zeros("f4", 32)}, "input 2"), ("op shape", {3: zeros("f4", 8, 3)}, "3"),
       ("op dtype", {1: t("f32", 1, 3)}, "input 1")]
ms("RotaryEmbedding", [t("f32", 1, 2, 3, 8), t("i64", 1, 3), zeros("f4", 8, 4), zeros("f4", 8, 4)],
   ROT + [("op shape", {1: t("i64", 1, 4)}, "input 1"),
          ("heads", {0: t("f32", 1, 3, 20), "num_heads": 3, "rotary_embedding_dim": 4}, ""),
          ("heads", {"num_heads": -2}, "num_heads"), ("attribute value", {"rotary_embedding_dim": 10}, ""),
          ("attribute value", {"rotary_embedding_dim": -4}, "rotary_embedding_dim")],
   interleaved=0)
op("RotaryEmbedding", [t("f32", 1, 2, 3, 8), zeros("f4", 8, 4), zeros("f4", 8, 4), t("i64", 1, 3)],
   [("op shape", {0: t("f32", 1, 2, 3, 7)}, ""), ("op dtype pair", {1: zeros("f8", 8, 4)}, "1"),
    ("op shape", {2: zeros("f4", 8, 3)}, "2"), ("op rank", {1: zeros("f4", 1, 8, 4)}, "input 1"),
    ("op shape", {3: t("i64", 1, 4)}, "input 3"), ("op dtype", {3: t("f32", 1, 3)}, "input 3"),
    ("op rank", {0: t("f32", 8)}, "input 0"), ("heads", {0: t("f32", 1, 3, 16)}, "num_heads"),
    ("heads", {0: t("f32", 1, 3, 16), "num_heads": 3}, "heads")],
   opset=23, interleaved=0)

# ---- attention: batch 1, 2 new tokens, 4 past, 4 heads (2 of keys) of 8 ----
CACHE = t("f32", 1, 2, 4, 8)
ms("GroupQueryAttention",
   [t("f32", 1, 2, 32), t("f32", 1, 2, 16), t("f32", 1, 2, 16), CACHE, CACHE, t("i32", 1),
    t("i32", 1)],
   [("heads", {"num_heads": 3}, "heads"), ("heads", {"num_heads": 0}, "num_heads"),
    ("heads", {"num_heads": -4}, "num_heads"), ("heads", {"num_heads": BIG}, "heads"),
    ("heads", {"kv_num_heads": 3}, "heads"), ("heads", {"kv_num_heads": 0}, "kv_num_heads"),
    ("heads", {"kv_num_heads": -2}, "heads"), ("heads", {"num_heads": None}, "heads"),
    ("heads", {"kv_num_heads": None}, "heads"), ("heads", {0: t("f32", 1, 2, 33)}, "33"),
    ("op shape", {1: t("f32", 1, 2, 24)}, "input 1"), ("op shape", {2: t("f32", 1, 3, 16)}, "input 2"),
    ("op dtype pair", {1: t("f16", 1, 2, 16)}, "1"), ("op rank", {0: t("f32", 2, 32)}, "input 0"),
    ("cache shape", {3: t("f32", 1, 2, 4, 9)}, "input 3"),
    ("cache shape", {3: t("f32", 1, 4, 4, 8)}, "input 3"),
    ("cache shape", {3: t("f32", 2, 2, 4, 8)}, "input 3"),
    ("cache shape", {3: t("f32", 1, 2, 32)}, "input 3"),
    ("cache shape", {4: t("f32", 1, 2, 5, 8)}, "input 4"),
    ("cache shape", {4: t("f32", 1, 1, 4, 8)}, "input 4"),
    ("cache shape", {4: t("i8", 1, 2, 4, 8)}, "4"), ("cache shape", {4: None}, ""),
    ("op dtype", {5: t("f32", 1)}, "input 5"), ("op shape", {5: t("i32", 3)}, "input 5"),
    ("op dtype", {6: t("f32", 1)}, "input 6"), ("op shape", {6: t("i32", 2)}, "input 6"),
    ("cache range", {6: k(1, dtype=np.int32)}, ""), ("cache range", {5: k(-9, dtype=np.int32), 6: k(6, dtype=np.int32)}, ""),
    ("attribute value", {"local_window_size": -5}, "local_window_size"),
    ("attribute value", {"k_quant_type": "PER_ATOM"}, "k_quant_type"),
    ("attribute value", {"kv_cache_bit_width": 3}, "kv_cache_bit_width"),
    ("attribute value", {"do_rotary": 1}, ""), ("attribute value", {"scale": float("nan")}, "scale"),
    ("attribute value", {"softcap": -1.0}, "softcap"), ("attribute value", {"softcap": float("inf")}, "softcap")],
   outs=3, num_heads=4, kv_num_heads=2)
ms("MultiHeadAttention", [t("f32", 1, 2, 32), t("f32", 1, 3, 32), t("f32", 1, 3, 32)],
   [("heads", {"num_heads": 5}, ""), ("heads", {"num_heads": 0}, "num_heads"),
    ("heads", {"num_heads": None}, "num_heads"), ("heads", {"num_heads": -1}, "num_heads"),
    ("op shape", {1: t("f32", 1, 3, 31)}, "input 1"), ("op shape", {2: t("f32", 1, 4, 32)}, "length"),
    ("op shape", {1: t("f32", 2, 3, 32)}, "input 1"), ("op dtype pair", {2: t("f16", 1, 3, 32)}, "2"),
    ("op rank", {0: t("f32", 2, 32)}, "input 0"), ("attribute value", {"scale": float("inf")}, "scale")],
   num_heads=4)
ms("Attention", [t("f32", 1, 2, 8), zeros("f4", 8, 24), zeros("f4", 24)],
   [("heads", {"num_heads": 3}, ""), ("heads", {"num_heads": 0}, "num_heads"),
    ("op shape", {1: zeros("f4", 7, 24)}, "input 1"), ("op shape", {2: zeros("f4", 23)}, "input 2"),
    ("op rank", {0: t("f32", 2, 8)}, "input 0"), ("op rank", {1: zeros("f4", 192)}, "input 1"),
    ("attribute value", {"qkv_hidden_sizes": [8, 8]}, "qkv_hidden_sizes"),
    ("attribute value", {"qkv_hidden_sizes": [8, 8, -8]}, "qkv_hidden_sizes"),
    ("attribute value", {"qkv_hidden_sizes": [8, 8, 9]}, "qkv_hidden_sizes")], num_heads=2)
Q23 = t("f32", 1, 4, 2, 8)
op("Attention", [Q23, t("f32", 1, 2, 3, 8), t("f32", 1, 2, 3, 8), t("f32", 2, 7), CACHE, CACHE],
   [("heads", {0: t("f32", 1, 3, 2, 8)}, "heads"), ("op shape", {1: t("f32", 1, 2, 3, 7)}, ""),
    ("op shape", {2: t("f32", 1, 2, 4, 8)}, "v"), ("op shape", {2: t("f32", 2, 2, 3, 8)}, "batch"),
    ("op dtype pair", {1: t("f16", 1, 2, 3, 8)}, "1"), ("op shape", {3: t("f32", 3, 7)}, "mask"),
    ("cache shape", {4: t("f32", 1, 2, 4, 7)}, "input 4"),
    ("cache shape", {4: t("f32", 1, 3, 4, 8)}, "input 4"), ("cache shape", {5: None}, "past"),
    ("cache shape", {5: t("f32", 1, 2, 5, 8)}, "input 5"), ("cache shape", {5: t("f32", 2, 4, 8)}, "input 5"),
    ("heads", {0: t("f32", 1, 2, 32), 1: t("f32", 1, 3, 16), 2: t("f32", 1, 3, 16)}, "q_num_heads"),
    ("heads", {0: t("f32", 1, 2, 32), 1: t("f32", 1, 3, 16), 2: t("f32", 1, 3, 16),
               "q_num_heads": 5, "kv_num_heads": 2}, ""),
    ("attribute value", {"qk_matmul_output_mode": 7}, "qk_matmul_output_mode"),
    ("attribute value", {"softcap": -2.0}, "softcap"), ("attribute value", {"scale": float("nan")}, "scale")],
   outs=3, opset=23, is_causal=1)
ms("EmbedLayerNormalization",
   [t("i32", 1, 3), t("i32", 1, 3), zeros("f4", 9, 4), zeros("f4", 8, 4), zeros("f4", 2, 4),
    zeros("f4", 4), zeros("f4", 4)],
   [("op dtype", {0: t("f32", 1, 3)}, "input 0"), ("op shape", {1: t("i32", 1, 4)}, "input 1"),
    ("op shape", {3: zeros("f4", 8, 5)}, "input 3"), ("op shape", {5: zeros("f4", 3)}, "input 5"),
    ("op rank", {2: zeros("f4", 9)}, "input 2"), ("op shape", {3: zeros("f4", 2, 4)}, "", True)], outs=2)

# ---- experts, recurrences ----
ROUTER = t("f32", 3, 4)
ms("MoE", [t("f32", 3, 8), ROUTER, zeros("f4", 4, 16, 8), None, zeros("f4", 4, 8, 16)],
   [("attribute value", {"k": 5}, "k is 5"), ("attribute value", {"k": 0}, "k is 0"),
    ("attribute value", {"activation_type": "sinus"}, "activation_type"),
    ("op shape", {1: t("f32", 4, 4)}, "input 1"), ("op shape", {2: zeros("f4", 3, 16, 8)}, "input 2"),
    ("op rank", {2: zeros("f4", 64, 8)}, "input 2"), ("op dtype", {2: zeros("i4", 4, 16, 8)}, "input 2"),
    ("op shape", {2: zeros("f4", 4, 16, 7)}, "", True), ("op shape", {4: zeros("f4", 4, 8, 15)}, "", True)],
   k=2, activation_type="silu")
ms("QMoE", [t("f32", 3, 16), ROUTER, zeros("u1", 4, 16, 8), zeros("f4", 4, 16), None,
            zeros("u1", 4, 16, 8), zeros("f4", 4, 16)],
   [("attribute value", {"expert_weight_bits": 3}, "", True), ("attribute value", {"k": 9}, "k is 9"),
    ("block size", {"block_size": 3}, "block_size", True), ("block size", {"block_size": -16}, "block_size", True),
    ("packing", {2: zeros("u1", 4, 16, 7)}, "", True), ("packing", {2: zeros("i1", 4, 16, 8)}, "input 2"),
    ("scale shape", {3: zeros("f4", 4, 15)}, "scale", True), ("scale shape", {6: zeros("f4", 3, 16)}, "scale", True),
    ("attribute value", {"quant_type": "int9"}, "quant_type"),
    ("op shape", {5: zeros("u1", 3, 16, 8)}, "input 5")],
   k=2, activation_type="silu", expert_weight_bits=4)
ms("CausalConvWithState", [t("f32", 1, 4, 5), zeros("f4", 4, 1, 3), zeros("f4", 4), t("f32", 1, 4, 2)],
   [("op shape", {1: zeros("f4", 5, 1, 3)}, "input 1"), ("op shape", {2: zeros("f4", 3)}, "input 2"),
    ("cache shape", {3: t("f32", 1, 4, 3)}, "input 3"), ("cache shape", {3: t("f32", 2, 4, 2)}, "input 3"),
    ("attribute value", {"activation": "sinus"}, "activation"), ("op rank", {0: t("f32", 4, 5)}, "input 0"),
    ("op dtype pair", {1: zeros("f8", 4, 1, 3)}, "1")], outs=2, activation="silu")
