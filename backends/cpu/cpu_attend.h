/* SPDX-License-Identifier: MIT */
/* Attention of some query rows over one KV head: the part that paged (cpu_seqattn.c) and dense
 * (cpu_gqa.c) attention share.
 *
 * Keys are taken in spans, spans in segments of CPU_SEGMENT positions, all counted from position 0.
 * Within a segment the online-softmax state is carried from span to span; segments are then merged
 * in order. A row's result so depends on nothing but its own keys: not on how the prompt was cut
 * into steps, on the rows beside it, on the number of workers, or on who computed which segment. */
#pragma once
#include "backends/cpu/cpu.h"

enum {
    CPU_SPAN = 64,     /* keys per kernel call; a multiple of the kernels' own chunk */
    CPU_SEGMENT = 512, /* keys per segment; a multiple of CPU_SPAN */
    CPU_ROWS = 64,     /* query rows of one item, unless a single token has more heads */
};

/* Scales of a head's quantised keys or values. */
struct cpu_kv_scale {
    const float *scale; /* one, or [head_dim]; NULL: not quantised */
    bool per_channel;
};

/* Of head h, from a constant of one scale or [kv heads, head_dim]; NULL: not quantised. */
struct cpu_kv_scale cpu_kv_scale_of(const struct tensor *scales, size_t h, size_t head_dim);
/* x [head_dim] as a row of a cache of this type. */
void cpu_kv_put(void *row, enum dtype dtype, const struct cpu_kv_scale *s, const float *x,
                size_t head_dim);
/* Rows of queries times the keys' scales, or of results times the values', in place: between them
 * the kernels add up whole numbers. Nothing where s is not quantised. */
void cpu_kv_scale_rows(const struct cpu_kv_scale *s, float *x, size_t rows, size_t head_dim);

/* Norm and rotation of heads of queries or keys, before attention. */
struct cpu_norm_rope {
    const struct tensor *norm; /* [head_dim] or NULL: not normed */
    const struct tensor *cos, *sin;
    size_t head_dim, rot_dim; /* rot_dim 0: not rotated, cos and sin may be NULL */
    float epsilon;
    bool interleaved;
};

/* x: n heads of one token at position pos (below the tables' rows), in place.
 * line: [2 * head_dim] for conversions. */
void cpu_norm_rope(const struct cpu_norm_rope *r, size_t pos, float *x, size_t n, float *line);

struct cpu_attend {
    /* keys and values of one head: rows of kv_row_bytes from k and v, or in pages of page_tokens */
    const char *k, *v;
    enum dtype dtype;     /* as kv_layer's */
    const int32_t *pages; /* NULL: contiguous */
    size_t page_bytes, page_tokens;
    struct cpu_kv_scale v_scale;
    size_t n_rows_kv; /* contiguous: rows there are */
    size_t kv_stride; /* contiguous: elements between rows; 0: head_dim */
    size_t head_dim;
    float scale, softcap;
    int64_t window; /* <= 0: none */
    /* queries: tokens x heads rows of head_dim, token-major and contiguous; those of quantised keys
     * come scaled (cpu_kv_scale_rows) */
    const float *q;
    size_t heads;
    size_t t0, t1;     /* tokens [t0, t1) are computed: at most cpu_attend_tokens(heads) */
    size_t q_stride;   /* heads == 1: elements between tokens; 0: head_dim */
    size_t first_key;  /* key index of token 0; token t sees keys up to first_key + t + ahead */
    size_t ahead;      /* 0: causal; n_keys or more: to the last key */
    size_t n_keys;     /* … and below this */
    const float *sink; /* [heads] or NULL */
    const struct tensor
        *bias; /* added to scores, heads == 1: element bias_at + t * bias_stride + key */
    size_t bias_at, bias_stride;
};

/* Tokens of one item, so that tokens * heads <= the rows of the scratch. */
size_t cpu_attend_tokens(size_t heads);
size_t cpu_attend_rows(size_t heads);

/* A state of rows: m, l [rows], acc [rows][head_dim]; floats it takes. */
size_t cpu_state_floats(size_t rows, size_t head_dim);
struct kern_attn_state cpu_state_at(float *floats, size_t rows, size_t head_dim);

/* Bytes of worker scratch that the functions below use. */
size_t cpu_attend_scratch(size_t heads, size_t head_dim);

/* Segments [*first, *last) that the tokens see. */
void cpu_attend_segments(const struct cpu_attend *a, size_t *first, size_t *last);
/* Fresh state of the tokens, with sinks or without. */
void cpu_attend_begin(const struct cpu_attend *a, const struct kern_attn_state *st, bool with_sink,
                      void *scratch);
/* Adds one segment to a state. */
void cpu_attend_segment(const struct cpu_attend *a, size_t segment,
                        const struct kern_attn_state *st, void *scratch);
/* All segments: the whole result of the tokens, in a state within the scratch. */
struct kern_attn_state cpu_attend_whole(const struct cpu_attend *a, void *scratch);
/* Normalises; token t's heads go to out at element at + t * stride, head after head. */
void cpu_attend_put(const struct cpu_attend *a, const struct kern_attn_state *st,
                    const struct tensor *out, size_t at, size_t stride);
