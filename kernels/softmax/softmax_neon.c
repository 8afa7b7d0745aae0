/* SPDX-License-Identifier: MIT */
/* Softmax, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/softmax/softmax_vec.inc"
