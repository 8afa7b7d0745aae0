# SPDX-License-Identifier: MIT
"""Calls for type_sweep.py: one or several small calls of each operator.

    recipe(name, version) gives a list of (inputs, attributes, number of outputs). An input is an array
    of numbers, cast to the element type that is swept; I(...) for integers whose type is the schema's
    own, None for an absent one. Numbers are small and whole where they can be, so that every element
    type holds them."""
import zlib

import numpy as np

MS = "com.microsoft"


def v(*shape, low=-3, high=4, seed=0):
    rng = np.random.default_rng(zlib.crc32(repr((shape, seed)).encode()))
    return rng.integers(low, high, shape).astype(np.float64)


def p(*shape, seed=0):
    return v(*shape, low=1, high=5, seed=seed)


def frac(*shape, seed=0):
    return v(*shape, low=-7, high=8, seed=seed) / 8


def n(*values):
    return np.array(values, np.float64)


def s(value):
    return np.array(value, np.float64)


def one(*ins, outs=1, **attrs):
    return [(list(ins), attrs, outs)]


def axes_call(x, axes, since, version, **attrs):
    """Axes as an attribute before opset `since`, as an input from there on."""
    if version < since:
        return (([x]), {**attrs, "axes": [int(a) for a in axes]}, 1)
    return ([x, n(*axes)], attrs, 1)


X = v(2, 3)
TABLE = {
    "Sqrt": one(p(2, 3)), "Log": one(p(2, 3)), "Reciprocal": one(p(2, 3)), "Asin": one(frac(2, 3)),
    "Acos": one(frac(2, 3)), "Atanh": one(frac(2, 3)), "Acosh": one(p(2, 3)),
    "Gelu": one(X) + one(X, approximate="tanh"), "Trilu": one(v(4, 5)) + one(v(2, 3, 4), s(1), upper=0),
    "CumSum": one(v(2, 5), s(1)) + one(v(2, 5), s(0), exclusive=1, reverse=1),
    "CumProd": one(v(2, 5), s(1)), "Softmax": one(v(2, 3, 4), axis=1) + one(v(2, 3, 4)),
    "LogSoftmax": one(v(2, 3, 4), axis=1), "Hardmax": one(v(2, 3, 4), axis=1),
    "Elu": one(X, alpha=0.5), "Celu": one(X, alpha=2.0), "LeakyRelu": one(X, alpha=0.25),
    "ThresholdedRelu": one(X, alpha=1.0), "Shrink": one(X, lambd=1.5, bias=1.0), "Swish": one(X, alpha=0.5),
    "IsInf": one(X) + one(X, detect_negative=0), "Pow": one(p(2, 3), n(0, 1, 2)),
    "Div": one(v(2, 3), p(3)), "BitShift": one(p(2, 3), n(1, 2, 0), direction="LEFT")
    + one(p(2, 3), n(1, 2, 0), direction="RIGHT"),
    "Min": one(X, v(3, seed=1), v(2, 1)) + one(X), "Max": one(X, v(3, seed=1), v(2, 1)) + one(X),
    "Sum": one(X, v(3), v(2, 1)), "Mean": one(X, v(3), v(2, 1)), "PRelu": one(X, p(3)),
    "Where": one(n(1, 0, 1), v(2, 3), v(2, 3, seed=1)), "SwiGLU": one(X, v(2, 3, seed=2)),
    "Size": one(X), "ConstantOfShape": one(n(2, 3)), "Flatten": one(v(2, 3, 2), axis=2), "Transpose": one(v(2, 3, 4), perm=[2, 0, 1]) + one(X),
    "Concat": one(X, v(2, 2), v(2, 1), axis=1), "Expand": one(v(2, 1), n(2, 2, 3)), "Tile": one(X, n(2, 1)),
    "Range": one(s(1), s(7), s(2)) + one(s(7), s(1), s(-2)), "Gather": one(v(4, 3), n(0, -1, 2), axis=0)
    + one(v(3, 4), v(2, 2, low=0, high=4), axis=1),
    "GatherElements": one(v(3, 4), v(2, 4, low=-3, high=3), axis=0),
    "ScatterElements": one(v(3, 4), n([0, 1], [2, 0]), v(2, 2, seed=5), axis=0),
    "Scatter": one(v(3, 4), n([0, 1], [2, 0]), v(2, 2, seed=5), axis=0),
    "TensorScatter": one(v(2, 2, 6, 2), v(2, 2, 3, 2, seed=1), n(1, 2), axis=2)
    + one(v(2, 2, 6, 2), v(2, 2, 3, 2, seed=1), n(5, 2), mode="circular"),
    "GatherND": one(v(2, 3, 4), n([0, 1], [1, 2])) , "ScatterND": one(v(4, 3), n([1], [3]), v(2, 3, seed=3)),
    "OneHot": one(n(0, 2, 1), s(3), n(0, 1)) + one(n(0, 2, 1), n(3), n(0, 1), axis=0),
    "Compress": one(v(3, 2), n(1, 0, 1), axis=0) + one(v(3, 2), n(1, 0, 1, 0, 1)),
    "NonZero": one(v(2, 3, low=0, high=2)), "Unique": one(v(8), outs=4) + one(v(4, 2), outs=4, axis=0)
    + one(v(8), outs=4, sorted=0),
    "EyeLike": one(v(3, 4)) + one(v(3, 3), k=1), "ReverseSequence": one(v(4, 2, 2), n(3, 2), time_axis=0, batch_axis=1),
    "Conv": one(v(1, 4, 5, 5), v(6, 2, 3, 3), v(6), group=2, pads=[1, 1, 1, 1])
    + one(v(2, 3, 7), v(4, 3, 3), strides=[2]) + one(v(1, 4, 6, 6), v(4, 1, 3, 3), group=4, dilations=[2, 2])
    + one(v(1, 2, 4, 4, 4), v(3, 2, 2, 2, 2), auto_pad="SAME_UPPER"),
    "ConvInteger": one(p(1, 2, 4, 4), p(3, 2, 3, 3)) + one(p(1, 2, 4, 4), p(3, 2, 3, 3), s(1), s(2), pads=[1, 1, 1, 1])
    + one(p(1, 2, 4, 4), p(3, 2, 3, 3), s(1), n(1, 2, 3)),
    "QLinearConv": one(p(1, 2, 4, 4), s(0.5), s(1), p(3, 2, 3, 3), n(0.5, 0.25, 1), n(1, 2, 1), s(2), s(3), v(3)),
    "ConvTranspose": one(v(1, 4, 3, 3), v(4, 3, 3, 3), v(6), group=2, strides=[2, 2], output_padding=[1, 1])
    + one(v(1, 2, 5), v(2, 3, 4), pads=[1, 1]) + one(v(1, 2, 3, 3), v(2, 2, 3, 3), dilations=[2, 2], auto_pad="SAME_LOWER"),
    "DeformConv": one(v(1, 2, 4, 4), v(2, 2, 2, 2), frac(1, 8, 3, 3), v(2)),
    "Col2Im": one(v(1, 8, 4), n(3, 3), n(2, 2)), "GlobalMaxPool": one(v(1, 2, 3, 4)),
    "GlobalAveragePool": one(v(1, 2, 3, 4)), "GlobalLpPool": one(v(1, 2, 3, 4), p=2),
    "MaxUnpool": one(v(1, 1, 2, 2), n([[[[0, 3], [9, 15]]]]).reshape(1, 1, 2, 2), kernel_shape=[2, 2], strides=[2, 2]),
    "SpaceToDepth": one(v(1, 2, 4, 4), blocksize=2), "DepthToSpace": one(v(1, 8, 2, 2), blocksize=2),
    "AffineGrid": one(v(1, 2, 3), n(1, 2, 3, 4)),
    "RoiAlign": one(v(1, 1, 6, 6), n([0, 0, 4, 4]), n(0), output_height=2, output_width=2, sampling_ratio=2),
    "CenterCropPad": one(v(4, 3), n(2, 5)), "ArgMax": one(v(3, 4), axis=1) + one(v(3, 4), axis=0, keepdims=0),
    "ArgMin": one(v(3, 4), axis=1), "MatMul": one(v(2, 3, 4), v(4, 5)) + one(v(4), v(2, 4, 3)) + one(v(2, 3), v(3)),
    "NegativeLogLikelihoodLoss": one(v(3, 4), n(0, 2, 3), p(4)) + one(v(2, 3, 2), v(2, 2, low=0, high=3), reduction="none"),
    "SoftmaxCrossEntropyLoss": one(v(3, 4), n(0, 2, 3), p(4), outs=2) + one(v(3, 4), n(0, 2, 3), reduction="sum"),
    "Gemm": one(v(2, 3), v(3, 4), v(4), alpha=0.5, beta=2.0) + one(v(3, 2), v(4, 3), v(2, 4), transA=1, transB=1),
    "Einsum": one(v(2, 3), v(3, 4), equation="ij,jk->ik") + one(v(3, 3), equation="ii->i")
    + one(v(2, 3), v(2, 4), v(3, 4), equation="ab,ac,bc->a"),
    "Det": one(v(2, 3, 3)), "QLinearMatMul": one(p(2, 3), s(0.5), s(1), p(3, 4), s(0.25), s(2), s(0.5), s(3)),
    "DynamicQuantizeLinear": one(X, outs=3), "MatMulInteger": one(p(2, 3), p(3, 4)) + one(p(2, 3), p(3, 4), s(1), s(2))
    + one(p(2, 3), p(3, 4), n(1, 2), n(1, 2, 3, 4)),
    "SimplifiedLayerNormalization": one(v(2, 3, 4), v(4)), "RMSNormalization": one(v(2, 3, 4), v(4)) + one(v(2, 3, 4), v(3, 4), axis=1),
    "LayerNormalization": one(v(2, 3, 4), v(4), v(4, seed=1), outs=3) + one(v(2, 3, 4), v(3, 4), axis=1),
    "BatchNormalization": one(v(2, 3, 4), v(3), v(3, seed=1), v(3, seed=2), p(3)),
    "InstanceNormalization": one(v(2, 3, 4), v(3), v(3, seed=1)),
    "LRN": one(v(1, 5, 2, 2), size=3), "MeanVarianceNormalization": one(v(2, 3, 2, 2)),
    "RotaryEmbedding": one(v(1, 2, 3, 4), frac(9, 2), frac(9, 2, seed=1), n([1, 0, 4])) + one(v(1, 3, 8), frac(9, 2), frac(9, 2, seed=1), n([1, 0, 4]), num_heads=2, interleaved=1),
    "LpNormalization": one(v(2, 3), axis=1, p=2) + one(v(2, 3), axis=0, p=1),
    "Attention": one(v(1, 4, 3, 4), v(1, 2, 5, 4), v(1, 2, 5, 4, seed=1), v(3, 5), is_causal=0)
    + one(v(1, 3, 16), v(1, 5, 8), v(1, 5, 8, seed=1), None, v(1, 2, 2, 4), v(1, 2, 2, 4, seed=1), outs=3, q_num_heads=4, kv_num_heads=2, is_causal=1),
    "CausalConvWithState": one(v(1, 4, 5), v(4, 1, 3), v(4), v(1, 4, 2), outs=2, activation="silu") + one(v(1, 4, 5), v(4, 1, 3), outs=2),
    "LinearAttention": one(v(1, 3, 8), v(1, 3, 8), v(1, 3, 8, seed=1), None, frac(1, 3, 2) / 4, frac(1, 3, 2), outs=2, q_num_heads=2, kv_num_heads=2, update_rule="gated_delta"),
    "RNN": one(v(3, 2, 4), frac(1, 5, 4), frac(1, 5, 5), frac(1, 10), outs=2, hidden_size=5),
    "GRU": one(v(3, 2, 4), frac(1, 15, 4), frac(1, 15, 5), frac(1, 30), outs=2, hidden_size=5)
    + one(v(3, 2, 4), frac(2, 15, 4), frac(2, 15, 5), outs=2, hidden_size=5, direction="bidirectional", linear_before_reset=1),
    "LSTM": one(v(3, 2, 4), frac(1, 20, 4), frac(1, 20, 5), frac(1, 40), n(3, 2), outs=3, hidden_size=5)
    + one(v(3, 2, 4), frac(1, 20, 4), frac(1, 20, 5), None, None, frac(1, 2, 5), frac(1, 2, 5), frac(1, 15), outs=3, hidden_size=5, direction="reverse"),
    "STFT": one(v(1, 16, 1), s(4), p(8)), "HannWindow": one(s(6)) + one(s(6), periodic=0),
    "HammingWindow": one(s(6)), "BlackmanWindow": one(s(6)),
    "MelWeightMatrix": one(s(4), s(16), s(8192), s(0), s(4096)),
    "NonMaxSuppression": one(v(1, 4, 4), frac(1, 1, 4), s(3), s(0.5), s(-1)),
}
TYPES = {1: "FLOAT", 2: "UINT8", 3: "INT8", 6: "INT32", 7: "INT64", 9: "BOOL", 10: "FLOAT16", 11: "DOUBLE"}
REDUCTIONS = {"ReduceSum": 13, "ReduceMean": 18, "ReduceMax": 18, "ReduceMin": 18, "ReduceProd": 18, "ReduceL1": 18,
              "ReduceL2": 18, "ReduceLogSum": 18, "ReduceLogSumExp": 18, "ReduceSumSquare": 18}


def versioned(name, version):
    """Operators whose inputs or attributes changed with the opset."""
    pool = {"kernel_shape": [2, 2], "strides": [2, 1], "pads": [0, 1, 1, 0]}
    if name in REDUCTIONS:
        x = p(2, 3, 4) if "Log" in name else v(2, 3, 4)
        return [axes_call(x, (1,), REDUCTIONS[name], version), axes_call(x, (0, 2), REDUCTIONS[name], version, keepdims=0),
                ([x], {}, 1)]
    if name == "Clip":
        return one(X, min=-1.0, max=2.0) if version < 11 else one(X, s(-1), s(2)) + one(X, None, s(1))
    if name == "Mod":
        return one(v(2, 3, low=1, high=9), p(3), fmod=1) + one(v(2, 3), p(3))
    if name == "Dropout":
        return one(X) if version < 12 else one(X, s(0.5), outs=2)
    if name == "Shape":
        return one(X) if version < 15 else one(X) + one(v(2, 3, 4), start=1, end=-1)
    if name == "Squeeze":
        return [axes_call(v(1, 3, 1), (0,), 13, version), ([v(1, 3, 1)], {}, 1)]
    if name == "Unsqueeze":
        return [axes_call(X, (0, 3), 13, version)]
    if name == "Reshape":
        return one(X, n(3, -1))
    if name == "Split":
        if version < 13:
            return one(v(6, 2), outs=2, axis=0, split=[2, 4]) + one(v(6, 2), outs=2)
        even = one(v(6, 2), outs=2) if version < 18 else one(v(6, 2), outs=2, num_outputs=2) + one(v(7, 2), outs=3, num_outputs=3)
        return one(v(6, 2), n(2, 4), outs=2, axis=0) + even
    if name == "Slice":
        if version < 10:
            return one(v(6, 4), starts=[1, 0], ends=[5, -1]) + one(v(6, 4), axes=[1], starts=[1], ends=[100])
        return one(v(6, 4), n(1, 0), n(5, -1)) + one(v(6, 4), n(4, 3), n(0, 0), n(0, 1), n(-2, -1))
    if name == "Pad":
        if version < 11:
            return one(X, pads=[1, 0, 0, 2], value=2.0) + one(v(3, 4), pads=[1, 1, 1, 1], mode="reflect")
        return one(X, n(1, 0, 0, 2), s(2)) + one(v(3, 4), n(1, 1, 1, 1), mode="reflect") + one(v(3, 4), n(1, 2, 1, 0), mode="edge") + (
            one(X, n(1, 2), s(1), n(1)) if version >= 18 else []) + (one(v(3, 4), n(1, 1, 1, 1), mode="wrap") if version >= 19 else [])
    if name == "TopK":
        return one(v(3, 5), k=2, outs=2) if version < 10 else one(v(3, 5), n(2), outs=2) + (
            one(v(3, 5), n(2), outs=2, axis=0, largest=0) if version >= 11 else [])
    if name in ("MaxPool", "AveragePool"):
        calls = one(v(1, 2, 5, 5), **pool) + one(v(1, 2, 7), kernel_shape=[3], auto_pad="SAME_UPPER")
        if version >= 10:
            calls += one(v(1, 2, 6, 6), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
        if name == "MaxPool" and version >= 8:
            calls += one(v(1, 2, 5, 5), outs=2, **pool)
        if name == "AveragePool" and version >= 7:
            calls += one(v(1, 2, 5, 5), count_include_pad=1, **pool)
        return calls
    if name == "LpPool":
        return one(v(1, 2, 5, 5), p=2, **pool) + one(v(1, 2, 5, 5), p=1, **pool)
    if name == "Resize":
        x = v(1, 1, 4, 4)
        if version < 11:
            return one(x, n(1, 1, 2, 1.5)) + one(x, n(1, 1, 0.5, 2), mode="linear")
        return one(x, None, n(1, 1, 2, 1.5)) + one(x, None, None, n(1, 1, 3, 6), mode="linear") + one(
            x, None, n(1, 1, 0.75, 2), mode="cubic", coordinate_transformation_mode="align_corners") + one(
            x, n(0, 0, 0.25, 0.25, 1, 1, 0.75, 0.75), None, n(1, 1, 3, 3), mode="linear", coordinate_transformation_mode="tf_crop_and_resize")
    if name == "Upsample":
        return one(v(1, 1, 2, 2), scales=[1.0, 1.0, 2.0, 3.0]) if version < 9 else one(v(1, 1, 2, 2), n(1, 1, 2, 3)) + one(v(1, 1, 2, 2), n(1, 1, 2, 2), mode="linear")
    if name == "GridSample":
        mode = "linear" if version >= 20 else "bilinear"
        return one(v(1, 1, 4, 4), frac(1, 3, 3, 2), mode=mode) + one(v(1, 1, 4, 4), frac(1, 3, 3, 2), mode="nearest", padding_mode="border", align_corners=1)
    if name == "GroupNormalization":
        return one(v(2, 4, 3), v(2 if version < 21 else 4), v(2 if version < 21 else 4, seed=1), num_groups=2)
    if name == "DFT":
        return one(v(1, 8, 1), axis=1) if version < 20 else one(v(1, 8, 1), None, s(1)) + one(v(1, 8, 1), s(6), s(-2), onesided=1)
    if name == "DequantizeLinear":
        calls = one(p(2, 3), s(0.5), s(1)) + one(p(2, 3), s(0.5))
        if version >= 13:
            calls += one(p(2, 3), n(0.5, 0.25, 1), n(1, 2, 1), axis=1)
        return calls + (one(p(2, 4), p(2, 2), p(2, 2, seed=1), axis=1, block_size=2) if version >= 21 else [])
    if name == "QuantizeLinear":
        calls = one(p(2, 3), s(0.5), s(1))
        if version >= 13:
            calls += one(p(2, 3), n(0.5, 0.25, 1), n(1, 2, 1), axis=1)
        return calls + (one(p(2, 4), p(2, 2), p(2, 2, seed=1), axis=1, block_size=2) if version >= 21 else [])
    return None


# Left to node_tests.py and the unit tests: bodies, texts, casts between all pairs (cast_pairs).
SKIPPED = {"If", "Loop", "Scan", "Constant", "TfIdfVectorizer", "BitCast"}


def recipe(name, version):
    found = versioned(name, version)
    return found if found is not None else TABLE.get(name)
