/* SPDX-License-Identifier: MIT */
/* Reductions and selection, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/reduce/reduce_vec.inc"
