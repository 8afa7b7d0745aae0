/* SPDX-License-Identifier: MIT */
/* Reference of the half-float conversions. */
#include "kernels/convert/convert.h"

#include "base/base.h"
#include "kernels/kernels.h"

void kern_cvt_f16_f32_scalar(float *out, const uint16_t *in, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = half_to_f32(in[i]);
}

void kern_cvt_bf16_f32_scalar(float *out, const uint16_t *in, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = bf16_to_f32(in[i]);
}

void kern_cvt_f32_f16_scalar(uint16_t *out, const float *in, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = half_from_f32(in[i]);
}

void kern_cvt_f32_bf16_scalar(uint16_t *out, const float *in, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = bf16_from_f32(in[i]);
}
