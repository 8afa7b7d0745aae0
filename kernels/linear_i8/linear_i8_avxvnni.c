/* SPDX-License-Identifier: MIT */
/* Integer matrix products, 256-bit VNNI. */
#define KERN(slot) kern_##slot##_avxvnni
#include "kernels/vec/dot_avxvnni.inc"

#include "kernels/linear_i8/linear_i8_vec.inc"
