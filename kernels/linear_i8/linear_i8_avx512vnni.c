/* SPDX-License-Identifier: MIT */
/* Integer matrix products, 512-bit VNNI. */
#define KERN(slot) kern_##slot##_avx512vnni
#include "kernels/vec/dot_avx512vnni.inc"

#include "kernels/linear_i8/linear_i8_vec.inc"
