#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tables of docs/numerics.md: how far `cupola` is from the recorded answers of model folders.

    tools/measure_numerics.py DIR... [--cupola build/release/cupola] [--per-folder] [--cupola-args ...]
    needs: numpy, onnx

Each DIR has golden.json and golden.f32 (tests/golden/README.md). The prompts' rows are computed as the file asks and
with --precision strict, and compared with

    onnxruntime   `logits`: what the file gives under onnxruntime's CPU provider
    fp32          `logits_fp32_weights`, where recorded: the same graph with its weights dequantised, all in fp32

Folders are put together by what their graph is made of: bits, accuracy level, the type of inputs and caches. A cell is
the largest difference of any logit, the worst of the group's folders; `farthest` is the folder with the largest
`default − ORT`.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx

FLOATS = {1: "fp32", 10: "fp16", 16: "bf16"}


def attribute(node, name, default):
    return next((onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def walk(graph):
    for node in graph.node:
        yield node
        for a in node.attribute:
            for sub in [a.g] if a.type == onnx.AttributeProto.GRAPH else a.graphs:
                yield from walk(sub)


def describe(path):
    """What quantised layers the graph has, and the types of what goes in and out."""
    model = onnx.load(path, load_external_data=False)
    parts = set()
    for n in walk(model.graph):
        bits = attribute(n, "bits", 4)
        if n.op_type == "MatMulNBits":
            parts.add(f"MatMulNBits {bits} bits, level {attribute(n, 'accuracy_level', 0)}")
        elif n.op_type == "QMoE":
            parts.add(f"QMoE {attribute(n, 'expert_weight_bits', 4)} bits, level {attribute(n, 'accuracy_level', 0)}")
        elif n.op_type == "DequantizeLinear" and attribute(n, "block_size", 0):
            parts.add("QDQ weights in blocks")
        elif n.op_type in ("MatMulInteger", "DynamicQuantizeLinear"):
            parts.add("int8 dynamic")
    caches = [i.type.tensor_type.elem_type for i in model.graph.input if "past" in i.name]
    kv = next((f", {8 if t == 3 else 4}-bit cache" for t in caches if t in (2, 3)), "")
    types = caches + [model.graph.output[0].type.tensor_type.elem_type]
    out = next((FLOATS[t] for t in (10, 16) if t in types), "fp32")
    return "; ".join(sorted(parts) or ["plain weights"]) + f"; {out}{kv}"


def array(golden, blob, ref):
    n = int(np.prod(ref["shape"]))
    return np.frombuffer(blob, "<f4", n, ref["offset"]).reshape(ref["shape"])


def run_rows(args, folder, prompt, strict):
    """Logits [rows, vocab] of the prompt's golden rows, or None where ids are not what the model takes."""
    with tempfile.TemporaryDirectory() as tmp:
        ids, out = os.path.join(tmp, "ids.json"), os.path.join(tmp, "out.f32")
        with open(ids, "w", encoding="utf-8") as f:
            json.dump(prompt["ids"], f)
        cmd = [args.cupola, "logits", folder, "--ids", "@" + ids, "--out", out,
               "--rows", ",".join(map(str, prompt["rows"]))]
        cmd += (["--precision", "strict"] if strict else []) + args.cupola_args
        p = subprocess.run(cmd, capture_output=True, text=True, check=False)
        if p.returncode:
            raise RuntimeError(p.stderr.strip())
        return np.fromfile(out, "<f4").reshape(len(prompt["rows"]), -1)


def worst(a, b):
    return float(np.abs(a.astype(np.float64) - b).max())


def measure(args, folder):
    """{name of the difference: worst over prompts}, and the spread of the logits."""
    with open(os.path.join(folder, "golden.json"), encoding="utf-8") as f:
        golden = json.load(f)
    with open(os.path.join(folder, "golden.f32"), "rb") as f:
        blob = f.read()
    found = {}

    def note(name, value):
        found[name] = max(found.get(name, 0.0), value)

    for prompt in golden["prompts"]:
        ort = array(golden, blob, prompt["logits"])
        got = {mode: run_rows(args, folder, prompt, mode == "strict") for mode in ("default", "strict")}
        note("deviation", float(ort.std()))
        for mode, rows in got.items():
            note(f"{mode}-ort", worst(rows, ort))
        if "logits_fp32_weights" in prompt:
            fp32 = array(golden, blob, prompt["logits_fp32_weights"])
            note("ort-fp32", worst(ort, fp32))
            for mode, rows in got.items():
                note(f"{mode}-fp32", worst(rows, fp32))
    return golden["oracle"], found


def onnx_of(folder):
    names = [os.path.join(r, f) for r, _, fs in os.walk(folder) for f in fs if f.endswith(".onnx")]
    return min(names, key=lambda n: (not re.search(r"model(_q4|_quantized|_merged)?[^/]*\.onnx$", n), len(n)))


def cell(values, key):
    return f"{max(v[key] for v in values if key in v):.2g}" if any(key in v for v in values) else "–"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folders", nargs="+")
    p.add_argument("--cupola", default="build/release/cupola")
    p.add_argument("--per-folder", action="store_true", help="a row a folder")
    p.add_argument("--cupola-args", nargs=argparse.REMAINDER, default=[], help="the rest goes to every cupola logits")
    args = p.parse_args()
    groups, left_out = {}, []
    for folder in args.folders:
        name = os.path.basename(folder.rstrip("/"))
        try:
            oracle, found = measure(args, folder)
        except (KeyError, RuntimeError, OSError) as e:
            left_out.append(f"{name}: {e!s:.100}")
            continue
        what = describe(onnx_of(folder)) + ("" if oracle.startswith("ort-cpu") else f" ({oracle})")
        groups.setdefault(name if args.per_folder else what, []).append({**found, "name": name})
        print(f"{name}: {what}", file=sys.stderr)
    columns = ["default-ort", "strict-ort", "default-fp32", "strict-fp32", "ort-fp32"]
    print("| graph | folders | deviation | default − ORT | strict − ORT | default − fp32 | strict − fp32 | ORT − fp32 | farthest |")
    print("|" + "---|" * 9)
    for what, values in sorted(groups.items()):
        spread = f"{min(v['deviation'] for v in values):.2g}–{max(v['deviation'] for v in values):.2g}"
        farthest = max(values, key=lambda v: v["default-ort"])["name"]
        print(f"| {what} | {len(values)} | {spread} | " + " | ".join(cell(values, c) for c in columns) + f" | {farthest} |")
    for line in left_out:
        print(f"not measured: {line}", file=sys.stderr)


if __name__ == "__main__":
    main()
