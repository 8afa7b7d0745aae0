/* SPDX-License-Identifier: MIT */
/* Integer dot product probe, 512-bit VNNI. */
#define KERN(slot) kern_##slot##_avx512vnni
#include "kernels/vec/dot_avx512vnni.inc"

#include "kernels/probe/probe_dot_vec.inc"
