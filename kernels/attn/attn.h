/* SPDX-License-Identifier: MIT */
/* Attention by online softmax over spans of keys and values (pages of a KV cache).
 *
 * One call treats all query rows that share a KV head against one span: for decode the heads of a
 * group, for prefill tokens x heads of a group, in any order; a row is a pointer offset, so nothing
 * needs to be gathered. State (m, l, acc) per row is carried from span to span by the caller:
 *
 *     kern_attn_begin(...)        m = -inf, l = 0, acc = 0  (or the head's sink: m = sink, l = 1)
 *     kern.attn_f32(&args)        once per span, in any fixed order
 *     kern.attn_merge_f32(...)    optional: joins two states of the same row (split over positions)
 *     kern.attn_finish_f32(...)   out = acc / l; a row that saw no key gives zeros
 *
 * Score of row r and key j: s = dot(q[r], k[j]) * scale; softcap c > 0: s = c * tanh(s / c);
 * then + bias[r][j]. A key counts for row r when first[r] <= j < limit[r] (indices in this span):
 * causal limit, right padding and sliding windows are all expressed so. Keys outside may hold
 * garbage, even NaN. A row's result depends on the span boundaries and its own limits only, not on
 * the rows beside it. A bias of -inf hides a key.
 *
 * Fast for head_dim a multiple of 8, right for any > 0. k and v are f32, or f16 / bf16 / i8 / i4 in
 * the slots of that name (widened when read; all arithmetic is fp32). i4: two elements a byte, low
 * nibble first, stored as q + 8; strides are even. Scales of quantised keys and values are the
 * caller's: q comes times those of the keys, and the result goes times those of the values, so that
 * here whole numbers are added up. Only n_keys keys and values are read. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct kern_attn_args {
    const float *q;  /* n_rows rows of head_dim */
    size_t q_stride; /* floats between rows */
    const void *k;   /* n_keys rows of head_dim */
    const void *v;   /* n_keys rows of v_dim */
    size_t k_stride; /* elements between keys */
    size_t v_stride; /* elements between values */
    size_t n_rows, n_keys;
    size_t head_dim, v_dim;
    const uint32_t *first; /* [n_rows], or NULL for 0 */
    const uint32_t *limit; /* [n_rows], or NULL for n_keys; larger than n_keys means n_keys */
    const float *bias;     /* bias[r * bias_stride + j], or NULL */
    size_t bias_stride;    /* floats; 0 shares one bias row among all rows */
    float scale;
    float softcap;     /* 0 for none */
    float *m, *l;      /* [n_rows] */
    float *acc;        /* n_rows rows of v_dim, not normalised */
    size_t acc_stride; /* floats between rows */
};
typedef void kern_attn_f32_fn(const struct kern_attn_args *a);
typedef void kern_attn_f16_fn(const struct kern_attn_args *a);
typedef void kern_attn_bf16_fn(const struct kern_attn_args *a);
typedef void kern_attn_i8_fn(const struct kern_attn_args *a);
typedef void kern_attn_i4_fn(const struct kern_attn_args *a);

/* State of rows between spans. */
struct kern_attn_state {
    float *m, *l;      /* [n_rows] */
    float *acc;        /* n_rows rows of v_dim */
    size_t acc_stride; /* floats */
};
/* Fresh state of n_rows rows. sink: [n_rows] logits that join the denominator only, or NULL. */
void kern_attn_begin(const struct kern_attn_state *st, size_t n_rows, size_t v_dim,
                     const float *sink);
/* Adds `from` to `to`. When there are sinks only one of the two may have begun with them. */
typedef void kern_attn_merge_f32_fn(const struct kern_attn_state *to,
                                    const struct kern_attn_state *from, size_t n_rows,
                                    size_t v_dim);
/* out: n_rows rows of v_dim, out_stride floats apart; may be acc. */
typedef void kern_attn_finish_f32_fn(float *out, size_t out_stride,
                                     const struct kern_attn_state *st, size_t n_rows, size_t v_dim);
