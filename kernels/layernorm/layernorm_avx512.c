/* SPDX-License-Identifier: MIT */
/* Layer normalisation, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/layernorm/layernorm_vec.inc"
