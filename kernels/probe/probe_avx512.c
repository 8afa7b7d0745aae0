/* SPDX-License-Identifier: MIT */
/* Read and FMA probes, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/probe/probe_vec.inc"
