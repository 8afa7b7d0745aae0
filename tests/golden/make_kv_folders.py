#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes model folders with quantised KV caches that the exporter does not make by itself, with onnxruntime's answers.

    python tests/golden/make_kv_folders.py [OUT]
    needs: numpy, onnx, onnxruntime; reads tests/fixtures/models/llama-int4-kv[48], writes beside them (or to OUT)

llama-int4-kv4-channel: 4 bits, a scale for each channel. llama-fp16-kv8: 8 bits in a graph of half floats (scales are fp32
in any graph); its answers are those of the same numbers in an fp32 graph. The prompts are those of the folder it is made from; greedy tokens are by incremental decoding.
"""
import json
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent / "tests/fixtures/models"
FLIPS = "K and V are rounded to integers: last-bit differences may move one by a step"


def per_channel(model, rng):
    """Scales of their own for all 2 * 16 channels, about as wide as the one scale was."""
    for t in model.graph.initializer:
        if t.name.endswith((".k_scale", ".v_scale")):
            scales = numpy_helper.to_array(t)[0] * np.exp(rng.normal(0, 0.4, 32)).astype(np.float32)
            t.CopyFrom(numpy_helper.from_array(scales.astype(np.float32), t.name))
    for n in model.graph.node:
        for a in n.attribute:
            if a.name in ("k_quant_type", "v_quant_type"):
                a.s = b"PER_CHANNEL"


def rounded(model, dtype=np.float32):
    """fp32 constants rounded to halves, but for the scales of the caches."""
    for t in model.graph.initializer:
        if t.data_type == TensorProto.FLOAT and not t.name.endswith((".k_scale", ".v_scale")):
            t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float16).astype(dtype), t.name))


def halves(model, _):
    """An fp32 graph becomes one of fp16."""
    rounded(model, np.float16)
    for v in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        if v.type.tensor_type.elem_type == TensorProto.FLOAT:
            v.type.tensor_type.elem_type = TensorProto.FLOAT16
    for n in model.graph.node:
        for a in n.attribute:
            if n.op_type == "Cast" and a.i == TensorProto.FLOAT:
                a.i = TensorProto.FLOAT16


class Oracle:
    def __init__(self, path):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.past = {}
        self.length = 0

    def feed(self, ids):
        self.length += len(ids)
        feed = {"input_ids": np.array([ids], np.int64), "attention_mask": np.ones((1, self.length), np.int64)}
        types = {"tensor(int8)": (np.int8, 16), "tensor(uint8)": (np.uint8, 8)}
        for i in self.session.get_inputs():
            if i.name.startswith("past"):
                dtype, dim = types[i.type]
                feed[i.name] = self.past.get(i.name, np.zeros((1, 2, 0, dim), dtype))
        names = [o.name for o in self.session.get_outputs()]
        out = dict(zip(names, self.session.run(names, feed)))
        self.past = {n.replace("present", "past_key_values"): v for n, v in out.items() if n.startswith("present")}
        return out["logits"][0].astype(np.float32)


def record(path, prompt, blob):
    """Prefill rows and 24 greedy tokens; arrays go to the end of blob."""
    def put(rows):
        at = sum(4 * a.size for a in blob)
        blob.append(np.ascontiguousarray(rows, "<f4"))
        return {"offset": at, "shape": list(rows.shape)}

    oracle = Oracle(path)
    rows = oracle.feed(prompt["ids"])
    answer = {k: prompt[k] for k in ("name", "ids", "text", "rows")}
    answer |= {"logits": put(rows[prompt["rows"]]), "tokens": [], "gaps": []}
    last, steps = rows[-1], []
    for i in range(24):
        best = np.sort(last)[-2:]
        answer["tokens"].append(int(np.argmax(last)))
        answer["gaps"].append(float(best[1] - best[0]))
        if i in prompt["decode_steps"]:
            steps.append(last)
        last = oracle.feed(answer["tokens"][-1:])[-1]
    return answer | {"decode_steps": prompt["decode_steps"], "decode_logits": put(np.stack(steps))}


def save(model, path):
    onnx.save(model, str(path), save_as_external_data=True, location=f"{path.name}.data", size_threshold=64)


def make(source, out, change, upcast, bounds, why):
    model = onnx.load(str(source / "model.onnx"))
    golden = json.loads((source / "golden.json").read_text())
    change(model, np.random.default_rng(7))
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(source, out, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("model.onnx*", "golden*"))
    save(model, out / "model.onnx")
    blob = []
    with tempfile.TemporaryDirectory() as tmp:
        asked = out / "model.onnx"
        if upcast:
            asked = pathlib.Path(tmp, "model.onnx")
            wide = onnx.load(str(source / "model.onnx"))
            rounded(wide)
            save(wide, asked)
        prompts = [record(asked, p, blob) for p in golden["prompts"]]
    np.concatenate([b.ravel() for b in blob]).tofile(out / "golden.f32")
    keep = {k: golden[k] for k in ("format", "output", "rules", "stop_tokens", "f32")}
    keep |= {"oracle": "ort-cpu, graph upcast to fp32" if upcast else "ort-cpu", "onnxruntime": ort.__version__, "note": "made by tests/golden/make_kv_folders.py", "tolerance_from": why, **bounds}
    (out / "golden.json").write_text(json.dumps(keep | {"prompts": prompts}, indent=1) + "\n")


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    make(ROOT / "llama-int4-kv4", out / "llama-int4-kv4-channel", per_channel, False, {"tolerance": 0.5, "tolerance_rms": 0.25, "token_gap": 0.75}, FLIPS)
    make(ROOT / "llama-int4-kv8", out / "llama-fp16-kv8", halves, True, {"tolerance": 0.08, "tolerance_rms": 0.03, "token_gap": 0.15},
         f"the dense form rounds activations to fp16; {FLIPS}")


if __name__ == "__main__":
    main()
