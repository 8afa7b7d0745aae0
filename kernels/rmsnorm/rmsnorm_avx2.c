/* SPDX-License-Identifier: MIT */
/* RMS normalisation, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

#include "kernels/rmsnorm/rmsnorm_vec.inc"
