/* SPDX-License-Identifier: MIT */
/* Dynamic quantisation and products of bytes: DynamicQuantizeLinear, MatMulInteger,
 * MatMulIntegerToFloat, DynamicQuantizeMatMul.
 *
 * kern.linear_i8 multiplies unsigned weights with signed activations: bytes of the other kind are
 * moved by 128, and their zero points with them. With w = W - zw, x = X - zx:
 *     sum w x = sum W X - zx * sum W - zw * sum X + k * zw * zx */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_ops.h"
#include "backends/cpu/cpu_pack.h"

enum { ROWS_BLOCK = 32, PANELS_BLOCK = 4, FLIP = 0x80 };

/* ---- dynamic quantisation ---- */

/* Range of all of x; every worker gets the same. ranges: [n_workers][2] in shared scratch. */
static void range_of_all(const struct cpu_task *t, const struct tensor *x, float *ranges,
                         float range[2])
{
    const struct cpu_share s = cpu_share(t, cpu_elements(x), 1024);

    kern.range_f32(ranges + 2 * t->worker, (const float *)x->data + s.begin, s.end - s.begin);
    cpu_sync(t);
    kern.range_f32(range, ranges, 2 * (size_t)t->n_workers);
}

void cpu_byte_scale(const float range[2], float *scale, uint8_t *zero)
{
    const float step = (range[1] - range[0]) / 255.0f;

    *scale = step == 0 ? 1.0f : step;
    const float at = nearbyintf(fminf(fmaxf(-range[0] / *scale, 0.0f), 255.0f));
    *zero = at > 0 ? (uint8_t)at : 0; /* a NaN is not */
}

static size_t ranges_bytes(int n_workers)
{
    const size_t bytes = 2 * sizeof(float) * (size_t)n_workers;

    return (bytes + CPU_ALIGN - 1) & ~(size_t)(CPU_ALIGN - 1);
}

void cpu_dynquant(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *out = cpu_out(t, 0);
    const struct tensor *scale_out = cpu_out(t, 1), *zero_out = cpu_out(t, 2);
    float range[2], scale;
    uint8_t zero;

    if (x->type.dtype != DT_F32 || out->type.dtype != DT_U8 ||
        cpu_elements(out) != cpu_elements(x) ||
        (scale_out && (scale_out->type.dtype != DT_F32 || cpu_elements(scale_out) != 1)) ||
        (zero_out && (zero_out->type.dtype != DT_U8 || cpu_elements(zero_out) != 1))) {
        cpu_fail(t, ST_SHAPE, "outputs do not fit the input");
        return;
    }
    range_of_all(t, x, t->shared, range);
    cpu_byte_scale(range, &scale, &zero);
    const struct cpu_share s = cpu_share(t, cpu_elements(x), 64);
    kern.quantize_u8((uint8_t *)out->data + s.begin, (const float *)x->data + s.begin,
                     s.end - s.begin, scale, zero);
    if (t->worker != 0) return;
    if (scale_out) *(float *)scale_out->data = scale;
    if (zero_out) *(uint8_t *)zero_out->data = zero;
}

status cpu_dynquant_scratch(const struct op_call *call, const struct prepared *p,
                            const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    (void)call, (void)p, (void)err;
    out->shared = ranges_bytes(b->n_workers);
    return ST_OK;
}

/* ---- the operands ---- */

struct weights {
    const uint8_t *panels;
    const int32_t *sums; /* of the columns' packed bytes, padded to whole panels */
};

/* Constant weights, packed once. */
struct int_weights {
    struct prepared head;
    size_t n, k;
    uint8_t *panels;
    int32_t *sums;
};

/* One of the three operators. */
struct int_matmul {
    const struct tensor *a, *b, *a_scale, *b_scale, *a_zero, *b_zero, *bias, *out;
    bool dynamic; /* A is f32, quantised here */
    size_t m, n, k, n_batch;
    size_t a_step[IR_DIMS_MAX], b_step[IR_DIMS_MAX], batch[IR_DIMS_MAX];
    int n_dims;
};

static bool is_byte(const struct tensor *x)
{
    return x->type.dtype == DT_U8 || x->type.dtype == DT_I8;
}

/* Byte i of a tensor as a number; scalars stand for every i. Absent: 0. */
static int32_t zero_at(const struct tensor *z, size_t i)
{
    if (!z) return 0;
    const uint8_t v = ((const uint8_t *)z->data)[cpu_elements(z) == 1 ? 0 : i];

    return z->type.dtype == DT_I8 ? (int8_t)v : v;
}

static float float_at(const struct tensor *x, size_t i)
{
    float v;

    cpu_to_f32(&v, x->data, x->type.dtype, cpu_elements(x) == 1 ? 0 : i, 1);
    return v;
}

static const struct tensor *operand(const struct cpu_task *t, int i)
{
    return i < 0 ? NULL : cpu_in(t, i);
}

/* Batch dimensions by broadcasting; a matrix on the right makes one product of all rows. */
static bool take_shape(struct int_matmul *mm, const struct tensor_type *a,
                       const struct tensor_type *b)
{
    if (a->ndim < 1 || b->ndim < 1) return false;
    const int na = a->ndim > 2 ? a->ndim - 2 : 0, nb = b->ndim > 2 ? b->ndim - 2 : 0;
    size_t sa, sb;

    mm->k = (size_t)a->dim[a->ndim - 1];
    mm->n = b->ndim > 1 ? (size_t)b->dim[b->ndim - 1] : 1;
    if (b->dim[b->ndim > 1 ? b->ndim - 2 : 0] != a->dim[a->ndim - 1]) return false;
    mm->n_batch = 1;
    mm->m = 1;
    if (nb == 0) {
        for (int d = 0; d + 1 < a->ndim; d++) mm->m *= (size_t)a->dim[d];
        return true;
    }
    if (a->ndim > 1) mm->m = (size_t)a->dim[a->ndim - 2];
    sa = mm->m * mm->k;
    sb = mm->k * mm->n;
    mm->n_dims = na > nb ? na : nb;
    for (int d = mm->n_dims - 1; d >= 0; d--) {
        const int64_t da = d - (mm->n_dims - na) >= 0 ? a->dim[d - (mm->n_dims - na)] : 1;
        const int64_t db = d - (mm->n_dims - nb) >= 0 ? b->dim[d - (mm->n_dims - nb)] : 1;

        if (da != db && da != 1 && db != 1) return false;
        mm->batch[d] = (size_t)(da == 1 ? db : da);
        mm->a_step[d] = da == 1 ? 0 : sa;
        mm->b_step[d] = db == 1 ? 0 : sb;
        sa *= (size_t)da;
        sb *= (size_t)db;
        mm->n_batch *= mm->batch[d];
    }
    return true;
}

/* Input numbers of a_scale, b_scale, a_zero, b_zero, bias. */
static const int *places(enum op_kind op)
{
    static const int integer[] = { -1, -1, 2, 3, -1 }, to_float[] = { 2, 3, 4, 5, 6 },
                     dynamic[] = { -1, 2, -1, 3, 4 };

    return op == OP_MATMULINTEGER ? integer : op == OP_DYNQUANTMATMUL ? dynamic : to_float;
}

static bool fits(const struct tensor *x, size_t each, bool byte)
{
    if (!x) return true;
    const size_t n = cpu_elements(x);

    return (n == 1 || n == each) && (byte ? is_byte(x) : cpu_is_float(x->type.dtype));
}

static bool take_operands(const struct cpu_task *t, struct int_matmul *mm)
{
    const int *at = places(t->call->op);

    memset(mm, 0, sizeof *mm);
    mm->a = cpu_in(t, 0);
    mm->b = cpu_in(t, 1);
    mm->a_scale = operand(t, at[0]);
    mm->b_scale = operand(t, at[1]);
    mm->a_zero = operand(t, at[2]);
    mm->b_zero = operand(t, at[3]);
    mm->bias = operand(t, at[4]);
    mm->out = cpu_out(t, 0);
    mm->dynamic = t->call->op == OP_DYNQUANTMATMUL;
    if (!take_shape(mm, &mm->a->type, &mm->b->type)) return false;
    const bool to_int = t->call->op == OP_MATMULINTEGER;
    return is_byte(mm->b) && (mm->dynamic ? mm->a->type.dtype == DT_F32 : is_byte(mm->a)) &&
           cpu_elements(mm->out) == mm->n_batch * mm->m * mm->n &&
           (to_int ? mm->out->type.dtype == DT_I32 : cpu_is_float(mm->out->type.dtype)) &&
           (at[0] < 0 || mm->a_scale) && (at[1] < 0 || mm->b_scale) &&
           fits(mm->a_scale, 1, false) && fits(mm->b_scale, mm->n, false) &&
           fits(mm->b_zero, mm->n, true) && fits(mm->a_zero, mm->n_batch == 1 ? mm->m : 1, true) &&
           (!mm->bias || (cpu_is_float(mm->bias->type.dtype) && cpu_elements(mm->bias) == mm->n));
}

/* ---- weights ---- */

static void weights_release(struct prepared *p)
{
    struct int_weights *w = (struct int_weights *)p;

    mem_free_aligned(w->panels);
    mem_free(w->sums);
    mem_free(w);
}

status cpu_int_matmul_prepare(struct cpu_backend *be, const struct op_call *call,
                              struct prepared **out, struct err *err)
{
    const struct tensor *b = cpu_call_in(call, 1);
    size_t bytes;

    (void)be;
    if (!b || !b->data || b->type.ndim != 2 || !is_byte(b) || b->type.dim[0] < 1 ||
        b->type.dim[1] < 1)
        return ST_OK;
    struct int_weights *w = mem_calloc(1, sizeof *w);
    if (!w) return FAIL(err, ST_NOMEM, "%s: no memory for packed weights", call->node);
    w->head.release = weights_release;
    w->k = (size_t)b->type.dim[0];
    w->n = (size_t)b->type.dim[1];
    const size_t panels = kern_panel_count(w->n), panel = kern_i8_panel_bytes(w->k);
    const struct kern_i8_source src = {
        .w = b->data, .n = w->n, .k = w->k, .flip = b->type.dtype == DT_I8 ? FLIP : 0
    };
    if (panel > 0 && checked_mul(panels, panel, &bytes)) {
        w->panels = mem_alloc_aligned(CPU_ALIGN, bytes);
        w->sums = mem_calloc(panels, KERN_NR * sizeof *w->sums);
    }
    if (!w->panels || !w->sums) {
        weights_release(&w->head);
        return FAIL(err, ST_NOMEM, "%s: no memory for packed weights", call->node);
    }
    w->head.bytes = bytes + panels * KERN_NR * sizeof *w->sums;
    const size_t step = cpu_pack_slice(w->k, w->n);
    for (size_t k = 0; k < w->k; k += step) {
        const size_t count = w->k - k < step ? w->k - k : step;

        for (size_t p = 0; p < panels; p++)
            kern_pack_i8_rows(w->panels + p * panel, w->sums + p * KERN_NR, &src, p, k, count);
        cpu_pack_tell(call, src.w + k * w->n, count * w->n);
    }
    *out = &w->head;
    return ST_OK;
}

/* ---- scratch: shared [ranges][rows][row sums][panels][column sums], worker [bytes][tile] ---- */

struct layout {
    size_t rows, row_sums, panels, sums, shared, tile, worker;
};

static bool aligned_add(size_t *at, size_t a, size_t b)
{
    size_t bytes;

    if (!checked_mul(a, b, &bytes) || !checked_add(bytes, CPU_ALIGN - 1, &bytes)) return false;
    return checked_add(*at, bytes & ~(size_t)(CPU_ALIGN - 1), at);
}

static bool layout_of(const struct int_matmul *mm, bool packed, int n_workers, struct layout *l)
{
    const size_t row = kern_i8_row_bytes(mm->k), panels = kern_panel_count(mm->n);

    l->rows = ranges_bytes(n_workers);
    l->row_sums = l->rows;
    if (!aligned_add(&l->row_sums, mm->m, row)) return false;
    l->panels = l->row_sums;
    if (!aligned_add(&l->panels, mm->m, sizeof(int32_t))) return false;
    l->sums = l->panels;
    if (!aligned_add(&l->sums, packed ? 0 : panels, kern_i8_panel_bytes(mm->k))) return false;
    l->shared = l->sums;
    if (!aligned_add(&l->shared, packed ? 0 : panels, KERN_NR * sizeof(int32_t))) return false;
    l->tile = 0;
    if (!aligned_add(&l->tile, 1, row)) return false;
    l->worker = l->tile;
    return (mm->k == 0 || row > 0) &&
           aligned_add(&l->worker, ROWS_BLOCK * PANELS_BLOCK * KERN_NR, sizeof(int32_t));
}

status cpu_int_matmul_scratch(const struct op_call *call, const struct prepared *p,
                              const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    struct int_matmul mm = { 0 };
    struct layout l;

    if (!take_shape(&mm, &call->in[0].type, &call->in[1].type))
        return FAIL(err, ST_SHAPE, "%s: matrices do not fit each other", call->node);
    if (!layout_of(&mm, p != NULL, b->n_workers, &l))
        return FAIL(err, ST_LIMIT, "%s: matrices too large", call->node);
    *out = (struct cpu_scratch){ .worker = l.worker, .shared = l.shared };
    return ST_OK;
}

/* ---- a product ---- */

/* What the tasks of one product share. */
struct int_run {
    const struct int_matmul *mm;
    struct layout at;
    struct weights w;
    float scale;  /* of A, when dynamic */
    int32_t zero; /* of A, moved, when dynamic */
    size_t a_off, b_off, out_off;
};

/* Rows of A as signed bytes with their sums; this worker's share. */
static void convert_rows(const struct cpu_task *t, const struct int_run *run, uint8_t zero)
{
    const struct int_matmul *mm = run->mm;
    const size_t stride = kern_i8_row_bytes(mm->k);
    const struct cpu_share s = cpu_share(t, mm->m, 1);
    int8_t *rows = (int8_t *)t->shared + run->at.rows;
    int32_t *sums = (int32_t *)(void *)((char *)t->shared + run->at.row_sums);
    const uint8_t flip = mm->dynamic || mm->a->type.dtype == DT_U8 ? FLIP : 0;

    for (size_t r = s.begin; r < s.end; r++) {
        const size_t off = run->a_off + r * mm->k;
        const uint8_t *from = t->scratch;

        if (mm->dynamic)
            kern.quantize_u8(t->scratch, (const float *)mm->a->data + off, mm->k, run->scale, zero);
        else
            from = (const uint8_t *)mm->a->data + off;
        sums[r] = kern.signed_row(rows + r * stride, from, mm->k, flip);
        memset(rows + r * stride + mm->k, 0, stride - mm->k);
    }
}

static void pack_share(const struct cpu_task *t, const struct int_run *run)
{
    const struct int_matmul *mm = run->mm;
    const struct kern_i8_source src = { .w = (const uint8_t *)mm->b->data + run->b_off,
                                        .n = mm->n,
                                        .k = mm->k,
                                        .flip = mm->b->type.dtype == DT_I8 ? FLIP : 0 };
    const struct cpu_share s = cpu_share(t, kern_panel_count(mm->n), 1);
    uint8_t *panels = (uint8_t *)t->shared + run->at.panels;
    int32_t *sums = (int32_t *)(void *)((char *)t->shared + run->at.sums);

    for (size_t p = s.begin; p < s.end; p++)
        kern_pack_i8(panels + p * kern_i8_panel_bytes(mm->k), sums + p * KERN_NR, &src, p);
}

static int32_t moved_zero(const struct int_run *run, size_t row)
{
    const struct int_matmul *mm = run->mm;

    if (mm->dynamic) return run->zero;
    return zero_at(mm->a_zero, row) - (mm->a->type.dtype == DT_U8 ? FLIP : 0);
}

/* One row of a tile: zero points, then scales and bias where the result is a float. */
static void finish_row(const struct int_run *run, size_t row, size_t col, size_t n, int32_t *sum,
                       int32_t row_sum)
{
    const struct int_matmul *mm = run->mm;
    const int32_t zx = moved_zero(run, row), moved = mm->b->type.dtype == DT_I8 ? FLIP : 0;
    const size_t at = run->out_off + row * mm->n + col;
    const bool to_int = mm->out->type.dtype == DT_I32;
    const float a_scale = mm->dynamic ? run->scale : to_int ? 1.0f : float_at(mm->a_scale, 0);

    for (size_t c = 0; c < n; c++) {
        const int64_t zw = zero_at(mm->b_zero, col + c) + moved;
        const int64_t v =
            sum[c] - (int64_t)zx * run->w.sums[col + c] - zw * row_sum + (int64_t)mm->k * zw * zx;

        sum[c] = (int32_t)(uint32_t)(uint64_t)v;
    }
    if (to_int) {
        memcpy((int32_t *)mm->out->data + at, sum, n * sizeof *sum);
        return;
    }
    for (size_t c = 0; c < n; c++) {
        float y = (float)sum[c] * (a_scale * float_at(mm->b_scale, col + c));

        if (mm->bias) y += float_at(mm->bias, col + c);
        cpu_from_f32(mm->out->data, mm->out->type.dtype, at + c, &y, 1);
    }
}

static void run_tasks(const struct cpu_task *t, const struct int_run *run)
{
    const struct int_matmul *mm = run->mm;
    const size_t stride = kern_i8_row_bytes(mm->k), width = PANELS_BLOCK * KERN_NR;
    const size_t row_blocks = (mm->m + ROWS_BLOCK - 1) / ROWS_BLOCK;
    const size_t col_blocks = (mm->n + width - 1) / width;
    const int8_t *rows = (const int8_t *)t->shared + run->at.rows;
    const int32_t *row_sums =
        (const int32_t *)(const void *)((const char *)t->shared + run->at.row_sums);
    int32_t *tile = (int32_t *)(void *)((char *)t->scratch + run->at.tile);
    const struct cpu_share s = cpu_share(t, row_blocks * col_blocks, 1);

    for (size_t i = s.begin; i < s.end; i++) {
        const size_t row = i % row_blocks * ROWS_BLOCK, col = i / row_blocks * width;
        const struct kern_linear_i8_args a = {
            .w = run->w.panels + i / row_blocks * PANELS_BLOCK * kern_i8_panel_bytes(mm->k),
            .x = rows + row * stride,
            .x_stride = stride,
            .out = tile,
            .out_stride = width,
            .m = mm->m - row < ROWS_BLOCK ? mm->m - row : ROWS_BLOCK,
            .n = mm->n - col < width ? mm->n - col : width,
            .k = mm->k
        };

        kern.linear_i8(&a);
        for (size_t r = 0; r < a.m; r++)
            finish_row(run, row + r, col, a.n, tile + r * width, row_sums[row + r]);
    }
}

/* Offsets of matrix i of the batch. */
static void take_offsets(struct int_run *run, size_t i)
{
    const struct int_matmul *mm = run->mm;

    run->a_off = run->b_off = 0;
    run->out_off = i * mm->m * mm->n;
    for (int d = mm->n_dims - 1; d >= 0; d--) {
        run->a_off += i % mm->batch[d] * mm->a_step[d];
        run->b_off += i % mm->batch[d] * mm->b_step[d];
        i /= mm->batch[d];
    }
}

void cpu_int_matmul(const struct cpu_task *t)
{
    const struct int_weights *packed = (const struct int_weights *)t->prepared;
    struct int_matmul mm;
    struct int_run run = { .mm = &mm };
    float range[2];
    uint8_t zero = 0;

    if (!take_operands(t, &mm) || !layout_of(&mm, packed != NULL, t->n_workers, &run.at) ||
        (packed && (packed->n != mm.n || packed->k != mm.k))) {
        cpu_fail(t, ST_SHAPE, "matrices, scales or zero points do not fit each other");
        return;
    }
    if (mm.dynamic) {
        range_of_all(t, mm.a, t->shared, range);
        cpu_byte_scale(range, &run.scale, &zero);
        run.zero = (int32_t)zero - FLIP;
    }
    run.w = packed ? (struct weights){ packed->panels, packed->sums }
                   : (struct weights){ (uint8_t *)t->shared + run.at.panels,
                                       (int32_t *)(void *)((char *)t->shared + run.at.sums) };
    for (size_t i = 0; i < mm.n_batch; i++) {
        if (i > 0) cpu_sync(t); /* the last product's rows and panels are still being read */
        take_offsets(&run, i);
        convert_rows(t, &run, zero);
        if (!packed) pack_share(t, &run);
        cpu_sync(t);
        run_tasks(t, &run);
    }
}
