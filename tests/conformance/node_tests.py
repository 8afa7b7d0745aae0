#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The official ONNX backend node tests through `cupola exec`.

    python tests/conformance/node_tests.py --cupola build/release/cupola            a table by operator
    python tests/conformance/node_tests.py --cupola … --check                       fails when a test of
                                                              node_tests_expected.txt does not pass
    python tests/conformance/node_tests.py --cupola … --record                      writes that list
    python tests/conformance/node_tests.py --cupola … --document docs/operators.md  the table, and why some fail
    --only REGEX   some tests        --causes   failures by message        --jobs N   processes at a time
    --cache DIR    models and data are generated once (a minute) and kept here

Each test is a process of its own; outputs are compared as onnx.backend.test.runner does, with the
test's own rtol and atol. Models of ai.onnx.ml and ai.onnx.preview.training are not ours. Needs the onnx
package; with another release than the recorded one --check compares only
the tests that both have.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
EXPECTED = os.path.join(HERE, "node_tests_expected.txt")
OTHER_DOMAINS = {"ai.onnx.ml", "ai.onnx.preview.training"}
TIMEOUT_S = 120

# Why tests do not pass: the first pattern that matches a test's name.
REASONS = [
    (r"sequence|_opt|split_to_sequence|loop13_seq|loop16_seq|if_seq|if_opt",
     "values that are sequences or optionals: the graph has tensors only"),
    (r"string_|strnormalizer|regex|tfidf.*string|_STRING|label_encoder",
     "operators that make new strings: a tensor's block has no room for text (strings are moved and compared)"),
    (r"image_decoder", "image files: no JPEG, PNG, WebP … decoder is among the libraries"),
    (r"flexattention", "ai.onnx.preview: not a released operator"),
    (r"bernoulli|random|training_dropout|multinomial", "random numbers: the reference's generator is numpy's"),
    (r"test_not_[234]d|scan_sum", "models of opsets below 7, or Scan of opset 8"),
    (r"affine_grid_3d.*expanded", "the branch that is not taken splits 5 elements into 4 parts: refused at import"),
    (r"dft_inverse", "the expected zeros hold the reference's own rounding (2e-7 against atol 1e-7)"),
    (r"attention_4d_causal_fp16_expanded", "half-precision steps rounded in another order"),
]


ELEMENT_TYPES = """## Element types

`tests/conformance/type_sweep.py` runs each operator in every element type of its schema, at every version, against
onnxruntime or the reference evaluator. Not done: strings in `Cast`, `NonZero`, `Resize`, `GridSample`, `Trilu` and whatever
makes new text; complex numbers anywhere but where elements are only moved; `bool` in `GridSample`; elements of less than a
byte in `TensorScatter`; `Attention` in f64, or with q, k and v of different types; integers in `Erf` of opset 9; f8e8m0 scales
of `DequantizeLinear` without `output_dtype`; `FusedMatMul` with `transBatchA` or `transBatchB`;
`GroupQueryAttention` with `qk_output`, or with caches quantised in one way for keys and in another for values (8 and 4 bits, a scale a
tensor or a channel, run in the dense and in the lowered form). Integers: `Resize` cuts off what linear interpolation gives, as onnxruntime does.

"""

# ---- models and data on disk ----

def write_value(path, value, type_proto):
    import numpy as np
    from onnx import TensorProto, numpy_helper

    kind = type_proto.WhichOneof("value")
    if isinstance(value, TensorProto):
        proto = value
    elif kind == "sequence_type":
        proto = numpy_helper.from_list(list(value))
    elif kind == "optional_type":
        proto = numpy_helper.from_optional(value)
    else:
        proto = numpy_helper.from_array(np.asarray(value))
    with open(path, "wb") as f:
        f.write(proto.SerializeToString())


def write_case(folder, case):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "model.onnx"), "wb") as f:
        f.write(case.model.SerializeToString())
    for k, (inputs, outputs) in enumerate(case.data_sets):
        for i, value in enumerate(inputs):
            write_value(os.path.join(folder, f"input_{k}_{i}.pb"), value, case.model.graph.input[i].type)
        for i, value in enumerate(outputs):
            write_value(os.path.join(folder, f"output_{k}_{i}.pb"), value,
                        case.model.graph.output[i].type)


def generate(cache):
    """Writes every test below `cache`; returns the index: a list of what each test is."""
    from onnx.backend.test.loader import load_node_model_tests

    index = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = load_node_model_tests()
    for case in cases:
        nodes = case.model.graph.node
        if any(n.domain in OTHER_DOMAINS for n in nodes):
            continue
        write_case(os.path.join(cache, case.name), case)
        index.append({"name": case.name, "rtol": case.rtol, "atol": case.atol,
                      "ops": sorted({n.op_type for n in nodes}),
                      "n_in": len(case.data_sets[0][0]), "sets": len(case.data_sets),
                      "n_out": len(case.model.graph.output)})
    return index


def load_index(cache):
    import onnx

    path = os.path.join(cache, f"index-{onnx.__version__}.json")
    if not os.path.exists(path):
        index = generate(cache)
        with open(path, "w", encoding="utf-8") as f:
            json.dump(index, f)
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def tested_operator(test):
    """The operator a test is about: by its model where that has one node, else by its name (the
    _expanded variants hold the operator's function body)."""
    return test["ops"][0] if len(test["ops"]) == 1 else "(several) " + "_".join(
        test["name"].split("_")[1:3])


# ---- running one ----

def read_tensor(path, type_proto):
    import onnx
    from onnx import numpy_helper

    with open(path, "rb") as f:
        data = f.read()
    kind = type_proto.WhichOneof("value")
    if kind == "sequence_type":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    if kind == "optional_type":
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(data))
    return numpy_helper.to_array(onnx.TensorProto.FromString(data))


def compare(want, got, test, what):
    """As onnx.backend.test.runner: bfloat16 within two units in its last place."""
    import numpy as np

    if isinstance(want, list):
        assert isinstance(got, list) and len(want) == len(got), f"{what}: another number of elements"
        for i, (a, b) in enumerate(zip(want, got)):
            compare(a, b, test, f"{what}[{i}]")
        return
    assert want.shape == got.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    assert want.dtype == got.dtype, f"{what}: {got.dtype}, expected {want.dtype}"
    if want.dtype.kind in "OSU":
        np.testing.assert_array_equal(got, want)
        return
    rtol = test["rtol"]
    if want.dtype.name == "bfloat16":
        rtol = max(rtol, 2**-6)
        want, got = want.astype(np.float32), got.astype(np.float32)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=test["atol"])


def run_set(cupola, folder, test, k, out_dir):
    import onnx

    with open(os.path.join(folder, "model.onnx"), "rb") as f:
        graph = onnx.load_model_from_string(f.read()).graph
    inputs = [os.path.join(folder, f"input_{k}_{i}.pb") for i in range(test["n_in"])]
    done = subprocess.run([cupola, "exec", os.path.join(folder, "model.onnx"), *inputs, "--out", out_dir,
                           "--threads", "1"], capture_output=True, text=True, timeout=TIMEOUT_S,
                          check=False)
    if done.returncode != 0:
        return (done.stderr.strip() or f"exit {done.returncode}").splitlines()[-1]
    for i, value in enumerate(graph.output):
        want = read_tensor(os.path.join(folder, f"output_{k}_{i}.pb"), value.type)
        got = read_tensor(os.path.join(out_dir, f"output_{i}.pb"), value.type)
        compare(want, got, test, f"output {i}")
    return None


def run_test(cupola, cache, test):
    """None when it passes, else why not."""
    with tempfile.TemporaryDirectory() as out_dir:
        try:
            for k in range(test["sets"]):
                why = run_set(cupola, os.path.join(cache, test["name"]), test, k, out_dir)
                if why:
                    return why
        except subprocess.TimeoutExpired:
            return "timeout"
        except Exception as e:  # a comparison, or bytes that are no tensor
            text = [line for line in str(e).splitlines() if line.strip()]
            return "differs: " + " ".join(text[:4])[:200]
    return None


# ---- reports ----

def print_table(tests, failed):
    total, bad = collections.Counter(), collections.Counter()
    for test in tests:
        total[tested_operator(test)] += 1
        bad[tested_operator(test)] += test["name"] in failed
    for op in sorted(total):
        print(f"{op:40} {total[op] - bad[op]:4} / {total[op]:4}")


def print_causes(failed):
    causes = collections.defaultdict(list)
    for name, why in failed.items():
        why = re.sub(r"'[^']*'|[^ ]*\.onnx|[^ ]*\.pb", "_", why)
        causes[re.sub(r"\d+", "N", why)[:140]].append(name)
    for why, names in sorted(causes.items(), key=lambda c: -len(c[1])):
        print(f"{len(names):4} {why}\n       {' '.join(names[:6])}")


def reason(name, why):
    for pattern, text in REASONS:
        if re.search(pattern, name):
            return text
    return why[:120]


def document(path, tests, failed):
    import onnx

    total, bad = collections.Counter(), collections.Counter()
    for test in tests:
        for op in test["ops"]:
            total[op] += 1
            bad[op] += test["name"] in failed
    left = collections.defaultdict(list)
    for name, why in failed.items():
        left[reason(name, re.sub(r".*model.onnx: ", "", why))].append(name)
    with open(path, "w", encoding="utf-8") as f:
        f.write("# Operators of ai.onnx\n\nWritten by `tests/conformance/node_tests.py --document`: the official "
                f"backend node tests of onnx {onnx.__version__},\n{len(tests) - len(failed)} of {len(tests)} pass "
                "(those of ai.onnx.ml and training are not counted). Every operator: `ir/ops.def`.\n"
                "\n## Left out, and why\n\n")
        for why, names in sorted(left.items(), key=lambda x: -len(x[1])):
            f.write(f"- {why}: {len(names)} tests ({', '.join('`' + n[5:] + '`' for n in sorted(names))})\n")
        f.write("\n" + ELEMENT_TYPES.rstrip() + "\n")
        f.write("\n## Tests by operator in the model\n\n| operator | pass | tests |\n|---|---|---|\n")
        for op in sorted(total):
            f.write(f"| {op} | {total[op] - bad[op]} | {total[op]} |\n")


def check(tests, failed):
    with open(EXPECTED, encoding="utf-8") as f:
        expected = {line.strip() for line in f if line.strip() and not line.startswith("#")}
    known = {t["name"] for t in tests}
    broken = sorted(n for n in expected & known if n in failed)
    for name in broken:
        print(f"FAIL {name}: {failed[name]}")
    better = sorted(known - expected - set(failed))
    if better:
        print(f"{len(better)} pass that are not in the list yet (--record adds them): {' '.join(better[:8])}")
    missing = len(expected - known)
    if missing:
        print(f"{missing} tests of the list were not run (--only, or another onnx release)")
    return 1 if broken or not expected & known else 0


def record(tests, failed):
    import onnx

    names = sorted(t["name"] for t in tests if t["name"] not in failed)
    with open(EXPECTED, "w", encoding="utf-8") as f:
        f.write("# Node tests of onnx that must pass; written by node_tests.py --record.\n"
                f"# onnx {onnx.__version__}: {len(names)} of {len(tests)}.\n")
        f.write("".join(name + "\n" for name in names))


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--cupola", default=os.environ.get("CUPOLA_BIN", "build/release/cupola"))
    p.add_argument("--cache", default=os.path.join(tempfile.gettempdir(), "cupola-node-tests"))
    p.add_argument("--only", default="")
    p.add_argument("--jobs", type=int, default=1)
    p.add_argument("--check", action="store_true")
    p.add_argument("--record", action="store_true")
    p.add_argument("--causes", action="store_true")
    p.add_argument("--document", metavar="FILE")
    p.add_argument("--failures", action="store_true", help="one line a failed test")
    args = p.parse_args()
    tests = [t for t in load_index(args.cache) if re.search(args.only, t["name"])]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        results = pool.map(lambda t: (t["name"], run_test(args.cupola, args.cache, t)), tests)
        failed = {name: why for name, why in results if why}
    if args.check:
        status = check(tests, failed)
    else:
        status = 0
        print_table(tests, failed)
    if args.causes:
        print_causes(failed)
    if args.failures:
        for name, why in failed.items():
            print(f"{name}: {why}")
    if (args.record or args.document) and args.only:
        p.error("--record and --document want all tests")
    if args.record:
        record(tests, failed)
    if args.document:
        document(args.document, tests, failed)
    print(f"{len(tests) - len(failed)} of {len(tests)} pass")
    return status


if __name__ == "__main__":
    sys.exit(main())
