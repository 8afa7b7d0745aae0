/* SPDX-License-Identifier: MIT */
/* Causal convolution, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/causal_conv/causal_conv_vec.inc"
