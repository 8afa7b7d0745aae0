/* SPDX-License-Identifier: MIT */
/* Dynamic quantisation, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

#include "kernels/linear_i8/dynamic_u8_vec.inc"
