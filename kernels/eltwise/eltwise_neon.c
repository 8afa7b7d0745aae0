/* SPDX-License-Identifier: MIT */
/* Element-wise arithmetic and activations, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/eltwise/eltwise_vec.inc"
