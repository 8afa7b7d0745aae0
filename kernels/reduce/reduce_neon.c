/* SPDX-License-Identifier: MIT */
/* Reductions and selection, NEON. */
#include "kernels/vec/vec_neon.inc"

#include "kernels/reduce/reduce_vec.inc"
