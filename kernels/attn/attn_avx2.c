/* SPDX-License-Identifier: MIT */
/* Attention by online softmax, AVX2. */
#include "kernels/vec/vec_avx2.inc"

#include "kernels/attn/attn_vec.inc"
