/* SPDX-License-Identifier: MIT */
/* One row of a block-quantised table. */
#include <math.h>

#include "tests/checkkernel/check.h"

typedef void row_fn(const struct kern_dequant_row_args *a);

static int integer(const uint8_t *q, size_t i, int bits, bool is_signed)
{
    int x = bits == 8 ? q[i] : i % 2 ? q[i / 2] >> 4 : q[i / 2] & 15;

    if (is_signed && x >= 1 << (bits - 1)) x -= 1 << bits;
    return x;
}

static void check_row(struct check *t, row_fn *fn, int bits)
{
    static const struct {
        size_t k;
        uint32_t block;
    } cases[] = { { 1, 16 },   { 16, 16 },   { 33, 32 },  { 100, 16 },
                  { 896, 32 }, { 130, 128 }, { 257, 64 }, { 75, 25 * 2 } };

    for (size_t i = 0; i < 4 * COUNT(cases); i++) {
        const size_t k = cases[i / 4].k, blocks = kern_q_blocks(k, cases[i / 4].block);
        const size_t per = (size_t)bits;
        const bool is_signed = i % 2, with_zp = i % 4 > 1;
        const uint8_t *q = check_random_bytes(t, (k * per + 7) / 8);
        const uint8_t *zp = with_zp ? check_random_bytes(t, (blocks * per + 7) / 8) : NULL;
        const float *scale = check_floats(t, blocks, -2, 2);
        float *out = check_output(t, k);
        const struct kern_dequant_row_args a = {
            q, scale, zp, out, k, cases[i / 4].block, is_signed
        };

        fn(&a);
        for (size_t c = 0; c < k; c++) {
            const size_t b = c / a.block;
            const int zero = zp ? integer(zp, b, bits, is_signed) : is_signed ? 0 : 1 << (bits - 1);
            const double want = (integer(q, c, bits, is_signed) - zero) * (double)scale[b];

            check_near(t, out[c], want, 0.5 * check_ulp(want), AT("value", c, i));
        }
        check_free(t);
    }
    enum { K = 4096 };
    const struct kern_dequant_row_args a = {
        check_random_bytes(t, K), check_floats(t, K / 32, 0, 1), NULL, check_output(t, K), K, 32, 0
    };

    CHECK_BENCH(t, "4096/32", K * (4 + bits / 8.0), K, fn(&a));
    check_free(t);
}

void check_dequant_row_q4(struct check *t, kern_dequant_row_q4_fn *fn) { check_row(t, fn, 4); }

void check_dequant_row_q8(struct check *t, kern_dequant_row_q8_fn *fn) { check_row(t, fn, 8); }
