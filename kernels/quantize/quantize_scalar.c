/* SPDX-License-Identifier: MIT */
/* Reference of the activation quantiser, and the record size. */
#include "kernels/quantize/quantize.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "kernels/kernels.h"

size_t kern_q8_row_bytes(size_t k, uint32_t block)
{
    const size_t blocks = kern_q_blocks(k, block);
    size_t bytes;

    if (!checked_mul(blocks, block + sizeof(float) + sizeof(int32_t), &bytes)) return 0;
    if (!checked_add(bytes, 63 + 64, &bytes)) return 0;
    bytes = (bytes - 64) / 64 * 64;
    return bytes % 4096 ? bytes : bytes + 64;
}

/* Quantises n <= block values; the rest of q becomes zero. */
static float quantize_block(int8_t *q, int32_t *neg_sum, const float *x, size_t n, uint32_t block)
{
    float largest = 0;
    bool broken = false;

    memset(q, 0, block);
    *neg_sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) broken = true;
        if (fabsf(x[i]) > largest) largest = fabsf(x[i]);
    }
    if (broken) return NAN;
    const float inverse = 127.0f / largest;

    if (!isfinite(inverse)) return 0; /* zeros and the lowest denormals */
    for (size_t i = 0; i < n; i++) {
        q[i] = (int8_t)lrintf(x[i] * inverse);
        *neg_sum -= q[i];
    }
    return largest / 127.0f;
}

void kern_quantize_rows_q8_scalar(const struct kern_quantize_args *a)
{
    const size_t blocks = kern_q_blocks(a->k, a->block);

    for (size_t r = 0; r < a->m; r++) {
        int8_t *q = (int8_t *)a->out + r * a->out_stride;
        uint8_t *scales = (uint8_t *)q + blocks * a->block;
        uint8_t *neg_sums = scales + blocks * sizeof(float);

        for (size_t b = 0; b < blocks; b++) {
            const size_t left = a->k - b * a->block, n = left < a->block ? left : a->block;
            int32_t neg_sum;
            const float scale = quantize_block(q + b * a->block, &neg_sum,
                                               a->x + r * a->x_stride + b * a->block, n, a->block);

            memcpy(scales + b * sizeof scale, &scale, sizeof scale);
            memcpy(neg_sums + b * sizeof neg_sum, &neg_sum, sizeof neg_sum);
        }
    }
}
