/* SPDX-License-Identifier: MIT */
/* Quantised linear with float activations, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

#include "kernels/linear_q/linear_qf_vec.inc"
