/* SPDX-License-Identifier: MIT */
/* Quantised linear with float activations, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/linear_q/linear_qf_vec.inc"
