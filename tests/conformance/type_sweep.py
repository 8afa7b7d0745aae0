#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every operator of ir/ops.def in every element type its schema allows, at every version of it that
a model of opset 7 or later can mean, through the shared library.

    CUPOLA_LIBRARY=build/release/libcupola.so.1 python tests/conformance/type_sweep.py
                   what is refused or differs
    --record       writes what agrees, at the newest version up to opset 24, to tests/fixtures/ops/types.bin
    --only REGEX   operators by name (com.microsoft.X)     --all   also what no reference could compute

One type variable of a schema goes through its types at a time, the others keep a usual one. The
reference is onnxruntime where it has a kernel, else onnx's reference evaluator; a call that neither
computes has only to be accepted. Needs the onnx, onnxruntime and ml_dtypes packages."""
import argparse
import collections
import os
import re
import sys
import tempfile
import warnings

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as TP
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxruntime.capi import onnxruntime_pybind11_state as internals

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "bindings", "python")]
import cupola  # noqa: E402
import sweep_contrib as contrib  # noqa: E402
import sweep_recipes as recipes  # noqa: E402

OPSET_MIN = 7
ELEMENT = {"float": TP.FLOAT, "double": TP.DOUBLE, "float16": TP.FLOAT16, "bfloat16": TP.BFLOAT16,
           "int8": TP.INT8, "uint8": TP.UINT8, "int16": TP.INT16, "uint16": TP.UINT16, "int32": TP.INT32,
           "uint32": TP.UINT32, "int64": TP.INT64, "uint64": TP.UINT64, "bool": TP.BOOL,
           "string": TP.STRING, "int4": TP.INT4, "uint4": TP.UINT4, "int2": TP.INT2, "uint2": TP.UINT2,
           "float8e4m3fn": TP.FLOAT8E4M3FN, "float8e4m3fnuz": TP.FLOAT8E4M3FNUZ,
           "float8e5m2": TP.FLOAT8E5M2, "float8e5m2fnuz": TP.FLOAT8E5M2FNUZ,
           "float4e2m1": TP.FLOAT4E2M1, "float8e8m0": TP.FLOAT8E8M0,
           "complex64": TP.COMPLEX64, "complex128": TP.COMPLEX128}
USUAL = ("float", "int64", "uint8", "bool", "int32", "string")
# abs and rel, by element type: a few units in the last place of results of size 10
TOLERANCE = {"float16": (4e-3, 4e-3), "bfloat16": (4e-2, 2e-2), "float32": (2e-5, 1e-5), "float64": (1e-5, 1e-6)}


def operators():
    with open(os.path.join(HERE, "..", "..", "ir", "ops.def"), encoding="utf-8") as f:
        text = f.read()
    return sorted({(d, name) for d, name in re.findall(r'^(?:OP|ALIAS)\(\w+,\s*"([^"]*)",\s*"(\w+)"', text, re.M)
                   if d in ("", recipes.MS)})


class Schema:
    """What the sweep wants of a schema: types of the inputs, types of each variable."""

    def __init__(self, domain, name, version, inputs, types):
        self.domain, self.name, self.version, self.inputs, self.types = domain, name, version, inputs, types

    def calls(self):
        if self.domain:
            return contrib.TABLE.get(self.name, [])
        made = recipes.recipe(self.name, self.version)
        return recipes.one(*[recipes.X for _ in self.inputs]) if made is None else made

    def variable(self, i):
        return self.inputs[min(i, len(self.inputs) - 1)]


def element_types(strings):
    return [t[7:-1] for t in strings if t.startswith("tensor(") and t[7:-1] in ELEMENT]


def contrib_schema(name):
    x = next((x for x in internals.get_all_operator_schema() if x.domain == recipes.MS and x.name == name), None)
    if x is None:
        return None
    types = {c.type_param_str: element_types(c.allowed_type_strs) for c in x.type_constraints}
    return Schema(x.domain, name, 21, [p.typeStr for p in x.inputs], types)


def schemas(domain, name):
    if domain:
        yield from filter(None, [contrib_schema(name)])
        return
    found = [x for x in onnx.defs.get_all_schemas_with_history() if x.domain == "" and x.name == name]
    found.sort(key=lambda x: x.since_version)
    for i, x in enumerate(found):
        until = found[i + 1].since_version if i + 1 < len(found) else 10**6
        if until <= OPSET_MIN or x.deprecated:
            continue
        types = {c.type_param_str: element_types(c.allowed_type_strs) for c in x.type_constraints}
        yield Schema("", name, max(x.since_version, OPSET_MIN), [p.type_str for p in x.inputs], types)


def cast(values, element):
    """Numbers as an array of an element type."""
    if element == "string":
        return np.vectorize(lambda x: str(int(x)) if x == int(x) else str(x), otypes=[object])(values)
    dtype = helper.tensor_dtype_to_np_dtype(ELEMENT[element])
    if element == "bool":
        return np.asarray(values) > 0
    if element.startswith("u"):
        values = np.abs(values)
    if element in ("int2", "uint2"):
        values = np.clip(values, 0, 1)
    if element == "float8e8m0":
        values = np.exp2(np.clip(np.abs(np.trunc(values)), 0, 3))
    return np.asarray(values).astype(dtype)


def choose(schema, swept, element):
    """Element type of each input."""
    out = []
    for i in range(64):
        var = schema.variable(i) if schema.inputs else "T"
        if var.startswith("tensor("):
            out.append(var[7:-1])
        elif var == swept:
            out.append(element)
        else:
            out.append(next((t for t in USUAL if t in schema.types.get(var, ())), "float"))
    return out


def typed(ins, kinds):
    """Arrays of their element types, and which of them are constants."""
    ready = {i for i, x in enumerate(ins) if isinstance(x, contrib.Const)}
    kinds = [getattr(x, "element", None) or kind for x, kind in zip(ins, kinds)]
    plain = [x.values if isinstance(x, contrib.Const) else x for x in ins]
    return [None if x is None else cast(x, kinds[i]) for i, x in enumerate(plain)], (kinds, ready)


def calls(schema):
    """(label, arrays, attributes, n_out): each variable's types in turn."""
    made = schema.calls()
    used = [v for v in schema.types if v in schema.inputs] or [None]
    if schema.name == "Cast":  # pairs of types, below
        used = []
    for swept in used:
        for element in schema.types.get(swept, ["float"]):
            kinds = choose(schema, swept, element)
            for k, (ins, attrs, outs) in enumerate(made):
                yield f"{schema.name}-{schema.version} {swept}={element} #{k}", *typed(ins, kinds), attrs, outs
    yield from attribute_types(schema, made)


def attribute_types(schema, made):
    """Element types that an attribute chooses."""
    name = {"EyeLike": "dtype", "HannWindow": "output_datatype", "HammingWindow": "output_datatype",
            "BlackmanWindow": "output_datatype", "MelWeightMatrix": "output_datatype", "Cast": "to",
            "ConstantOfShape": "value"}.get(schema.name)
    var = {"MelWeightMatrix": "T3"}.get(schema.name, "T2")
    if not name:
        return
    sources = [t for t in schema.types["T1"] if t != "string"] if name == "to" else [None]
    for source in sources:
        for element in schema.types[var]:
            if element == "string" and name == "to":
                continue
            ins, attrs, outs = made[0]
            kinds = choose(schema, "T1" if source else None, source)
            value = ELEMENT[element]
            if name == "value":
                value = numpy_helper.from_array(cast(np.ones(1), element))
            yield (f"{schema.name}-{schema.version} {source or ''}->{element}", *typed(ins, kinds),
                   {**attrs, name: value}, outs)


# ---- one call: the model, its reference, ours ----

def model_of(schema, arrays, kinds, attrs, outs, ready):
    """ready: all inputs are initializers (for onnxruntime)."""
    kinds, constants = kinds
    infos, inits, names = [], [], []
    for i, x in enumerate(arrays):
        names.append("" if x is None else f"x{i}")
        if x is None:
            continue
        if ready or i in constants:
            inits.append(numpy_helper.from_array(x, f"x{i}"))
        else:
            infos.append(helper.make_tensor_value_info(f"x{i}", ELEMENT[kinds[i]], x.shape))
    node = helper.make_node(schema.name, names, [f"y{i}" for i in range(outs)], "the_node", domain=schema.domain, **attrs)
    results = [helper.make_empty_tensor_value_info(f"y{i}") for i in range(outs)]
    graph = helper.make_graph([node], "g", infos, results, inits)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", schema.version), helper.make_opsetid(recipes.MS, 1)],
                             ir_version=10 if schema.version < 25 else 12)


def by_ort(model):
    so = ort.SessionOptions()
    so.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    so.log_severity_level = 4
    so.intra_op_num_threads = 1
    sess = ort.InferenceSession(model.SerializeToString(), so, providers=["CPUExecutionProvider"])
    return sess.run(None, {})


def reference(schema, arrays, kinds, attrs, outs):
    unusual = any(a is not None and a.dtype not in NP_PLAIN for a in arrays)
    why = ""
    if not unusual and schema.version <= 26:
        try:
            return "onnxruntime", by_ort(model_of(schema, arrays, kinds, attrs, outs, True))
        except Exception as e:  # no kernel, or a call it refuses
            why = str(e)
    if schema.domain:
        return "none: " + why[-200:].replace("\n", " "), None
    try:
        model = model_of(schema, arrays, kinds, attrs, outs, False)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            got = ReferenceEvaluator(model).run(None, {f"x{i}": a for i, a in enumerate(arrays) if a is not None})
        return "onnx.reference", got
    except Exception as e:
        return "none: " + (why or str(e))[:200].replace("\n", " "), None


NP_PLAIN = {np.dtype(t) for t in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "O", "c8", "c16")}


def by_cupola(folder, model, arrays, constants):
    """(why not, outputs)."""
    path = os.path.join(folder, "model.onnx")
    onnx.save(model, path)
    try:
        with cupola.Graph(path, threads=1) as graph:
            got = graph.run({f"x{i}": a for i, a in enumerate(arrays) if a is not None and i not in constants})
    except cupola.CupolaError as e:
        return str(e).replace(path + ": ", ""), None
    return None, [got[o.name] for o in model.graph.output]


def differ(want, got):
    for i, (a, b) in enumerate(zip(want, got)):
        a = np.asarray(a)
        if a.dtype == np.uint8 and b.dtype.name.startswith("float8"):  # so onnxruntime gives them
            a = a.view(b.dtype)
        if a.shape != b.shape:
            return f"output {i}: shape {b.shape}, expected {a.shape}"
        if a.dtype.kind in "OSU" or b.dtype.kind in "OSU":
            if [str(x) for x in a.reshape(-1)] != [str(x) for x in b.reshape(-1)]:
                return f"output {i}: {b.reshape(-1)[:4]}, expected {a.reshape(-1)[:4]}"
            continue
        if a.dtype != b.dtype:
            return f"output {i}: {b.dtype}, expected {a.dtype}"
        tol = TOLERANCE.get(a.dtype.name, (0, 0))
        wide = np.complex128 if a.dtype.kind == "c" else np.float64
        with np.errstate(all="ignore"):
            x, y = a.astype(wide), b.astype(wide)
            if not np.allclose(y, x, atol=tol[0], rtol=tol[1], equal_nan=True):
                at = np.flatnonzero(~np.isclose(y, x, atol=tol[0], rtol=tol[1], equal_nan=True).reshape(-1))[0]
                return f"output {i}: {y.reshape(-1)[at]} at {at}, expected {x.reshape(-1)[at]}"
    return None


# ---- recording ----

RECORDED = {"float32", "float64", "float16", "bfloat16", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
            "uint64", "bool"}
CASE_BYTES_MAX = 4096


def recordable(label, arrays, want, attrs):
    """The first call in each element type, all calls in float."""
    values = [np.asarray(x) for x in [*arrays, *want] if x is not None]
    return (all(x.dtype.name in RECORDED for x in values) and sum(x.nbytes for x in values) <= CASE_BYTES_MAX
            and (label.endswith("#0") or "=float " in label or "->" in label)
            and not any(isinstance(v, list) and v and isinstance(v[0], str) for v in attrs.values()))


def case_of(schema, label, arrays, constants, attrs, want):
    want = [np.asarray(x) for x in want]
    tol = max((TOLERANCE.get(x.dtype.name, (0, 0)) for x in want), default=(0, 0))
    return (f"{schema.domain} {label}".strip(), schema.domain, schema.name, 1 if schema.domain else schema.version, tol, attrs,
            arrays, [i in constants for i in range(len(arrays))], want)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    count, recorded = collections.Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        for domain, name in operators():
            full = f"{domain}.{name}" if domain else name
            if not re.fullmatch(args.only or ".*", full) or not domain and name in recipes.SKIPPED:
                continue
            versions = list(schemas(domain, name))
            newest = max((x.version for x in versions if x.version <= 24), default=0)
            for schema in versions:
                for label, arrays, kinds, attrs, outs in calls(schema):
                    who, want = reference(schema, arrays, kinds, attrs, outs)
                    model = model_of(schema, arrays, kinds, attrs, outs, False)
                    why, got = by_cupola(folder, model, arrays, kinds[1])
                    sort = "refused" if why else "same" if want is not None else "accepted"
                    if not why and want is not None:
                        why = differ(want, got)
                        sort = "differs" if why else "same"
                    count[sort] += 1
                    if sort == "same" and schema.version == newest and recordable(label, arrays, want, attrs):
                        recorded.append(case_of(schema, label, arrays, kinds[1], attrs, want))
                    if why and (want is not None or args.all):
                        print(f"{sort} {domain + '.' if domain else ''}{label} [{who}]: {why}", flush=True)
    print(dict(count))
    if args.record:
        import make_op_cases
        make_op_cases.write_all({"types": recorded})
    return 0


if __name__ == "__main__":
    sys.exit(main())
