/* SPDX-License-Identifier: MIT */
/* RMS normalisation, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/rmsnorm/rmsnorm_vec.inc"
