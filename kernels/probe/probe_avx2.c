/* SPDX-License-Identifier: MIT */
/* Read and FMA probes, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

#include "kernels/probe/probe_vec.inc"
