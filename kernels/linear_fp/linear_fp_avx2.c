/* SPDX-License-Identifier: MIT */
/* Linear with plain weights, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

#include "kernels/linear_fp/linear_fp_vec.inc"
