/* SPDX-License-Identifier: MIT */
/* Rotary position embedding, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/rope/rope_vec.inc"
