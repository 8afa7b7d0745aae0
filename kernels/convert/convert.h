/* SPDX-License-Identifier: MIT */
/* Arrays between fp32 and the half formats. To half: round to nearest even, overflow to infinity,
 * NaN stays NaN (its payload may change), denormals kept. All variants agree on every non-NaN
 * input. No overlap. A gather of rows is one call per row. */
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef void kern_cvt_f16_f32_fn(float *out, const uint16_t *in, size_t n);
typedef void kern_cvt_bf16_f32_fn(float *out, const uint16_t *in, size_t n);
typedef void kern_cvt_f32_f16_fn(uint16_t *out, const float *in, size_t n);
typedef void kern_cvt_f32_bf16_fn(uint16_t *out, const float *in, size_t n);
