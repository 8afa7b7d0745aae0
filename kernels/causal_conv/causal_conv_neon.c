/* SPDX-License-Identifier: MIT */
/* Causal convolution, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/causal_conv/causal_conv_vec.inc"
