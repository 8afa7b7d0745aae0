/* SPDX-License-Identifier: MIT */
/* Reductions and selection, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/reduce/reduce_vec.inc"
