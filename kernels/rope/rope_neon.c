/* SPDX-License-Identifier: MIT */
/* Rotary position embedding, NEON. */
#include "kernels/vec/vec_neon.inc"

#include "kernels/rope/rope_vec.inc"
