/* SPDX-License-Identifier: MIT */
/* Activations to int8. */
#include <math.h>
#include <string.h>

#include "kernels/quantize/q8_tile.h"
#include "tests/checkkernel/check.h"

/* The tile that row r is in, and how many rows it has. */
static struct q8_tile tile_of(const struct kern_quantize_args *a, size_t r, size_t *rows)
{
    const size_t r0 = r / KERN_Q8_TILE * KERN_Q8_TILE;

    *rows = q8_tile_rows(a->m, r);
    return q8_tile_at((const uint8_t *)a->out + r0 * kern_q8_row_bytes(a->k, a->block), *rows,
                      kern_q_blocks(a->k, a->block), a->block);
}

/* q is the nearest integer: half a step, and the rounding of x * (127 / max), at most 127 * 3 eps.
 */
static void expect_block(struct check *t, const struct kern_quantize_args *a, size_t r, size_t b)
{
    size_t rows;
    const struct q8_tile tile = tile_of(a, r, &rows);
    const size_t i = r % KERN_Q8_TILE, at = b * rows + i;
    const float *x = a->x + r * a->x_stride;
    double most = 0;
    int32_t sum = 0;

    for (size_t k = b * a->block; k < (b + 1) * a->block && k < a->k; k++)
        most = fmax(most, fabs((double)x[k]));
    check_near(t, tile.scale[at], most / 127, EPS * most / 127, AT("scale", r, b));
    for (size_t k = b * a->block; k < (b + 1) * a->block; k++) {
        const double want = k < a->k && most > 0 ? x[k] * 127.0 / most : 0;
        const int q = tile.q[(k / 4 * rows + i) * 4 + k % 4];

        check_near(t, q, want, 0.5 + 127 * 3 * EPS, AT("q", r, k));
        if (k >= a->k && q != 0) check_fail(t, "padding %zu is %d", k, q);
        sum += q;
    }
    if (tile.neg_sum[at] != -sum || tile.neg_sum8[at] != -8 * sum)
        check_fail(t, "neg_sum %d, %d of %d", tile.neg_sum[at], tile.neg_sum8[at], sum);
}

static void check_special(struct check *t, kern_quantize_rows_q8_fn *fn)
{
    static const struct {
        float value;
        float scale; /* expected; NaN for a broken block */
    } cases[] = { { NAN, NAN }, { INFINITY, NAN }, { -INFINITY, NAN }, { 0.0f, 0 }, { 1e-44f, 0 } };

    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t at = 0; at < 48; at++) {
            float *x = check_floats(t, 48, 0, 0);
            void *out = check_bytes(t, kern_q8_row_bytes(48, 16));
            const struct kern_quantize_args a = { x, 48, out, 1, 0, 1, 48, 16 };

            x[at] = cases[i].value;
            fn(&a);
            size_t rows;
            const struct q8_tile tile = tile_of(&a, 0, &rows);

            for (size_t b = 0; b < 3; b++) {
                const double want = b == at / 16 ? cases[i].scale : 0;

                check_near(t, tile.scale[b], want, 0, AT("special scale", at, b));
                for (size_t k = 16 * b; k < 16 * (b + 1); k++)
                    if (tile.q[k] != 0) check_fail(t, "q of a block without values");
                if (tile.neg_sum[b] != 0) check_fail(t, "sum of a block without values");
            }
            check_free(t);
        }
}

void check_quantize_rows_q8(struct check *t, kern_quantize_rows_q8_fn *fn)
{
    static const struct {
        size_t m, k;
        uint32_t block;
    } cases[] = { { 1, 16, 16 },   { 3, 5, 32 },    { 9, 100, 16 }, { 4, 257, 64 },
                  { 2, 300, 128 }, { 1, 513, 256 }, { 2, 1, 16 },   { 24, 96, 32 } };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const size_t m = cases[i].m, k = cases[i].k, x_stride = k + 2;
        const uint32_t block = cases[i].block;
        const size_t bytes = m * kern_q8_row_bytes(k, block);
        const float *x = check_floats(t, (m - 1) * x_stride + k, -1e3, 1e3);
        uint8_t *out = check_bytes(t, bytes), *again = check_bytes(t, bytes);
        struct kern_quantize_args a = { x, x_stride, again, m, 0, m, k, block };

        memset(out, 0, bytes); /* the slack of a record is nobody's */
        memset(again, 0, bytes);
        kern_quantize_rows_q8_scalar(&a);
        a.out = out;
        fn(&a);
        for (size_t r = 0; r < m; r++)
            for (size_t b = 0; b < kern_q_blocks(k, block); b++) expect_block(t, &a, r, b);
        check_same(t, out, again, bytes, AT("against scalar: m, k", m, k));
        memset(out, 0, bytes);
        for (a.first = m; a.first-- > 0;) { /* row by row, backwards */
            a.x = x + a.first * x_stride;
            a.count = 1;
            fn(&a);
        }
        check_same(t, out, again, bytes, AT("row by row: m, k", m, k));
        check_free(t);
    }
    check_special(t, fn);

    enum { M = 16, K = 4096 };
    const float *x = check_floats(t, M * K, -1, 1);
    void *out = check_bytes(t, M * kern_q8_row_bytes(K, 32));
    const struct kern_quantize_args a = { x, K, out, M, 0, M, K, 32 };

    CHECK_BENCH(t, "16x4096/32", M * K * 5.25, M * K, fn(&a));
    check_free(t);
}
