/* SPDX-License-Identifier: MIT */
/* Reference of RMS normalisation. */
#include "kernels/rmsnorm/rmsnorm.h"

#include <math.h>

#include "kernels/kernels.h"

static void norm_row(float *out, const float *in, const float *weight, size_t cols, float eps)
{
    float sum = 0;

    for (size_t c = 0; c < cols; c++) sum += in[c] * in[c];
    const float factor = 1.0f / sqrtf(sum / (float)cols + eps);

    for (size_t c = 0; c < cols; c++) out[c] = in[c] * factor * (weight ? weight[c] : 1.0f);
}

void kern_rmsnorm_f32_scalar(float *out, const float *in, const float *weight, size_t rows,
                             size_t cols, float eps)
{
    for (size_t r = 0; r < rows; r++) norm_row(out + r * cols, in + r * cols, weight, cols, eps);
}

void kern_skip_rmsnorm_f32_scalar(const struct kern_skip_norm_args *a)
{
    for (size_t r = 0; r < a->rows; r++) {
        const float *x = a->x + r * a->cols, *skip = a->skip + r % a->skip_rows * a->cols;
        float *sum = (a->sum ? a->sum : a->out) + r * a->cols;

        for (size_t c = 0; c < a->cols; c++)
            sum[c] = x[c] + skip[c] + (a->bias ? a->bias[c] : 0.0f);
        norm_row(a->out + r * a->cols, sum, a->weight, a->cols, a->eps);
    }
}
