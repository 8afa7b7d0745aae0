# SPDX-License-Identifier: MIT
"""More rows for make_malformed.py, as in malformed_ops.py: activations, windows, images, elements by
index, recurrences, signals, losses, and the operators of hybrid decoders."""
from malformed_ops import BIG, X, k, ms, op, t, zeros

NAN, INF = float("nan"), float("inf")
AXIS = [("axis range", {"axis": 2}, "axis"), ("axis range", {"axis": -3}, "axis")]

# ---- element by element ----
for name in ("Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Softsign", "Mish", "HardSwish"):
    op(name, [X], [("op dtype", {0: t("i32", 2, 3)}, "input 0")])
op("Sign", [X], [("op dtype", {0: t("bool", 2, 3)}, "input 0")])
for name, attrs in (("Elu", {"alpha": 0.5}), ("Celu", {"alpha": 0.5}), ("LeakyRelu", {"alpha": 0.5}), ("Selu", {"alpha": 0.5}),
                    ("ThresholdedRelu", {"alpha": 0.5}), ("HardSigmoid", {"alpha": 0.5})):
    op(name, [X], [("op dtype", {0: t("i64", 2, 3)}, "input 0")], **attrs)
op("Shrink", [X], [("op dtype", {0: t("bool", 2, 3)}, "input 0")], lambd=0.5)
for name in ("LogSoftmax", "Hardmax"):
    op(name, [X], AXIS + [("op dtype", {0: t("i32", 2, 3)}, "input 0")], axis=1)
op("Xor", [t("bool", 2, 3), t("bool", 3)], [("op dtype", {0: X}, "input 0"), ("broadcast", {1: t("bool", 2)}, "broadcast")])
for name in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
    op(name, [t("i32", 2, 3), t("i32", 3)], [("op dtype", {0: X}, "input 0"), ("broadcast", {1: t("i32", 2)}, "broadcast"),
                                            ("op dtype pair", {1: t("i64", 3)}, "1")])
op("BitwiseNot", [t("i32", 2, 3)], [("op dtype", {0: X}, "input 0")])
op("BitShift", [t("u8", 2, 3), t("u8", 3)], [("attribute value", {"direction": "UP"}, "direction"), ("op dtype", {0: X}, "input 0"),
                                          ("attribute missing", {"direction": None}, "direction"),
                                          ("op dtype pair", {1: t("i32", 3)}, "1")], direction="LEFT")
op("PRelu", [X, t("f32", 3)], [("broadcast", {1: t("f32", 2)}, ""), ("broadcast", {1: t("f32", 2, 2, 3)}, ""),
                               ("op dtype pair", {1: t("f64", 3)}, "1")])
for name in ("Sum", "Mean"):
    op(name, [X, t("f32", 3)], [("broadcast", {1: t("f32", 2)}, "broadcast"), ("op dtype pair", {1: t("f64", 3)}, "1")])

# ---- elements by index and condition ----
op("GatherND", [X, t("i64", 2, 1)], [("op dtype", {1: X}, "input 1"), ("op shape", {1: t("i64", 2, 3)}, ""),
                                     ("attribute value", {"batch_dims": 2}, "batch_dims"), ("attribute value", {"batch_dims": -1}, "batch_dims"),
                                     ("op rank", {1: t("i64")}, "input 1"), ("op rank", {0: t("f32")}, "input 0")], batch_dims=0)
op("ScatterND", [X, t("i64", 1, 1), t("f32", 1, 3)], [
    ("op shape", {2: t("f32", 1, 4)}, "input 2"), ("op shape", {1: t("i64", 1, 3)}, ""), ("op rank", {2: t("f32", 3)}, "input 2"),
    ("op dtype pair", {2: t("f64", 1, 3)}, "2"), ("op dtype", {1: t("i32", 1, 1)}, "input 1"),
    ("attribute value", {"reduction": "median"}, "reduction")], reduction="none")
op("OneHot", [t("i64", 3), k(4)[0], t("f32", 2)], [("shape constant", {1: k(-1)[0]}, "depth"), ("op shape", {1: k(1, 2)}, "depth"),
                                                ("axis range", {"axis": 2}, "axis"), ("axis range", {"axis": -4}, "axis"),
                                                ("op dtype", {0: t("bool", 3)}, "input 0")], axis=-1)
op("Compress", [X, t("bool", 2)], [("op dtype", {1: t("i64", 2)}, "input 1"), ("op rank", {1: t("bool", 1, 2)}, "input 1"),
                                   ("axis range", {"axis": 2}, "axis")], axis=0)
op("NonZero", [X])
op("Unique", [X], AXIS, outs=4, axis=0, sorted=1)
op("NonMaxSuppression", [t("f32", 1, 4, 4), t("f32", 1, 2, 4), k(3), zeros("f4", 1), zeros("f4", 1)], [
    ("op shape", {0: t("f32", 1, 4, 5)}, "input 0"), ("op shape", {1: t("f32", 1, 2, 5)}, ""), ("op shape", {1: t("f32", 2, 2, 4)}, ""),
    ("op rank", {0: t("f32", 4, 4)}, "input 0"), ("op rank", {1: t("f32", 2, 4)}, "input 1"), ("op dtype", {2: zeros("f4", 1)}, "input 2"),
    ("op dtype", {3: zeros("f8", 1)}, "input 3"), ("op shape", {3: zeros("f4", 2)}, ""),
    ("op dtype", {0: t("f64", 1, 4, 4)}, "input 0")], center_point_box=0)
op("EyeLike", [X], [("op rank", {0: t("f32", 3)}, "input 0"), ("attribute value", {"dtype": 99}, "dtype"),
                    ("attribute value", {"dtype": -1}, "dtype"), ("attribute value", {"dtype": 8}, "dtype")], dtype=1)
op("ReverseSequence", [t("f32", 4, 2), t("i64", 2)], [("op shape", {1: t("i64", 3)}, "input 1"), ("op dtype", {1: t("i32", 2)}, "input 1"),
                                                     ("axis range", {"time_axis": 2}, "time_axis"), ("axis range", {"batch_axis": 0}, "batch_axis"),
                                                     ("op rank", {0: t("f32", 4)}, "input 0")], time_axis=0, batch_axis=1)

# ---- windows ----
WINDOW = [("window", {"kernel_shape": [3]}, ""), ("window", {"kernel_shape": [0, 3]}, ""), ("window", {"kernel_shape": [-3, 3]}, ""),
          ("window", {"kernel_shape": [BIG, 3]}, ""), ("window", {"strides": [0, 1]}, ""), ("window", {"strides": [1]}, ""),
          ("window", {"strides": [-1, 1]}, ""), ("window", {"dilations": [0, 1]}, ""), ("window", {"dilations": [BIG, 1]}, ""),
          ("window", {"pads": [1, 1]}, ""), ("window", {"pads": [-1, 0, 0, 0]}, ""), ("window", {"pads": [BIG, 0, 0, 0]}, ""),
          ("window", {"auto_pad": "SAME_MIDDLE"}, "")]
FULL = {"kernel_shape": [3, 3], "strides": [1, 1], "dilations": [1, 1], "pads": [0, 0, 0, 0], "auto_pad": "NOTSET"}
CONV = WINDOW + [("groups", {"group": 3}, ""), ("groups", {"group": 0}, "group"), ("groups", {"group": -2}, "group"), ("groups", {"group": BIG}, ""),
                 ("op rank", {0: t("f32", 1, 4)}, "input 1"), ("op rank", {1: t("f32", 4, 2, 3)}, ""), ("op dtype pair", {1: t("f64", 4, 2, 3, 3)}, "1"),
                 ("op shape", {2: t("f32", 5)}, "input 2"), ("op dtype", {0: t("i32", 1, 4, 8, 8)}, "input 0")]
op("Conv", [t("f32", 1, 4, 8, 8), t("f32", 4, 2, 3, 3), t("f32", 4)],
   CONV + [("op shape", {1: t("f32", 4, 3, 3, 3)}, ""), ("window", {1: t("f32", 4, 2, 9, 3), "kernel_shape": [9, 3]}, "")], group=2, **FULL)
op("ConvTranspose", [t("f32", 1, 4, 8, 8), t("f32", 4, 2, 3, 3), t("f32", 4)],
   CONV + [("op shape", {1: t("f32", 5, 2, 3, 3)}, ""), ("window", {"output_padding": [-1, 0]}, ""), ("window", {"output_padding": [1]}, "")],
   group=2, output_padding=[0, 0], **FULL)
op("ConvInteger", [t("u8", 1, 4, 8, 8), t("u8", 4, 4, 3, 3), zeros("u1"), zeros("u1")], WINDOW + [
    ("op dtype", {0: t("f32", 1, 4, 8, 8)}, "input 0"), ("op shape", {1: t("u8", 4, 3, 3, 3)}, "")], **FULL)
op("QLinearConv", [t("u8", 1, 4, 8, 8), zeros("f4"), zeros("u1"), t("u8", 4, 4, 3, 3), zeros("f4"), zeros("u1"), zeros("f4"), zeros("u1")],
   WINDOW + [("op dtype", {0: t("f32", 1, 4, 8, 8)}, "input 0"), ("op shape", {3: t("u8", 4, 3, 3, 3)}, "")], **FULL)
op("DeformConv", [t("f32", 1, 4, 8, 8), t("f32", 4, 4, 3, 3), t("f32", 1, 18, 6, 6)], WINDOW + [
    ("groups", {"offset_group": 3}, "", True), ("op shape", {2: t("f32", 1, 17, 6, 6)}, "", True)], offset_group=1, **FULL)
POOL = [w for w in WINDOW if "dilations" not in w[1]] + [("attribute missing", {"kernel_shape": None}, "kernel_shape"),
                                                          ("op rank", {0: t("f32", 2, 3)}, "input 0"), ("op dtype", {0: t("bool", 1, 2, 8, 8)}, "input 0")]
POOLED = {name: v for name, v in FULL.items() if name != "dilations"}
op("MaxPool", [t("f32", 1, 2, 8, 8)], POOL, outs=2, **POOLED)
op("AveragePool", [t("f32", 1, 2, 8, 8)], POOL, **POOLED)
op("LpPool", [t("f32", 1, 2, 8, 8)], POOL + [("attribute value", {"p": 0}, "p")], p=2, **POOLED)
for name in ("GlobalMaxPool", "GlobalAveragePool"):
    op(name, [t("f32", 1, 2, 4, 4)], [("op rank", {0: t("f32", 3)}, "input 0"), ("op dtype", {0: t("i32", 1, 2, 4, 4)}, "input 0"),
                                    ("zero dim", {0: t("f32", 1, 2, 0, 4)}, "empty")])
op("MaxUnpool", [t("f32", 1, 1, 2, 2), t("i64", 1, 1, 2, 2)], [
    ("op shape", {1: t("i64", 1, 1, 2, 3)}, "input 1"), ("op dtype", {1: t("i32", 1, 1, 2, 2)}, "input 1"),
    ("attribute missing", {"kernel_shape": None}, "kernel_shape"), ("window", {"kernel_shape": [2]}, "")], kernel_shape=[2, 2])
op("Col2Im", [t("f32", 1, 8, 4), k(3, 3), k(2, 2)], [("op shape", {0: t("f32", 1, 7, 4)}, "7"), ("op dtype", {1: zeros("f4", 2)}, "input 1"),
                                                 ("shape constant", {1: k(3)}, ""), ("shape constant", {2: k(0, 2)}, ""),
                                                 ("shape constant", {2: k(BIG, BIG)}, ""), ("op rank", {0: t("f32", 8, 4)}, "input 0")])

# ---- images ----
RESIZE = t("f32", 1, 1, 4, 4)
op("Resize", [RESIZE, None, zeros("f4", 4) + 2], [
    ("resize", {2: zeros("f4", 3) + 1}, ""), ("resize", {2: zeros("f4", 4)}, ""), ("resize", {2: zeros("f4", 4) - 1}, ""),
    ("nan in shape", {2: zeros("f4", 4) + NAN}, ""), ("nan in shape", {2: zeros("f4", 4) + INF}, ""), ("overflow", {2: zeros("f4", 4) + 1e30}, ""),
    ("op dtype", {2: zeros("f8", 4) + 1}, "input 2"), ("resize", {2: None}, "")], mode="nearest")
op("Resize", [RESIZE, None, None, k(1, 1, 8, 8)], [
    ("resize", {3: k(1, 1, 8)}, ""), ("resize", {3: k(1, 1, -8, 8)}, ""), ("overflow", {3: k(1, 1, BIG, BIG)}, ""),
    ("op dtype", {3: zeros("f4", 4)}, "input 3")], opset=18, mode="linear")
op("Upsample", [RESIZE, zeros("f4", 4) + 2], [("resize", {1: zeros("f4", 3) + 1}, ""), ("nan in shape", {1: zeros("f4", 4) + NAN}, "")],
   opset=9, mode="nearest")
op("Pad", [X, k(0, 0, 1, 1), zeros("f4")], [
    ("op shape", {1: k(0, 0, 1)}, "pads"), ("op dtype", {1: zeros("f4", 4)}, "input 1"), ("op dtype pair", {2: zeros("f8")}, "2"),
    ("overflow", {1: k(BIG, 0, 0, 0)}, "pad"), ("shape constant", {1: k(-3, 0, 0, 0)}, "dimension 0"),
    ("attribute value", {"mode": "mirror"}, "", True)], mode="constant")
op("CenterCropPad", [X, k(2, 2)], [("shape constant", {1: k(-1, 2)}, "-1"), ("shape constant", {1: k(2)}, ""), ("op dtype", {1: zeros("f4", 2)}, "input 1"),
                                   ("overflow", {1: k(BIG, BIG)}, "")])
for name, shape in (("SpaceToDepth", (1, 2, 4, 4)), ("DepthToSpace", (1, 8, 2, 2))):
    op(name, [t("f32", *shape)], [("attribute value", {"blocksize": 0}, "blocksize"), ("attribute value", {"blocksize": -2}, "blocksize"),
                                 ("attribute value", {"blocksize": 3}, ""), ("attribute value", {"blocksize": BIG}, ""),
                                 ("op rank", {0: t("f32", 4, 4)}, "input 0")], blocksize=2)
op("GridSample", [t("f32", 1, 1, 4, 4), t("f32", 1, 3, 3, 2)], [
    ("op shape", {1: t("f32", 1, 3, 3, 3)}, "input 1"), ("op shape", {1: t("f32", 2, 3, 3, 2)}, "input 1"), ("op rank", {1: t("f32", 1, 3, 2)}, "input 1"),
    ("attribute value", {"mode": "sharp"}, "mode"), ("attribute value", {"padding_mode": "none"}, "padding_mode"),
    ("op dtype", {1: t("i64", 1, 3, 3, 2)}, "input 1")], mode="linear", padding_mode="zeros")
op("AffineGrid", [t("f32", 1, 2, 3), k(1, 1, 4, 4)], [("shape constant", {1: k(1, 1, 4)}, "size"), ("shape constant", {1: k(1, 1, 0, 4)}, "size"),
                                                  ("op shape", {0: t("f32", 1, 3, 3)}, "input 0"), ("overflow", {1: k(1, 1, BIG, BIG)}, "")])
op("RoiAlign", [t("f32", 1, 1, 6, 6), t("f32", 2, 4), t("i64", 2)], [
    ("op shape", {1: t("f32", 2, 5)}, "input 1"), ("op shape", {2: t("i64", 3)}, "input 2"), ("op dtype", {2: t("i32", 2)}, "input 2"),
    ("attribute value", {"output_height": 0}, ""), ("attribute value", {"sampling_ratio": -1}, "sampling_ratio"),
    ("overflow", {"output_height": 1 << 31}, "")], output_height=2, sampling_ratio=1)

# ---- reductions, losses, matrices ----
for name in ("ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"):
    op(name, [X, k(0)], [("axis range", {1: k(2)}, "ax"), ("axis range", {1: k(-3)}, "ax"), ("repeated axis", {1: k(0, 0)}, "axis 0"),
                         ("op dtype", {1: k(0, dtype="f4")}, "input 1")], keepdims=0)
op("ArgMin", [X], AXIS + [("zero dim", {0: t("f32", 0, 3)}, "empty")], axis=0, keepdims=0)
LOSS = [("op shape", {1: t("i64", 3)}, ""), ("op dtype", {1: X}, "input 1"), ("op shape", {2: t("f32", 4)}, "2"),
        ("attribute value", {"reduction": "most"}, "reduction"), ("op dtype", {0: t("i32", 2, 3)}, "input 0")]
op("NegativeLogLikelihoodLoss", [X, t("i64", 2), t("f32", 3)], LOSS, reduction="mean")
op("SoftmaxCrossEntropyLoss", [X, t("i64", 2), t("f32", 3)], LOSS, reduction="mean")
op("Einsum", [X, t("f32", 3, 4)], [
    ("equation", {"equation": "ij,jk"[:3]}, ""), ("equation", {"equation": "ij->ij"}, ""), ("equation", {"equation": "ij,kl,mn->i"}, ""),
    ("equation", {"equation": "ij,jk->il"}, ""), ("equation", {"equation": "i1,jk->ik"}, ""), ("equation", {"equation": "ijk,jk->ik"}, ""),
    ("equation", {"equation": ""}, ""), ("equation", {"equation": "ij,jk->i.k"}, ""), ("equation", {"equation": "ij,jk->ii"}, ""),
    ("equation", {"equation": "ij,ij->ij"}, ""), ("op dtype pair", {1: t("f64", 3, 4)}, "1"), ("attribute missing", {"equation": None}, "")],
   equation="ij,jk->ik")
op("Det", [t("f32", 2, 3, 3)], [("op shape", {0: t("f32", 2, 3, 4)}, ""), ("op rank", {0: t("f32", 3)}, "input 0"),
                                ("op dtype", {0: t("i32", 2, 3, 3)}, "input 0")])
op("QuantizeLinear", [t("f32", 8, 4), zeros("f4", 4), zeros("i1", 4)], [
    ("scale shape", {1: zeros("f4", 5), 2: zeros("i1", 5)}, ""), ("axis range", {"axis": 2}, "axis"), ("zero-point shape", {2: zeros("i1", 3)}, "2"),
    ("op dtype", {0: t("bool", 8, 4)}, "input 0"), ("block size", {"block_size": -1}, "block_size"), ("block size", {"block_size": 3}, "")], axis=1)

# ---- norms ----
op("BatchNormalization", [t("f32", 2, 3, 4), t("f32", 3), t("f32", 3), t("f32", 3), t("f32", 3)], [
    ("op shape", {1: t("f32", 4)}, ""), ("op shape", {3: t("f32", 2)}, ""),
    ("op dtype", {0: t("i32", 2, 3, 4)}, "input 0")], training_mode=0)
op("InstanceNormalization", [t("f32", 2, 3, 4), t("f32", 3), t("f32", 3)], [("op shape", {1: t("f32", 4)}, ""), ("op shape", {2: t("f32", 2)}, "")])
op("GroupNormalization", [t("f32", 2, 4, 3), t("f32", 4), t("f32", 4)], [
    ("groups", {"num_groups": 3}, "num_groups"), ("groups", {"num_groups": 0}, "num_groups"), ("groups", {"num_groups": -2}, "num_groups"),
    ("op shape", {1: t("f32", 5)}, "")], num_groups=2)
op("LRN", [t("f32", 1, 5, 2, 2)], [("attribute value", {"size": 0}, "size"), ("attribute value", {"size": -3}, "size"),
                                   ("attribute missing", {"size": None}, "size")], size=3)
op("MeanVarianceNormalization", [t("f32", 2, 3, 2, 2)], [("axis range", {"axes": [4]}, "ax"), ("axis range", {"axes": [-5]}, "ax")], axes=[0, 2])
op("RMSNormalization", [X, zeros("f4", 3)], AXIS + [("op shape", {1: zeros("f4", 4)}, "input 1"), ("op dtype", {0: t("i32", 2, 3)}, "input 0")],
   opset=23, axis=-1)

# ---- recurrences ----
RNN = [("attribute value", {"direction": "sideways"}, "direction"), ("attribute value", {"hidden_size": 6}, ""), ("attribute value", {"layout": 2}, "layout"),
       ("op rank", {0: t("f32", 2, 4)}, "input 0"), ("op dtype pair", {1: zeros("f8", 1, 5, 4)}, ""), ("op dtype", {0: t("i32", 3, 2, 4)}, "input 0"),
       ("op shape", {1: zeros("f4", 2, 5, 4)}, ""), ("op shape", {2: zeros("f4", 1, 5, 6)}, ""), ("op dtype", {4: t("i64", 2)}, "input 4"),
       ("op shape", {4: t("i32", 3)}, "4"), ("op shape", {3: zeros("f4", 1, 9)}, ""), ("attribute value", {"activations": ["Sinus"]}, "")]
for name, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
    acts = {1: ["Tanh"], 3: ["Sigmoid", "Tanh"], 4: ["Sigmoid", "Tanh", "Tanh"]}[gates]
    op(name, [t("f32", 3, 2, 4), zeros("f4", 1, 5 * gates, 4), zeros("f4", 1, 5 * gates, 5), zeros("f4", 1, 10 * gates), t("i32", 2)],
       RNN, outs=2, hidden_size=5, direction="forward", layout=0)
HEADS = {"q_num_heads": 2, "kv_num_heads": 2, "update_rule": "gated_delta", "scale": 0.5}
ROWS = t("f32", 1, 3, 8)
ms("LinearAttention", [ROWS, ROWS, ROWS, t("f32", 1, 2, 4, 4), t("f32", 1, 3, 2), t("f32", 1, 3, 2)], [
    ("heads", {"q_num_heads": 3}, ""), ("heads", {"q_num_heads": 0}, "q_num_heads"), ("heads", {"kv_num_heads": -2}, "kv_num_heads"),
    ("heads", {"kv_num_heads": BIG}, ""), ("attribute value", {"update_rule": "sometimes"}, "update_rule"), ("attribute value", {"scale": NAN}, "scale"),
    ("op shape", {1: t("f32", 1, 4, 8)}, ""), ("op shape", {2: t("f32", 2, 3, 8)}, ""), ("cache shape", {3: t("f32", 1, 2, 4, 5)}, "3"),
    ("cache shape", {3: t("f32", 1, 3, 4, 4)}, "3"), ("op shape", {4: t("f32", 1, 3, 5)}, "decay"), ("op shape", {5: t("f32", 1, 3, 3)}, "beta"),
    ("op rank", {0: t("f32", 3, 8)}, "input 0"), ("op dtype", {0: t("i32", 1, 3, 8)}, "input 0")], outs=2, **HEADS)
ms("LinearAttentionGate", [t("f32", 1, 3, 2), t("f32", 2), t("f32", 2), t("f32", 1, 3, 2)], [
    ("op shape", {1: t("f32", 3)}, "1"), ("op shape", {2: t("f32", 3)}, "2"), ("op shape", {3: t("f32", 1, 4, 2)}, "3"),
    ("op dtype", {0: t("i32", 1, 3, 2)}, "input 0")], outs=2)
ms("GatedRMSNorm", [ROWS, zeros("f4", 8), ROWS], [("op shape", {2: t("f32", 1, 4, 8)}, "2"), ("op shape", {1: zeros("f4", 3)}, "scale"),
                                                ("attribute value", {"epsilon": NAN}, "epsilon"), ("op dtype", {2: t("i32", 1, 3, 8)}, "input 2")], epsilon=1e-6)
ms("GatedAdd", [ROWS, ROWS, t("f32", 1, 3, 1)], [("op shape", {1: t("f32", 1, 3, 7)}, "1"), ("op dtype pair", {1: t("f16", 1, 3, 8)}, "1")])
ms("MRotaryEmbedding", [t("f32", 1, 3, 16), t("i64", 3, 1, 3), zeros("f4", 8, 4), zeros("f4", 8, 4)], [
    ("op shape", {1: t("i64", 2, 1, 3)}, "1"), ("op shape", {1: t("i64", 3, 1, 4)}, "1"), ("op dtype", {1: t("f32", 3, 1, 3)}, "input 1"),
    ("op shape", {3: zeros("f4", 8, 3)}, "3"), ("attribute value", {"mrope_section": [2, 1]}, "mrope_section"),
    ("attribute value", {"mrope_section": [2, 1, 9]}, "mrope_section"), ("attribute value", {"mrope_section": [-2, 3, 3]}, "mrope_section"),
    ("attribute value", {"mrope_layout": 9}, "mrope_layout"), ("heads", {"num_heads": 3}, ""), ("heads", {"num_heads": -1}, "num_heads")],
   num_heads=2, mrope_section=[2, 1, 1], mrope_layout=0)

# ---- signals ----
op("DFT", [t("f32", 1, 8, 1), k(8)[0], k(1)[0]], [("axis range", {2: k(3)[0]}, "axis"), ("axis range", {2: k(-4)[0]}, "axis"),
                                              ("op shape", {0: t("f32", 1, 8, 3)}, ""), ("shape constant", {1: k(0)[0]}, ""),
                                              ("shape constant", {1: k(BIG)[0]}, ""), ("op dtype", {0: t("i32", 1, 8, 1)}, "input 0")], onesided=0)
op("STFT", [t("f32", 1, 16, 1), k(4)[0], zeros("f4", 8)], [("shape constant", {1: k(0)[0]}, ""), ("shape constant", {1: k(-4)[0]}, ""),
                                                      ("op shape", {2: zeros("f4", 17)}, ""), ("op rank", {0: t("f32", 16)}, "")], onesided=1)
for name in ("HannWindow", "HammingWindow", "BlackmanWindow"):
    op(name, [k(8)[0]], [("shape constant", {0: k(-1)[0]}, ""), ("op dtype", {0: zeros("f4")}, "input 0"), ("overflow", {0: k(BIG)[0]}, ""),
                         ("attribute value", {"output_datatype": 99}, "output_datatype"), ("attribute value", {"output_datatype": 8}, "output_datatype")],
       output_datatype=1)
op("MelWeightMatrix", [k(4)[0], k(16)[0], k(8192)[0], zeros("f4"), zeros("f4") + 4096], [
    ("shape constant", {0: k(-1)[0]}, ""), ("shape constant", {1: k(-16)[0]}, ""), ("op dtype", {3: k(0)[0]}, "input 3"),
    ("attribute value", {"output_datatype": 99}, "output_datatype")], output_datatype=1)
op("TfIdfVectorizer", [t("i64", 6)], [
    ("attribute value", {"mode": "MOST"}, "mode"), ("attribute value", {"min_gram_length": 0}, "gram"), ("attribute value", {"max_gram_length": 0}, "gram"),
    ("attribute value", {"ngram_counts": [9]}, ""), ("attribute value", {"ngram_indexes": [-1, 1]}, ""), ("attribute value", {"ngram_counts": [-1]}, ""),
    ("attribute value", {"max_skip_count": -1}, "skip")],
   mode="TF", min_gram_length=1, max_gram_length=1, max_skip_count=0, ngram_counts=[0], ngram_indexes=[0, 1], pool_int64s=[2, 3])
