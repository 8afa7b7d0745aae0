/* SPDX-License-Identifier: MIT */
/* Attention by online softmax, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/attn/attn_vec.inc"
