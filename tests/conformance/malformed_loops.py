# SPDX-License-Identifier: MIT
"""Loop and Scan for make_malformed.py: bodies with the wrong values in and out, and values whose types
the graph does not have."""
from onnx import TensorProto as TP
from onnx import helper as H

F, I, B = TP.FLOAT, TP.INT64, TP.BOOL


def vi(name, dtype=F, shape=(2,)):
    return H.make_tensor_value_info(name, dtype, shape)


def loop_body(nodes=None, ins=None, outs=None):
    nodes = nodes or [H.make_node("Identity", ["more"], ["more_out"], "keep"), H.make_node("Neg", ["s"], ["s_out"], "step"),
                      H.make_node("Identity", ["s_out"], ["row"], "row")]
    ins = ins if ins is not None else [vi("i", I, ()), vi("more", B, ()), vi("s")]
    outs = outs if outs is not None else [vi("more_out", B, ()), vi("s_out"), vi("row")]
    return H.make_graph(nodes, "body", ins, outs)


def loop(m, body=None, ins=("n", "c", "x"), outs=("y", "rows"), n=(I, []), c=(B, []), attrs=None):
    node = H.make_node("Loop", list(ins), list(outs), m.NODE, **(attrs if attrs is not None else {"body": body or loop_body()}))
    graph = H.make_graph([node], "main", [vi("n", *n), vi("c", *c), vi("x")], [H.make_empty_tensor_value_info(o) for o in outs if o])
    return m.model_of(graph)


def loop_cases(m):
    def case(klass, name, model, *words):
        return m.Case(m.REFUSED, klass, f"Loop: {name}", model, (m.NODE,) + words)

    neg = H.make_node("Neg", ["s"], ["s_out"], "step")
    keep = H.make_node("Identity", ["more"], ["more_out"], "keep")
    row = H.make_node("Identity", ["s_out"], ["row"], "row")
    full_in, full_out = [vi("i", I, ()), vi("more", B, ()), vi("s")], [vi("more_out", B, ()), vi("s_out"), vi("row")]
    yield m.Case(m.ACCEPTED, "control", "Loop", loop(m))
    yield case("loop body", "no body", loop(m, attrs={}), "body")
    for wrong in (1, "graph", [1, 2]):
        yield case("loop body", f"body is {wrong!r}", loop(m, attrs={"body": wrong}), "body")
    for n in range(3):
        yield case("loop body", f"{n} inputs", loop(m, loop_body(ins=full_in[:n])), "")
        yield case("loop body", f"{n} outputs", loop(m, loop_body(outs=full_out[:n])), "")
    yield case("loop body", "an input more", loop(m, loop_body(ins=full_in + [vi("z")])), "")
    yield case("loop body", "reads a ghost", loop(m, loop_body([keep, H.make_node("Neg", ["ghost"], ["s_out"], "step"), row])), "ghost")
    yield case("loop body", "reads the Loop's output", loop(m, loop_body([keep, H.make_node("Neg", ["y"], ["s_out"], "step"), row])), "")
    yield case("loop body", "a cycle", loop(m, loop_body([keep, H.make_node("Neg", ["s_out"], ["s_out"], "step"), row])), "")
    yield case("loop body", "made twice", loop(m, loop_body([keep, neg, neg, row])), "s_out")
    yield case("loop body", "an unknown operator", loop(m, loop_body([keep, H.make_node("Nope", ["s"], ["s_out"], "nope"), row])), "nope")
    yield case("loop types", "condition of floats", loop(m, c=(F, [])), "input 1")
    yield case("loop types", "count of floats", loop(m, n=(F, [])), "input 0")
    yield case("loop types", "body's condition is a float", loop(m, loop_body(
        [H.make_node("Cast", ["more"], ["more_out"], "keep", to=F), neg, row], outs=[vi("more_out", F, ())] + full_out[1:])), "")
    yield case("loop types", "another type carried", loop(m, loop_body(
        [keep, H.make_node("Cast", ["s"], ["s_out"], "step", to=I), row], outs=[full_out[0], vi("s_out", I), vi("row", I)])), "")
    yield case("loop types", "inner operator refuses", loop(m, loop_body([keep, H.make_node("Not", ["s"], ["s_out"], "inner", ), row])), "inner")
    yield case("loop inputs", "no state for the body", loop(m, ins=("n", "c")), "")
    yield case("loop inputs", "an input nobody makes", loop(m, ins=("n", "c", "ghost")), "ghost")
    yield case("loop outputs", "too many", loop(m, outs=("y", "rows", "more_rows")), "")


def scan_body(nodes=None, ins=None, outs=None):
    nodes = nodes or [H.make_node("Add", ["s", "x_i"], ["s_out"], "step"), H.make_node("Identity", ["s_out"], ["row"], "row")]
    ins = ins if ins is not None else [vi("s"), vi("x_i")]
    outs = outs if outs is not None else [vi("s_out"), vi("row")]
    return H.make_graph(nodes, "body", ins, outs)


def scan(m, body=None, ins=("s0", "x"), outs=("s", "rows"), opset=21, x=(F, (3, 2)), **attrs):
    attrs = {"num_scan_inputs": 1, "body": body or scan_body(), **attrs}
    node = H.make_node("Scan", list(ins), list(outs), m.NODE, **{k: v for k, v in attrs.items() if v is not None})
    graph = H.make_graph([node], "main", [vi("s0"), vi("x", *x)], [H.make_empty_tensor_value_info(o) for o in outs if o])
    return m.model_of(graph, opset)


def scan_cases(m):
    def case(klass, name, model, *words):
        return m.Case(m.REFUSED, klass, f"Scan: {name}", model, (m.NODE,) + words)

    big = 1 << 62
    yield m.Case(m.ACCEPTED, "control", "Scan", scan(m))
    for n in (0, -1, 3, big):
        yield case("scan attributes", f"num_scan_inputs {n}", scan(m, num_scan_inputs=n), "num_scan_inputs")
    for name in ("scan_input_axes", "scan_output_axes"):
        for axes in ([99], [-99], [big], [0, 0]):
            if name == "scan_output_axes" and len(axes) == 2:
                continue  # of outputs nobody uses
            yield case("scan attributes", f"{name} {axes}", scan(m, **{name: axes}), "ax")
    for name in ("scan_input_directions", "scan_output_directions"):
        for d in ([2], [-1], [0, 0], [big]):
            if name == "scan_output_directions" and len(d) == 2:
                continue
            yield case("scan attributes", f"{name} {d}", scan(m, **{name: d}), "direction")
    body = scan_body()
    yield case("scan body", "no body", without_body(m), "body")
    yield case("scan body", "an input less", scan(m, scan_body(ins=[vi("s")])), "")
    yield case("scan body", "an output less", scan(m, scan_body(outs=[vi("s_out")])), "")
    yield case("scan body", "reads a ghost", scan(m, scan_body([H.make_node("Add", ["s", "ghost"], ["s_out"], "step"), body.node[1]])), "ghost")
    yield case("scan body", "inner operator refuses", scan(m, scan_body([H.make_node("Not", ["s"], ["s_out"], "inner"), body.node[1]])), "inner")
    yield case("scan types", "another type carried", scan(m, scan_body(
        [H.make_node("Cast", ["s"], ["s_out"], "step", to=I), body.node[1]], outs=[vi("s_out", I), vi("row", I)])), "")
    yield case("scan types", "a scalar to walk over", scan(m, x=(F, ())), "")
    yield case("scan inputs", "one input", scan(m, ins=("s0",), num_scan_inputs=1), "")
    yield case("scan outputs", "too many", scan(m, outs=("s", "rows", "more")), "")


def without_body(m):
    model = scan(m)
    node = model.graph.node[0]
    kept = [a for a in node.attribute if a.name != "body"]
    del node.attribute[:]
    node.attribute.extend(kept)
    return model


def value_cases(m):
    """Values that are no tensors, and operators on them."""
    seq = H.make_tensor_sequence_value_info("q", F, [2])
    opt = H.make_value_info("q", H.make_optional_type_proto(H.make_tensor_type_proto(F, [2])))
    sparse = H.make_value_info("q", H.make_sparse_tensor_type_proto(F, [2]))
    for name, value in (("sequence", seq), ("optional", opt), ("sparse tensor", sparse)):
        for op in ("Identity", "Neg", "Shape", "SequenceLength", "OptionalHasElement"):
            graph = H.make_graph([H.make_node(op, ["q"], ["y"], m.NODE)], "main", [value], [H.make_empty_tensor_value_info("y")])
            yield m.Case(m.REFUSED, "values that are no tensors", f"{name} into {op}", m.model_of(graph), ("q",))
    for op, ins, attrs in (("SequenceEmpty", [], {}), ("SequenceConstruct", ["x"], {}), ("SplitToSequence", ["x"], {}), ("Optional", ["x"], {}),
                           ("StringConcat", ["x", "x"], {}), ("StringSplit", ["x"], {}), ("RegexFullMatch", ["x"], {"pattern": "a"}),
                           ("StringNormalizer", ["x"], {}), ("ImageDecoder", ["x"], {}), ("SequenceMap", ["x"], {})):
        graph = H.make_graph([H.make_node(op, ins, ["y"], m.NODE, **attrs)], "main", [vi("x")], [H.make_empty_tensor_value_info("y")])
        yield m.Case(m.REFUSED, "operators we do not have", op, m.model_of(graph), (m.NODE, op))


def cases(m):
    yield from loop_cases(m)
    yield from scan_cases(m)
    yield from value_cases(m)
