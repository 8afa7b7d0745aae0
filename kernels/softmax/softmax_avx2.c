/* SPDX-License-Identifier: MIT */
/* Softmax, AVX2. */
#include "kernels/vec/vec_avx2.inc"

#include "kernels/softmax/softmax_vec.inc"
