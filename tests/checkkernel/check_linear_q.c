/* SPDX-License-Identifier: MIT */
/* Block-quantised linear layers: reference from the unpacked ONNX form, so packing is checked too.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/quantize/q8_tile.h"
#include "tests/checkkernel/check.h"

struct shape {
    size_t m, n, k;
    uint32_t block;
};
static const struct shape shapes[] = {
    { 1, 16, 32, 32 },   { 1, 1, 16, 16 },   { 1, 5, 7, 32 },      { 3, 17, 33, 16 },
    { 2, 40, 100, 64 },  { 9, 48, 64, 32 },  { 13, 31, 300, 128 }, { 5, 16, 257, 256 },
    { 8, 33, 512, 256 }, { 1, 100, 96, 32 }, { 7, 3, 130, 16 },    { 20, 20, 72, 32 },
    { 4, 16, 31, 16 },   { 6, 64, 128, 64 },
};

/* A matrix in ONNX form with random contents, and packed. */
struct matrix {
    struct kern_qshape shape;
    struct kern_qsource src;
    uint8_t *packed;
};

static struct matrix make_matrix(struct check *t, const struct shape *s, uint8_t bits, uint8_t zp)
{
    struct matrix w = { .shape = { s->n, s->k, s->block, bits, zp } };
    const size_t blocks = kern_q_blocks(s->k, s->block), total = s->n * blocks;

    if (!kern_qshape_ok(&w.shape)) check_fail(t, "shape refused");
    w.src.b = check_random_bytes(t, total * s->block * bits / 8);
    w.src.scales = check_floats(t, total, -0.1, 0.1);
    if (zp == KERN_ZP_U8)
        w.src.zp_u8 = check_random_bytes(t, bits == 8 ? total : s->n * ((blocks + 1) / 2));
    if (zp == KERN_ZP_F32) w.src.zp_f32 = check_floats(t, total, 0, bits == 4 ? 15 : 255);
    w.packed = check_bytes(t, kern_q_packed_bytes(&w.shape));

    /* in two parts, as threads would */
    const size_t panels = kern_panel_count(s->n), half = panels / 2;

    kern_pack_q(w.packed, &w.shape, &w.src, 0, half);
    kern_pack_q(w.packed + half * kern_q_panel_bytes(&w.shape), &w.shape, &w.src, half,
                panels - half);
    return w;
}

static double centred(const struct matrix *w, size_t n, size_t k)
{
    const struct kern_qshape *s = &w->shape;
    const size_t blocks = kern_q_blocks(s->k, s->block), b = k / s->block, i = k % s->block;
    const uint8_t *blob = w->src.b + (n * blocks + b) * s->block * s->bits / 8;
    const int q = s->bits == 8 ? blob[i] : i % 2 ? blob[i / 2] >> 4 : blob[i / 2] & 15;
    double zp = s->bits == 8 ? 128 : 8;

    if (s->zp == KERN_ZP_E2M1) { /* sign, two bits of exponent, one of mantissa */
        const int e = q >> 1 & 3, m = q & 1;
        const double size = e ? ldexp(1 + m * 0.5, e - 1) : m * 0.5;

        return q & 8 ? -size : size;
    }
    if (s->zp == KERN_ZP_F32) zp = w->src.zp_f32[n * blocks + b];
    if (s->zp == KERN_ZP_U8 && s->bits == 8) zp = w->src.zp_u8[n * blocks + b];
    if (s->zp == KERN_ZP_U8 && s->bits == 4) {
        const uint8_t both = w->src.zp_u8[n * ((blocks + 1) / 2) + b / 2];

        zp = b % 2 ? both >> 4 : both & 15;
    }
    return q - zp;
}

static double weight_scale(const struct matrix *w, size_t n, size_t k)
{
    return w->src.scales[n * kern_q_blocks(w->shape.k, w->shape.block) + k / w->shape.block];
}

/* ---- int8 activations ---- */

typedef void a8_fn(const struct kern_linear_a8_args *a);

static struct q8_tile tile_of(const struct kern_linear_a8_args *a, size_t r)
{
    const size_t r0 = r / KERN_Q8_TILE * KERN_Q8_TILE;
    const uint8_t *base = (const uint8_t *)a->x + r0 * kern_q8_row_bytes(a->k, a->block);

    return q8_tile_at(base, q8_tile_rows(a->m, r), kern_q_blocks(a->k, a->block), a->block);
}

/* Each product of a block is an exact integer. Rounded: the two scales' product, one FMA per block,
 * the bias: (blocks + 3) eps of the sum of magnitudes. */
static void expect_a8(struct check *t, const struct kern_linear_a8_args *a, const struct matrix *w)
{
    const size_t blocks = kern_q_blocks(a->k, a->block);

    for (size_t r = 0; r < a->m; r++)
        for (size_t n = 0; n < a->n; n++) {
            const struct q8_tile tile = tile_of(a, r);
            const size_t rows = q8_tile_rows(a->m, r), i = r % KERN_Q8_TILE;
            double sum = a->bias ? a->bias[n] : 0, size = fabs(sum);

            for (size_t b = 0; b < blocks; b++) {
                const size_t k0 = b * a->block;
                double dot = 0;

                for (size_t k = k0; k < k0 + a->block && k < a->k; k++)
                    dot += tile.q[(k / 4 * rows + i) * 4 + k % 4] * centred(w, n, k);
                dot *= (double)tile.scale[b * rows + i] * weight_scale(w, n, k0);
                sum += dot;
                size += fabs(dot);
            }
            check_near(t, a->out[r * a->out_stride + n], sum, ((double)blocks + 3) * EPS * size,
                       AT("out", r, n));
        }
}

static void expect_untouched(struct check *t, const float *out, size_t stride, size_t m, size_t n)
{
    for (size_t r = 0; r + 1 < m; r++)
        for (size_t c = n; c < stride; c++)
            if (!isnan(out[r * stride + c])) check_fail(t, "column %zu past n = %zu written", c, n);
}

static void check_a8_shape(struct check *t, a8_fn *fn, a8_fn *reference, const struct shape *s,
                           uint8_t bits, uint8_t zp)
{
    const struct matrix w = make_matrix(t, s, bits, zp);
    const size_t stride = kern_q8_row_bytes(s->k, s->block), out_stride = s->n + 3;
    const float *x = check_floats(t, s->m * s->k, -3, 3);
    const float *bias = s->n % 2 ? check_floats(t, s->n, -1, 1) : NULL;
    const size_t out_size = (s->m - 1) * out_stride + s->n;
    float *out = check_output(t, out_size), *again = check_output(t, out_size);
    void *rows = check_bytes(t, s->m * stride);
    struct kern_quantize_args quantize = { x, s->k, rows, s->m, 0, s->m, s->k, s->block };
    struct kern_linear_a8_args a = { w.packed, rows, bias, out,      out_stride,
                                     s->m,     s->n, s->k, s->block, zp };

    kern_quantize_rows_q8_scalar(&quantize);
    fn(&a);
    expect_a8(t, &a, &w);
    expect_untouched(t, out, out_stride, s->m, s->n);
    a.out = again;
    reference(&a);
    check_same(t, out, again, out_size * sizeof *out, AT("against scalar: m, n", s->m, s->n));
    for (size_t r = 0; r < s->m; r++) { /* row by row: the same bits whatever m is */
        quantize.x = x + r * s->k;
        quantize.m = quantize.count = a.m = 1;
        kern_quantize_rows_q8_scalar(&quantize);
        a.out = again + r * out_stride;
        fn(&a);
    }
    check_same(t, out, again, out_size * sizeof *out, AT("row alone: m, n", s->m, s->n));
    check_free(t);
}

/* The largest integers there are: saturation anywhere would show. */
static void check_a8_extremes(struct check *t, a8_fn *fn, uint8_t bits, uint8_t zp)
{
    static const float signs[] = { 1, -1 };
    const struct shape s = { 2, 16, 256, 256 };

    for (size_t i = 0; i < COUNT(signs); i++) {
        struct matrix w = make_matrix(t, &s, bits, zp);
        const size_t stride = kern_q8_row_bytes(s.k, s.block);
        float *x = check_floats(t, s.m * s.k, 0, 1), *out = check_output(t, s.m * s.n);
        void *rows = check_bytes(t, s.m * stride);
        const struct kern_quantize_args quantize = { x, s.k, rows, s.m, 0, s.m, s.k, s.block };
        const struct kern_linear_a8_args a = { w.packed, rows, NULL, out,     s.n,
                                               s.m,      s.n,  s.k,  s.block, zp };

        for (size_t k = 0; k < s.m * s.k; k++) x[k] = signs[i];
        memset((uint8_t *)(uintptr_t)w.src.b, 0xff, s.n * s.k * bits / 8);
        if (w.src.zp_u8) memset((uint8_t *)(uintptr_t)w.src.zp_u8, 0, bits == 8 ? s.n : s.n);
        kern_pack_q(w.packed, &w.shape, &w.src, 0, 1);
        kern_quantize_rows_q8_scalar(&quantize);
        fn(&a);
        expect_a8(t, &a, &w);
        check_free(t);
    }
}

/* Weights well past the caches for one row; in cache for many. Contents do not matter to speed. */
static void bench_a8(struct check *t, a8_fn *fn, uint8_t bits)
{
    static const struct shape cases[] = {
        { 1, 8192, 2048, 32 },  { 1, 8192, 2048, 128 }, { 4, 8192, 2048, 32 },
        { 8, 8192, 2048, 32 },  { 1, 151936, 896, 32 }, { 64, 512, 2048, 32 },
        { 64, 512, 2048, 128 }, { 128, 128, 8192, 32 },
    };

    for (size_t i = 0; check_bench_on(t) && i < COUNT(cases); i++) {
        const struct shape *s = &cases[i];
        const struct kern_qshape shape = { s->n, s->k, s->block, bits, KERN_ZP_NONE };
        const size_t bytes = kern_q_packed_bytes(&shape),
                     stride = kern_q8_row_bytes(s->k, s->block);
        const size_t copies = s->m > 16 ? 1 : 1 + (160u << 20) / bytes;
        const uint8_t *w = check_random_bytes(t, copies * bytes);
        void *rows = check_bytes(t, s->m * stride);
        float *out = check_output(t, s->m * s->n);
        const float *x = check_floats(t, s->m * s->k, -1, 1);
        const struct kern_quantize_args quantize = { x, s->k, rows, s->m, 0, s->m, s->k, s->block };
        struct kern_linear_a8_args a = { w,    rows, NULL, out,      s->n,
                                         s->m, s->n, s->k, s->block, KERN_ZP_NONE };
        char label[64];
        size_t next = 0;

        kern.quantize_rows_q8(&quantize);
        snprintf(label, sizeof label, "%zux%zux%zu/%u", s->m, s->n, s->k, s->block);
        CHECK_BENCH(t, label, bytes, 2.0 * (double)(s->m * s->n) * (double)s->k,
                    (a.w = w + next++ % copies * bytes, fn(&a)));
        check_free(t);
    }
}

static void check_a8(struct check *t, a8_fn *fn, a8_fn *reference, uint8_t bits)
{
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (uint8_t zp = KERN_ZP_NONE; zp <= KERN_ZP_U8; zp++)
            check_a8_shape(t, fn, reference, &shapes[i], bits, zp);
    check_a8_extremes(t, fn, bits, KERN_ZP_NONE);
    check_a8_extremes(t, fn, bits, KERN_ZP_U8);
    bench_a8(t, fn, bits);
}

void check_linear_q4_a8(struct check *t, kern_linear_q4_a8_fn *fn)
{
    check_a8(t, fn, kern_linear_q4_a8_scalar, 4);
}

void check_linear_q8_a8(struct check *t, kern_linear_q8_a8_fn *fn)
{
    check_a8(t, fn, kern_linear_q8_a8_scalar, 8);
}

/* ---- float activations ---- */

typedef void qf_fn(const struct kern_linear_qf_args *a);

/* Rounded: q - zp, each product and sum of a block, the scale, the sum over blocks, the bias. */
static void expect_qf(struct check *t, const struct kern_linear_qf_args *a, const struct matrix *w)
{
    const double steps = a->block + (double)kern_q_blocks(a->k, a->block) + 5;

    for (size_t r = 0; r < a->m; r++)
        for (size_t n = 0; n < a->n; n++) {
            double sum = a->bias ? a->bias[n] : 0, size = fabs(sum);

            for (size_t k = 0; k < a->k; k++) {
                const double term =
                    a->x[r * a->x_stride + k] * centred(w, n, k) * weight_scale(w, n, k);

                sum += term;
                size += fabs(term);
            }
            check_near(t, a->out[r * a->out_stride + n], sum, steps * EPS * size, AT("out", r, n));
        }
}

static void check_qf_shape(struct check *t, qf_fn *fn, const struct shape *s, uint8_t bits,
                           uint8_t zp)
{
    const struct matrix w = make_matrix(t, s, bits, zp);
    const size_t x_stride = s->k + 1, out_stride = s->n + 3;
    const float *x = check_floats(t, (s->m - 1) * x_stride + s->k, -3, 3);
    const float *bias = s->n % 2 ? check_floats(t, s->n, -1, 1) : NULL;
    const size_t out_size = (s->m - 1) * out_stride + s->n;
    float *out = check_output(t, out_size), *again = check_output(t, out_size);
    struct kern_linear_qf_args a = { w.packed, x,    x_stride, bias,     out, out_stride,
                                     s->m,     s->n, s->k,     s->block, zp };

    fn(&a);
    expect_qf(t, &a, &w);
    expect_untouched(t, out, out_stride, s->m, s->n);
    for (size_t r = 0; r < s->m; r++) {
        a.x = x + r * x_stride;
        a.out = again + r * out_stride;
        a.m = 1;
        fn(&a);
    }
    check_same(t, out, again, out_size * sizeof *out, AT("row alone: m, n", s->m, s->n));
    check_free(t);
}

static void bench_qf(struct check *t, qf_fn *fn, uint8_t bits)
{
    static const struct shape cases[] = {
        { 1, 8192, 2048, 32 }, { 4, 8192, 2048, 32 }, { 64, 512, 2048, 32 }, { 64, 512, 2048, 128 }
    };

    for (size_t i = 0; check_bench_on(t) && i < COUNT(cases); i++) {
        const struct shape *s = &cases[i];
        const struct kern_qshape shape = { s->n, s->k, s->block, bits, KERN_ZP_NONE };
        const size_t bytes = kern_q_packed_bytes(&shape);
        const size_t copies = s->m > 16 ? 1 : 1 + (160u << 20) / bytes;
        const uint8_t *w = check_random_bytes(t, copies * bytes);
        float *out = check_output(t, s->m * s->n);
        const float *x = check_floats(t, s->m * s->k, -1, 1);
        struct kern_linear_qf_args a = { w,    x,    s->k, NULL,     out,         s->n,
                                         s->m, s->n, s->k, s->block, KERN_ZP_NONE };
        char label[64];
        size_t next = 0;

        snprintf(label, sizeof label, "%zux%zux%zu/%u", s->m, s->n, s->k, s->block);
        CHECK_BENCH(t, label, bytes, 2.0 * (double)(s->m * s->n) * (double)s->k,
                    (a.w = w + next++ % copies * bytes, fn(&a)));
        check_free(t);
    }
}

/* The operator's published example: A = 0..127 as [8, 16], B bytes 1..64, scales 0..7. */
static void check_published(struct check *t, qf_fn *fn)
{
    static const float row0[] = { 0, -385, -1120, -963, -1984, -1285, -2592, -1351 };
    static const float row7[] = { 0, -5201, -19936, -12723, -36032, -16405, -48288, -16247 };
    const struct kern_qshape shape = { 8, 16, 16, 4, KERN_ZP_NONE };
    float *x = check_floats(t, 128, 0, 1), *scales = check_floats(t, 8, 0, 1);
    float *out = check_output(t, 64);
    uint8_t *b = check_random_bytes(t, 64), *packed = check_bytes(t, kern_q_packed_bytes(&shape));
    const struct kern_qsource src = { .b = b, .scales = scales };
    const struct kern_linear_qf_args a = {
        packed, x, 16, NULL, out, 8, 8, 8, 16, 16, KERN_ZP_NONE
    };

    for (size_t i = 0; i < 128; i++) x[i] = (float)i;
    for (size_t i = 0; i < 64; i++) b[i] = (uint8_t)(i + 1);
    for (size_t i = 0; i < 8; i++) scales[i] = (float)i;
    kern_pack_q(packed, &shape, &src, 0, 1);
    fn(&a);
    check_same(t, out, row0, sizeof row0, AT("published example", 0, 0));
    check_same(t, out + 56, row7, sizeof row7, AT("published example", 7, 0));
    check_free(t);
}

static void check_qf(struct check *t, qf_fn *fn, uint8_t bits)
{
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (uint8_t zp = KERN_ZP_NONE; zp <= (bits == 4 ? KERN_ZP_E2M1 : KERN_ZP_F32); zp++)
            check_qf_shape(t, fn, &shapes[i], bits, zp);
    bench_qf(t, fn, bits);
}

void check_linear_q4_f32(struct check *t, kern_linear_q4_f32_fn *fn)
{
    check_published(t, fn);
    check_qf(t, fn, 4);
}

void check_linear_q8_f32(struct check *t, kern_linear_q8_f32_fn *fn) { check_qf(t, fn, 8); }

/* ---- dequantised panels ---- */

typedef void dequant_fn(const struct kern_dequant_panel_args *a);

static void check_dequant(struct check *t, dequant_fn *fn, uint8_t bits)
{
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (uint8_t zp = KERN_ZP_NONE; zp <= (bits == 4 ? KERN_ZP_E2M1 : KERN_ZP_F32); zp++) {
            const struct shape *s = &shapes[i];
            const struct matrix w = make_matrix(t, s, bits, zp);
            const size_t stride = s->n + 5;
            float *out = check_output(t, (s->k - 1) * stride + s->n);
            const struct kern_dequant_panel_args a = { w.packed, out,      stride, s->n,
                                                       s->k,     s->block, zp };

            fn(&a);
            for (size_t k = 0; k < s->k; k++)
                for (size_t n = 0; n < s->n; n++) {
                    const double want = centred(&w, n, k) * weight_scale(&w, n, k);

                    check_near(t, out[k * stride + n], want, 3 * EPS * fabs(want),
                               AT("weight", k, n));
                }
            expect_untouched(t, out, stride, s->k, s->n);
            check_free(t);
        }
}

void check_dequant_panel_q4(struct check *t, kern_dequant_panel_q4_fn *fn)
{
    check_dequant(t, fn, 4);
}

void check_dequant_panel_q8(struct check *t, kern_dequant_panel_q8_fn *fn)
{
    check_dequant(t, fn, 8);
}
