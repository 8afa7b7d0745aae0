/* SPDX-License-Identifier: MIT */
/* Half-float conversions, NEON. */
#include "kernels/vec/vec_neon.inc"

#include "kernels/convert/convert_vec.inc"
