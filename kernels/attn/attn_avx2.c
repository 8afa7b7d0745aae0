/* SPDX-License-Identifier: MIT */
/* Attention by online softmax, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

#include "kernels/attn/attn_vec.inc"
