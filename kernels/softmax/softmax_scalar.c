/* SPDX-License-Identifier: MIT */
/* Reference of softmax. */
#include "kernels/softmax/softmax.h"

#include <math.h>

#include "kernels/kernels.h"

static void softmax_row(float *out, const float *in, size_t cols)
{
    float largest = -INFINITY, sum = 0;

    for (size_t c = 0; c < cols; c++)
        if (in[c] > largest) largest = in[c];
    const float shift = largest == -INFINITY ? 0.0f : largest; /* -inf - -inf is NaN */

    for (size_t c = 0; c < cols; c++) sum += out[c] = expf(in[c] - shift);
    const float factor = sum == 0 ? 0.0f : 1.0f / sum;

    for (size_t c = 0; c < cols; c++) out[c] *= factor;
}

void kern_softmax_f32_scalar(float *out, const float *in, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++) softmax_row(out + r * cols, in + r * cols, cols);
}
