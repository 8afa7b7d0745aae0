/* SPDX-License-Identifier: MIT */
/* Integer dot product probe, 256-bit VNNI. */
#include "kernels/vec/dot_avxvnni.inc"

#include "kernels/probe/probe_dot_vec.inc"
