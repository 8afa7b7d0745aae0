/* SPDX-License-Identifier: MIT */
/* Softmax, NEON. */
#include "kernels/vec/vec_neon.inc"

#include "kernels/softmax/softmax_vec.inc"
