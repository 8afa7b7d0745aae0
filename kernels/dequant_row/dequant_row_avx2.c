/* SPDX-License-Identifier: MIT */
/* One row of a block-quantised table, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

#include "kernels/dequant_row/dequant_row_vec.inc"
