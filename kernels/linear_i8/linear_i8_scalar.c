/* SPDX-License-Identifier: MIT */
/* Integer products and dynamic quantisation: the reference. */
#include <math.h>

#include "kernels/kernels.h"

void kern_linear_i8_scalar(const struct kern_linear_i8_args *a)
{
    const size_t panel = kern_i8_panel_bytes(a->k);

    for (size_t r = 0; r < a->m; r++)
        for (size_t c = 0; c < a->n; c++) {
            const uint8_t *w = a->w + c / KERN_NR * panel + c % KERN_NR * 4;
            const int8_t *x = a->x + r * a->x_stride;
            uint32_t sum = 0;

            for (size_t k = 0; k < a->k; k++)
                sum += (uint32_t)(w[k / 4 * 4 * KERN_NR + k % 4] * x[k]);
            a->out[r * a->out_stride + c] = (int32_t)sum;
        }
}

void kern_range_f32_scalar(float range[2], const float *x, size_t n)
{
    float least = 0, most = 0;

    for (size_t i = 0; i < n; i++) {
        if (x[i] < least) least = x[i];
        if (x[i] > most) most = x[i];
    }
    range[0] = least;
    range[1] = most;
}

void kern_quantize_u8_scalar(uint8_t *out, const float *x, size_t n, float scale, uint8_t zero)
{
    const float least = -(float)zero, most = 255.0f - (float)zero;

    for (size_t i = 0; i < n; i++) {
        const float q = x[i] / scale;
        const float kept = q > least ? (q < most ? q : most) : least; /* NaN is not above */

        out[i] = (uint8_t)(nearbyintf(kept) + (float)zero);
    }
}

int32_t kern_signed_row_scalar(int8_t *out, const uint8_t *x, size_t n, uint8_t flip)
{
    int32_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        out[i] = (int8_t)(x[i] ^ flip);
        sum += out[i];
    }
    return sum;
}
