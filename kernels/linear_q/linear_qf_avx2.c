/* SPDX-License-Identifier: MIT */
/* Quantised linear with float activations, AVX2. */
#define KERN(slot) kern_##slot##_avx2
#include "kernels/vec/vec_avx2.inc"

/* vpermps looks at the low 3 bits of an index only; the fourth is the sign. */
KERN_INLINE vf vf_e2m1(vi raw, int j)
{
    const vi low = _mm256_srli_epi32(raw, j < 4 ? 8 * j : 8 * (j - 4) + 4);
    const vf size = _mm256_permutevar8x32_ps(_mm256_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6), low);
    const vi sign = _mm256_slli_epi32(_mm256_and_si256(low, vi_set1(8)), 28);

    return _mm256_xor_ps(size, _mm256_castsi256_ps(sign));
}

#include "kernels/linear_q/linear_qf_vec.inc"
