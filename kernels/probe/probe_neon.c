/* SPDX-License-Identifier: MIT */
/* Read and FMA probes, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/probe/probe_vec.inc"
