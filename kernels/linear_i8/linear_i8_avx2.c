/* SPDX-License-Identifier: MIT */
/* Integer matrix products, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/dot_avx2.inc"

#include "kernels/linear_i8/linear_i8_vec.inc"
