/* SPDX-License-Identifier: MIT */
/* Integer dot product probe, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/dot_neon.inc"

#include "kernels/probe/probe_dot_vec.inc"
