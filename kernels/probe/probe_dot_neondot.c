/* SPDX-License-Identifier: MIT */
/* Integer dot product probe, NEON with sdot. */
#include "kernels/vec/dot_neondot.inc"

#include "kernels/probe/probe_dot_vec.inc"
