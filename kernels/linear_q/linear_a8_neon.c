/* SPDX-License-Identifier: MIT */
/* Quantised linear with int8 activations, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/dot_neon.inc"

#include "kernels/linear_q/linear_a8_vec.inc"
