/* SPDX-License-Identifier: MIT */
/* Linear attention, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/linattn/linattn_vec.inc"
