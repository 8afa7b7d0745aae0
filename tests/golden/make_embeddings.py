#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records what onnxruntime answers for embedding models: the bundled one, and small encoders in many forms.

    CUPOLA_BIN=build/release/cupola python tests/golden/make_embeddings.py
    needs: numpy, onnxruntime; writes tests/golden/embeddings/NAME.f32 beside NAME.json

NAME.json: {"model", "file", "pooling", "normalize", "width", "tolerance" or "cosine", "ids": [[…]…]}. Each list of ids is
run alone, in a batch of one, without padding; NAME.f32 is little-endian float32 [texts, width].
"""
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import onnxruntime as ort

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "tests/golden/embeddings"
SENTENCES = ["The train to the coast leaves at seven.", "When does the next train go to the sea?", "Bees dance to tell where flowers are.",
             "A honeybee's waggle points the way to nectar.", "Interest rates rose by a quarter of a point.", "The central bank made borrowing dearer.",
             "She tuned the violin before the concert.", "He forgot to water the tomatoes again.", "Naïve café façade — ünïcödé!", "ok",
             "Numbers: 3.14159, 1,000,000 and 42.", "Why is the sky blue at noon and red at dusk?", "The patch fixes a race between the reader and the writer of the ring buffer. " * 5,
             "[SEP] is a token, and so is [MASK].", "   spaces   everywhere   ", "Ein deutscher Satz über das Wetter in Köln."]
BOUNDS = {"bert-fp32": {"tolerance": 1e-5}, "bert-int8": {"cosine": 0.999}, "minilm": {"cosine": 0.999}}


def pool(states, mode):
    v = {"mean": lambda: states.mean(0), "cls": lambda: states[0], "lasttoken": lambda: states[-1], "max": lambda: states.max(0)}[mode]()
    return v / np.linalg.norm(v)


def run(session, ids):
    names = {i.name for i in session.get_inputs()}
    x = np.array([ids], np.int64)
    feed = {"input_ids": x, "attention_mask": np.ones_like(x), "token_type_ids": np.zeros_like(x),
            "position_ids": np.arange(x.shape[1])[None]}
    return session.run(None, {k: v for k, v in feed.items() if k in names})[0][0]


def record(name, folder, file, ids, pooling, **bound):
    so = ort.SessionOptions()
    so.intra_op_num_threads = 1
    session = ort.InferenceSession(str(ROOT / folder / file), so, providers=["CPUExecutionProvider"])
    vectors = np.stack([pool(run(session, x).astype(np.float64), pooling) for x in ids]).astype("<f4")
    vectors.tofile(OUT / f"{name}.f32")
    head = {"model": folder, "file": file, "pooling": pooling, "normalize": True, "width": vectors.shape[1], **bound, "ids": ids}
    (OUT / f"{name}.json").write_text(json.dumps(head) + "\n")
    print(f"{name}: {vectors.shape}")


def tokens_of(folder):
    lines = "".join(json.dumps({"text": s}) + "\n" for s in SENTENCES)
    done = subprocess.run([os.environ["CUPOLA_BIN"], "tokenize", str(ROOT / folder), "--jsonl"], input=lines.encode(), capture_output=True, check=True)
    return [json.loads(x)["ids"] for x in done.stdout.decode().splitlines()]


def random_tokens(vocab, longest):
    rng = np.random.default_rng(5)
    return [rng.integers(5, vocab, n).tolist() for n in (1, 2, 7, 7, 16, 33, longest, 7)]


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    record("minilm", "models/minilm", "model_q4.onnx", tokens_of("models/minilm"), "mean", cosine=0.999)
    for line in (ROOT / "tests/fixtures/encoders/index.jsonl").read_text().splitlines():
        e = json.loads(line)
        folder = "tests/fixtures/encoders/" + e["name"]
        ids = random_tokens(e["vocab"], e["longest"])
        record(e["name"], folder, "model.onnx", ids, e["pooling"], **e["bound"])
    sys.exit(0)
