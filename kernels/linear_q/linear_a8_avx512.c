/* SPDX-License-Identifier: MIT */
/* Quantised linear with int8 activations, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/dot_avx512.inc"

#include "kernels/linear_q/linear_a8_vec.inc"
