/* SPDX-License-Identifier: MIT */
/* Quantised linear with float activations, AVX-512. */
#define KERN(slot) kern_##slot##_avx512
#include "kernels/vec/vec_avx512.inc"

KERN_INLINE vf vf_e2m1(vi raw, int j)
{
    return look_up(
        raw, j,
        _mm512_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6));
}

#include "kernels/linear_q/linear_qf_vec.inc"
