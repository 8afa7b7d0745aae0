/* SPDX-License-Identifier: MIT */
/* Layer normalisation, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/layernorm/layernorm_vec.inc"
