/* SPDX-License-Identifier: MIT */
/* Activations to int8, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

#include "kernels/quantize/quantize_vec.inc"
