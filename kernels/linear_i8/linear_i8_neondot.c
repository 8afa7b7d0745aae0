/* SPDX-License-Identifier: MIT */
/* Integer matrix products, NEON with sdot. */
#define KERN(slot) kern_##slot##_neondot
#include "kernels/vec/dot_neondot.inc"

#include "kernels/linear_i8/linear_i8_vec.inc"
