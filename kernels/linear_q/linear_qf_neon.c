/* SPDX-License-Identifier: MIT */
/* Quantised linear with float activations, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

/* A table of twice the numbers as bytes, moved to the top of their lanes: fixed point with 25 bits
 * behind the point. The other bytes of an index are out of range and give 0. */
KERN_INLINE vf vf_e2m1(vi raw, int j)
{
    static const int8_t twice[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };
    const int shift = j < 4 ? 8 * j : 8 * (j - 4) + 4;
    const uint32x4_t low = vshlq_u32(vreinterpretq_u32_s32(raw), vdupq_n_s32(-shift));
    const uint32x4_t index = vorrq_u32(vandq_u32(low, vdupq_n_u32(15)), vdupq_n_u32(~255u));
    const int8x16_t byte = vqtbl1q_s8(vld1q_s8(twice), vreinterpretq_u8_u32(index));

    return vcvtq_n_f32_s32(vshlq_n_s32(vreinterpretq_s32_s8(byte), 24), 25);
}

#include "kernels/linear_q/linear_qf_vec.inc"
