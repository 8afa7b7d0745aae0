/* SPDX-License-Identifier: MIT */
/* Softmax, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/softmax/softmax_vec.inc"
