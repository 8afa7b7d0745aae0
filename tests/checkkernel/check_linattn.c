/* SPDX-License-Identifier: MIT */
/* Linear attention against double precision. */
#include <math.h>
#include <string.h>

#include "tests/checkkernel/check.h"

struct shape {
    size_t n_tokens, n_q, dk, dv, decay_n; /* decay_n 2: one a row */
    bool delta;
};

/* The recurrence in double; state and magnitude [dk][dv]: values and the sums of the sizes of what
 * was added up in them, which bound the rounding. */
struct exact {
    double state[160 * 160], size[160 * 160];
};

static void step(struct exact *x, const struct kern_linattn_args *a, size_t t)
{
    const float *k = a->k + t * a->k_stride, *v = a->v + t * a->v_stride;
    const double beta = a->delta ? (double)a->beta[t * a->beta_stride] : 1;

    for (size_t c = 0; c < a->dv; c++) {
        double read = 0, read_size = 0;

        for (size_t i = 0; i < a->dk; i++) {
            double *s = &x->state[i * a->dv + c], *m = &x->size[i * a->dv + c];
            const double e =
                a->decay_n ? (double)a->decay[t * a->decay_stride + (a->decay_n > 1 ? i : 0)] : 1;

            *s *= e;
            *m *= e;
            read += (double)k[i] * *s;
            read_size += fabs((double)k[i]) * *m;
        }
        const double d = a->delta ? ((double)v[c] - read) * beta : (double)v[c];
        const double d_size =
            a->delta ? (fabs((double)v[c]) + read_size) * fabs(beta) : fabs((double)v[c]);

        for (size_t i = 0; i < a->dk; i++) {
            x->state[i * a->dv + c] += (double)k[i] * d;
            x->size[i * a->dv + c] += fabs((double)k[i]) * d_size;
        }
    }
}

/* Roundings on the way of an element: dk additions a read, two a token; each at most EPS of the
 * sizes summed. */
static double bound_of(const struct kern_linattn_args *a, size_t t, double size)
{
    return (double)((a->dk + 4) * (t + 1) + a->dk + 4) * EPS * size;
}

static void check_token(struct check *c, const struct exact *x, const struct kern_linattn_args *a,
                        size_t t)
{
    for (size_t h = 0; h < a->n_q; h++)
        for (size_t j = 0; j < a->dv; j++) {
            const float *q = a->q + t * a->q_stride + h * a->dk;
            double want = 0, size = 0;

            for (size_t i = 0; i < a->dk; i++) {
                want += (double)q[i] * x->state[i * a->dv + j];
                size += fabs((double)q[i]) * x->size[i * a->dv + j];
            }
            check_near(c, (double)a->out[t * a->out_stride + h * a->dv + j],
                       want * (double)a->scale, bound_of(a, t, size * (double)a->scale),
                       AT("out", t, h * a->dv + j));
        }
}

static void run_shape(struct check *t, kern_linattn_f32_fn *fn, const struct shape *s)
{
    static struct exact x;
    const size_t n = s->n_tokens, dk = s->dk, dv = s->dv;
    const size_t decay_n = s->decay_n == 2 ? dk : s->decay_n;
    struct kern_linattn_args a = { .state = check_floats(t, dk * dv, -1, 1),
                                   .q = check_floats(t, n * s->n_q * dk, -1, 1),
                                   .k = check_floats(t, n * dk, -0.3, 0.3),
                                   .v = check_floats(t, n * dv, -1, 1),
                                   .decay = check_floats(t, n * decay_n, 0.5, 1),
                                   .beta = check_floats(t, n, 0, 1),
                                   .out = check_output(t, n * s->n_q * dv),
                                   .tmp = check_output(t, dv),
                                   .q_stride = s->n_q * dk,
                                   .k_stride = dk,
                                   .v_stride = dv,
                                   .decay_stride = decay_n,
                                   .beta_stride = 1,
                                   .out_stride = s->n_q * dv,
                                   .n_tokens = n,
                                   .n_q = s->n_q,
                                   .dk = dk,
                                   .dv = dv,
                                   .decay_n = decay_n,
                                   .delta = s->delta,
                                   .scale = 0.25f };

    for (size_t i = 0; i < dk * dv; i++) {
        x.state[i] = (double)a.state[i];
        x.size[i] = fabs((double)a.state[i]);
    }
    fn(&a);
    for (size_t i = 0; i < n; i++) {
        step(&x, &a, i);
        check_token(t, &x, &a, i);
    }
    for (size_t i = 0; i < dk * dv; i++)
        check_near(t, (double)a.state[i], x.state[i], bound_of(&a, n, x.size[i]),
                   AT("state", i / dv, i % dv));
    check_free(t);
}

void check_linattn_f32(struct check *t, kern_linattn_f32_fn *fn)
{
    static const struct shape shapes[] = {
        { 1, 1, 1, 1, 0, false },   { 3, 1, 5, 7, 1, true },    { 4, 2, 16, 16, 1, true },
        { 2, 3, 8, 33, 2, true },   { 5, 1, 17, 64, 2, false }, { 3, 1, 128, 128, 1, true },
        { 2, 1, 32, 130, 0, true }, { 4, 1, 9, 15, 1, false },  { 0, 1, 4, 4, 1, true },
        { 2, 2, 64, 96, 0, false },
    };

    for (size_t i = 0; i < COUNT(shapes); i++) run_shape(t, fn, &shapes[i]);

    enum { D = 128 };
    struct kern_linattn_args a = { .state = check_floats(t, D * D, -1, 1),
                                   .q = check_floats(t, D, -1, 1),
                                   .k = check_floats(t, D, -0.01, 0.01),
                                   .v = check_floats(t, D, -1, 1),
                                   .decay = check_floats(t, 1, 0.9, 1),
                                   .beta = check_floats(t, 1, 0, 1),
                                   .out = check_output(t, D),
                                   .tmp = check_output(t, D),
                                   .n_tokens = 1,
                                   .n_q = 1,
                                   .dk = D,
                                   .dv = D,
                                   .decay_n = 1,
                                   .delta = true,
                                   .scale = 1 };
    CHECK_BENCH(t, "128x128", 4.0 * D * D * sizeof(float), 7.0 * D * D, fn(&a));
    check_free(t);
}
