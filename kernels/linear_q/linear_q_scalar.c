/* SPDX-License-Identifier: MIT */
/* Reference of the block-quantised linear layers: one column of one row at a time. */
#include "kernels/linear_q/linear_q.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/quantize/q8_tile.h"

/* A column of one block of a panel. */
struct column {
    float scale, zp;
    uint32_t kind;       /* enum kern_zp */
    const uint8_t *data; /* of column 0 */
    size_t c;
};

static struct column block_column(const void *block, size_t c, uint8_t bits, uint32_t zp)
{
    const uint8_t *at = block;
    struct column col = { .c = c, .zp = (float)(1 << (bits - 1)), .kind = zp };

    memcpy(&col.scale, at + c * sizeof(float), sizeof(float));
    at += KERN_NR * sizeof(float);
    if (zp == KERN_ZP_U8) {
        col.zp = at[c];
        at += KERN_NR;
    } else if (zp == KERN_ZP_F32) {
        memcpy(&col.zp, at + c * sizeof(float), sizeof(float));
        at += KERN_NR * sizeof(float);
    }
    col.data = at;
    return col;
}

/* q of element k of the column; the layout is drawn in linear_pack.h. */
static int32_t column_q(const struct column *col, size_t k, uint8_t bits)
{
    const size_t lane = 4 * col->c + k % 4;

    if (bits == 8) return col->data[k / 4 * 64 + lane];
    const uint8_t both = col->data[k / 8 * 64 + lane];
    return k / 4 % 2 ? both >> 4 : both & 15;
}

/* The weight without its scale. */
static float column_value(const struct column *col, size_t k, uint8_t bits)
{
    static const float e2m1[16] = { 0,     0.5f,  1,  1.5f,  2,  3,  4,  6,
                                    -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6 };
    const int32_t q = column_q(col, k, bits);

    return col->kind == KERN_ZP_E2M1 ? e2m1[q] : (float)q - col->zp;
}

static const uint8_t *block_at(const void *w, size_t n, size_t b, size_t blocks, size_t bytes)
{
    return (const uint8_t *)w + (n / KERN_NR * blocks + b) * bytes;
}

/* ---- int8 activations ---- */

/* Row r of the tile against column n. */
static float dot_a8(const struct kern_linear_a8_args *a, const struct q8_tile *t, size_t r,
                    size_t rows, size_t n, uint8_t bits)
{
    const size_t blocks = kern_q_blocks(a->k, a->block);
    const size_t bytes = kern_q_block_bytes(a->block, bits, (uint8_t)a->zp);
    float acc = 0;

    for (size_t b = 0; b < blocks; b++) {
        const struct column col =
            block_column(block_at(a->w, n, b, blocks, bytes), n % KERN_NR, bits, a->zp);
        const int8_t *q = t->q + b * a->block * rows + 4 * r;
        int32_t dot = t->neg_sum[b * rows + r] * (int32_t)col.zp;

        for (size_t k = 0; k < a->block; k++)
            dot += q[k / 4 * 4 * rows + k % 4] * column_q(&col, k, bits);
        acc = fmaf((float)dot, t->scale[b * rows + r] * col.scale, acc);
    }
    return acc;
}

static void linear_a8(const struct kern_linear_a8_args *a, uint8_t bits)
{
    const size_t blocks = kern_q_blocks(a->k, a->block), stride = kern_q8_row_bytes(a->k, a->block);

    for (size_t r = 0; r < a->m; r++) {
        const size_t r0 = r / KERN_Q8_TILE * KERN_Q8_TILE, left = a->m - r0;
        const size_t rows = left < KERN_Q8_TILE ? left : KERN_Q8_TILE;
        const struct q8_tile t =
            q8_tile_at((const uint8_t *)a->x + r0 * stride, rows, blocks, a->block);

        for (size_t n = 0; n < a->n; n++) {
            const float sum = dot_a8(a, &t, r - r0, rows, n, bits);

            a->out[r * a->out_stride + n] = a->bias ? sum + a->bias[n] : sum;
        }
    }
}

void kern_linear_q4_a8_scalar(const struct kern_linear_a8_args *a) { linear_a8(a, 4); }

void kern_linear_q8_a8_scalar(const struct kern_linear_a8_args *a) { linear_a8(a, 8); }

/* ---- float activations ---- */

static float dot_f32(const struct kern_linear_qf_args *a, const float *x, size_t n, uint8_t bits)
{
    const size_t blocks = kern_q_blocks(a->k, a->block);
    const size_t bytes = kern_q_block_bytes(a->block, bits, (uint8_t)a->zp);
    float acc = 0;

    for (size_t b = 0; b < blocks; b++) {
        const struct column col =
            block_column(block_at(a->w, n, b, blocks, bytes), n % KERN_NR, bits, a->zp);
        const size_t left = a->k - b * a->block, used = left < a->block ? left : a->block;
        float sum = 0;

        for (size_t k = 0; k < used; k++) sum += x[b * a->block + k] * column_value(&col, k, bits);
        acc += sum * col.scale;
    }
    return acc;
}

static void linear_f32(const struct kern_linear_qf_args *a, uint8_t bits)
{
    for (size_t r = 0; r < a->m; r++)
        for (size_t n = 0; n < a->n; n++) {
            const float sum = dot_f32(a, a->x + r * a->x_stride, n, bits);

            a->out[r * a->out_stride + n] = a->bias ? sum + a->bias[n] : sum;
        }
}

void kern_linear_q4_f32_scalar(const struct kern_linear_qf_args *a) { linear_f32(a, 4); }

void kern_linear_q8_f32_scalar(const struct kern_linear_qf_args *a) { linear_f32(a, 8); }

/* ---- panels back to a matrix ---- */

static void dequant_panel(const struct kern_dequant_panel_args *a, uint8_t bits)
{
    const size_t blocks = kern_q_blocks(a->k, a->block);
    const size_t bytes = kern_q_block_bytes(a->block, bits, (uint8_t)a->zp);

    for (size_t n = 0; n < a->n; n++)
        for (size_t k = 0; k < a->k; k++) {
            const uint8_t *block = block_at(a->w, n, k / a->block, blocks, bytes);
            const struct column col = block_column(block, n % KERN_NR, bits, a->zp);

            a->out[k * a->out_stride + n] = column_value(&col, k % a->block, bits) * col.scale;
        }
}

void kern_dequant_panel_q4_scalar(const struct kern_dequant_panel_args *a) { dequant_panel(a, 4); }

void kern_dequant_panel_q8_scalar(const struct kern_dequant_panel_args *a) { dequant_panel(a, 8); }
