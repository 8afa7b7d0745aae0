/* SPDX-License-Identifier: MIT */
/* Causal convolution, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

#include "kernels/causal_conv/causal_conv_vec.inc"
