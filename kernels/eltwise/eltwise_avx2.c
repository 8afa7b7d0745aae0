/* SPDX-License-Identifier: MIT */
/* Element-wise arithmetic and activations, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

#include "kernels/eltwise/eltwise_vec.inc"
