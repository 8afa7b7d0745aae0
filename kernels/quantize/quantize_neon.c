/* SPDX-License-Identifier: MIT */
/* Activations to int8, NEON. */
#include "kernels/vec/vec_neon.inc"

#include "kernels/quantize/quantize_vec.inc"
