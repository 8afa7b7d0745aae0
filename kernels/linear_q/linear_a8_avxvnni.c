/* SPDX-License-Identifier: MIT */
/* Quantised linear with int8 activations, 256-bit VNNI. */
#include "kernels/vec/dot_avxvnni.inc"

#include "kernels/linear_q/linear_a8_vec.inc"
