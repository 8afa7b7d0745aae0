/* SPDX-License-Identifier: MIT */
/* MatMul and Gemm of dense tensors. A constant matrix on the right is packed once and goes the way
 * of the linear layers; everything else goes to BLAS, one single-threaded call per block of rows.
 */
#include <cblas.h>
#include <string.h>

#include "backends/cpu/cpu_linear.h"
#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

enum { ROWS_BLOCK = 64 };

/* ---- one product: c[m][n] = a' * b' ---- */

struct product {
    enum dtype dt;
    size_t m, n, k;
    bool trans_a, trans_b;
    float alpha;
};

static bool blas_sized(const struct product *p)
{
    return p->m <= INT32_MAX && p->n <= INT32_MAX && p->k <= INT32_MAX;
}

/* Rows [row, row + rows) of a product whose matrices begin at these elements of the tensors. */
struct rows {
    size_t row, rows;
    size_t a, b, c;
};

static void gemm_ints(const struct product *p, const struct rows *at, const void *a, const void *b,
                      void *c)
{
    union cpu_chunk x, y;

    for (size_t r = at->row; r < at->row + at->rows; r++)
        for (size_t j = 0; j < p->n; j++) {
            uint64_t sum = 0;

            for (size_t i = 0; i < p->k; i++) {
                cpu_load(&x, a, p->dt,
                         (int64_t)(at->a + (p->trans_a ? i * p->m + r : r * p->k + i)), 1, 1);
                cpu_load(&y, b, p->dt,
                         (int64_t)(at->b + (p->trans_b ? j * p->k + i : i * p->n + j)), 1, 1);
                sum += x.u64[0] * y.u64[0];
            }
            x.u64[0] = sum;
            cpu_store(c, p->dt, at->c + r * p->n + j, &x, 1);
        }
}

static void gemm_f32(const struct product *p, size_t row, size_t rows, const float *a,
                     const float *b, float *c)
{
    const float *from = p->trans_a ? a + row : a + row * p->k;

    cblas_sgemm(CblasRowMajor, p->trans_a ? CblasTrans : CblasNoTrans,
                p->trans_b ? CblasTrans : CblasNoTrans, (int)rows, (int)p->n, (int)p->k, p->alpha,
                from, (int)(p->trans_a ? p->m : p->k), b, (int)(p->trans_b ? p->k : p->n), 0.0f,
                c + row * p->n, (int)p->n);
}

static void gemm_f64(const struct product *p, size_t row, size_t rows, const double *a,
                     const double *b, double *c)
{
    const double *from = p->trans_a ? a + row : a + row * p->k;

    cblas_dgemm(CblasRowMajor, p->trans_a ? CblasTrans : CblasNoTrans,
                p->trans_b ? CblasTrans : CblasNoTrans, (int)rows, (int)p->n, (int)p->k,
                (double)p->alpha, from, (int)(p->trans_a ? p->m : p->k), b,
                (int)(p->trans_b ? p->k : p->n), 0.0, c + row * p->n, (int)p->n);
}

/* Half floats are widened into this worker's scratch: [a: m*k][b: k*n][c: m*n]; *b_ready is the
 * offset already there, plus 1. */
static void product_rows(const struct cpu_task *t, const struct product *p, const struct rows *at,
                         size_t *b_ready)
{
    const void *a = t->in[0]->data, *b = t->in[1]->data;
    void *c = t->out[0]->data;
    const size_t row = at->row, rows = at->rows;

    if (rows == 0 || p->n == 0) return;
    if (p->k == 0) {
        memset((char *)c + (at->c + row * p->n) * cpu_size(p->dt), 0,
               rows * p->n * cpu_size(p->dt));
    } else if (p->dt == DT_F32) {
        gemm_f32(p, row, rows, (const float *)a + at->a, (const float *)b + at->b,
                 (float *)c + at->c);
    } else if (p->dt == DT_F64) {
        gemm_f64(p, row, rows, (const double *)a + at->a, (const double *)b + at->b,
                 (double *)c + at->c);
    } else if (!cpu_is_float(p->dt)) {
        gemm_ints(p, at, a, b, c);
    } else {
        float *wa = t->scratch, *wb = wa + p->m * p->k, *wc = wb + p->k * p->n;

        if (p->trans_a)
            cpu_to_f32(wa, a, p->dt, at->a, p->m * p->k);
        else
            cpu_to_f32(wa + row * p->k, a, p->dt, at->a + row * p->k, rows * p->k);
        if (*b_ready != at->b + 1) cpu_to_f32(wb, b, p->dt, at->b, p->k * p->n);
        *b_ready = at->b + 1;
        gemm_f32(p, row, rows, wa, wb, wc);
        cpu_from_f32(c, p->dt, at->c + row * p->n, wc + row * p->n, rows * p->n);
    }
}

/* ---- MatMul: numpy's rules for batches and vectors ---- */

struct matmul {
    struct product p;
    struct tensor batch; /* its type: the broadcast batch dimensions */
    int64_t a_stride[IR_DIMS_MAX], b_stride[IR_DIMS_MAX]; /* in elements */
    size_t n_batch;
};

static bool batch_dims(struct matmul *mm, const struct tensor_type *a, const struct tensor_type *b)
{
    const int na = a->ndim > 2 ? a->ndim - 2 : 0, nb = b->ndim > 2 ? b->ndim - 2 : 0;
    const int n = na > nb ? na : nb;
    int64_t sa = (int64_t)(mm->p.m * mm->p.k), sb = (int64_t)(mm->p.k * mm->p.n);

    mm->batch.type.ndim = n;
    for (int d = n - 1; d >= 0; d--) {
        const int64_t da = d - (n - na) >= 0 ? a->dim[d - (n - na)] : 1;
        const int64_t db = d - (n - nb) >= 0 ? b->dim[d - (n - nb)] : 1;

        if (da != db && da != 1 && db != 1) return false;
        mm->batch.type.dim[d] = da == 1 ? db : da;
        mm->a_stride[d] = da == 1 ? 0 : sa;
        mm->b_stride[d] = db == 1 ? 0 : sb;
        sa *= da;
        sb *= db;
    }
    mm->n_batch = cpu_elements(&mm->batch);
    return true;
}

/* MatMul, or FusedMatMul of floats with its transpositions and factor. */
static bool matmul_of(const struct op_call *call, const struct tensor_type *a,
                      const struct tensor_type *b, struct matmul *mm)
{
    const bool fused = call->op == OP_FUSEDMATMUL;

    memset(mm, 0, sizeof *mm);
    if (a->ndim < 1 || b->ndim < 1 || a->dtype != b->dtype) return false;
    if (fused && cpu_class_of(a->dtype) != CPU_F32 && cpu_class_of(a->dtype) != CPU_F64)
        return false;
    mm->p.dt = a->dtype;
    mm->p.trans_a = fused && call->attr.fusedmatmul.trans_a && a->ndim > 1;
    mm->p.trans_b = fused && call->attr.fusedmatmul.trans_b && b->ndim > 1;
    mm->p.alpha = fused ? call->attr.fusedmatmul.alpha : 1.0f;
    const int ka = mm->p.trans_a ? a->ndim - 2 : a->ndim - 1;
    const int kb = b->ndim == 1 || mm->p.trans_b ? b->ndim - 1 : b->ndim - 2;

    mm->p.m = a->ndim > 1 ? (size_t)a->dim[2 * a->ndim - 3 - ka] : 1;
    mm->p.k = (size_t)a->dim[ka];
    mm->p.n = b->ndim > 1 ? (size_t)b->dim[2 * b->ndim - 3 - kb] : 1;
    return a->dim[ka] == b->dim[kb] && blas_sized(&mm->p) && batch_dims(mm, a, b);
}

void cpu_matmul(const struct cpu_task *t)
{
    const struct tensor *a = cpu_in(t, 0), *b = cpu_in(t, 1), *out = cpu_out(t, 0);
    struct matmul mm;
    struct cpu_walk w;
    struct cpu_piece piece;
    size_t b_ready = 0;

    if (t->prepared) {
        cpu_linear(t);
        return;
    }
    if (!matmul_of(t->call, &a->type, &b->type, &mm) ||
        cpu_elements(out) != mm.n_batch * mm.p.m * mm.p.n || out->type.dtype != mm.p.dt) {
        cpu_fail(t, ST_SHAPE, "matrices do not fit each other");
        return;
    }
    const size_t blocks = (mm.p.m + ROWS_BLOCK - 1) / ROWS_BLOCK;
    const struct cpu_share s = cpu_share(t, mm.n_batch * blocks, 1);
    for (size_t i = s.begin; i < s.end; i++) {
        const size_t at = i / blocks, row = i % blocks * ROWS_BLOCK;
        const size_t rows = mm.p.m - row < ROWS_BLOCK ? mm.p.m - row : ROWS_BLOCK;

        cpu_walk_init(&w, &mm.batch);
        cpu_walk_strides(&w, mm.a_stride);
        cpu_walk_strides(&w, mm.b_stride);
        cpu_walk_begin(&w, at, at + 1);
        if (!cpu_walk_next(&w, 1, &piece)) return;
        const struct rows part = { row, rows, (size_t)piece.off[0], (size_t)piece.off[1],
                                   at * mm.p.m * mm.p.n };
        product_rows(t, &mm.p, &part, &b_ready);
    }
}

static status product_scratch(const struct op_call *call, const struct product *p,
                              struct cpu_scratch *out, struct err *err)
{
    size_t a, b, c, sum;

    if (!cpu_is_float(p->dt) || p->dt == DT_F32) return ST_OK;
    if (!checked_mul(p->m, p->k, &a) || !checked_mul(p->k, p->n, &b) ||
        !checked_mul(p->m, p->n, &c) || !checked_add(a, b, &sum) || !checked_add(sum, c, &sum) ||
        !checked_mul(sum, sizeof(float), &out->worker))
        return FAIL(err, ST_LIMIT, "%s: matrices too large", call->node);
    return ST_OK;
}

status cpu_matmul_scratch(const struct op_call *call, const struct prepared *p,
                          const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    struct matmul mm;

    if (p) return cpu_linear_scratch(call, p, b, out, err);
    if (!matmul_of(call, &call->in[0].type, &call->in[1].type, &mm))
        return FAIL(err, ST_SHAPE, "%s: matrices do not fit each other", call->node);
    return product_scratch(call, &mm.p, out, err);
}

status cpu_matmul_prepare(struct cpu_backend *be, const struct op_call *call, struct prepared **out,
                          struct err *err)
{
    const struct tensor *b = cpu_call_in(call, 1);

    if (call->op == OP_FUSEDMATMUL &&
        (call->attr.fusedmatmul.trans_a || call->attr.fusedmatmul.trans_b ||
         call->attr.fusedmatmul.alpha != 1.0f))
        return ST_OK;
    if (!b || !b->data || b->type.ndim != 2 || !cpu_is_float(b->type.dtype) ||
        call->in[0].type.ndim < 2 || b->type.dim[0] < 1 || b->type.dim[1] < 1)
        return ST_OK;
    const struct cpu_plain_layer layer = { .w = { .w = b->data,
                                                  .n = (size_t)b->type.dim[1],
                                                  .k = (size_t)b->type.dim[0],
                                                  .stride_n = 1,
                                                  .stride_k = (size_t)b->type.dim[1],
                                                  .elem_size = cpu_size(b->type.dtype) },
                                           .dtype = b->type.dtype };
    return cpu_linear_pack_plain(be, call, &layer, out, err);
}

/* ---- Gemm ---- */

static bool gemm_of(const struct op_call *call, const struct tensor_type *a,
                    const struct tensor_type *b, struct product *p)
{
    const struct attrs_gemm *at = &call->attr.gemm;

    if (a->ndim != 2 || b->ndim != 2 || a->dtype != b->dtype) return false;
    *p = (struct product){ .dt = a->dtype,
                           .alpha = 1.0f,
                           .m = (size_t)a->dim[at->trans_a ? 1 : 0],
                           .k = (size_t)a->dim[at->trans_a ? 0 : 1],
                           .n = (size_t)b->dim[at->trans_b ? 0 : 1],
                           .trans_a = at->trans_a != 0,
                           .trans_b = at->trans_b != 0 };
    return (size_t)b->dim[at->trans_b ? 1 : 0] == p->k && blas_sized(p) &&
           cpu_class_of(p->dt) != CPU_NONE;
}

/* out = alpha * out + beta * C over rows [row, row + rows), C broadcast to [m, n]. */
static bool scale_add(const struct cpu_task *t, const struct product *p, size_t row, size_t rows)
{
    const struct attrs_gemm *at = &t->call->attr.gemm;
    const struct tensor *c = cpu_in(t, 2), *out = cpu_out(t, 0);
    const enum cpu_class cls = cpu_class_of(p->dt);
    struct cpu_walk w;
    struct cpu_piece piece;
    union cpu_chunk x, y;

    if (at->alpha == 1.0f && !c) return true;
    cpu_walk_init(&w, out);
    if (c && !cpu_walk_broadcast(&w, c)) return false;
    cpu_walk_begin(&w, row * p->n, (row + rows) * p->n);
    while (cpu_walk_next(&w, CPU_CHUNK, &piece)) {
        cpu_load(&x, out->data, p->dt, (int64_t)piece.at, 1, piece.n);
        cpu_convert(&x, cls, CPU_F64, piece.n);
        if (c) cpu_load(&y, c->data, c->type.dtype, piece.off[0], piece.step[0], piece.n);
        if (c) cpu_convert(&y, cpu_class_of(c->type.dtype), CPU_F64, piece.n);
        for (size_t i = 0; i < piece.n; i++)
            x.f64[i] = (double)at->alpha * x.f64[i] + (c ? (double)at->beta * y.f64[i] : 0.0);
        cpu_convert(&x, CPU_F64, cls, piece.n);
        cpu_store(out->data, p->dt, piece.at, &x, piece.n);
    }
    return true;
}

void cpu_gemm(const struct cpu_task *t)
{
    const struct tensor *out = cpu_out(t, 0);
    struct product p;
    size_t b_ready = 0;

    if (t->prepared) {
        cpu_linear(t);
        return;
    }
    if (!gemm_of(t->call, &cpu_in(t, 0)->type, &cpu_in(t, 1)->type, &p) ||
        cpu_elements(out) != p.m * p.n || out->type.dtype != p.dt) {
        cpu_fail(t, ST_SHAPE, "matrices do not fit each other");
        return;
    }
    const struct cpu_share s = cpu_share(t, p.m, ROWS_BLOCK);
    if (s.begin == s.end) return;
    product_rows(t, &p, &(struct rows){ .row = s.begin, .rows = s.end - s.begin }, &b_ready);
    if (!scale_add(t, &p, s.begin, s.end - s.begin))
        cpu_fail(t, ST_SHAPE, "C does not broadcast to the output");
}

status cpu_gemm_scratch(const struct op_call *call, const struct prepared *p,
                        const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    struct product product;

    if (p) return cpu_linear_scratch(call, p, b, out, err);
    if (!gemm_of(call, &call->in[0].type, &call->in[1].type, &product))
        return FAIL(err, ST_SHAPE, "%s: matrices do not fit each other", call->node);
    return product_scratch(call, &product, out, err);
}

/* Whether C is absent, or a constant row that the packed layer can add. */
static bool is_row_bias(const struct op_call *call, const struct product *p)
{
    const struct tensor *c = cpu_call_in(call, 2);
    size_t n;

    if (!c) return true;
    return call->attr.gemm.beta == 1.0f && c->data && cpu_is_float(c->type.dtype) &&
           type_elements(&c->type, &n) && n == p->n && c->type.ndim >= 1 &&
           (size_t)c->type.dim[c->type.ndim - 1] == n;
}

status cpu_gemm_prepare(struct cpu_backend *be, const struct op_call *call, struct prepared **out,
                        struct err *err)
{
    const struct tensor *b = cpu_call_in(call, 1);
    struct product p;

    if (!b || !b->data || !cpu_is_float(b->type.dtype) || call->attr.gemm.trans_a ||
        call->attr.gemm.alpha != 1.0f || call->in[0].type.ndim != 2 || b->type.ndim != 2 ||
        b->type.dim[0] < 1 || b->type.dim[1] < 1)
        return ST_OK;
    p.n = (size_t)b->type.dim[call->attr.gemm.trans_b ? 0 : 1];
    p.k = (size_t)b->type.dim[call->attr.gemm.trans_b ? 1 : 0];
    if (!is_row_bias(call, &p)) return ST_OK;
    const struct cpu_plain_layer layer = { .w = { .w = b->data,
                                                  .n = p.n,
                                                  .k = p.k,
                                                  .stride_n = call->attr.gemm.trans_b ? p.k : 1,
                                                  .stride_k = call->attr.gemm.trans_b ? 1 : p.n,
                                                  .elem_size = cpu_size(b->type.dtype) },
                                           .dtype = b->type.dtype,
                                           .bias = cpu_call_in(call, 2) };
    return cpu_linear_pack_plain(be, call, &layer, out, err);
}
