/* SPDX-License-Identifier: MIT */
/* Linear with plain weights, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/linear_fp/linear_fp_vec.inc"
