/* SPDX-License-Identifier: MIT */
/* One row of a block-quantised table, NEON. */
#include "kernels/vec/vec_neon.inc"

#include "kernels/dequant_row/dequant_row_vec.inc"
