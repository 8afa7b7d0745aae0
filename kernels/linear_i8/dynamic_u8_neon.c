/* SPDX-License-Identifier: MIT */
/* Dynamic quantisation, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/linear_i8/dynamic_u8_vec.inc"
