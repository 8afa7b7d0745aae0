/* SPDX-License-Identifier: MIT */
/* Integer dot product probe, 256-bit VNNI. */
#define KERN(slot) kern_##slot##_avxvnni
#include "kernels/vec/dot_avxvnni.inc"

#include "kernels/probe/probe_dot_vec.inc"
