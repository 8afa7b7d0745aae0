/* SPDX-License-Identifier: MIT */
/* Reductions and selection, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

#include "kernels/reduce/reduce_vec.inc"
