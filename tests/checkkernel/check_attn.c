/* SPDX-License-Identifier: MIT */
/* Attention over spans, against softmax in double over all keys at once. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "tests/checkkernel/check.h"

enum kind { F32, F16, BF16, I8, I4 };
typedef void attn_fn(const struct kern_attn_args *a);

struct shape {
    size_t rows, keys, head_dim, v_dim, span;
};
struct options {
    float softcap;
    bool ranges, bias, sinks;
};

/* Everything of one case: keys and values are stored as `kind`. */
struct problem {
    const struct shape *s;
    struct options o;
    enum kind kind;
    float scale;
    const float *q, *bias, *sink;
    uint8_t *k, *v;
    size_t k_stride, v_stride, q_stride;
    uint32_t *first, *limit;
};

/* Bytes of n elements; nibbles begin and end at bytes. */
static size_t bytes_of(size_t n, enum kind kind)
{
    if (kind == I4) return (n + 1) / 2;
    return kind == I8 ? n : kind == F32 ? 4 * n : 2 * n;
}

static double element(const void *p, size_t i, enum kind kind)
{
    const uint16_t *half = p;

    if (kind == F32) return ((const float *)p)[i];
    if (kind == I8) return ((const int8_t *)p)[i];
    if (kind == I4) return (((const uint8_t *)p)[i / 2] >> 4 * (i % 2) & 15) - 8;
    return kind == F16 ? half_to_f32(half[i]) : bf16_to_f32(half[i]);
}

static uint8_t *random_cache(struct check *t, size_t n, enum kind kind)
{
    if (kind == I8 || kind == I4) return check_random_bytes(t, bytes_of(n, kind));
    float *x = check_floats(t, n, -2, 2);

    if (kind == F32) return (uint8_t *)x;
    uint16_t *half = check_bytes(t, n * sizeof *half);

    for (size_t i = 0; i < n; i++)
        half[i] = kind == F16 ? half_from_f32(x[i]) : bf16_from_f32(x[i]);
    return (uint8_t *)half;
}

static struct problem make_problem(struct check *t, const struct shape *s, struct options o,
                                   enum kind kind)
{
    struct problem p = { .s = s, .o = o, .kind = kind, .scale = 0.7f / sqrtf((float)s->head_dim) };

    p.q_stride = s->head_dim + 1;
    p.k_stride = s->head_dim + 3;
    p.v_stride = s->v_dim + 2;
    if (kind == I8) p.scale /= 64; /* whole numbers are larger */
    if (kind == I4) {
        p.scale /= 4;
        p.k_stride += p.k_stride % 2;
        p.v_stride += p.v_stride % 2;
    }
    p.q = check_floats(t, (s->rows - 1) * p.q_stride + s->head_dim, -3, 3);
    p.k = random_cache(t, (s->keys - 1) * p.k_stride + s->head_dim, kind);
    p.v = random_cache(t, (s->keys - 1) * p.v_stride + s->v_dim, kind);
    if (o.bias) p.bias = check_floats(t, s->rows * s->keys, -2, 2);
    if (o.sinks) p.sink = check_floats(t, s->rows, -2, 3);
    p.first = check_bytes(t, s->rows * sizeof *p.first);
    p.limit = check_bytes(t, s->rows * sizeof *p.limit);
    for (size_t r = 0; r < s->rows; r++) { /* some rows see nothing */
        const uint32_t x = (uint32_t)(check_random(t) % (s->keys + 1));
        const uint32_t y = (uint32_t)(check_random(t) % (s->keys + 1));

        p.first[r] = o.ranges ? (x < y ? x : y) : 0;
        p.limit[r] = o.ranges ? (x < y ? y : x) : (uint32_t)s->keys;
    }
    return p;
}

/* Score and the bound of its error: the dot product (d + 1 roundings), the scale, softcap (slope at
 * most 1; tanh 4 ulp) and the bias. */
static double score(const struct problem *p, size_t r, size_t j, double *off)
{
    double dot = 0, size = 0;

    for (size_t d = 0; d < p->s->head_dim; d++) {
        const double term = p->q[r * p->q_stride + d] * element(p->k, j * p->k_stride + d, p->kind);

        dot += term;
        size += fabs(term);
    }
    double s = dot * p->scale;

    *off = ((double)p->s->head_dim + 2) * EPS * size * p->scale;
    if (p->o.softcap > 0) {
        s = p->o.softcap * tanh(s / p->o.softcap);
        *off += 12 * EPS * fabs(s);
    }
    if (p->bias) s += p->bias[r * p->s->keys + j];
    *off += EPS * fabs(s);
    return s;
}

/* A weight exp(s - m) is off by its score's error, one rounding of the difference, exp's 2 ulp, and
 * 3 ulp for each of the n chunks' rescalings; numerator and denominator each add n roundings. */
static void expect_row(struct check *t, const struct problem *p, const float *out, size_t r)
{
    const size_t first = p->first[r], limit = p->limit[r], n = limit - first;
    double s[600], most = p->sink ? p->sink[r] : -INFINITY, worst = 0, sum = 0;

    for (size_t j = first; j < limit; j++) {
        double off;

        s[j] = score(p, r, j, &off);
        most = fmax(most, s[j]);
        worst = fmax(worst, off + EPS * fabs(s[j]));
    }
    if (p->sink) sum = exp(p->sink[r] - most);
    for (size_t j = first; j < limit; j++) sum += exp(s[j] - most);
    worst += 2 * EPS * fabs(most);
    for (size_t d = 0; d < p->s->v_dim; d++) {
        double acc = 0, size = 0;

        for (size_t j = first; j < limit; j++) {
            const double term = exp(s[j] - most) * element(p->v, j * p->v_stride + d, p->kind);

            acc += term;
            size += fabs(term);
        }
        const double want = sum > 0 ? acc / sum : 0;
        const double bound = (2 * worst + (8 * (double)n + 20) * EPS) * (sum > 0 ? size / sum : 0);

        check_near(t, out[d], want, bound, AT("out", r, d));
    }
}

/* All spans of rows [row0, row0 + n), then the division. */
static void run(struct check *t, attn_fn *fn, const struct problem *p, size_t row0, size_t n,
                float *out)
{
    const struct shape *s = p->s;
    const size_t acc_stride = s->v_dim + 1;
    float *m = check_output(t, n), *l = check_output(t, n);
    float *acc = check_output(t, (n - 1) * acc_stride + s->v_dim);
    uint32_t *first = check_bytes(t, n * sizeof *first), *limit = check_bytes(t, n * sizeof *limit);
    const struct kern_attn_state state = { m, l, acc, acc_stride };

    kern_attn_begin(&state, n, s->v_dim, p->sink ? p->sink + row0 : NULL);
    for (size_t at = 0; at < s->keys; at += s->span) {
        struct kern_attn_args a = { .q = p->q + row0 * p->q_stride,
                                    .q_stride = p->q_stride,
                                    .k = p->k + bytes_of(at * p->k_stride, p->kind),
                                    .v = p->v + bytes_of(at * p->v_stride, p->kind),
                                    .k_stride = p->k_stride,
                                    .v_stride = p->v_stride,
                                    .n_rows = n,
                                    .n_keys = s->keys - at < s->span ? s->keys - at : s->span,
                                    .head_dim = s->head_dim,
                                    .v_dim = s->v_dim,
                                    .scale = p->scale,
                                    .softcap = p->o.softcap,
                                    .m = m,
                                    .l = l,
                                    .acc = acc,
                                    .acc_stride = acc_stride };

        if (p->bias) a.bias = p->bias + row0 * s->keys + at;
        a.bias_stride = s->keys;
        for (size_t r = 0; r < n; r++) {
            const size_t lo = p->first[row0 + r], hi = p->limit[row0 + r];

            first[r] = (uint32_t)(lo > at ? lo - at : 0);
            limit[r] = (uint32_t)(hi > at ? hi - at : 0);
        }
        if (p->o.ranges) {
            a.first = first;
            a.limit = limit;
        }
        fn(&a);
    }
    kern_attn_finish_f32_scalar(out, s->v_dim, &state, n, s->v_dim);
}

static void check_case(struct check *t, attn_fn *fn, const struct shape *s, struct options o,
                       enum kind kind)
{
    const struct problem p = make_problem(t, s, o, kind);
    float *out = check_output(t, s->rows * s->v_dim), *one = check_output(t, s->v_dim);

    run(t, fn, &p, 0, s->rows, out);
    for (size_t r = 0; r < s->rows; r++) expect_row(t, &p, out + r * s->v_dim, r);
    for (size_t r = 0; r < s->rows && r < 3; r++) {
        run(t, fn, &p, s->rows - 1 - r, 1, one);
        check_same(t, one, out + (s->rows - 1 - r) * s->v_dim, s->v_dim * sizeof *one,
                   AT("row alone", r, s->rows));
    }
    check_free(t);
}

/* Keys out of a row's sight may be NaN; a NaN in sight must show, where there is such a thing. */
static void check_garbage(struct check *t, attn_fn *fn, enum kind kind)
{
    static const struct shape s = { 6, 50, 24, 24, 50 };
    const struct options o = { .ranges = true };
    const int last = kind == I8 || kind == I4 ? 0 : 1;

    for (int in_sight = 0; in_sight <= last; in_sight++) {
        const struct problem p = make_problem(t, &s, o, kind);
        float *out = check_output(t, s.rows * s.v_dim);

        for (size_t r = 0; r < s.rows; r++) {
            p.first[r] = 10;
            p.limit[r] = (uint32_t)(11 + r);
        }
        for (size_t j = 0; j < s.keys; j++) {
            if (in_sight ? j != 10 : j >= 10 && j < 16) continue;
            memset(p.k + bytes_of(j * p.k_stride, kind), 0xff, bytes_of(s.head_dim, kind));
            memset(p.v + bytes_of(j * p.v_stride, kind), 0xff, bytes_of(s.v_dim, kind));
        }
        run(t, fn, &p, 0, s.rows, out);
        for (size_t r = 0; r < s.rows; r++) {
            if (!in_sight) expect_row(t, &p, out + r * s.v_dim, r);
            if (in_sight && !isnan(out[r * s.v_dim])) check_fail(t, "NaN key hidden in row %zu", r);
        }
        check_free(t);
    }
}

/* Decode of a group of 4 heads and prefill of 64 tokens x 4 heads, 64-key pages of a long context.
 */
static void bench(struct check *t, attn_fn *fn, enum kind kind)
{
    static const struct shape cases[] = { { 4, 64, 64, 64, 64 },
                                          { 4, 64, 128, 128, 64 },
                                          { 256, 64, 64, 64, 64 },
                                          { 256, 64, 128, 128, 64 } };

    for (size_t i = 0; check_bench_on(t) && i < COUNT(cases); i++) {
        const struct shape *s = &cases[i];
        const size_t d = s->head_dim, page = bytes_of(s->keys * d, kind);
        const size_t pages = s->rows > 16 ? 1 : (160u << 20) / page;
        uint8_t *cache = check_bytes(t, (pages + 1) * page);
        float *m = check_output(t, s->rows), *l = check_output(t, s->rows);
        float *acc = check_output(t, s->rows * d);
        struct kern_attn_args a = { .q = check_floats(t, s->rows * d, -1, 1),
                                    .q_stride = d,
                                    .k_stride = d,
                                    .v_stride = d,
                                    .n_rows = s->rows,
                                    .n_keys = s->keys,
                                    .head_dim = d,
                                    .v_dim = d,
                                    .scale = 0.1f,
                                    .m = m,
                                    .l = l,
                                    .acc = acc,
                                    .acc_stride = d };
        char label[64];
        size_t at = 0;

        memset(cache, 0x30, (pages + 1) * page);
        kern_attn_begin(&(struct kern_attn_state){ m, l, acc, d }, s->rows, d, NULL);
        snprintf(label, sizeof label, "%zu rows x %zu keys x %zu", s->rows, s->keys, d);
        CHECK_BENCH(t, label, 2 * page, 4.0 * (double)(s->rows * s->keys * d),
                    (a.k = cache + at % pages * page, a.v = cache + (at + 1) % (pages + 1) * page,
                     at += 2, fn(&a)));
        check_free(t);
    }
}

static void check_attn(struct check *t, attn_fn *fn, enum kind kind)
{
    static const struct shape shapes[] = {
        { 1, 1, 8, 8, 64 },      { 4, 70, 64, 64, 64 },     { 7, 33, 128, 128, 33 },
        { 3, 130, 80, 96, 64 },  { 35, 40, 16, 16, 16 },    { 2, 64, 5, 3, 64 },
        { 66, 100, 20, 12, 50 }, { 1, 300, 256, 256, 128 }, { 5, 31, 150, 140, 31 },
        { 16, 128, 32, 32, 64 },
    };
    static const struct options sets[] = {
        { 0, false, false, false }, { 0, true, false, false }, { 5, false, false, false },
        { 0, false, true, false },  { 0, true, false, true },  { 3, true, true, true },
    };

    for (size_t i = 0; i < COUNT(shapes); i++)
        for (size_t o = 0; o < COUNT(sets); o++) check_case(t, fn, &shapes[i], sets[o], kind);
    check_garbage(t, fn, kind);
    bench(t, fn, kind);
}

void check_attn_f32(struct check *t, kern_attn_f32_fn *fn) { check_attn(t, fn, F32); }

void check_attn_f16(struct check *t, kern_attn_f16_fn *fn) { check_attn(t, fn, F16); }

void check_attn_bf16(struct check *t, kern_attn_bf16_fn *fn) { check_attn(t, fn, BF16); }

void check_attn_i8(struct check *t, kern_attn_i8_fn *fn) { check_attn(t, fn, I8); }

void check_attn_i4(struct check *t, kern_attn_i4_fn *fn) { check_attn(t, fn, I4); }

/* ---- states ---- */

static struct kern_attn_state random_state(struct check *t, size_t rows, size_t dim)
{
    return (struct kern_attn_state){ check_floats(t, rows, -5, 5), check_floats(t, rows, 1, 9),
                                     check_floats(t, rows * dim, -3, 3), dim };
}

/* The factors exp(m - max) are off by the difference's rounding and exp's 2 ulp; then two products
 * and a sum. */
void check_attn_merge_f32(struct check *t, kern_attn_merge_f32_fn *fn)
{
    static const size_t dims[] = { 1, 8, 17, 64, 100 };

    for (size_t i = 0; i < COUNT(dims); i++) {
        enum { N = 5 };
        const size_t dim = dims[i];
        struct kern_attn_state to = random_state(t, N, dim), from = random_state(t, N, dim);
        struct kern_attn_state was = random_state(t, N, dim);

        to.m[1] = -INFINITY; /* nothing yet on one side, on the other, on both */
        from.m[2] = -INFINITY;
        to.m[3] = from.m[3] = -INFINITY;
        to.l[1] = from.l[2] = to.l[3] = from.l[3] = 0;
        for (size_t d = 0; d < dim; d++)
            to.acc[dim + d] = from.acc[2 * dim + d] = to.acc[3 * dim + d] = from.acc[3 * dim + d] =
                0;
        memcpy(was.m, to.m, N * sizeof(float));
        memcpy(was.l, to.l, N * sizeof(float));
        memcpy(was.acc, to.acc, N * dim * sizeof(float));
        fn(&to, &from, N, dim);
        for (size_t r = 0; r < N; r++) {
            const double m = fmax(was.m[r], from.m[r]);
            const double keep = m == -INFINITY ? 0 : exp(was.m[r] - m);
            const double take = m == -INFINITY ? 0 : exp(from.m[r] - m);
            const double off = (10 + 8) * EPS;

            check_near(t, to.m[r], m, 0, AT("m", r, dim));
            check_near(t, to.l[r], was.l[r] * keep + from.l[r] * take,
                       off * (was.l[r] * keep + from.l[r] * take), AT("l", r, dim));
            for (size_t d = 0; d < dim; d++) {
                const double x = was.acc[r * dim + d] * keep, y = from.acc[r * dim + d] * take;

                check_near(t, to.acc[r * dim + d], x + y, off * (fabs(x) + fabs(y)),
                           AT("acc", r, d));
            }
        }
        check_free(t);
    }
}

void check_attn_finish_f32(struct check *t, kern_attn_finish_f32_fn *fn)
{
    static const size_t dims[] = { 1, 8, 17, 64, 100 };

    for (size_t i = 0; i < COUNT(dims); i++) {
        enum { N = 4 };
        const size_t dim = dims[i], stride = dim + 2;
        const struct kern_attn_state st = random_state(t, N, dim);
        float *out = check_output(t, (N - 1) * stride + dim);

        st.l[2] = 0;
        memset(st.acc + 2 * dim, 0, dim * sizeof(float));
        fn(out, stride, &st, N, dim);
        for (size_t r = 0; r < N; r++)
            for (size_t d = 0; d < dim; d++) {
                const double want = r == 2 ? 0 : (double)st.acc[r * dim + d] / st.l[r];

                check_near(t, out[r * stride + d], want, 2.1 * EPS * fabs(want), AT("out", r, d));
            }
        fn(st.acc, dim, &st, N, dim); /* in place */
        for (size_t r = 0; r < N; r++)
            check_same(t, st.acc + r * dim, out + r * stride, dim * sizeof *out,
                       AT("in place", r, dim));
        check_free(t);
    }
}
