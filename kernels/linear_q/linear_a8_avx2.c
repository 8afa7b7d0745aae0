/* SPDX-License-Identifier: MIT */
/* Quantised linear with int8 activations, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/dot_avx2.inc"

#include "kernels/linear_q/linear_a8_vec.inc"
