/* SPDX-License-Identifier: MIT */
/* Half-float conversions, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/convert/convert_vec.inc"
