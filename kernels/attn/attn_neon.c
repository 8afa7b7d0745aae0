/* SPDX-License-Identifier: MIT */
/* Attention by online softmax, NEON. */
#include "kernels/vec/vec_neon.inc"

#include "kernels/attn/attn_vec.inc"
