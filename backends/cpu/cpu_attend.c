/* SPDX-License-Identifier: MIT */
/* Attention over segments of keys. */
#include "backends/cpu/cpu_attend.h"

#include <string.h>

/* ---- scratch ---- */

size_t cpu_attend_tokens(size_t heads) { return heads >= CPU_ROWS ? 1 : CPU_ROWS / heads; }

size_t cpu_attend_rows(size_t heads) { return cpu_attend_tokens(heads) * heads; }

static size_t round_up(size_t n) { return (n + 15) & ~(size_t)15; /* floats in a cache line */ }

size_t cpu_state_floats(size_t rows, size_t head_dim)
{
    return 2 * round_up(rows) + rows * round_up(head_dim);
}

struct kern_attn_state cpu_state_at(float *floats, size_t rows, size_t head_dim)
{
    return (struct kern_attn_state){ .m = floats,
                                     .l = floats + round_up(rows),
                                     .acc = floats + 2 * round_up(rows),
                                     .acc_stride = round_up(head_dim) };
}

/* [total state][part state][bias tile][sinks][first][limit] */
struct scratch {
    float *total, *part, *bias_tile, *sink;
    uint32_t *first, *limit;
    size_t rows;
};

static struct scratch scratch_at(const struct cpu_attend *a, void *base)
{
    const size_t rows = cpu_attend_rows(a->heads), state = cpu_state_floats(rows, a->head_dim);
    struct scratch s = { .rows = rows };

    s.total = base;
    s.part = s.total + state;
    s.bias_tile = s.part + state;
    s.sink = s.bias_tile + rows * CPU_SPAN;
    s.first = (uint32_t *)(void *)(s.sink + round_up(rows));
    s.limit = s.first + round_up(rows);
    return s;
}

size_t cpu_attend_scratch(size_t heads, size_t head_dim)
{
    const size_t rows = cpu_attend_rows(heads);

    return sizeof(float) *
           (2 * cpu_state_floats(rows, head_dim) + rows * CPU_SPAN + 3 * round_up(rows));
}

/* ---- which keys ---- */

/* Keys [*first, *limit) that token t sees. */
static void visible(const struct cpu_attend *a, size_t t, size_t *first, size_t *limit)
{
    const size_t end = a->first_key + t + 1;

    *limit = end < a->n_keys && a->ahead < a->n_keys - end ? end + a->ahead : a->n_keys;
    *first = a->window > 0 && (size_t)a->window < end ? end - (size_t)a->window : 0;
}

void cpu_attend_segments(const struct cpu_attend *a, size_t *first, size_t *last)
{
    size_t from, to, unused;

    visible(a, a->t0, &from, &unused);
    visible(a, a->t1 - 1, &unused, &to);
    *first = from / CPU_SEGMENT;
    *last = to > from ? (to + CPU_SEGMENT - 1) / CPU_SEGMENT : *first;
}

/* Largest number of keys in one call: a page or a part of it. */
static size_t span_keys(const struct cpu_attend *a)
{
    return a->pages && a->page_tokens < CPU_SPAN ? a->page_tokens : CPU_SPAN;
}

/* End of the span that begins at `key`: a multiple of the span, of the page, and of the segment. */
static size_t span_end(const struct cpu_attend *a, size_t key, size_t segment_end)
{
    size_t end = key + span_keys(a);

    if (a->pages) {
        const size_t page_end = (key / a->page_tokens + 1) * a->page_tokens;
        end = end < page_end ? end : page_end;
    }
    return end < segment_end ? end : segment_end;
}

/* ---- quantised caches ---- */

struct cpu_kv_scale cpu_kv_scale_of(const struct tensor *scales, size_t h, size_t head_dim)
{
    struct cpu_kv_scale s = { 0 };

    if (!scales) return s;
    s.per_channel = cpu_elements(scales) > 1;
    s.scale = (const float *)scales->data + (s.per_channel ? h * head_dim : 0);
    return s;
}

void cpu_kv_put(void *row, enum dtype dtype, const struct cpu_kv_scale *s, const float *x,
                size_t head_dim)
{
    if (dtype == DT_I8)
        kern.kv_quant_i8(row, x, s->scale, s->per_channel, head_dim);
    else if (dtype == DT_U8)
        kern.kv_quant_i4(row, x, s->scale, s->per_channel, head_dim);
    else
        cpu_from_f32(row, dtype, 0, x, head_dim);
}

void cpu_kv_scale_rows(const struct cpu_kv_scale *s, float *x, size_t rows, size_t head_dim)
{
    if (s->scale && s->per_channel)
        kern.mul_row_f32(x, x, s->scale, rows, head_dim);
    else if (s->scale)
        kern.affine_f32(x, x, rows * head_dim, s->scale[0], 0);
}

/* ---- norm and rotation ---- */

void cpu_norm_rope(const struct cpu_norm_rope *r, size_t pos, float *x, size_t n, float *line)
{
    const size_t half = r->rot_dim / 2;

    if (r->norm)
        kern.rmsnorm_f32(x, x, cpu_row_f32(r->norm, 0, r->head_dim, line), n, r->head_dim,
                         r->epsilon);
    if (half == 0) return;
    const float *cos = cpu_row_f32(r->cos, pos * half, half, line);
    const float *sin = cpu_row_f32(r->sin, pos * half, half, line + r->head_dim);
    if (r->interleaved)
        kern.rope_pair_f32(x, n, r->head_dim, cos, sin, r->rot_dim);
    else
        kern.rope_half_f32(x, n, r->head_dim, cos, sin, r->rot_dim);
}

/* ---- one span ---- */

/* Elements between rows of keys or values; nibbles begin at a byte. */
static size_t kv_stride(const struct cpu_attend *a)
{
    if (a->kv_stride) return a->kv_stride;
    return a->dtype == DT_U8 ? a->head_dim + a->head_dim % 2 : a->head_dim;
}

static const char *row_at(const struct cpu_attend *a, const char *base, size_t key)
{
    const size_t row_bytes = kv_row_bytes(a->dtype, kv_stride(a));

    if (!a->pages) return base + key * row_bytes;
    return base + (size_t)a->pages[key / a->page_tokens] * a->page_bytes +
           key % a->page_tokens * row_bytes;
}

/* Sets the rows' limits relative to the span; false when no row sees any of it. */
static bool set_limits(const struct cpu_attend *a, size_t key, size_t n, const struct scratch *s)
{
    bool any = false;

    for (size_t t = a->t0; t < a->t1; t++) {
        size_t first, limit;

        visible(a, t, &first, &limit);
        first = first > key ? first - key : 0;
        limit = limit > key ? limit - key : 0;
        if (limit > n) limit = n;
        any = any || first < limit;
        for (size_t h = 0; h < a->heads; h++) {
            s->first[(t - a->t0) * a->heads + h] = (uint32_t)(first < limit ? first : limit);
            s->limit[(t - a->t0) * a->heads + h] = (uint32_t)limit;
        }
    }
    return any;
}

/* Bias of keys from `key` on. */
static void set_bias(const struct cpu_attend *a, size_t key, const struct scratch *s,
                     struct kern_attn_args *args)
{
    const size_t at = a->bias_at + a->t0 * a->bias_stride + key;

    if (!a->bias) return;
    if (a->bias->type.dtype == DT_F32) {
        args->bias = (const float *)a->bias->data + at;
        args->bias_stride = a->bias_stride;
        return;
    }
    for (size_t r = 0; r < a->t1 - a->t0; r++)
        cpu_to_f32(s->bias_tile + r * CPU_SPAN, a->bias->data, a->bias->type.dtype,
                   at + r * a->bias_stride, args->n_keys);
    args->bias = s->bias_tile;
    args->bias_stride = CPU_SPAN;
}

/* Keys [key, end) into the state. */
static void run_span(const struct cpu_attend *a, size_t key, size_t end,
                     const struct kern_attn_state *st, const struct scratch *s)
{
    if (!a->pages && end > a->n_rows_kv) end = a->n_rows_kv;
    if (end <= key || !set_limits(a, key, end - key, s)) return;
    const size_t q_stride = a->q_stride ? a->q_stride : a->head_dim;
    struct kern_attn_args args = {
        .q = a->q + a->t0 * a->heads * q_stride,
        .q_stride = q_stride,
        .n_rows = (a->t1 - a->t0) * a->heads,
        .n_keys = end - key,
        .head_dim = a->head_dim,
        .v_dim = a->head_dim,
        .k_stride = kv_stride(a),
        .v_stride = kv_stride(a),
        .first = s->first,
        .limit = s->limit,
        .scale = a->scale,
        .softcap = a->softcap,
        .m = st->m,
        .l = st->l,
        .acc = st->acc,
        .acc_stride = st->acc_stride,
    };
    set_bias(a, key, s, &args);
    args.k = row_at(a, a->k, key);
    args.v = row_at(a, a->v, key);
    switch (a->dtype) {
    case DT_F16: kern.attn_f16(&args); break;
    case DT_BF16: kern.attn_bf16(&args); break;
    case DT_I8: kern.attn_i8(&args); break;
    case DT_U8: kern.attn_i4(&args); break;
    default: kern.attn_f32(&args); break;
    }
}

/* ---- segments ---- */

void cpu_attend_begin(const struct cpu_attend *a, const struct kern_attn_state *st, bool with_sink,
                      void *base)
{
    const struct scratch s = scratch_at(a, base);
    const size_t rows = (a->t1 - a->t0) * a->heads;

    for (size_t r = 0; with_sink && a->sink && r < rows; r++) s.sink[r] = a->sink[r % a->heads];
    kern_attn_begin(st, rows, a->head_dim, with_sink && a->sink ? s.sink : NULL);
}

void cpu_attend_segment(const struct cpu_attend *a, size_t segment,
                        const struct kern_attn_state *st, void *base)
{
    const struct scratch s = scratch_at(a, base);
    const size_t segment_end = (segment + 1) * CPU_SEGMENT;
    size_t first, limit, unused;

    visible(a, a->t0, &first, &unused);
    visible(a, a->t1 - 1, &unused, &limit);
    for (size_t key = segment * CPU_SEGMENT, end; key < segment_end && key < limit; key = end) {
        end = span_end(a, key, segment_end);
        if (end > first) run_span(a, key, end, st, &s);
    }
}

struct kern_attn_state cpu_attend_whole(const struct cpu_attend *a, void *base)
{
    const struct scratch s = scratch_at(a, base);
    const struct kern_attn_state total = cpu_state_at(s.total, s.rows, a->head_dim);
    const struct kern_attn_state part = cpu_state_at(s.part, s.rows, a->head_dim);
    size_t first, last;

    cpu_attend_segments(a, &first, &last);
    cpu_attend_begin(a, &total, true, base);
    for (size_t i = first; i < last; i++) {
        /* Merging into an empty state is a copy, so the first segment needs no part of its own. */
        const bool direct = i == first && !a->sink;

        if (!direct) cpu_attend_begin(a, &part, false, base);
        cpu_attend_segment(a, i, direct ? &total : &part, base);
        if (!direct) kern.attn_merge_f32(&total, &part, (a->t1 - a->t0) * a->heads, a->head_dim);
    }
    return total;
}

void cpu_attend_put(const struct cpu_attend *a, const struct kern_attn_state *st,
                    const struct tensor *out, size_t at, size_t stride)
{
    for (size_t t = a->t0; t < a->t1; t++) {
        const size_t row = (t - a->t0) * a->heads, to = at + t * stride;
        const struct kern_attn_state one = { st->m + row, st->l + row,
                                             st->acc + row * st->acc_stride, st->acc_stride };

        if (out->type.dtype == DT_F32) {
            float *rows = (float *)out->data + to;

            kern.attn_finish_f32(rows, a->head_dim, &one, a->heads, a->head_dim);
            cpu_kv_scale_rows(&a->v_scale, rows, a->heads, a->head_dim);
            continue;
        }
        kern.attn_finish_f32(one.acc, one.acc_stride, &one, a->heads, a->head_dim);
        for (size_t h = 0; h < a->heads; h++) {
            float *line = one.acc + h * one.acc_stride;

            cpu_kv_scale_rows(&a->v_scale, line, 1, a->head_dim);
            cpu_from_f32(out->data, out->type.dtype, to + h * a->head_dim, line, a->head_dim);
        }
    }
}
