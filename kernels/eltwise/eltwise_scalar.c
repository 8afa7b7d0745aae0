/* SPDX-License-Identifier: MIT */
/* Reference of element-wise arithmetic and activations, on libm. */
#include "kernels/eltwise/eltwise.h"

#include <math.h>

#include "kernels/kernels.h"

static float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

static float gelu_erf(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); }

static float gelu_tanh(float x)
{
    return 0.5f * x * (1.0f + tanhf(x * (0.7978845608f + 0.0356774081f * x * x)));
}

#define UNARY(slot, expression)                                                                    \
    void kern_##slot##_scalar(float *out, const float *x, size_t n)                                \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) out[i] = (expression);                                      \
    }
UNARY(neg_f32, -x[i])
UNARY(abs_f32, fabsf(x[i]))
UNARY(relu_f32, x[i] < 0.0f ? 0.0f : x[i])
UNARY(sqrt_f32, sqrtf(x[i]))
UNARY(exp_f32, expf(x[i]))
UNARY(tanh_f32, tanhf(x[i]))
UNARY(erf_f32, erff(x[i]))
UNARY(sigmoid_f32, sigmoid(x[i]))
UNARY(silu_f32, x[i] * sigmoid(x[i]))
UNARY(quick_gelu_f32, x[i] * sigmoid(1.702f * x[i]))
UNARY(gelu_erf_f32, gelu_erf(x[i]))
UNARY(gelu_tanh_f32, gelu_tanh(x[i]))
#undef UNARY

#define BINARY(slot, expression)                                                                   \
    void kern_##slot##_scalar(float *out, const float *a, const float *b, size_t n)                \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) out[i] = (expression);                                      \
    }
BINARY(add_f32, a[i] + b[i])
BINARY(sub_f32, a[i] - b[i])
BINARY(mul_f32, a[i] * b[i])
BINARY(div_f32, a[i] / b[i])
BINARY(max_f32, a[i] > b[i] ? a[i] : b[i])
BINARY(min_f32, a[i] < b[i] ? a[i] : b[i])
BINARY(silu_mul_f32, a[i] * sigmoid(a[i]) * b[i])
BINARY(gelu_erf_mul_f32, gelu_erf(a[i]) * b[i])
BINARY(gelu_tanh_mul_f32, gelu_tanh(a[i]) * b[i])
#undef BINARY

void kern_affine_f32_scalar(float *out, const float *x, size_t n, float scale, float shift)
{
    for (size_t i = 0; i < n; i++) out[i] = fmaf(x[i], scale, shift);
}

void kern_scale_add_row_f32_scalar(float *out, const float *x, const float *row, size_t rows,
                                   size_t cols, float scale)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) out[r * cols + c] = fmaf(x[r * cols + c], scale, row[c]);
}

void kern_mul_row_f32_scalar(float *out, const float *x, const float *row, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) out[r * cols + c] = x[r * cols + c] * row[c];
}

void kern_axpy_f32_scalar(float *y, const float *x, size_t n, float scale)
{
    for (size_t i = 0; i < n; i++) y[i] = fmaf(x[i], scale, y[i]);
}
