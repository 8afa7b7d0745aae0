/* SPDX-License-Identifier: MIT */
/* One row of a block-quantised table, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/dequant_row/dequant_row_vec.inc"
