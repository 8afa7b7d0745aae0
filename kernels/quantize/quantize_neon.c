/* SPDX-License-Identifier: MIT */
/* Activations to int8, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/quantize/quantize_vec.inc"
