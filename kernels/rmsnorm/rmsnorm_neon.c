/* SPDX-License-Identifier: MIT */
/* RMS normalisation, NEON. */
#include "kernels/vec/vec_neon.inc"

#include "kernels/rmsnorm/rmsnorm_vec.inc"
