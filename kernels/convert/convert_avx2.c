/* SPDX-License-Identifier: MIT */
/* Half-float conversions, AVX2. */
#include "kernels/vec/vec_avx2.inc"

#include "kernels/convert/convert_vec.inc"
