/* SPDX-License-Identifier: MIT */
/* Linear attention: a head's recurrence over a matrix state, token after token.
 *
 * For each token t, with S the state [dk, dv], row i belonging to key element i:
 *
 *     S[i]   *= decay[t][i]                  decay_n 0: not; 1: one factor for all rows; dk: each
 *     d       = v[t]                         delta: (v[t] - sum_i k[t][i] S[i]) * beta[t]
 *     S[i]   += k[t][i] * d
 *     out[t]  = scale * sum_i q[t][i] S[i]   for each of n_q query heads
 *
 * Without delta, beta is not read. Summation runs over i in order, so that a column's result does
 * not depend on dv nor on the variant's width but for the rounding of FMA. Any sizes; nothing
 * overlaps. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct kern_linattn_args {
    float *state;   /* [dk, dv], read and written */
    const float *q; /* query head h of token t at t * q_stride + h * dk */
    const float *k, *v;
    const float *decay; /* factors, not their logarithms */
    const float *beta;
    float *out; /* query head h of token t at t * out_stride + h * dv */
    float *tmp; /* [dv] */
    size_t q_stride, k_stride, v_stride, decay_stride, beta_stride, out_stride; /* floats */
    size_t n_tokens, n_q, dk, dv, decay_n;
    bool delta;
    float scale;
};
typedef void kern_linattn_f32_fn(const struct kern_linattn_args *a);
