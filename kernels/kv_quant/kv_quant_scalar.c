/* SPDX-License-Identifier: MIT */
/* Reference of quantised cache rows. */
#include "kernels/kv_quant/kv_quant.h"

#include <math.h>

#include "kernels/kernels.h"

static int quantise(float x, float scale, float lo, float hi)
{
    const float r = rintf(x / (scale == 0 ? 1.0f : scale)), up = lo > r ? lo : r;

    return (int)(up < hi ? up : hi);
}

void kern_kv_quant_i8_scalar(int8_t *out, const float *x, const float *scale, size_t scale_step,
                             size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (int8_t)quantise(x[i], scale[i * scale_step], -128, 127);
}

void kern_kv_quant_i4_scalar(uint8_t *out, const float *x, const float *scale, size_t scale_step,
                             size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned q = (unsigned)(quantise(x[i], scale[i * scale_step], -8, 7) + 8);

        out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | q << 4 : q);
    }
}
