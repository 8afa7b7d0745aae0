/* SPDX-License-Identifier: MIT */
/* Integer dot product probe, NEON with sdot. */
#define KERN(slot) kern_##slot##_neondot
#include "kernels/vec/dot_neondot.inc"

#include "kernels/probe/probe_dot_vec.inc"
