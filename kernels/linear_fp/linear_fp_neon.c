/* SPDX-License-Identifier: MIT */
/* Linear with plain weights, NEON. */
#include "kernels/vec/vec_neon.inc"

#include "kernels/linear_fp/linear_fp_vec.inc"
