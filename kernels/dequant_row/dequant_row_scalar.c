/* SPDX-License-Identifier: MIT */
/* Reference of reading one row of a block-quantised table. */
#include "kernels/dequant_row/dequant_row.h"

#include "kernels/kernels.h"

/* Element i of packed values, as the signed or unsigned integer it means. */
static int32_t element(const uint8_t *q, size_t i, uint32_t bits, uint32_t is_signed)
{
    const uint32_t raw = bits == 8 ? q[i] : i % 2 ? q[i / 2] >> 4 : q[i / 2] & 15u;
    const int32_t half = 1 << (bits - 1);

    return is_signed && (int32_t)raw >= half ? (int32_t)raw - 2 * half : (int32_t)raw;
}

static void dequant_row(const struct kern_dequant_row_args *a, uint32_t bits)
{
    for (size_t k = 0; k < a->k; k++) {
        const size_t b = k / a->block;
        int32_t zp = a->is_signed ? 0 : 1 << (bits - 1);

        if (a->zp) zp = element(a->zp, b, bits, a->is_signed);
        a->out[k] = (float)(element(a->q, k, bits, a->is_signed) - zp) * a->scale[b];
    }
}

void kern_dequant_row_q4_scalar(const struct kern_dequant_row_args *a) { dequant_row(a, 4); }

void kern_dequant_row_q8_scalar(const struct kern_dequant_row_args *a) { dequant_row(a, 8); }
