/* SPDX-License-Identifier: MIT */
/* Read and FMA probes, NEON. */
#include "kernels/vec/vec_neon.inc"

#include "kernels/probe/probe_vec.inc"
