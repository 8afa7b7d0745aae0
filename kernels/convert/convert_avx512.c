/* SPDX-License-Identifier: MIT */
/* Half-float conversions, AVX-512. */
#include "kernels/vec/vec_avx512.inc"

#include "kernels/convert/convert_vec.inc"
