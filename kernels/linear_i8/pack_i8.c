/* SPDX-License-Identifier: MIT */
/* Packing for linear_i8. */
#include <string.h>

#include "base/base.h"
#include "kernels/kernels.h"

size_t kern_i8_row_bytes(size_t k)
{
    size_t padded;

    return checked_add(k, 3, &padded) ? padded & ~(size_t)3 : 0;
}

size_t kern_i8_panel_bytes(size_t k)
{
    size_t bytes;

    return checked_mul(kern_i8_row_bytes(k), KERN_NR, &bytes) ? bytes : 0;
}

void kern_pack_i8_rows(uint8_t *out, int32_t *sum, const struct kern_i8_source *src, size_t p,
                       size_t first, size_t count)
{
    const size_t column = p * KERN_NR, left = src->n - column;
    const size_t cols = left < KERN_NR ? left : KERN_NR;

    if (first == 0) {
        memset(out, 0, kern_i8_panel_bytes(src->k));
        memset(sum, 0, KERN_NR * sizeof *sum);
    }
    for (size_t k = first; k < first + count; k++) {
        const uint8_t *from = src->w + k * src->n + column;
        uint8_t *to = out + k / 4 * 4 * KERN_NR + k % 4;

        for (size_t c = 0; c < cols; c++) {
            to[4 * c] = from[c] ^ src->flip;
            sum[c] = (int32_t)((uint32_t)sum[c] + to[4 * c]);
        }
    }
}

void kern_pack_i8(uint8_t *out, int32_t *sum, const struct kern_i8_source *src, size_t p)
{
    kern_pack_i8_rows(out, sum, src, p, 0, src->k);
}
