/* SPDX-License-Identifier: MIT */
/* Reference of linear attention: one row of the state after the other. */
#include "kernels/linattn/linattn.h"

#include "kernels/kernels.h"

static void decay_rows(const struct kern_linattn_args *a, size_t t)
{
    const float *e = a->decay + t * a->decay_stride;

    for (size_t i = 0; a->decay_n > 0 && i < a->dk; i++)
        for (size_t c = 0; c < a->dv; c++) a->state[i * a->dv + c] *= e[a->decay_n > 1 ? i : 0];
}

/* What is written into the state: tmp. */
static void difference(const struct kern_linattn_args *a, size_t t)
{
    const float *k = a->k + t * a->k_stride, *v = a->v + t * a->v_stride;

    for (size_t c = 0; c < a->dv; c++) a->tmp[c] = 0;
    for (size_t i = 0; a->delta && i < a->dk; i++)
        for (size_t c = 0; c < a->dv; c++) a->tmp[c] += k[i] * a->state[i * a->dv + c];
    for (size_t c = 0; c < a->dv; c++)
        a->tmp[c] = a->delta ? (v[c] - a->tmp[c]) * a->beta[t * a->beta_stride] : v[c];
}

static void read_out(const struct kern_linattn_args *a, size_t t, size_t h)
{
    const float *q = a->q + t * a->q_stride + h * a->dk;
    float *out = a->out + t * a->out_stride + h * a->dv;

    for (size_t c = 0; c < a->dv; c++) out[c] = 0;
    for (size_t i = 0; i < a->dk; i++)
        for (size_t c = 0; c < a->dv; c++) out[c] += q[i] * a->state[i * a->dv + c];
    for (size_t c = 0; c < a->dv; c++) out[c] *= a->scale;
}

void kern_linattn_f32_scalar(const struct kern_linattn_args *a)
{
    for (size_t t = 0; t < a->n_tokens; t++) {
        const float *k = a->k + t * a->k_stride;

        decay_rows(a, t);
        difference(a, t);
        for (size_t i = 0; i < a->dk; i++)
            for (size_t c = 0; c < a->dv; c++) a->state[i * a->dv + c] += k[i] * a->tmp[c];
        for (size_t h = 0; h < a->n_q; h++) read_out(a, t, h);
    }
}
