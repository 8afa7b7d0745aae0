/* SPDX-License-Identifier: MIT */
/* Integer matrix products, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/dot_neon.inc"

#include "kernels/linear_i8/linear_i8_vec.inc"
