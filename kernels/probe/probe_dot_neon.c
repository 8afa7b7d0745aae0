/* SPDX-License-Identifier: MIT */
/* Integer dot product probe, NEON. */
#include "kernels/vec/dot_neon.inc"

#include "kernels/probe/probe_dot_vec.inc"
