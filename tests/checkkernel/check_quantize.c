/* SPDX-License-Identifier: MIT */
/* Activations to int8. */
#include <math.h>
#include <string.h>

#include "tests/checkkernel/check.h"

struct record {
    const int8_t *q;
    const float *scale;
    const int32_t *neg_sum;
};

static struct record record_at(const struct kern_quantize_args *a, size_t r)
{
    const size_t blocks = kern_q_blocks(a->k, a->block);
    struct record rec = {.q = (const int8_t *)a->out + r * a->out_stride};

    rec.scale = (const float *)(const void *)(rec.q + blocks * a->block);
    rec.neg_sum = (const int32_t *)(const void *)(rec.scale + blocks);
    return rec;
}

/* q is the nearest integer: half a step, and the rounding of x * (127 / max), at most 127 * 3 eps. */
static void expect_block(struct check *t, const struct kern_quantize_args *a, size_t r, size_t b)
{
    const struct record rec = record_at(a, r);
    const float *x = a->x + r * a->x_stride;
    double most = 0;
    int32_t sum = 0;

    for (size_t k = b * a->block; k < (b + 1) * a->block && k < a->k; k++)
        most = fmax(most, fabs((double)x[k]));
    check_near(t, rec.scale[b], most / 127, EPS * most / 127, "scale", r, b);
    for (size_t k = b * a->block; k < (b + 1) * a->block; k++) {
        const double want = k < a->k && most > 0 ? x[k] * 127.0 / most : 0;

        check_near(t, rec.q[k], want, 0.5 + 127 * 3 * EPS, "q", r, k);
        if (k >= a->k && rec.q[k] != 0) check_fail(t, "padding %zu is %d", k, rec.q[k]);
        sum += rec.q[k];
    }
    if (rec.neg_sum[b] != -sum) check_fail(t, "neg_sum %d of %d", rec.neg_sum[b], sum);
}

static void check_special(struct check *t, kern_quantize_rows_q8_fn *fn)
{
    static const struct {
        float value;
        float scale; /* expected; NaN for a broken block */
    } cases[] = {{NAN, NAN}, {INFINITY, NAN}, {-INFINITY, NAN}, {0.0f, 0}, {1e-44f, 0}};

    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t at = 0; at < 48; at++) {
            float *x = check_floats(t, 48, 0, 0);
            void *out = check_bytes(t, kern_q8_row_bytes(48, 16));
            const struct kern_quantize_args a = {x, 48, out, kern_q8_row_bytes(48, 16), 1, 48, 16};

            x[at] = cases[i].value;
            fn(&a);
            const struct record rec = record_at(&a, 0);
            for (size_t b = 0; b < 3; b++) {
                const double want = b == at / 16 ? cases[i].scale : 0;

                check_near(t, rec.scale[b], want, 0, "special scale", at, b);
                if (rec.neg_sum[b] != 0) check_fail(t, "sum of a block without values");
            }
            check_free(t);
        }
}

void check_quantize_rows_q8(struct check *t, kern_quantize_rows_q8_fn *fn)
{
    static const struct {
        size_t m, k;
        uint32_t block;
    } cases[] = {{1, 16, 16}, {3, 5, 32}, {2, 100, 16}, {4, 257, 64}, {2, 300, 128}, {1, 513, 256},
                 {2, 1, 16},  {5, 96, 32}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        const size_t m = cases[i].m, k = cases[i].k;
        const uint32_t block = cases[i].block;
        const size_t stride = kern_q8_row_bytes(k, block), x_stride = k + 2;
        const size_t blocks = kern_q_blocks(k, block), used = blocks * (block + 8);
        const float *x = check_floats(t, (m - 1) * x_stride + k, -1e3, 1e3);
        uint8_t *out = check_bytes(t, (m - 1) * stride + used);
        uint8_t *again = check_bytes(t, (m - 1) * stride + used);
        struct kern_quantize_args a = {x, x_stride, again, stride, m, k, block};

        kern_quantize_rows_q8_scalar(&a);
        a.out = out;
        fn(&a);
        for (size_t r = 0; r < m; r++) {
            for (size_t b = 0; b < blocks; b++) expect_block(t, &a, r, b);
            check_same(t, out + r * stride, again + r * stride, used, "record", r, 0);
        }
        check_free(t);
    }
    check_special(t, fn);

    enum { M = 16, K = 4096 };
    const float *x = check_floats(t, M * K, -1, 1);
    void *out = check_bytes(t, M * kern_q8_row_bytes(K, 32));
    const struct kern_quantize_args a = {x, K, out, kern_q8_row_bytes(K, 32), M, K, 32};

    CHECK_BENCH(t, "16x4096/32", M * K * 5.25, M * K, fn(&a));
    check_free(t);
}
