/* SPDX-License-Identifier: MIT */
/* Half-float conversions, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

#include "kernels/convert/convert_vec.inc"
