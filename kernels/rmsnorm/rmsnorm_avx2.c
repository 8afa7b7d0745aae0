/* SPDX-License-Identifier: MIT */
/* RMS normalisation, AVX2. */
#include "kernels/vec/vec_avx2.inc"

#include "kernels/rmsnorm/rmsnorm_vec.inc"
