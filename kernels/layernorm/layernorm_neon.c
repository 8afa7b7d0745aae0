/* SPDX-License-Identifier: MIT */
/* Layer normalisation, NEON. */
#include "kernels/vec/vec_neon.inc"

#include "kernels/layernorm/layernorm_vec.inc"
