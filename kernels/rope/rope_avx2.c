/* SPDX-License-Identifier: MIT */
/* Rotary position embedding, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

#include "kernels/rope/rope_vec.inc"
