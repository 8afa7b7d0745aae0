/* SPDX-License-Identifier: MIT */
/* Integer matrix products, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/dot_avx512.inc"

#include "kernels/linear_i8/linear_i8_vec.inc"
