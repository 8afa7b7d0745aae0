/* SPDX-License-Identifier: MIT */
/* Linear with plain weights, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/linear_fp/linear_fp_vec.inc"
