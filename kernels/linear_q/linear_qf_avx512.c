/* SPDX-License-Identifier: MIT */
/* Quantised linear with float activations, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/linear_q/linear_qf_vec.inc"
