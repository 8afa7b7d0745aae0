/* SPDX-License-Identifier: MIT */
/* Reference of attention: one row, one key at a time. */
#include "kernels/attn/attn.h"

#include <math.h>

#include "base/base.h"
#include "kernels/kernels.h"

typedef float load_fn(const void *p, size_t i);

static float load_f32(const void *p, size_t i) { return ((const float *)p)[i]; }

static float load_f16(const void *p, size_t i) { return half_to_f32(((const uint16_t *)p)[i]); }

static float load_bf16(const void *p, size_t i) { return bf16_to_f32(((const uint16_t *)p)[i]); }

static float load_i8(const void *p, size_t i) { return ((const int8_t *)p)[i]; }

static float load_i4(const void *p, size_t i)
{
    return (float)((((const uint8_t *)p)[i / 2] >> (i % 2 ? 4 : 0) & 15) - 8);
}

static float score(const struct kern_attn_args *a, size_t r, size_t j, load_fn *load)
{
    const float *q = a->q + r * a->q_stride;
    float s = 0;

    for (size_t d = 0; d < a->head_dim; d++) s += q[d] * load(a->k, j * a->k_stride + d);
    s *= a->scale;
    if (a->softcap > 0) s = a->softcap * tanhf(s / a->softcap);
    return a->bias ? s + a->bias[r * a->bias_stride + j] : s;
}

/* Adds key j to the row's state; when the maximum grows, what is there is scaled down first. */
static void add_key(const struct kern_attn_args *a, size_t r, size_t j, float s, load_fn *load)
{
    float *acc = a->acc + r * a->acc_stride;

    if (s == -INFINITY) return;
    if (s > a->m[r]) {
        const float shrink = expf(a->m[r] - s);

        a->l[r] *= shrink;
        for (size_t d = 0; d < a->v_dim; d++) acc[d] *= shrink;
        a->m[r] = s;
    }
    const float p = expf(s - a->m[r]);

    a->l[r] += p;
    for (size_t d = 0; d < a->v_dim; d++) acc[d] += p * load(a->v, j * a->v_stride + d);
}

static void attn(const struct kern_attn_args *a, load_fn *load)
{
    for (size_t r = 0; r < a->n_rows; r++) {
        const size_t first = a->first ? a->first[r] : 0;
        const size_t limit = a->limit && a->limit[r] < a->n_keys ? a->limit[r] : a->n_keys;

        for (size_t j = first; j < limit; j++) add_key(a, r, j, score(a, r, j, load), load);
    }
}

void kern_attn_f32_scalar(const struct kern_attn_args *a) { attn(a, load_f32); }

void kern_attn_f16_scalar(const struct kern_attn_args *a) { attn(a, load_f16); }

void kern_attn_bf16_scalar(const struct kern_attn_args *a) { attn(a, load_bf16); }

void kern_attn_i8_scalar(const struct kern_attn_args *a) { attn(a, load_i8); }

void kern_attn_i4_scalar(const struct kern_attn_args *a) { attn(a, load_i4); }

void kern_attn_merge_f32_scalar(const struct kern_attn_state *to,
                                const struct kern_attn_state *from, size_t n_rows, size_t v_dim)
{
    for (size_t r = 0; r < n_rows; r++) {
        const float m = fmaxf(to->m[r], from->m[r]);

        if (from->m[r] == -INFINITY) continue;
        const float keep = expf(to->m[r] - m), take = expf(from->m[r] - m);
        float *acc = to->acc + r * to->acc_stride;

        for (size_t d = 0; d < v_dim; d++)
            acc[d] = acc[d] * keep + from->acc[r * from->acc_stride + d] * take;
        to->l[r] = to->l[r] * keep + from->l[r] * take;
        to->m[r] = m;
    }
}

void kern_attn_finish_f32_scalar(float *out, size_t out_stride, const struct kern_attn_state *st,
                                 size_t n_rows, size_t v_dim)
{
    for (size_t r = 0; r < n_rows; r++) {
        const float factor = st->l[r] == 0 ? 0.0f : 1.0f / st->l[r];

        for (size_t d = 0; d < v_dim; d++)
            out[r * out_stride + d] = st->acc[r * st->acc_stride + d] * factor;
    }
}
