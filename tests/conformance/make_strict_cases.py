#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records the cases of --precision strict: block-quantised layers of all widths, blocks, zero points and accuracy
levels, whose answers are computed in float64 from the dequantised weights. Like make_op_cases.py, with a seed of its own.

    python tests/conformance/make_strict_cases.py     writes tests/fixtures/ops/strict.bin
"""
import numpy as np

import make_decoder_cases as decoder
import make_op_cases as base
from make_op_cases import MS, Const, case, dequantised, normal, quantised

base.rng = decoder.rng = rng = np.random.default_rng(20240923)
base.themes.clear()
decoder.THEME = THEME = "strict"


def product(x, w, bias=None):
    y = x.astype(np.float64) @ w.T
    return (y if bias is None else y + bias).astype(x.dtype)


# Tolerances: float32 products of k terms of size 1 differ by about k roundings of 6e-8; float16 results by one of 5e-4.
def linear(bits, block, zp, level, k=200, n=19, dtype=np.float32, op="MatMulNBits"):
    q, s, z = quantised(n, k, block, bits, zp == "u8")
    z = rng.uniform(0, 2 ** bits - 1, s.shape).astype(np.float32) if zp == "float" else z
    s = s.astype(dtype)
    w = dequantised(q, s.astype(np.float32), z, k, block, bits)
    x, bias = normal(2, 3, k, dtype=dtype), normal(n, dtype=dtype)
    at = {"K": k, "N": n, "bits": bits, "block_size": block, "accuracy_level": level}
    head = [x, Const(q), Const(s), None if z is None else Const(z.astype(dtype) if zp == "float" else z)]
    ins = head + ([None] if op == "MatMulNBits" else []) + [Const(bias)]
    name = f"{op}_{bits}b{block}_{zp}_level{level}_{np.dtype(dtype).name}"
    if zp == "float":
        w = dequantised(q, s.astype(np.float32), head[3].array.astype(np.float32), k, block, bits)
    case(THEME, name, op, ins, at, MS if op == "MatMulNBits" else "cupola", 1,
         ref=lambda *_: product(x, w, bias), tol=(2e-4, 2e-5) if dtype == np.float32 else (5e-3, 1e-3))


def linears():
    for bits in (2, 4, 8):
        for block in (16, 32, 256):
            for zp in ("none", "u8"):
                linear(bits, block, zp, 4)
    for level in (0, 1, 2, 3):
        linear(4, 32, "none", level)
        linear(8, 32, "u8", level)
    for bits in (2, 4, 8):
        linear(bits, 64, "float", 4)
        linear(bits, 64, "u8", 4, dtype=np.float16)
        linear(bits, 32, "u8", 4, op="Linear")


def experts():
    for bits in (2, 4, 8):
        for zp in (False, True):
            for block in (0, 16, 32, 64):
                tag = f"{bits}{'z' if zp else 's'}{block or 'row'}"
                decoder.qmoe(f"strict_{tag}", bits, block, zp, shape=(9, 64), inter=64, ref=True, accuracy_level=4,
                             activation_alpha=1.702, activation_beta=1.0)


def gathers():
    for bits in (4, 8):
        for zp in (False, True):
            q, s, z = quantised(11, 64, 32, bits, zp)
            w = dequantised(q, s, z, 64, 32, bits).astype(np.float32)
            ids = rng.integers(0, 11, (2, 5))
            case(THEME, f"Gather_{bits}{'z' if zp else 's'}", "GatherBlockQuantized",
                 [Const(q.reshape(11, -1)), ids, Const(s)] + ([Const(z)] if zp else []),
                 {"bits": bits, "block_size": 32, "gather_axis": 0, "quantize_axis": 1}, MS, 1,
                 ref=lambda *_, w=w, ids=ids: w[ids], tol=(1e-6, 1e-6))


if __name__ == "__main__":
    linears()
    experts()
    gathers()
    base.write_all()
