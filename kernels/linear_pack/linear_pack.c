/* SPDX-License-Identifier: MIT */
/* Packing into panels. Runs once per load; the only speed that matters is that a gigabyte takes
 * about a second. */
#include "kernels/linear_pack/linear_pack.h"

#include <string.h>

#include "base/base.h"
#include "kernels/kern_macros.h"

size_t kern_panel_count(size_t n) { return n / KERN_NR + (n % KERN_NR != 0); }

size_t kern_q_blocks(size_t k, uint32_t block) { return k / block + (k % block != 0); }

static size_t zp_bytes(uint8_t zp)
{
    return zp == KERN_ZP_U8 ? KERN_NR : zp == KERN_ZP_F32 ? KERN_NR * sizeof(float) : 0;
}

size_t kern_q_block_bytes(uint32_t block, uint8_t bits, uint8_t zp)
{
    return KERN_NR * sizeof(float) + zp_bytes(zp) + (size_t)block * KERN_NR * bits / 8;
}

bool kern_qshape_ok(const struct kern_qshape *s)
{
    size_t panel;

    if (s->n == 0 || s->k == 0 || (s->bits != 4 && s->bits != 8) || s->zp > KERN_ZP_E2M1)
        return false;
    if (s->zp == KERN_ZP_E2M1 && s->bits != 4) return false;
    if (s->block < 16 || s->block > 256 || (s->block & (s->block - 1)) != 0) return false;
    if (!checked_mul(kern_q_blocks(s->k, s->block), kern_q_block_bytes(s->block, s->bits, s->zp),
                     &panel))
        return false;
    return checked_mul(panel, kern_panel_count(s->n), &panel);
}

size_t kern_q_panel_bytes(const struct kern_qshape *s)
{
    return kern_q_blocks(s->k, s->block) * kern_q_block_bytes(s->block, s->bits, s->zp);
}

size_t kern_q_packed_bytes(const struct kern_qshape *s)
{
    return kern_panel_count(s->n) * kern_q_panel_bytes(s);
}

/* Zero point of column n, block kb; zp_u8 only. */
static uint8_t source_zp(const struct kern_qshape *s, const struct kern_qsource *src, size_t n,
                         size_t kb)
{
    const size_t blocks = kern_q_blocks(s->k, s->block);

    if (s->bits == 8) return src->zp_u8[n * blocks + kb];
    const uint8_t both = src->zp_u8[n * (blocks / 2 + blocks % 2) + kb / 2];
    return kb % 2 ? both >> 4 : both & 15u;
}

/* One column of one block. `used` is how many of the block's k exist; the others become `pad`. */
static void pack_column_q8(uint8_t *data, const uint8_t *q, uint32_t block, uint32_t used,
                           uint8_t pad)
{
    for (uint32_t k = 0; k < block; k++)
        data[(k / 4) * (4 * KERN_NR) + k % 4] = k < used ? q[k] : pad;
}

static uint8_t nibble(const uint8_t *q, uint32_t k, uint32_t used, uint8_t pad)
{
    if (k >= used) return pad;
    return k % 2 ? q[k / 2] >> 4 : q[k / 2] & 15u;
}

static void pack_column_q4(uint8_t *data, const uint8_t *q, uint32_t block, uint32_t used,
                           uint8_t pad)
{
    for (uint32_t h = 0; h < block / 8; h++)
        for (uint32_t j = 0; j < 4; j++) {
            const uint8_t lo = nibble(q, 8 * h + j, used, pad);
            const uint8_t hi = nibble(q, 8 * h + 4 + j, used, pad);

            data[h * (4 * KERN_NR) + j] = (uint8_t)(lo | hi << 4);
        }
}

/* A block that lies wholly inside k: no padding to think of. */
static void pack_column_q4_whole(uint8_t *data, const uint8_t *q, uint32_t block)
{
    for (uint32_t h = 0; h < block / 8; h++, q += 4, data += 4 * KERN_NR) {
        uint32_t x, lo, hi;

        memcpy(&x, q, 4); /* bytes k0k1 k2k3 k4k5 k6k7 */
        const uint8_t a = (uint8_t)x, b = (uint8_t)(x >> 8), c = (uint8_t)(x >> 16),
                      d = (uint8_t)(x >> 24);
        lo = (a & 15u) | (a & 0xf0u) << 4 | (b & 15u) << 16 | (b & 0xf0u) << 20;
        hi = (c & 15u) | (c & 0xf0u) << 4 | (d & 15u) << 16 | (d & 0xf0u) << 20;
        x = lo | hi << 4;
        memcpy(data, &x, 4);
    }
}

static void pack_block(uint8_t *out, const struct kern_qshape *s, const struct kern_qsource *src,
                       size_t panel, size_t kb)
{
    const size_t blocks = kern_q_blocks(s->k, s->block), blob = (size_t)s->block * s->bits / 8;
    float *scale = (float *)(void *)out;
    uint8_t *zp = out + KERN_NR * sizeof(float), *data = zp + zp_bytes(s->zp);
    const size_t left = s->k - kb * s->block;
    const uint32_t used = left < s->block ? (uint32_t)left : s->block;

    memset(out, 0, kern_q_block_bytes(s->block, s->bits, s->zp));
    for (size_t c = 0; c < KERN_NR && panel * KERN_NR + c < s->n; c++) {
        const size_t n = panel * KERN_NR + c;
        const uint8_t *q = src->b + (n * blocks + kb) * blob;
        uint8_t pad = (uint8_t)(s->zp == KERN_ZP_E2M1 ? 0u : 1u << (s->bits - 1));

        memcpy(scale + c, src->scales + n * blocks + kb, sizeof(float));
        if (s->zp == KERN_ZP_U8) pad = zp[c] = source_zp(s, src, n, kb);
        if (s->zp == KERN_ZP_F32)
            memcpy(zp + c * sizeof(float), src->zp_f32 + n * blocks + kb, sizeof(float));
        if (s->bits == 8)
            pack_column_q8(data + 4 * c, q, s->block, used, pad);
        else if (used == s->block)
            pack_column_q4_whole(data + 4 * c, q, s->block);
        else
            pack_column_q4(data + 4 * c, q, s->block, used, pad);
    }
}

void kern_pack_q(void *out, const struct kern_qshape *s, const struct kern_qsource *src,
                 size_t first, size_t count)
{
    const size_t blocks = kern_q_blocks(s->k, s->block);
    const size_t step = kern_q_block_bytes(s->block, s->bits, s->zp);
    uint8_t *at = out;

    for (size_t p = first; p < first + count; p++)
        for (size_t kb = 0; kb < blocks; kb++, at += step) pack_block(at, s, src, p, kb);
}

size_t kern_plain_panel_bytes(size_t k, size_t elem_size)
{
    size_t bytes;

    return checked_mul(k, KERN_NR * elem_size, &bytes) ? bytes : 0;
}

size_t kern_plain_packed_bytes(size_t n, size_t k, size_t elem_size)
{
    size_t bytes;

    return checked_mul(kern_plain_panel_bytes(k, elem_size), kern_panel_count(n), &bytes) ? bytes
                                                                                          : 0;
}

/* `rows` of k of one panel; e is a constant at both calls, so that memcpy becomes a move. */
KERN_INLINE void pack_plain_rows(uint8_t *out, const uint8_t *w,
                                 const struct kern_plain_source *src, size_t cols, size_t rows,
                                 size_t e)
{
    if (src->stride_n == 1 && cols == KERN_NR) {
        for (size_t k = 0; k < rows; k++, out += KERN_NR * e, w += src->stride_k * e)
            memcpy(out, w, KERN_NR * e);
        return;
    }
    if (cols < KERN_NR) memset(out, 0, rows * KERN_NR * e);
    for (size_t c = 0; c < cols; c++) {
        const uint8_t *from = w + c * src->stride_n * e;
        uint8_t *to = out + c * e;

        for (size_t k = 0; k < rows; k++, to += KERN_NR * e, from += src->stride_k * e)
            memcpy(to, from, e);
    }
}

void kern_pack_plain_rows(void *panel, const struct kern_plain_source *src, size_t p, size_t first,
                          size_t count)
{
    const size_t e = src->elem_size, left = src->n - p * KERN_NR;
    const size_t cols = left < KERN_NR ? left : KERN_NR;
    const uint8_t *w =
        (const uint8_t *)src->w + (p * KERN_NR * src->stride_n + first * src->stride_k) * e;
    uint8_t *out = (uint8_t *)panel + first * KERN_NR * e;

    if (e == 4)
        pack_plain_rows(out, w, src, cols, count, 4);
    else
        pack_plain_rows(out, w, src, cols, count, 2);
}

void kern_pack_plain(void *out, const struct kern_plain_source *src, size_t first, size_t count)
{
    uint8_t *at = out;

    for (size_t p = first; p < first + count; p++, at += src->k * KERN_NR * src->elem_size)
        kern_pack_plain_rows(at, src, p, 0, src->k);
}

KERN_INLINE void plain_column(uint8_t *out, const uint8_t *in, size_t k, size_t e)
{
    for (size_t i = 0; i < k; i++) memcpy(out + i * e, in + i * KERN_NR * e, e);
}

void kern_plain_column(void *out, const void *panel, size_t k, size_t elem_size, size_t c)
{
    const uint8_t *in = (const uint8_t *)panel + c * elem_size;

    if (elem_size == 4)
        plain_column(out, in, k, 4);
    else
        plain_column(out, in, k, 2);
}
