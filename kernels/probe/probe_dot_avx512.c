/* SPDX-License-Identifier: MIT */
/* Integer dot product probe, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/dot_avx512.inc"

#include "kernels/probe/probe_dot_vec.inc"
