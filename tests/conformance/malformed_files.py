# SPDX-License-Identifier: MIT
"""Faults of bytes for make_malformed.py: tensor data, external data, and the wire format."""
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto as TP
from onnx import helper as H

CONTENT, SYMLINK = 0, 1

# dtype -> bits, the list that holds it
LISTS = {TP.FLOAT: (32, "float_data"), TP.UINT8: (8, "int32_data"), TP.INT8: (8, "int32_data"),
         TP.UINT16: (16, "int32_data"), TP.INT16: (16, "int32_data"), TP.INT32: (32, "int32_data"),
         TP.INT64: (64, "int64_data"), TP.BOOL: (8, "int32_data"), TP.FLOAT16: (16, "int32_data"),
         TP.DOUBLE: (64, "double_data"), TP.UINT32: (32, "uint64_data"), TP.UINT64: (64, "uint64_data"),
         TP.COMPLEX64: (64, "float_data"), TP.COMPLEX128: (128, "double_data"),
         TP.BFLOAT16: (16, "int32_data"), TP.FLOAT8E4M3FN: (8, "int32_data"),
         TP.FLOAT8E4M3FNUZ: (8, "int32_data"), TP.FLOAT8E5M2: (8, "int32_data"),
         TP.FLOAT8E5M2FNUZ: (8, "int32_data"), TP.UINT4: (4, "int32_data"), TP.INT4: (4, "int32_data"),
         TP.FLOAT4E2M1: (4, "int32_data"), TP.STRING: (0, "string_data")}


def with_tensor(m, tensor, as_attribute=False):
    """w flows to the output; as_attribute: through a Constant node."""
    nodes = [H.make_node("Constant", [], ["w"], "the_constant", value=tensor)] if as_attribute else []
    nodes.append(H.make_node("Identity", ["w"], ["y"], "the_node"))
    graph = H.make_graph(nodes, "main", [], [H.make_empty_tensor_value_info("y")], [] if as_attribute else [tensor])
    return m.model_of(graph)


def tensor(dt, dims, raw=None, **lists):
    t = TP(name="w", data_type=dt, dims=dims)
    if raw is not None:
        t.raw_data = raw
    for name, values in lists.items():
        getattr(t, name).extend(values)
    return t


def fill(field, n):
    return [b"s"] * n if field == "string_data" else [1] * n


def data_cases(m):
    def case(klass, name, t, *words):
        yield m.Case(m.REFUSED, klass, name, with_tensor(m, t), ("initializer 'w'",) + words)

    for dt, (bits, field) in LISTS.items():
        name = TP.DataType.Name(dt)
        n = 5  # odd, for packed halves of bytes
        raw = (n * bits + 7) // 8
        count = raw if bits == 4 else n * 2 if name.startswith("COMPLEX") else n
        yield m.Case(m.ACCEPTED, "control: data", f"{name} list", with_tensor(m, tensor(dt, [n], **{field: fill(field, count)})))
        if bits:
            yield m.Case(m.ACCEPTED, "control: data", f"{name} raw", with_tensor(m, tensor(dt, [n], bytes(raw))))
            for size in sorted({0, 1, raw - 1, raw + 1, 2 * raw, 100} - {raw}):
                yield from case("raw length", f"{name}: {size} bytes for {raw}", tensor(dt, [n], bytes(size)), "raw data")
            yield m.Case(m.REFUSED, "constant data", f"{name}: Constant of {raw + 3} bytes",
                         with_tensor(m, tensor(dt, [n], bytes(raw + 3)), True), ("the_constant", "value", "raw data"))
            yield from case("two kinds of data", f"{name}: raw and list", tensor(dt, [n], bytes(raw), **{field: fill(field, count)}), field)
        else:
            yield from case("raw length", f"{name}: raw", tensor(dt, [n], bytes(40)), "raw")
        for size in sorted({0, 1, count - 1, count + 1, 2 * count, n * 8} - {count}):
            yield from case("list length", f"{name}: {size} of {field} for {count}", tensor(dt, [n], **{field: fill(field, size)}), "expected")
        for other in ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data"):
            if other != field:
                yield from case("wrong list", f"{name} in {other}", tensor(dt, [n], **{other: fill(other, count)}), other)
        for dims in ([-1], [5, -1], [-5, -1], [-(1 << 63)], [1 << 62, 1 << 62], [(1 << 63) - 1, 3], [1 << 40, 1 << 40, 0x7fff]):
            klass = "negative dim" if min(dims) < 0 else "overflow"
            yield from case(klass, f"{name} {dims}", tensor(dt, dims, bytes(8) if bits else None), "dims" if min(dims) < 0 else "")
        yield from case("too many dims", f"{name} of 9", tensor(dt, [1] * 9, bytes(max(1, bits // 8)) if bits else None), "9 dim")
    for dt in (0, 27, 28, 99, -1, 1 << 30, -(1 << 31)):
        yield from case("data_type", str(dt), tensor(dt, [1], bytes(4)), "data_type")
    for n in (10, 100, 500):
        yield from case("too many dims", f"{n}", tensor(TP.FLOAT, [1] * n, bytes(4)), f"{n} dim")
    for where in (2, 3, -1, 1 << 20):
        t = raw_field(tensor(TP.FLOAT, [1], bytes(4)), 14, where)
        yield m.Case(m.REFUSED, "data_location", str(where), splice(with_tensor(m, tensor(TP.FLOAT, [1], bytes(4))), tensor(TP.FLOAT, [1], bytes(4)), t), ("'w'", "data_location"))
    segment = tensor(TP.FLOAT, [1], bytes(4))
    segment.segment.begin, segment.segment.end = 0, 1
    yield from case("segments", "one segment", segment, "segment")
    yield from sparse_cases(m)


def sparse_cases(m):
    def model(values, indices, dims):
        graph = H.make_graph([H.make_node("Identity", ["w"], ["y"], "the_node")], "main", [], [H.make_empty_tensor_value_info("y")])
        graph.sparse_initializer.append(onnx.SparseTensorProto(values=values, indices=indices, dims=dims))
        return m.model_of(graph)
    two = tensor(TP.FLOAT, [2], bytes(8))
    idx = lambda *v: TP(data_type=TP.INT64, dims=[len(v)], int64_data=v)
    yield m.Case(m.ACCEPTED, "control: data", "sparse", model(two, idx(0, 5), [6]))
    for name, args in {"index beyond": (two, idx(0, 6), [6]), "negative index": (two, idx(-1, 2), [6]),
                       "one index": (two, idx(1), [6]), "three indices": (two, idx(0, 1, 2), [6]),
                       "indices of i32": (two, TP(data_type=6, dims=[2], int32_data=[0, 1]), [6]),
                       "indices of rank 3": (two, TP(data_type=7, dims=[1, 2, 1], int64_data=[0, 1]), [6]),
                       "pairs for rank 1": (two, TP(data_type=7, dims=[2, 2], int64_data=[0, 0, 0, 1]), [6]),
                       "negative dims": (two, idx(0, 1), [-6]), "overflow": (two, idx(0, 1), [1 << 62, 1 << 62]),
                       "huge": (two, idx(0, 1), [1 << 40]), "short values": (tensor(1, [2], bytes(7)), idx(0, 1), [6]),
                       "short indices": (two, TP(data_type=7, dims=[2], int64_data=[1]), [6]),
                       "values of rank 2": (tensor(1, [2, 1], bytes(8)), idx(0, 1), [6]),
                       "strings": (TP(name="w", data_type=8, dims=[2], string_data=[b"a", b"b"]), idx(0, 1), [6])}.items():
        yield m.Case(m.REFUSED, "sparse tensor", name, model(*args), ("initializer 'w'",))


# ---- external data ----

def external_cases(m):
    blob = [("data.bin", CONTENT, bytes(64))]

    def model(dt=TP.FLOAT, dims=(4,), keys=(), extra=blob):
        t = TP(name="w", data_type=dt, dims=dims, data_location=TP.EXTERNAL)
        for key, value in keys:
            t.external_data.add(key=key, value=value)
        return with_tensor(m, t), extra

    def case(klass, name, *words, **how):
        mo, extra = model(**how)
        return m.Case(m.REFUSED, klass, name, mo, ("initializer 'w'",) + words, extra)

    loc = ("location", "data.bin")
    mo, extra = model(keys=[loc, ("offset", "16"), ("length", "16")])
    yield m.Case(m.ACCEPTED, "control: data", "external", mo, extra=extra)
    yield case("external missing", "no file", "none.bin", keys=[("location", "none.bin")])
    yield case("external missing", "no folder", "", keys=[("location", "sub/data.bin")])
    yield case("external missing", "no location", "location", keys=[("offset", "0")])
    yield case("external missing", "empty location", "location", keys=[("location", "")])
    yield case("external missing", "nothing", "location", keys=[])
    yield case("external missing", "the folder itself", "", keys=[("location", ".")])
    for path in ("../data.bin", "/etc/passwd", "sub/../../data.bin", "./../x", "..", "../../../../../etc/passwd",
                 "//etc/passwd", "sub/../../../etc/hostname", "/proc/self/mem", "/dev/zero", "..\\data.bin",
                 "C:\\data.bin", "~/data.bin", "file:///etc/passwd", "data.bin/", "data.bin/..", "data.bin/x"):
        yield case("external escape", path, "", keys=[("location", path)])
    for target in ("/etc/passwd", "../outside.bin", "/dev/zero", "nowhere", "link.bin", "/"):
        yield case("external symlink", target, "link.bin", keys=[("location", "link.bin")], extra=[("link.bin", SYMLINK, target.encode())])
    for text in ("-1", "+1", " 1", "1 ", "0x10", "1e3", "ten", "", "1.0", "--1", "1,000", "٣", "9" * 19, "9" * 30,
                 "9223372036854775808", "18446744073709551615", "18446744073709551616", "-9223372036854775809", "NaN"):
        yield case("external offset", f"'{text}'", "", keys=[loc, ("offset", text)])
        yield case("external length", f"'{text}'", "", keys=[loc, ("length", text)])
    for offset in (49, 50, 63, 64, 65, 1000, 1 << 31, 1 << 32, (1 << 63) - 1, (1 << 63) - 16):
        yield case("external range", f"16 bytes at {offset}", "64", keys=[loc, ("offset", str(offset))])
    for length in (0, 1, 15, 17, 64, 65, 1 << 40, (1 << 63) - 1):
        yield case("external length", f"{length} for 16", "length", keys=[loc, ("length", str(length))])
    for dt, (bits, _) in LISTS.items():
        if bits:
            n = 64 * 8 // bits + 1
            yield case("external range", f"{TP.DataType.Name(dt)}: {n} elements", "64", dt=dt, dims=[n], keys=[loc])
            size = (5 * bits + 7) // 8
            yield case("external length", f"{TP.DataType.Name(dt)}: {size + 1} for {size}", "length", dt=dt, dims=[5], keys=[loc, ("length", str(size + 1))])
    yield case("external range", "empty file", "0 bytes", keys=[("location", "e.bin")], extra=[("e.bin", CONTENT, b"")])
    for dims in ([1 << 62, 1 << 62], [-4], [1 << 40]):
        yield case("external range", f"dims {dims}", "", dims=dims, keys=[loc])
    for key in ("location", "offset", "length"):
        yield case("external twice", key, key, keys=[loc, ("offset", "0"), ("length", "16"), (key, "0")])
    for key in ("Location", "ofset", "path", "", "size"):
        yield case("external key", f"'{key}'", "external_data", keys=[loc, (key, "0")])
    yield case("external location", "2,000 letters", "location", keys=[("location", "a" * 2000)])
    yield case("external location", "strings", "string", dt=TP.STRING, keys=[loc])
    both, extra = model(keys=[loc])
    both.graph.initializer[0].raw_data = bytes(16)
    yield m.Case(m.REFUSED, "two kinds of data", "external and raw", both, ("'w'", "raw_data"), extra)
    both, extra = model(keys=[loc])
    both.graph.initializer[0].float_data.extend([1] * 4)
    yield m.Case(m.REFUSED, "two kinds of data", "external and list", both, ("'w'", "float_data"), extra)
    t = TP(data_type=1, dims=[4], data_location=TP.EXTERNAL)
    t.external_data.add(key="location", value="../data.bin")
    yield m.Case(m.REFUSED, "external escape", "from a Constant", with_tensor(m, t, True), ("the_constant", "value"), blob)


# ---- the wire ----

def varint(v):
    out = b""
    while v >= 0x80:
        out += bytes([v & 0x7f | 0x80])
        v >>= 7
    return out + bytes([v])


def field(number, wire, payload=b""):
    return varint(number << 3 | wire) + payload


def block(number, payload):
    return field(number, 2, varint(len(payload)) + payload)


def raw_field(message, number, value):
    return message.SerializeToString() + field(number, 0, varint(value & (1 << 64) - 1))


def splice(model, old, new):
    """The model with an initializer's bytes replaced."""
    was = old.SerializeToString()
    graph = model.graph.SerializeToString().replace(block(5, was), block(5, new))
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    bare.ClearField("graph")
    return bare.SerializeToString() + block(7, graph)


def parses(data):
    try:
        onnx.ModelProto.FromString(data)
        return True
    except DecodeError:
        return False


def wire_cases(m, rng):
    import malformed_graphs as graphs
    good = m.model_of(graphs.chain()).SerializeToString(deterministic=True)
    head = m.model_of(graphs.chain())
    head.ClearField("graph")
    head = head.SerializeToString(deterministic=True)
    graph = graphs.chain().SerializeToString(deterministic=True)

    def case(klass, name, data, *words):
        return m.Case(m.REFUSED, klass, name, data, words)

    yield case("truncated", "empty file", b"", "empty")
    for n in range(1, len(good)):
        if not parses(good[:n]):
            yield case("truncated", f"{n} of {len(good)} bytes", good[:n], "ModelProto")
    flips = 0
    while flips < 160:
        at, bit = rng.randrange(len(good)), rng.randrange(8)
        data = good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1:]
        if not parses(data):
            flips += 1
            yield case("bit flip", f"byte {at} bit {bit}", data, "")
    for i in range(40):
        data = rng.randbytes(rng.randrange(1, 200))
        if not parses(data):
            yield case("random bytes", str(i), data, "")
    for name, data in {"text": b"not a model\n", "JSON": b'{"graph": {}}', "HTML": b"<!DOCTYPE html><html></html>",
                       "git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
                       "ZIP": b"PK\x03\x04" + bytes(60), "zeros": bytes(100), "0xff": b"\xff" * 100, "ELF": b"\x7fELF" + bytes(60)}.items():
        yield case("another format", name, data, "")
    for number, name in ((1, "ir_version"), (5, "model_version")):
        for wire, payload in ((1, bytes(8)), (2, b"\x01a"), (5, bytes(4))):
            yield case("wire type", f"{name} as {wire}", head + block(7, graph) + field(number, wire, payload), name)
    for number, name in ((2, "producer_name"), (4, "domain"), (7, "graph"), (8, "opset_import"), (14, "metadata_props"), (25, "functions")):
        for wire, payload in ((0, b"\x01"), (1, bytes(8)), (5, bytes(4))):
            yield case("wire type", f"{name} as {wire}", head + block(7, graph) + field(number, wire, payload), name)
    for number, name in ((1, "node"), (2, "name"), (5, "initializer"), (11, "input"), (12, "output"), (13, "value_info")):
        for wire, payload in ((0, b"\x01"), (1, bytes(8)), (5, bytes(4))):
            yield case("wire type", f"graph.{name} as {wire}", head + block(7, graph + field(number, wire, payload)), name)
    for wire in (3, 4, 6, 7):
        yield case("groups", f"wire type {wire} in the model", good + field(99, wire), "group")
        yield case("groups", f"wire type {wire} in the graph", head + block(7, graph + field(99, wire)), "group")
        yield case("groups", f"wire type {wire} of a known field", head + field(7, wire) + graph, "graph")
    for depth in (1, 10, 100, 1000):
        yield case("groups", f"{depth} nested", good + field(99, 3) * depth + field(99, 4) * depth, "group")
    for n in (10, 11, 12, 20, 100):
        long_ = b"\xff" * n + b"\x01"
        yield case("long varint", f"tag of {n + 1} bytes", good + long_, "tag")
        yield case("long varint", f"ir_version of {n + 1} bytes", b"\x08" + long_ + good, "ir_version")
        yield case("long varint", f"length of {n + 1} bytes", good + b"\x3a" + long_, "graph")
        yield case("long varint", f"unknown field of {n + 1} bytes", good + field(99, 0) + long_, "ModelProto")
        yield case("long varint", f"dims of {n + 1} bytes", splice_dims(m, long_), "dims")
        yield case("long varint", f"packed dims of {n + 1} bytes", splice_dims(m, long_, True), "dims")
    for length in (1 << 20, 1 << 31, (1 << 31) - 1, 1 << 32, (1 << 32) - 1, 1 << 62, 1 << 63, (1 << 64) - 1):
        for number, name in ((7, "graph"), (2, "producer_name"), (8, "opset_import"), (99, "ModelProto")):
            yield case("huge length", f"{name}: {length}", good + field(number, 2, varint(length)), name)
    for tag in (0, 1, 2, 5, 1 << 32, 1 << 40, (1 << 64) - 1):
        yield case("field number", str(tag), good + varint(tag) + bytes(4), "ModelProto")
    for text, what in ((b"a\0b", "NUL"), (b"\0", "NUL"), (b"\xff", "UTF-8"), (b"\xc0\x80", "UTF-8"), (b"a\xed\xa0\x80", "UTF-8"),
                       (b"\xf8\x88\x80\x80\x80", "UTF-8"), (b"\xe2\x82", "UTF-8"), (b"\xf4\x90\x80\x80", "UTF-8")):
        for number, name in ((2, "producer_name"), (4, "domain")):
            yield case("text", f"{name} {text!r}", good + block(number, text), name, what)
        for number, name in ((2, "name"), (10, "doc_string")):
            yield case("text", f"graph.{name} {text!r}", head + block(7, graph + block(number, text)), name, what)
        for number, name in ((1, "input"), (2, "output"), (3, "name"), (4, "op_type")):
            node = block(1, block(number, text) + block(4, b"Neg"))
            yield case("text", f"node.{name} {text!r}", head + block(7, graph + node), f"node[0].{name}", what)
    yield from size_cases(m, head, graph)


def splice_dims(m, number, packed=False):
    plain = tensor(TP.FLOAT, [1], bytes(4))
    dims = block(1, number) if packed else field(1, 0, number)
    return splice(with_tensor(m, plain), plain, plain.SerializeToString() + dims)


def size_cases(m, head, graph):
    """Few bytes of the file ask for much: nesting, and floods held as repeated pieces."""
    for depth in (65, 100, 128, 140):
        body = H.make_node("Neg", ["x"], ["r"], "n").SerializeToString()
        nested = block(1, body)
        for _ in range(depth):  # graph -> node -> attribute -> graph
            nested = block(1, block(5, block(1, b"then_branch") + field(20, 0, b"\x05") + block(6, nested)))
        yield m.Case(m.REFUSED, "deep nesting", f"{depth} messages", head + block(7, nested), ("nest",))
    node = block(1, H.make_node("Neg", ["x"], ["y"]).SerializeToString())
    for n in (100000, 400000):
        flood = [(1, head + field(7, 2, varint(len(graph) + n * len(node))) + graph), (n, node)]
        yield m.Case(m.REFUSED, "floods", f"{n} nodes that make y", flood, ("y",))
    for name, piece, n in (("empty nodes", block(1, b""), 1000000), ("empty inputs", block(11, b""), 200000),
                           ("empty initializers", block(5, b""), 200000)):
        flood = [(1, head + field(7, 2, varint(len(graph) + n * len(piece))) + graph), (n, piece)]
        yield m.Case(m.REFUSED, "floods", f"{n} {name}", flood, ())
    many = block(8, H.make_opsetid("d", 1).SerializeToString())
    yield m.Case(m.REFUSED, "floods", "100000 opsets", [(1, head), (100000, many), (1, block(7, graph))], ("opset_import",))


def cases(m, rng):
    yield from data_cases(m)
    yield from external_cases(m)
    yield from wire_cases(m, rng)
