/* SPDX-License-Identifier: MIT */
/* Quantised cache rows, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/kv_quant/kv_quant_vec.inc"
