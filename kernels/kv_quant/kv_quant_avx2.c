/* SPDX-License-Identifier: MIT */
/* Quantised cache rows, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

#include "kernels/kv_quant/kv_quant_vec.inc"
