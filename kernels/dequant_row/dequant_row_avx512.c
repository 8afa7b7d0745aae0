/* SPDX-License-Identifier: MIT */
/* One row of a block-quantised table, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

#include "kernels/dequant_row/dequant_row_vec.inc"
