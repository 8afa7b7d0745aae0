/* SPDX-License-Identifier: MIT */
/* Activations to int8, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/quantize/quantize_vec.inc"
