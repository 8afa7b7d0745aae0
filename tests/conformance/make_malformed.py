#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/fixtures/onnx/malformed.bin: valid models (controls) and models that are wrong in one
way each, with the words that the refusal has to contain. test_malformed.c reads it.

    make_malformed.py [--out FILE] [--seed N] [--list]

The file, little-endian, text and bytes with a u32 length before them:
    "MALF" u32 1, u32 n, then n records:
    u8 sort (0 refused at load, 1 accepted, 2 loads, refused at run, 3 loads and runs)
    text class, text name, u32 n_words, text word...
    u32 pieces, each u32 times, bytes: the model is every piece that often, in a row
    u32 n_files, each text name, u8 kind (0 content, 1 symlink), bytes
    u32 n_inputs, each bytes (TensorProto)
What is generated depends on the seed alone. The same words in a class keep the test honest: a model
refused for another reason than its fault fails."""
import argparse
import os
import random
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto as TP
from onnx import helper as H

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import malformed_ops as ops  # noqa: E402
import malformed_files as files  # noqa: E402
import malformed_graphs as graphs  # noqa: E402
import malformed_loops as loops  # noqa: E402
import malformed_rare_ops  # noqa: E402, F401  (adds to ops.CALLS)

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
REFUSED, ACCEPTED, REFUSED_RUN, RUNS = range(4)
NODE = "the_node"


class Case:
    def __init__(self, sort, klass, name, model, words=(), extra=(), inputs=()):
        pieces = model if isinstance(model, list) else [(1, to_bytes(model))]
        self.sort, self.klass, self.name, self.pieces = sort, klass, name, pieces
        self.words, self.files = [w for w in words if w], list(extra)
        self.inputs = [to_bytes(i) for i in inputs]


def to_bytes(model):
    return model if isinstance(model, bytes) else model.SerializeToString(deterministic=True)


# ---- operators: catalogue -> models ----

DTYPES = {"f32": TP.FLOAT, "f16": TP.FLOAT16, "bf16": TP.BFLOAT16, "f64": TP.DOUBLE, "i8": TP.INT8,
          "u8": TP.UINT8, "i16": TP.INT16, "i32": TP.INT32, "i64": TP.INT64, "bool": TP.BOOL,
          "str": TP.STRING}


def const(array, name):
    return onnx.numpy_helper.from_array(np.asarray(array), name)


def attribute(name, value):
    if isinstance(value, np.ndarray):
        value = const(value, "")
    return H.make_attribute(name, value)


def call_model(call, ins=None, attrs=None, outs=None, in_names=None, declared=None):
    """The model of one node, named the_node, inputs x0.. (constants c0..), outputs y0.."""
    ins = call.ins if ins is None else ins
    attrs = call.attrs if attrs is None else attrs
    inputs, inits, names = [], [], []
    for i, x in enumerate(ins):
        if x is None:
            names.append("")
        elif isinstance(x, ops.Tensor):
            names.append(f"x{i}")
            inputs.append(H.make_tensor_value_info(f"x{i}", DTYPES[x.dtype], x.shape))
        else:
            names.append(f"c{i}")
            inits.append(const(x, f"c{i}"))
    while names and not names[-1]:
        names.pop()
    n_outs = call.outs if outs is None else outs
    node = H.make_node(call.name, in_names(names) if in_names else names,
                       [f"y{i}" for i in range(n_outs)], NODE, domain=call.domain)
    node.attribute.extend(attribute(k, v) for k, v in attrs.items())
    outputs = [H.make_tensor_value_info(f"y{i}", declared, None) if declared
               else H.make_empty_tensor_value_info(f"y{i}") for i in range(n_outs)]
    if not outputs:
        outputs = [H.make_empty_tensor_value_info("y0")]
    graph = H.make_graph([node], "g", inputs, outputs, inits)
    return model_of(graph, call.opset, [call.domain] if call.domain else [])


def model_of(graph, opset=21, domains=("com.microsoft",)):
    sets = [H.make_opsetid("", opset)] + [H.make_opsetid(d, 1) for d in domains]
    return H.make_model(graph, opset_imports=sets, ir_version=10)


def changed(call, changes):
    ins, attrs = list(call.ins), dict(call.attrs)
    for key, value in changes.items():
        if isinstance(key, int):
            ins[key] = value
        elif value is None:
            attrs.pop(key)
        else:
            attrs[key] = value
    return ins, attrs


# Inputs that take any type, strings too.
ANY_TYPE = {("Identity", 0), ("Reshape", 0), ("Flatten", 0), ("Transpose", 0), ("Squeeze", 0),
            ("Unsqueeze", 0), ("Split", 0), ("Slice", 0), ("Expand", 0), ("Tile", 0), ("Gather", 0),
            ("GatherElements", 0), ("Shape", 0), ("Size", 0), ("Cast", 0), ("CastLike", 0),
            ("CastLike", 1), ("Trilu", 0), ("Pad", 0), ("CenterCropPad", 0), ("SpaceToDepth", 0),
            ("DepthToSpace", 0), ("ReverseSequence", 0), ("Compress", 0), ("OneHot", 2), ("Unique", 0),
            ("EyeLike", 0), ("GatherND", 0)}
WRONG_TYPE = {int: "text", float: "text", str: 7, list: 1.5, np.ndarray: 3}


def generic_cases(call):
    """What every operator has to refuse."""
    add = lambda klass, name, model, *words: Case(REFUSED, klass, f"{label} {name}", model, (NODE,) + words)
    label = f"{call.domain or 'onnx'}.{call.name}-{call.opset}"
    yield Case(ACCEPTED, "control", label, call_model(call))
    if call.name in graphs.PACKED:
        fed = [const(graphs.feed(x), f"x{i}") for i, x in enumerate(call.ins) if isinstance(x, ops.Tensor)]
        yield Case(RUNS, "control: run", f"{label} packed", call_model(call), inputs=fed)
    first = next(i for i, x in enumerate(call.ins) if x is not None)
    yield add("input missing", "no inputs", call_model(call, in_names=lambda n: []), "input")
    yield add("input absent", f"input {first} absent",
              call_model(call, in_names=lambda n: [""] + n[1:]), "input")
    yield add("inputs too many", "too many inputs",
              call_model(call, in_names=lambda n: n + [n[0]] * (22 - len(n))), "inputs, expected") \
        if call.name not in ("Concat", "Min", "Max", "Sum", "Mean", "Einsum") else None
    yield add("outputs too many", "too many outputs", call_model(call, outs=9), "output") \
        if call.name != "Split" else add("outputs too many", "sizes", call_model(call, outs=9), "outputs")
    yield Case(REFUSED, "outputs missing", f"{label} no outputs", call_model(call, outs=0), ("y0",))
    yield add("input undefined", "undefined name",
              call_model(call, in_names=lambda n: ["ghost"] + n[1:]), "ghost")
    yield add("cycle", "its own output as input",
              call_model(call, in_names=lambda n: ["y0"] + n[1:]), "")
    yield add("attribute unknown", "unknown attribute",
              call_model(call, attrs={**call.attrs, "no_such_attribute": 1}), "no_such_attribute")
    yield add("declared type", "string output declared", call_model(call, declared=TP.STRING), "y0") \
        if call.outs == 1 else None
    for i, x in enumerate(call.ins):
        if not isinstance(x, ops.Tensor) and x is None:
            continue
        shape = x.shape if isinstance(x, ops.Tensor) else list(x.shape)
        if (call.name, i) not in ANY_TYPE:
            ins = list(call.ins)
            ins[i] = ops.t("str", *shape)
            yield add("string tensor", f"strings as input {i}", call_model(call, ins=ins), "string")
        if i > 1:
            continue
        ins = list(call.ins)
        ins[i] = ops.t(x.dtype if isinstance(x, ops.Tensor) else "i64", *([1] * 9))
        yield Case(REFUSED, "rank 9", f"{label} input {i} of rank 9", call_model(call, ins=ins),
                   (f"x{i}", "9 dim"))
    for name, value in call.attrs.items():
        wrong = call_model(call, attrs={**call.attrs, name: WRONG_TYPE[type(value)]})
        yield add("attribute type", f"{name} of another type", wrong, name)
        twice = call_model(call)
        twice.graph.node[0].attribute.append(attribute(name, value))
        yield add("attribute twice", f"{name} twice", twice, name)
        lied = call_model(call)
        at = next(a for a in lied.graph.node[0].attribute if a.name == name)
        at.type = onnx.AttributeProto.STRING if at.type != onnx.AttributeProto.STRING else onnx.AttributeProto.INT
        yield add("attribute type field", f"{name}: type says otherwise", lied, name)


def op_cases():
    for call in ops.CALLS:
        yield from (c for c in generic_cases(call) if c)
        for n, (klass, changes, word, *late) in enumerate(call.bad):
            ins, attrs = changed(call, changes)
            what = ", ".join(str(key) for key in changes)
            fed = [const(graphs.feed(x), f"x{i}") for i, x in enumerate(ins) if isinstance(x, ops.Tensor)] if late else []
            yield Case(REFUSED_RUN if late else REFUSED, f"packing: {klass}" if late else klass, f"{call.domain or 'onnx'}.{call.name}-{call.opset} bad {n}: {what}",
                       call_model(call, ins=ins, attrs=attrs), (NODE, word), inputs=fed)


# ---- the file ----

def packed(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack("<I", len(data)) + data


def record(case):
    out = struct.pack("<B", case.sort) + packed(case.klass) + packed(case.name)
    out += struct.pack("<I", len(case.words)) + b"".join(packed(w) for w in case.words)
    out += struct.pack("<I", len(case.pieces))
    out += b"".join(struct.pack("<I", times) + packed(piece) for times, piece in case.pieces)
    out += struct.pack("<I", len(case.files))
    out += b"".join(packed(name) + struct.pack("<B", kind) + packed(data) for name, kind, data in case.files)
    return out + struct.pack("<I", len(case.inputs)) + b"".join(packed(i) for i in case.inputs)


def all_cases(seed):
    rng = random.Random(seed)
    yield from op_cases()
    yield from graphs.cases(sys.modules[__name__])
    yield from loops.cases(sys.modules[__name__])
    yield from files.cases(sys.modules[__name__], rng)


def unique(cases):
    """Without what is there already: a model that two classes arrive at counts once."""
    seen = set()
    for c in cases:
        key = (c.sort, tuple(c.pieces), tuple(c.files), tuple(c.inputs))
        if key not in seen:
            seen.add(key)
            yield c


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default=os.path.join(ROOT, "tests/fixtures/onnx/malformed.bin"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="count by class")
    args = parser.parse_args()
    cases = list(unique(all_cases(args.seed)))
    with open(args.out, "wb") as f:
        f.write(b"MALF" + struct.pack("<II", 1, len(cases)) + b"".join(record(c) for c in cases))
    classes = {}
    for c in cases:
        classes.setdefault((c.sort, c.klass), []).append(c)
    if args.list:
        for (sort, klass), list_ in sorted(classes.items()):
            print(f"{sort} {klass:28} {len(list_)}")
    bad = [c for c in cases if c.sort in (REFUSED, REFUSED_RUN)]
    print(f"{len(bad)} malformed in {len({c.klass for c in bad})} classes, "
          f"{len(cases) - len(bad)} controls, {os.path.getsize(args.out)} bytes")


if __name__ == "__main__":
    sys.modules["make_malformed"] = sys.modules[__name__]
    main()
