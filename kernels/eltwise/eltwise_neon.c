/* SPDX-License-Identifier: MIT */
/* Element-wise arithmetic and activations, NEON. */
#include "kernels/vec/vec_neon.inc"

#include "kernels/eltwise/eltwise_vec.inc"
