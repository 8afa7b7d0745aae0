/* SPDX-License-Identifier: MIT */
/* Linear layers: the output is cut into tasks, blocks of rows by groups of panels (columns), which
 * workers take as they come: a worker that is held up by somebody else's work takes fewer.
 *
 * The blocking never shows in the result: a kernel adds over k in one order whatever the number of
 * rows, so a token gets the same bits alone, beside others, and on any number of threads. */
#include "backends/cpu/cpu_linear.h"

#include <string.h>

#include "backends/cpu/cpu_ops.h"

enum {
    ROWS_OWN = KERN_Q8_TILE,   /* up to here each worker prepares the rows for itself: no barrier */
    ROWS_BLOCK = 64,           /* rows a kernel sees at once, when they are short enough */
    X_BLOCK_BYTES = 256 << 10, /* activations of a row block: stay in L2 */
    W_GROUP_BYTES = 256 << 10, /* weights of a panel group: likewise */
    TASKS_PER_WORKER = 8,
    TASK_BYTES_MIN = 16 << 10,
    TASK_BYTES_MAX = 512 << 10,
    HALF_PANELS = 16, /* panels of a group when the output is f16 or bf16 */
};

size_t cpu_linear_row_bytes(const struct cpu_linear *l)
{
    return cpu_linear_is_a8(l) ? kern_q8_row_bytes(l->k, l->block) : l->k * sizeof(float);
}

static size_t round_up(size_t n) { return (n + CPU_ALIGN - 1) & ~(size_t)(CPU_ALIGN - 1); }

/* ---- activations ---- */

/* Rows of x to convert: [begin, end) of m. */
struct span {
    size_t begin, end, m;
};

/* The rows of `span` to their places in out. line: [k] floats for conversions. */
static void convert_rows(const struct cpu_linear *l, const struct tensor *x, char *out, float *line,
                         struct span span)
{
    const size_t stride = cpu_linear_row_bytes(l), n = span.end - span.begin;
    struct kern_quantize_args a = {
        .x_stride = l->k, .out = out, .m = span.m, .k = l->k, .block = l->block
    };

    if (n == 0) return;
    if (!cpu_linear_is_a8(l)) {
        cpu_to_f32((float *)(void *)(out + span.begin * stride), x->data, x->type.dtype,
                   span.begin * l->k, n * l->k);
        return;
    }
    a.count = x->type.dtype == DT_F32 ? n : 1;
    for (size_t r = span.begin; r < span.end; r += a.count) {
        a.x = cpu_row_f32(x, r * l->k, l->k, line);
        a.first = r;
        kern.quantize_rows_q8(&a);
    }
}

/* Worker scratch: [line][own rows][half tile]; shared scratch: rows of all. */
static struct cpu_rows prepare_rows(const struct cpu_task *t, const struct cpu_linear *l,
                                    const struct tensor *x, size_t m)
{
    const size_t stride = cpu_linear_row_bytes(l);
    float *line = t->scratch;

    if (!cpu_linear_is_a8(l) && x->type.dtype == DT_F32)
        return (struct cpu_rows){ x->data, stride };
    if (m <= ROWS_OWN) {
        char *own = (char *)t->scratch + round_up(l->k * sizeof(float));

        convert_rows(l, x, own, line, (struct span){ 0, m, m });
        return (struct cpu_rows){ own, stride };
    }
    const struct cpu_share s = cpu_share(t, m, KERN_Q8_TILE);
    convert_rows(l, x, t->shared, line, (struct span){ s.begin, s.end, m });
    cpu_sync(t);
    return (struct cpu_rows){ t->shared, stride };
}

/* ---- products ---- */

static void run_a8(const struct cpu_linear *l, const struct kern_linear_a8_args *a)
{
    if (l->kind == CPU_LIN_Q4_A8)
        kern.linear_q4_a8(a);
    else
        kern.linear_q8_a8(a);
}

void cpu_linear_block(const struct cpu_linear *l, const struct cpu_rows *x,
                      const struct cpu_block *b, float *out, size_t out_stride)
{
    const char *w = l->panels + b->panel * l->panel_bytes;
    const float *bias = l->bias ? l->bias + b->panel * KERN_NR : NULL;
    const char *in = x->data + b->row * x->stride;
    const size_t m = b->m, n = b->n;

    if (cpu_linear_is_a8(l)) {
        run_a8(l, &(struct kern_linear_a8_args){ .w = w,
                                                 .x = in,
                                                 .bias = bias,
                                                 .out = out,
                                                 .out_stride = out_stride,
                                                 .m = m,
                                                 .n = n,
                                                 .k = l->k,
                                                 .block = l->block,
                                                 .zp = l->zp });
        return;
    }
    const float *xf = (const float *)(const void *)in;
    if (cpu_linear_is_quantised(l)) {
        const struct kern_linear_qf_args a = { .w = w,
                                               .x = xf,
                                               .x_stride = l->k,
                                               .bias = bias,
                                               .out = out,
                                               .out_stride = out_stride,
                                               .m = m,
                                               .n = n,
                                               .k = l->k,
                                               .block = l->block,
                                               .zp = l->zp };
        if (l->kind == CPU_LIN_Q4_F32)
            kern.linear_q4_f32(&a);
        else
            kern.linear_q8_f32(&a);
        return;
    }
    const struct kern_linear_fp_args a = { .w = w,
                                           .x = xf,
                                           .x_stride = l->k,
                                           .bias = bias,
                                           .out = out,
                                           .out_stride = out_stride,
                                           .m = m,
                                           .n = n,
                                           .k = l->k };
    if (l->kind == CPU_LIN_F32)
        kern.linear_f32(&a);
    else if (l->kind == CPU_LIN_F16)
        kern.linear_f16(&a);
    else
        kern.linear_bf16(&a);
}

/* One block of rows by one group of panels, to wherever the output's type needs it. */
static void put_block(const struct cpu_task *t, const struct cpu_linear *l,
                      const struct cpu_rows *x, const struct cpu_block *b)
{
    const struct tensor *out = cpu_out(t, 0);
    const size_t col = b->panel * KERN_NR;

    if (out->type.dtype == DT_F32) {
        cpu_linear_block(l, x, b, (float *)out->data + b->row * l->n + col, l->n);
        return;
    }
    float *tile = (float *)(void *)((char *)t->scratch + round_up(l->k * sizeof(float)) +
                                    ROWS_OWN * round_up(cpu_linear_row_bytes(l)));
    cpu_linear_block(l, x, b, tile, b->n);
    for (size_t r = 0; r < b->m; r++)
        cpu_from_f32(out->data, out->type.dtype, (b->row + r) * l->n + col, tile + r * b->n, b->n);
}

static size_t clamp(size_t n, size_t min, size_t max) { return n < min ? min : n > max ? max : n; }

/* The product in tasks: blocks of `rows` rows by groups of `group` panels. */
struct tiling {
    size_t rows, group, n_row_blocks, n_groups;
};

static struct tiling tiling_of(const struct cpu_task *t, const struct cpu_linear *l,
                               const struct cpu_rows *x, size_t m)
{
    const size_t workers = (size_t)t->n_workers;
    struct tiling g;

    g.rows =
        clamp(X_BLOCK_BYTES / x->stride, KERN_Q8_TILE, ROWS_BLOCK) / KERN_Q8_TILE * KERN_Q8_TILE;
    g.n_row_blocks = (m + g.rows - 1) / g.rows;
    g.group = clamp(W_GROUP_BYTES / l->panel_bytes, 1, l->n_panels);
    /* One block of rows: weights are read once, so a group need not stay in a cache; it should only
     * be long enough for the prefetcher, and leave several tasks to each worker. */
    if (g.n_row_blocks == 1)
        g.group = workers == 1 ? l->n_panels
                               : clamp(l->n_panels / (workers * TASKS_PER_WORKER),
                                       clamp(TASK_BYTES_MIN / l->panel_bytes, 1, l->n_panels),
                                       clamp(TASK_BYTES_MAX / l->panel_bytes, 1, l->n_panels));
    if (cpu_out(t, 0)->type.dtype != DT_F32 && g.group > HALF_PANELS) g.group = HALF_PANELS;
    g.n_groups = (l->n_panels + g.group - 1) / g.group;
    return g;
}

/* Consecutive tasks share a group of panels, so that workers side by side read the same weights. */
static void run_tasks(const struct cpu_task *t, const struct cpu_linear *l,
                      const struct cpu_rows *x, size_t m)
{
    const struct tiling g = tiling_of(t, l, x, m);

    for (size_t i = cpu_take(t); i < g.n_groups * g.n_row_blocks; i = cpu_take(t)) {
        const size_t panel = i / g.n_row_blocks * g.group, row = i % g.n_row_blocks * g.rows;
        const size_t col = panel * KERN_NR, n = g.group * KERN_NR;

        put_block(t, l, x,
                  &(struct cpu_block){ .row = row,
                                       .m = m - row < g.rows ? m - row : g.rows,
                                       .panel = panel,
                                       .n = l->n - col < n ? l->n - col : n });
    }
}

/* ---- the operator ---- */

void cpu_linear(const struct cpu_task *t)
{
    const struct cpu_linear *l = (const struct cpu_linear *)t->prepared;
    const struct tensor *x = cpu_in(t, 0), *out = cpu_out(t, 0);
    const int ndim = x->type.ndim;
    const size_t m = ndim > 0 ? cpu_span(x, 0, ndim - 1) : 0;

    if (!l || ndim < 1 || (size_t)x->type.dim[ndim - 1] != l->k || !cpu_is_float(x->type.dtype) ||
        !cpu_is_float(out->type.dtype) || cpu_elements(out) != m * l->n) {
        cpu_fail(t, ST_SHAPE, "input or output do not fit the weights");
        return;
    }
    if (m == 0) return;
    const struct cpu_rows rows = prepare_rows(t, l, x, m);
    run_tasks(t, l, &rows, m);
}

status cpu_linear_scratch(const struct op_call *call, const struct prepared *p,
                          const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const struct cpu_linear *l = (const struct cpu_linear *)p;
    size_t n, rows;

    (void)b;
    if (!l) return FAIL(err, ST_UNSUPPORTED, "%s: weights are not constant", call->node);
    if (!type_elements(&call->in[0].type, &n))
        return FAIL(err, ST_SHAPE, "%s: shape of the input is not known", call->node);
    const size_t m = n / l->k;
    out->worker = round_up(l->k * sizeof(float)) + ROWS_OWN * round_up(cpu_linear_row_bytes(l));
    if (call->out[0].type.dtype != DT_F32)
        out->worker += ROWS_BLOCK * HALF_PANELS * KERN_NR * sizeof(float);
    if (m <= ROWS_OWN || (!cpu_linear_is_a8(l) && call->in[0].type.dtype == DT_F32)) return ST_OK;
    if (!checked_mul(m, cpu_linear_row_bytes(l), &rows))
        return FAIL(err, ST_LIMIT, "%s: activations too large", call->node);
    out->shared = rows;
    return ST_OK;
}
