# SPDX-License-Identifier: MIT
"""Causal attention for training, as a torch operator over pocket_attention.c; where the CPU has no AVX-512 BF16, torch's own.

python pocket_attention.py: errors and times of both.
"""
import ctypes
import os
import subprocess
import tempfile
import time

import torch
import torch.nn.functional as F


def compiled():
    """The C code as a library, built for this CPU; None where that cannot run it."""
    with open("/proc/cpuinfo") as f:
        if "avx512_bf16" not in f.read():
            return None
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pocket_attention.c")
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "pocket_attention.so")
        subprocess.run(["cc", "-O3", "-march=native", "-ffast-math", "-fno-finite-math-only", "-shared", "-fPIC", source, "-o", library, "-lm"], check=True)
        return ctypes.CDLL(library)


LIBRARY = compiled()


def call(function, shape, *tensors):
    """The C function on struct tensors."""
    batch, length, heads, _ = shape
    function((ctypes.c_void_p * len(tensors))(*[t.data_ptr() for t in tensors]), *(ctypes.c_int64(n) for n in (batch, length, heads)))


@torch.library.custom_op("pocket::attention", mutates_args=())
def operator(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    batch, length, heads, dim = q.shape
    assert dim == 32 and all(t.is_contiguous() and t.dtype == torch.bfloat16 for t in (q, k, v))
    out, lse = torch.empty_like(q), torch.empty(batch, heads, length)
    call(LIBRARY.pocket_attention, q.shape, q, k, v, out, lse)
    return out, lse


@operator.register_fake
def _(q, k, v):
    return torch.empty_like(q), q.new_empty(q.shape[0], q.shape[2], q.shape[1], dtype=torch.float32)


@torch.library.custom_op("pocket::attention_backward", mutates_args=())
def operator_backward(g: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor, lse: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    assert g.is_contiguous() and g.dtype == torch.bfloat16
    grads = [torch.empty_like(q) for _ in range(3)]
    call(LIBRARY.pocket_attention_backward, q.shape, q, k, v, out, lse, g, *grads)
    return tuple(grads)


@operator_backward.register_fake
def _(g, q, k, v, out, lse):
    return torch.empty_like(q), torch.empty_like(q), torch.empty_like(q)


operator.register_autograd(lambda ctx, g, _: operator_backward(g.to(torch.bfloat16).contiguous(), *ctx.saved_tensors),
                           setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs, *output))


def attention(q, k, v):
    """Causal attention of [batch, length, heads, 32]; the operator is for bf16."""
    return operator(q.contiguous(), k.contiguous(), v.contiguous())[0] if LIBRARY and q.dtype == torch.bfloat16 else torchs(q, k, v)


def torchs(q, k, v):
    return F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in (q, k, v)), is_causal=True).transpose(1, 2)


def results(function, inputs, g):
    """The output and the gradients of the three inputs."""
    inputs = [t.detach().requires_grad_() for t in inputs]
    out = function(*inputs)
    out.backward(g.to(out.dtype))
    return [t.detach().double() for t in (out, *(t.grad for t in inputs))]


def main():
    torch.set_num_threads(1)
    for batch, length in ((1, 5), (3, 48), (2, 130), (8, 256), (4, 512), (2, 1024)):
        *inputs, g = (torch.randn(batch, length, 6, 32).to(torch.bfloat16) for _ in range(4))
        exact = results(torchs, [t.double() for t in inputs], g)
        for name, function in (("pocket", attention), ("torch", torchs)):
            begin, again = time.time(), 10
            for _ in range(again):
                got = results(function, inputs, g)
            spent = (time.time() - begin) / again
            print(f"{batch} x {length} {name}: relative errors {', '.join(f'{((a - b).norm() / b.norm()).item():.4f}' for a, b in zip(got, exact))}; {spent * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
