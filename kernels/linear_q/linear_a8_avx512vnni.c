/* SPDX-License-Identifier: MIT */
/* Quantised linear with int8 activations, 512-bit VNNI. */
#define KERN(slot) kern_##slot##_avx512vnni
#include "kernels/vec/dot_avx512vnni.inc"

#include "kernels/linear_q/linear_a8_vec.inc"
