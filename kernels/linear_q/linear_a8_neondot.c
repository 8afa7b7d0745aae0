/* SPDX-License-Identifier: MIT */
/* Quantised linear with int8 activations, NEON with sdot. */
#define KERN(slot) kern_##slot##_neondot
#include "kernels/vec/dot_neondot.inc"

#include "kernels/linear_q/linear_a8_vec.inc"
