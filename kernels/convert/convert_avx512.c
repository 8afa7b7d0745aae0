/* SPDX-License-Identifier: MIT */
/* Half-float conversions, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/convert/convert_vec.inc"
