/* SPDX-License-Identifier: MIT */
/* Linear attention, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

#include "kernels/linattn/linattn_vec.inc"
