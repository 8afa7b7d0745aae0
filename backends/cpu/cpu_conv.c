/* SPDX-License-Identifier: MIT */
/* Conv, ConvInteger, QLinearConv: patches of the input as columns of a matrix, a block of output
 * positions at a time, and one product a block. Where few output channels share the columns
 * (depthwise) each column is added as it comes. Floats of up to 32 bits in f32, the others in f64,
 * where sums of integers are exact. The blocks do not depend on the number of workers. */
#include "backends/cpu/cpu_conv.h"

#include <cblas.h>
#include <string.h>

#include "backends/cpu/cpu_ops.h"

enum {
    COLUMNS_MAX = 1 << 16, /* elements of a block's columns, about */
    BLOCK_MIN = 64,
    BLOCK_MAX = 1024,
    SHARED_MIN = 4, /* output channels from which on a product pays */
};

bool conv_shapes(const struct cpu_task *t, struct conv *c)
{
    const struct tensor_type *x = &c->x->type, *k = &c->k->type, *y = &c->out->type;
    const int64_t groups = t->call->attr.window.group;

    if (!cpu_window_of(t, c->x, c->k, c->out, c->transposed, &c->w) || groups < 1 ||
        x->dim[1] % groups != 0 || y->dim[1] % groups != 0 || x->dim[0] != y->dim[0])
        return false;
    c->groups = (size_t)groups;
    c->c_each = (size_t)(x->dim[1] / groups);
    c->m_each = (size_t)(y->dim[1] / groups);
    c->space = cpu_product(c->w.in, c->w.n);
    c->taps = cpu_product(c->w.kernel, c->w.n);
    c->out_space = cpu_product(c->w.out, c->w.n);
    if (c->bias && cpu_elements(c->bias) != (size_t)y->dim[1]) return false;
    if (c->transposed) return k->dim[0] == x->dim[1] && (size_t)k->dim[1] == c->m_each;
    return k->dim[0] == y->dim[1] && (size_t)k->dim[1] == c->c_each;
}

/* ---- what a tap connects ---- */

/* Start of the row of `to` that row `row` of `from` meets at the tap; false when there is none. */
static bool tap_row(const struct conv_tap_walk *t, size_t row, size_t *at)
{
    const struct ir_window *w = t->w;
    size_t tap = w->n > 0 ? t->tap / (size_t)w->kernel[w->n - 1] : 0, stride = 1;

    *at = 0;
    for (int d = w->n - 2; d >= 0; d--) {
        const int64_t i = (int64_t)(row % (size_t)t->from[d]);
        const int64_t k = (int64_t)(tap % (size_t)w->kernel[d]);
        const int64_t to = i * w->stride[d] + k * w->dilation[d] - w->pad[d];

        if (to < 0 || to >= t->to[d]) return false;
        *at += (size_t)to * stride;
        stride *= (size_t)t->to[d];
        row /= (size_t)t->from[d];
        tap /= (size_t)w->kernel[d];
    }
    return true;
}

bool conv_tap_next(struct conv_tap_walk *t, struct conv_tap_run *run)
{
    const struct ir_window *w = t->w;
    const int last = w->n - 1;
    const int64_t width = last < 0 ? 1 : t->from[last], other = last < 0 ? 1 : t->to[last];
    const int64_t stride = last < 0 ? 1 : w->stride[last];
    const int64_t first =
        last < 0 ? 0
                 : (int64_t)(t->tap % (size_t)w->kernel[last]) * w->dilation[last] - w->pad[last];

    while (t->at < t->end) {
        const size_t row = t->at / (size_t)width, left = t->end - t->at;
        const int64_t x = (int64_t)(t->at % (size_t)width);
        const int64_t end = (uint64_t)(width - x) < left ? width : x + (int64_t)left;
        const int64_t from = first < 0 ? (-first + stride - 1) / stride : 0;
        const int64_t beyond = first < other ? (other - 1 - first) / stride + 1 : 0;
        const int64_t lo = from > x ? from : x, hi = beyond < end ? beyond : end;
        const size_t at = t->at;
        size_t base;

        t->at += (size_t)(end - x);
        if (lo >= hi || !tap_row(t, row, &base)) continue;
        run->from = at + (size_t)(lo - x);
        run->to = base * (size_t)other + (size_t)(lo * stride + first);
        run->n = (size_t)(hi - lo);
        run->step = (size_t)stride;
        return true;
    }
    return false;
}

void conv_gemm_add(const struct conv_gemm *g, const void *a, const void *b, void *c)
{
    const enum CBLAS_TRANSPOSE ta = g->trans_a ? CblasTrans : CblasNoTrans;

    if (g->is_double)
        cblas_dgemm(CblasRowMajor, ta, CblasNoTrans, (int)g->m, (int)g->n, (int)g->k, 1.0, a,
                    (int)g->lda, b, (int)g->ldb, 1.0, c, (int)g->ldc);
    else
        cblas_sgemm(CblasRowMajor, ta, CblasNoTrans, (int)g->m, (int)g->n, (int)g->k, 1.0f, a,
                    (int)g->lda, b, (int)g->ldb, 1.0f, c, (int)g->ldc);
}

void conv_load_run(const struct tensor *x, size_t at, size_t step, size_t n, bool is_double,
                   void *out)
{
    if (is_double) {
        for (size_t i = 0; i < n; i++) ((double *)out)[i] = cpu_get(x, at + i * step);
    } else if (step == 1) {
        cpu_to_f32(out, x->data, x->type.dtype, at, n);
    } else if (x->type.dtype == DT_F32) {
        const float *from = (const float *)x->data + at;
        for (size_t i = 0; i < n; i++) ((float *)out)[i] = from[i * step];
    } else {
        for (size_t i = 0; i < n; i++)
            cpu_to_f32((float *)out + i, x->data, x->type.dtype, at + i * step, 1);
    }
}

/* ---- one block of output positions ---- */

/* How a convolution is done; all of it follows from types and weights. */
struct plan {
    bool is_double, in_place; /* in_place: results are summed up in the output itself */
    bool own_weights;         /* weights are read where they lie */
    bool product;             /* columns of all rows, then a product */
    size_t rows, size, block; /* rows of the columns, bytes of an element, positions of a block */
    size_t columns, weights, tile; /* elements of scratch */
};

static bool plan_of(struct plan *p, enum op_kind op, const struct tensor_type *x,
                    const struct tensor_type *k, int64_t groups)
{
    const enum dtype dt = x->dtype;
    const bool integer = op != OP_CONV;
    size_t per_group;

    if (groups < 1 || k->ndim < 2 || !type_span(k, 1, k->ndim, &p->rows) || k->dim[0] < 0)
        return false;
    per_group = (size_t)(k->dim[0] / groups);
    p->is_double = integer || !cpu_is_float(dt);
    p->own_weights = p->in_place = !integer && (dt == DT_F32 || dt == DT_F64);
    p->size = p->is_double ? sizeof(double) : sizeof(float);
    p->product = per_group >= SHARED_MIN;
    p->block = p->rows ? COLUMNS_MAX / p->rows : BLOCK_MAX;
    if (p->block < BLOCK_MIN) p->block = BLOCK_MIN;
    if (p->block > BLOCK_MAX) p->block = BLOCK_MAX;
    return checked_mul(p->product ? p->rows : 1, p->block, &p->columns) &&
           checked_mul(p->own_weights ? 0 : per_group, p->rows, &p->weights) &&
           checked_mul(p->in_place ? 0 : per_group, p->block, &p->tile) && p->rows <= INT32_MAX &&
           per_group <= INT32_MAX;
}

struct block {
    const struct conv *c;
    const struct plan *p;
    size_t n, g, at, end; /* batch, group, output positions */
    char *columns, *weights, *tile;
    size_t tile_stride;
};

/* Row r of the columns: what tap r % taps sees of channel r / taps; zero beyond the input. */
static void load_row(const struct block *b, size_t r, char *out)
{
    const struct conv *c = b->c;
    const size_t plane = ((b->n * c->groups + b->g) * c->c_each + r / c->taps) * c->space;
    const double zero = cpu_quant_zero(&c->xq, 0);
    struct conv_tap_walk walk = { &c->w, c->w.out, c->w.in, r % c->taps, b->at, b->end };
    struct conv_tap_run run;

    memset(out, 0, (b->end - b->at) * b->p->size);
    while (conv_tap_next(&walk, &run)) {
        char *to = out + (run.from - b->at) * b->p->size;

        conv_load_run(c->x, plane + run.to, run.step, run.n, b->p->is_double, to);
        for (size_t i = 0; zero != 0 && i < run.n; i++) ((double *)(void *)to)[i] -= zero;
    }
}

/* Weights of the group [m_each, rows], where they are not read in place. */
static void load_weights(const struct block *b)
{
    const struct conv *c = b->c;
    const size_t rows = b->p->rows, first = b->g * c->m_each;

    for (size_t m = 0; m < c->m_each; m++) {
        char *to = b->weights + m * rows * b->p->size;
        const double zero = cpu_quant_zero(&c->kq, first + m);

        conv_load_run(c->k, (first + m) * rows, 1, rows, b->p->is_double, to);
        for (size_t i = 0; zero != 0 && i < rows; i++) ((double *)(void *)to)[i] -= zero;
    }
}

/* Each row of sums begins as its bias. */
static void fill_bias(const struct block *b)
{
    const struct conv *c = b->c;

    for (size_t m = 0; m < c->m_each; m++) {
        const double bias = c->bias ? cpu_get(c->bias, b->g * c->m_each + m) : 0;
        void *row = b->tile + m * b->tile_stride * b->p->size;

        for (size_t i = 0; i < b->end - b->at; i++) {
            if (b->p->is_double)
                ((double *)row)[i] = bias;
            else
                ((float *)row)[i] = (float)bias;
        }
    }
}

static void add_columns(const struct block *b)
{
    const struct conv *c = b->c;
    const struct plan *p = b->p;
    const size_t n = b->end - b->at;

    if (p->product && p->rows > 0) {
        const struct conv_gemm g = { p->is_double, false,   c->m_each, n,
                                     p->rows,      p->rows, n,         b->tile_stride };

        for (size_t r = 0; r < p->rows; r++) load_row(b, r, b->columns + r * n * p->size);
        conv_gemm_add(&g, b->weights, b->columns, b->tile);
        return;
    }
    for (size_t r = 0; r < p->rows; r++) {
        load_row(b, r, b->columns);
        for (size_t m = 0; m < c->m_each; m++) {
            const char *w = b->weights + (m * p->rows + r) * p->size;
            char *to = b->tile + m * b->tile_stride * p->size;

            if (p->is_double)
                cblas_daxpy((int)n, *(const double *)(const void *)w, (void *)b->columns, 1,
                            (void *)to, 1);
            else
                cblas_saxpy((int)n, *(const float *)(const void *)w, (void *)b->columns, 1,
                            (void *)to, 1);
        }
    }
}

/* From the tile to the output, where it is not the output. */
static void store_tile(const struct cpu_task *t, const struct block *b)
{
    const struct conv *c = b->c;
    const enum dtype dt = c->out->type.dtype;

    for (size_t m = 0; m < c->m_each; m++) {
        const size_t channel = b->g * c->m_each + m;
        const size_t at = (b->n * c->groups * c->m_each + channel) * c->out_space + b->at;
        const void *row = b->tile + m * b->tile_stride * b->p->size;

        if (!b->p->is_double) {
            cpu_from_f32(c->out->data, dt, at, row, b->end - b->at);
            continue;
        }
        for (size_t i = 0; i < b->end - b->at; i++) {
            double v = ((const double *)row)[i];

            if (t->call->op == OP_QLINEARCONV)
                v = cpu_quantize(&c->yq, 0,
                                 v * cpu_quant_scale(&c->xq, 0) * cpu_quant_scale(&c->kq, channel),
                                 dt);
            cpu_put(c->out, at + i, v);
        }
    }
}

/* ---- the operator ---- */

static bool conv_operands(const struct cpu_task *t, struct conv *c)
{
    const enum op_kind op = t->call->op;

    memset(c, 0, sizeof *c);
    c->x = cpu_in(t, 0);
    c->out = cpu_out(t, 0);
    if (op == OP_QLINEARCONV) {
        c->k = cpu_in(t, 3);
        c->bias = cpu_in(t, 8);
        return conv_shapes(t, c) && cpu_quant_of(&c->xq, cpu_in(t, 1), cpu_in(t, 2), 1) &&
               cpu_quant_of(&c->kq, cpu_in(t, 4), cpu_in(t, 5), c->groups * c->m_each) &&
               cpu_quant_of(&c->yq, cpu_in(t, 6), cpu_in(t, 7), 1);
    }
    c->k = cpu_in(t, 1);
    if (op == OP_CONVINTEGER)
        return conv_shapes(t, c) && cpu_quant_of(&c->xq, NULL, cpu_in(t, 2), 1) &&
               cpu_quant_of(&c->kq, NULL, cpu_in(t, 3), c->groups * c->m_each);
    c->bias = cpu_in(t, 2);
    return conv_shapes(t, c) && c->k->type.dtype == c->x->type.dtype;
}

static void run_block(const struct cpu_task *t, struct block *b)
{
    const struct conv *c = b->c;
    const struct plan *p = b->p;

    b->columns = t->scratch;
    b->tile = b->columns + p->columns * p->size;
    b->weights = b->tile + p->tile * p->size;
    b->tile_stride = b->end - b->at;
    if (p->own_weights)
        b->weights = (char *)c->k->data + b->g * c->m_each * p->rows * p->size;
    else
        load_weights(b);
    if (p->in_place) {
        b->tile_stride = c->out_space;
        b->tile = (char *)c->out->data +
                  ((b->n * c->groups + b->g) * c->m_each * c->out_space + b->at) * p->size;
    }
    fill_bias(b);
    add_columns(b);
    if (!p->in_place) store_tile(t, b);
}

void cpu_conv(const struct cpu_task *t)
{
    struct conv c;
    struct plan p;

    if (!conv_operands(t, &c) ||
        !plan_of(&p, t->call->op, &c.x->type, &c.k->type, t->call->attr.window.group) ||
        c.out_space > INT32_MAX) {
        cpu_fail(t, ST_SHAPE, "input, weights and output do not fit each other");
        return;
    }
    const size_t blocks = (c.out_space + p.block - 1) / p.block;
    const struct cpu_share s = cpu_share(t, (size_t)c.x->type.dim[0] * c.groups * blocks, 1);
    for (size_t i = s.begin; i < s.end; i++) {
        const size_t at = i % blocks * p.block;
        struct block b = { .c = &c,
                           .p = &p,
                           .n = i / blocks / c.groups,
                           .g = i / blocks % c.groups,
                           .at = at,
                           .end = c.out_space - at < p.block ? c.out_space : at + p.block };

        run_block(t, &b);
    }
}

status cpu_conv_scratch(const struct op_call *call, const struct prepared *prepared,
                        const struct cpu_bounds *bounds, struct cpu_scratch *out, struct err *err)
{
    const struct tensor *k = cpu_call_in(call, call->op == OP_QLINEARCONV ? 3 : 1);
    struct plan p;
    size_t n;

    (void)prepared;
    (void)bounds;
    if (!k || !plan_of(&p, call->op, &call->in[0].type, &k->type, call->attr.window.group) ||
        !checked_add(p.columns, p.tile, &n) || !checked_add(n, p.weights, &n) ||
        !checked_mul(n, p.size, &out->worker))
        return FAIL(err, ST_LIMIT, "%s: weights of unknown or too large shape", call->node);
    return ST_OK;
}
