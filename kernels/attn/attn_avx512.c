/* SPDX-License-Identifier: MIT */
/* Attention by online softmax, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/attn/attn_vec.inc"
