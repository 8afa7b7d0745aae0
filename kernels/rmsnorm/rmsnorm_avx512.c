/* SPDX-License-Identifier: MIT */
/* RMS normalisation, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/rmsnorm/rmsnorm_vec.inc"
