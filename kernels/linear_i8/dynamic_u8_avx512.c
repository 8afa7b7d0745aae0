/* SPDX-License-Identifier: MIT */
/* Dynamic quantisation, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/linear_i8/dynamic_u8_vec.inc"
