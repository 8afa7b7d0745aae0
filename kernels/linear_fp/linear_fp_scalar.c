/* SPDX-License-Identifier: MIT */
/* Reference of the linear layers with plain weights. */
#include "kernels/linear_fp/linear_fp.h"

#include "base/base.h"
#include "kernels/kernels.h"

static float dot_f32(const float *x, const void *panel, size_t c, size_t k)
{
    const float *w = (const float *)panel + c;
    float sum = 0;

    for (size_t i = 0; i < k; i++) sum += x[i] * w[i * KERN_NR];
    return sum;
}

static float dot_f16(const float *x, const void *panel, size_t c, size_t k)
{
    const uint16_t *w = (const uint16_t *)panel + c;
    float sum = 0;

    for (size_t i = 0; i < k; i++) sum += x[i] * half_to_f32(w[i * KERN_NR]);
    return sum;
}

static float dot_bf16(const float *x, const void *panel, size_t c, size_t k)
{
    const uint16_t *w = (const uint16_t *)panel + c;
    float sum = 0;

    for (size_t i = 0; i < k; i++) sum += x[i] * bf16_to_f32(w[i * KERN_NR]);
    return sum;
}

static void linear(const struct kern_linear_fp_args *a, size_t elem_size,
                   float (*dot)(const float *x, const void *panel, size_t c, size_t k))
{
    for (size_t r = 0; r < a->m; r++)
        for (size_t n = 0; n < a->n; n++) {
            const void *panel =
                (const uint8_t *)a->w + n / KERN_NR * kern_plain_panel_bytes(a->k, elem_size);
            const float sum = dot(a->x + r * a->x_stride, panel, n % KERN_NR, a->k);

            a->out[r * a->out_stride + n] = a->bias ? sum + a->bias[n] : sum;
        }
}

void kern_linear_f32_scalar(const struct kern_linear_fp_args *a) { linear(a, 4, dot_f32); }

void kern_linear_f16_scalar(const struct kern_linear_fp_args *a) { linear(a, 2, dot_f16); }

void kern_linear_bf16_scalar(const struct kern_linear_fp_args *a) { linear(a, 2, dot_bf16); }
