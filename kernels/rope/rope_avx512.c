/* SPDX-License-Identifier: MIT */
/* Rotary position embedding, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/rope/rope_vec.inc"
