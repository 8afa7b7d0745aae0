/* SPDX-License-Identifier: MIT */
/* Quantised linear with int8 activations, 256-bit VNNI. */
#define KERN(slot) kern_##slot##_avxvnni
#include "kernels/vec/dot_avxvnni.inc"

#include "kernels/linear_q/linear_a8_vec.inc"
