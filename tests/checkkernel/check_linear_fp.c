/* SPDX-License-Identifier: MIT */
/* Linear layers with plain weights, packed from both orders. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "tests/checkkernel/check.h"

enum kind { F32, F16, BF16 };
typedef void linear_fn(const struct kern_linear_fp_args *a);

struct shape {
    size_t m, n, k;
};

static double weight(const void *w, size_t i, enum kind kind)
{
    const uint16_t *half = w;

    if (kind == F32) return ((const float *)w)[i];
    return kind == F16 ? half_to_f32(half[i]) : bf16_to_f32(half[i]);
}

static void *random_weights(struct check *t, size_t n, enum kind kind)
{
    float *w = check_floats(t, n, -2, 2);

    if (kind == F32) return w;
    uint16_t *half = check_bytes(t, n * sizeof *half);

    for (size_t i = 0; i < n; i++)
        half[i] = kind == F16 ? half_from_f32(w[i]) : bf16_from_f32(w[i]);
    return half;
}

/* Rounded: k products and sums, joining two chains, the bias. */
static void expect(struct check *t, const struct kern_linear_fp_args *a,
                   const struct kern_plain_source *src, enum kind kind)
{
    for (size_t r = 0; r < a->m; r++)
        for (size_t n = 0; n < a->n; n++) {
            double sum = a->bias ? a->bias[n] : 0, size = fabs(sum);

            for (size_t k = 0; k < a->k; k++) {
                const double term = a->x[r * a->x_stride + k] *
                                    weight(src->w, n * src->stride_n + k * src->stride_k, kind);

                sum += term;
                size += fabs(term);
            }
            check_near(t, a->out[r * a->out_stride + n], sum, ((double)a->k + 4) * EPS * size,
                       AT("out", r, n));
        }
    for (size_t r = 0; r + 1 < a->m; r++)
        for (size_t c = a->n; c < a->out_stride; c++)
            if (!isnan(a->out[r * a->out_stride + c])) check_fail(t, "column %zu written", c);
}

static void check_shape(struct check *t, linear_fn *fn, const struct shape *s, enum kind kind,
                        bool transposed)
{
    const size_t size = kind == F32 ? 4 : 2, x_stride = s->k + 1, out_stride = s->n + 3;
    const void *w = random_weights(t, s->n * s->k, kind);
    const struct kern_plain_source src = {
        w, s->n, s->k, transposed ? 1 : s->k, transposed ? s->n : 1, size
    };
    uint8_t *packed = check_bytes(t, kern_plain_packed_bytes(s->n, s->k, size));
    const float *x = check_floats(t, (s->m - 1) * x_stride + s->k, -3, 3);
    const float *bias = s->n % 2 ? check_floats(t, s->n, -1, 1) : NULL;
    const size_t out_size = (s->m - 1) * out_stride + s->n, half = kern_panel_count(s->n) / 2;
    float *out = check_output(t, out_size), *again = check_output(t, out_size);
    struct kern_linear_fp_args a = { packed, x, x_stride, bias, out, out_stride, s->m, s->n, s->k };

    kern_pack_plain(packed, &src, 0, half);
    kern_pack_plain(packed + half * kern_plain_panel_bytes(s->k, size), &src, half,
                    kern_panel_count(s->n) - half);
    fn(&a);
    expect(t, &a, &src, kind);
    for (size_t r = 0; r < s->m; r++) {
        a.x = x + r * x_stride;
        a.out = again + r * out_stride;
        a.m = 1;
        fn(&a);
    }
    check_same(t, out, again, out_size * sizeof *out, AT("row alone: m, n", s->m, s->n));
    check_free(t);
}

static void bench(struct check *t, linear_fn *fn, enum kind kind)
{
    static const struct shape cases[] = { { 1, 4096, 2048 }, { 64, 256, 2048 } };

    for (size_t i = 0; check_bench_on(t) && i < COUNT(cases); i++) {
        const struct shape *s = &cases[i];
        const size_t bytes = kern_plain_packed_bytes(s->n, s->k, kind == F32 ? 4 : 2);
        const size_t copies = s->m > 16 ? 1 : 1 + (160u << 20) / bytes;
        uint8_t *w = check_bytes(t, copies * bytes);
        float *out = check_output(t, s->m * s->n);
        const float *x = check_floats(t, s->m * s->k, -1, 1);
        struct kern_linear_fp_args a = { w, x, s->k, NULL, out, s->n, s->m, s->n, s->k };
        char label[64];
        size_t next = 0;

        memset(w, 0x30, copies * bytes);
        snprintf(label, sizeof label, "%zux%zux%zu", s->m, s->n, s->k);
        CHECK_BENCH(t, label, bytes, 2.0 * (double)(s->m * s->n) * (double)s->k,
                    (a.w = w + next++ % copies * bytes, fn(&a)));
        check_free(t);
    }
}

static void check_kind(struct check *t, linear_fn *fn, enum kind kind)
{
    static const struct shape shapes[] = { { 1, 1, 1 },    { 1, 16, 8 },  { 3, 17, 33 },
                                           { 9, 48, 64 },  { 13, 31, 7 }, { 8, 33, 100 },
                                           { 5, 64, 257 }, { 22, 9, 40 } };

    for (size_t i = 0; i < COUNT(shapes); i++) {
        check_shape(t, fn, &shapes[i], kind, false);
        check_shape(t, fn, &shapes[i], kind, true);
    }
    bench(t, fn, kind);
}

void check_linear_f32(struct check *t, kern_linear_f32_fn *fn) { check_kind(t, fn, F32); }

void check_linear_f16(struct check *t, kern_linear_f16_fn *fn) { check_kind(t, fn, F16); }

void check_linear_bf16(struct check *t, kern_linear_bf16_fn *fn) { check_kind(t, fn, BF16); }
