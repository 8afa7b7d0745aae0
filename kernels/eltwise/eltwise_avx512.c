/* SPDX-License-Identifier: MIT */
/* Element-wise arithmetic and activations, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/eltwise/eltwise_vec.inc"
