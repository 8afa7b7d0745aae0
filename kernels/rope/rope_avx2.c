/* SPDX-License-Identifier: MIT */
/* Rotary position embedding, AVX2. */
#include "kernels/vec/vec_avx2.inc"

#include "kernels/rope/rope_vec.inc"
