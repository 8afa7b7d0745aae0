/* SPDX-License-Identifier: MIT */
/* Softmax, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

#include "kernels/softmax/softmax_vec.inc"
