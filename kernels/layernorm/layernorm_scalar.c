/* SPDX-License-Identifier: MIT */
/* Reference of layer normalisation. */
#include "kernels/layernorm/layernorm.h"

#include <math.h>

#include "kernels/kernels.h"

static void norm_row(float *out, const float *in, const float *weight, const float *beta,
                     size_t cols, float eps)
{
    float sum = 0, squares = 0;

    for (size_t c = 0; c < cols; c++) sum += in[c];
    const float mean = sum / (float)cols;

    for (size_t c = 0; c < cols; c++) squares += (in[c] - mean) * (in[c] - mean);
    const float factor = 1.0f / sqrtf(squares / (float)cols + eps);

    for (size_t c = 0; c < cols; c++)
        out[c] = (in[c] - mean) * factor * (weight ? weight[c] : 1.0f) + (beta ? beta[c] : 0.0f);
}

void kern_layernorm_f32_scalar(const struct kern_layernorm_args *a)
{
    for (size_t r = 0; r < a->rows; r++)
        norm_row(a->out + r * a->cols, a->in + r * a->cols, a->weight, a->beta, a->cols, a->eps);
}

void kern_skip_layernorm_f32_scalar(const struct kern_skip_norm_args *a)
{
    for (size_t r = 0; r < a->rows; r++) {
        const float *x = a->x + r * a->cols, *skip = a->skip + r % a->skip_rows * a->cols;
        float *sum = (a->sum ? a->sum : a->out) + r * a->cols;

        for (size_t c = 0; c < a->cols; c++)
            sum[c] = x[c] + skip[c] + (a->bias ? a->bias[c] : 0.0f);
        norm_row(a->out + r * a->cols, sum, a->weight, a->beta, a->cols, a->eps);
    }
}
