/* SPDX-License-Identifier: MIT */
/* Quantised cache rows, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/kv_quant/kv_quant_vec.inc"
