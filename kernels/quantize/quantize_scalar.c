/* SPDX-License-Identifier: MIT */
/* Reference of the activation quantiser, the record size and the tile's layout. */
#include "kernels/quantize/quantize.h"

#include <math.h>

#include "base/base.h"
#include "kernels/kernels.h"
#include "kernels/quantize/q8_tile.h"

size_t kern_q8_row_bytes(size_t k, uint32_t block)
{
    const size_t per_block = block + sizeof(float) + 2 * sizeof(int32_t);
    size_t bytes;

    if (!checked_mul(kern_q_blocks(k, block), per_block, &bytes)) return 0;
    return checked_add(bytes, 63, &bytes) ? bytes / 64 * 64 : 0;
}

struct q8_tile q8_tile_at(const void *base, size_t rows, size_t blocks, uint32_t block)
{
    struct q8_tile t = { .q = (int8_t *)(uintptr_t)base };

    t.scale = (float *)(void *)(t.q + blocks * block * rows);
    t.neg_sum = (int32_t *)(void *)(t.scale + blocks * rows);
    t.neg_sum8 = t.neg_sum + blocks * rows;
    return t;
}

/* Quantises n <= block values to q, spread by `spread` bytes per group of 4. */
static float quantize_block(int8_t *q, size_t spread, int32_t *neg_sum, const float *x, size_t n)
{
    float largest = 0;
    bool broken = false;

    *neg_sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) broken = true;
        if (fabsf(x[i]) > largest) largest = fabsf(x[i]);
    }
    if (broken) return NAN;
    const float inverse = 127.0f / largest;

    if (!isfinite(inverse)) return 0;
    for (size_t i = 0; i < n; i++) {
        const int8_t v = (int8_t)lrintf(x[i] * inverse);

        q[i / 4 * spread + i % 4] = v;
        *neg_sum -= v;
    }
    return largest / 127.0f;
}

static void quantize_row(const struct kern_quantize_args *a, const struct q8_tile *t,
                         const float *x, size_t r, size_t rows)
{
    for (size_t b = 0; b < kern_q_blocks(a->k, a->block); b++) {
        const size_t left = a->k - b * a->block, n = left < a->block ? left : a->block;
        const size_t at = b * rows + r;
        int8_t *q = t->q + b * a->block * rows + 4 * r;

        for (size_t k = 0; k < a->block; k++) q[k / 4 * 4 * rows + k % 4] = 0;
        t->scale[at] = quantize_block(q, 4 * rows, &t->neg_sum[at], x + b * a->block, n);
        t->neg_sum8[at] = 8 * t->neg_sum[at];
    }
}

void kern_quantize_rows_q8_scalar(const struct kern_quantize_args *a)
{
    const size_t blocks = kern_q_blocks(a->k, a->block), stride = kern_q8_row_bytes(a->k, a->block);

    for (size_t i = 0; i < a->count; i++) {
        const size_t r = a->first + i, in_tile = r % KERN_Q8_TILE, rows = q8_tile_rows(a->m, r);
        const uint8_t *base = (const uint8_t *)a->out + (r - in_tile) * stride;
        const struct q8_tile t = q8_tile_at(base, rows, blocks, a->block);

        quantize_row(a, &t, a->x + i * a->x_stride, in_tile, rows);
    }
}
