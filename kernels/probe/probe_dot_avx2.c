/* SPDX-License-Identifier: MIT */
/* Integer dot product probe, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/dot_avx2.inc"

#include "kernels/probe/probe_dot_vec.inc"
