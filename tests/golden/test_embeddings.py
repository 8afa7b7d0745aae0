# SPDX-License-Identifier: MIT
"""Embedding models against onnxruntime's recorded answers (make_embeddings.py): all texts in one call, each alone, at every
ISA level and thread count. A text's vector must not depend on what runs beside it: the bits are compared."""
import array
import json
import math
import os
import pathlib
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = os.environ.get("CUPOLA_BIN", str(ROOT / "build/release/cupola"))
GOLDEN = sorted((ROOT / "tests/golden/embeddings").glob("*.json"))
FORMS = [["--threads", "1"], ["--threads", "2"], ["--isa", "avx2"], ["--isa", "scalar", "--threads", "1"]]


def embed(head, ids, *more):
    lines = "".join(",".join(map(str, x)) + "\n" for x in ids)
    command = [BINARY, "embed", str(ROOT / head["model"]), "--file", head["file"], "--ids", "--stdin", *more]
    done = subprocess.run(command, input=lines, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


class Embeddings(unittest.TestCase):
    def check(self, path, form):
        head = json.loads(path.read_text())
        want = array.array("f", path.with_suffix(".f32").read_bytes())
        width = head["width"]
        got = embed(head, head["ids"], *form)
        self.assertEqual(len(got), len(head["ids"]))
        for i, v in enumerate(got):
            w = want[i * width:(i + 1) * width]
            self.assertEqual(len(v), width)
            worst = max(abs(x - y) for x, y in zip(v, w))
            self.assertGreaterEqual(cosine(v, w), head.get("cosine", 0.99999), f"text {i}, largest difference {worst}")
            self.assertLessEqual(worst, head.get("tolerance", 2), f"text {i}")
        return head, got

    def test_recorded_answers(self):
        self.assertGreater(len(GOLDEN), 5)
        for path in GOLDEN:
            for form in FORMS[:2] if path.stem == "minilm" else FORMS:
                with self.subTest(model=path.stem, form=" ".join(form)):
                    self.check(path, form)

    def test_alone_equals_beside_others(self):
        for path in GOLDEN:
            with self.subTest(model=path.stem):
                head, together = self.check(path, ["--threads", "2"])
                for i in (0, 3, len(head["ids"]) - 1):
                    self.assertEqual(embed(head, [head["ids"][i]], "--threads", "1")[0], together[i])

    def test_dimensions_and_length(self):
        head = json.loads((ROOT / "tests/golden/embeddings/minilm.json").read_text())
        whole = embed(head, head["ids"][:1])[0]
        cut = embed(head, head["ids"][:1], "--dimensions", "64")[0]
        self.assertEqual(len(cut), 64)
        self.assertAlmostEqual(sum(x * x for x in cut), 1, 5)
        self.assertGreater(cosine(cut, whole[:64]), 0.999999)


if __name__ == "__main__":
    unittest.main(verbosity=2)
