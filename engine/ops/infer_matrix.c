/* SPDX-License-Identifier: MIT */
/* Inference of matrix products and of quantised tensors: MatMul, Gemm, MatMulNBits, Linear,
 * DequantizeLinear, GatherBlockQuantized. */
#include "engine/ops/infer.h"
#include <inttypes.h>

/* ---- float products ---- */

/* The shape with a 1 put before (rows) or after (columns) a vector. */
static struct tensor_type as_matrix(const struct tensor_type *t, bool row)
{
    struct tensor_type m = *t;

    if (t->ndim != 1) return m;
    m.ndim = 2;
    m.dim[0] = row ? 1 : t->dim[0];
    m.dim[1] = row ? t->dim[0] : 1;
    return m;
}

status infer_matmul_shape(struct op_call *call, enum dtype dtype, struct err *err)
{
    const struct tensor_type *x = &call->in[0].type, *y = &call->in[1].type;
    struct tensor_type a = as_matrix(x, true), b = as_matrix(y, false), out = { .dtype = dtype };
    char a_text[128], b_text[128];
    const int64_t m = a.dim[a.ndim - 2], n = b.dim[b.ndim - 1];

    if (infer_dim_compare(a.dim[a.ndim - 1], b.dim[b.ndim - 2]) < 0)
        return infer_fail(call, err, ST_SHAPE, "%s times %s", type_print(x, a_text, sizeof a_text),
                          type_print(y, b_text, sizeof b_text));
    a.ndim -= 2;
    b.ndim -= 2;
    TRY(infer_broadcast(call, &a, &b, &out, err));
    if (x->ndim > 1) (void)infer_push_dim(&out, m);
    if (y->ndim > 1) (void)infer_push_dim(&out, n);
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}

status infer_matmul(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    TRY(infer_dtype_in(call, 0, SET_NUMBER, err));
    TRY(infer_same_dtype(call, 0, 1, err));
    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    TRY(infer_rank(call, 1, 1, IR_DIMS_MAX, err));
    if (call->in[0].type.ndim >= 0 && call->in[1].type.ndim >= 0)
        return infer_matmul_shape(call, call->in[0].type.dtype, err);
    call->out[0].type = infer_unranked(call->in[0].type.dtype);
    return ST_OK;
}

static void swap_last(struct tensor_type *t)
{
    const int64_t dim = t->ndim > 1 ? t->dim[t->ndim - 1] : 0;

    if (t->ndim < 2) return;
    t->dim[t->ndim - 1] = t->dim[t->ndim - 2];
    t->dim[t->ndim - 2] = dim;
}

/* MatMul of the transposed operands; vectors are not transposed. */
status infer_fusedmatmul(struct op_call *call, struct err *err)
{
    const struct attrs_fusedmatmul *at = &call->attr.fusedmatmul;
    struct tensor in[2];
    struct op_call plain = *call;

    TRY(infer_begin(call, err));
    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    if (at->trans_batch_a || at->trans_batch_b)
        return infer_fail(call, err, ST_UNSUPPORTED, "transBatchA, transBatchB");
    in[0] = call->in[0];
    in[1] = call->in[1];
    if (at->trans_a) swap_last(&in[0].type);
    if (at->trans_b) swap_last(&in[1].type);
    plain.in = in;
    return infer_matmul(&plain, err);
}

status infer_gemm(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_gemm *at = &call->attr.gemm;
    const struct tensor_type *a = &call->in[0].type, *b = &call->in[1].type;
    struct tensor_type out = { .dtype = a->dtype, .ndim = 2, .dim = { DIM_UNKNOWN, DIM_UNKNOWN } };

    TRY(infer_dtype_in(call, 0, SET_NUMBER, err));
    TRY(infer_same_dtype(call, 0, 1, err));
    TRY(infer_rank(call, 0, 2, 2, err));
    TRY(infer_rank(call, 1, 2, 2, err));
    if (a->ndim == 2) out.dim[0] = a->dim[at->trans_a ? 1 : 0];
    if (b->ndim == 2) out.dim[1] = b->dim[at->trans_b ? 0 : 1];
    if (a->ndim == 2)
        TRY(infer_dim_is(call, 1, at->trans_b ? 1 : 0, a->dim[at->trans_a ? 0 : 1], err));
    if (infer_has_in(call, 2)) {
        TRY(infer_same_dtype(call, 0, 2, err));
        TRY(infer_broadcasts_to(call, 2, &out, err));
    } else if (call->version < 11) {
        return infer_fail(call, err, ST_FORMAT, "input 2 is required before opset 11");
    }
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}

/* ---- block-quantised weights ---- */

/* Sizes of a weight matrix [N, K] in blocks of block_size along K: from the attributes, and what
 * follows: blob bytes a block, kb blocks a row. */
struct blocks {
    int64_t n, k, bits, size;
    int64_t kb, blob;
};

static bool power_of_two(int64_t v) { return v > 0 && (v & (v - 1)) == 0; }

static status blocks_make(const struct op_call *call, struct blocks *b, struct err *err)
{
    const int64_t n = b->n, k = b->k, bits = b->bits, block_size = b->size;
    int64_t total;

    if (n <= 0 || k <= 0 || n > INT32_MAX || k > INT32_MAX)
        return infer_fail(call, err, ST_FORMAT,
                          "N is %" PRId64 ", K is %" PRId64 ", expected 1 to 2^31-1", n, k);
    if (bits != 2 && bits != 4 && bits != 8)
        return infer_fail(call, err, ST_UNSUPPORTED, "bits is %" PRId64 ", expected 2, 4 or 8",
                          bits);
    if (block_size < 16 || block_size > 1 << 16 || !power_of_two(block_size))
        return infer_fail(call, err, ST_UNSUPPORTED,
                          "block_size is %" PRId64 ", expected a power of two from 16", block_size);
    b->kb = (k + block_size - 1) / block_size;
    b->blob = block_size * bits / 8;
    if (!checked_mul_i64(b->kb, b->blob, &total) || !checked_mul_i64(total, n, &total))
        return infer_fail(call, err, ST_LIMIT, "N x K overflows");
    return ST_OK;
}

/* Input i holds `want` elements, in rows of N when it has more than one dimension. Files write the
 * same bytes flat, [N, x] and [N, kb, x]. */
static status blocks_input(const struct op_call *call, int i, int64_t n, int64_t row,
                           const char *what, struct err *err)
{
    const struct tensor_type *t = &call->in[i].type;
    size_t have;

    TRY(infer_rank(call, i, 1, 3, err));
    if (t->ndim > 1) TRY(infer_dim_is(call, i, 0, n, err));
    if (!type_elements(t, &have) || have == (size_t)n * (size_t)row) return ST_OK;
    return infer_fail(call, err, ST_SHAPE,
                      "input %d (%s) has %zu elements, expected %" PRId64 " x %" PRId64, i, what,
                      have, n, row);
}

static status blocks_zero_points(const struct op_call *call, int i, const struct blocks *b,
                                 struct err *err)
{
    if (!infer_has_in(call, i)) return ST_OK;
    if (call->in[i].type.dtype == DT_U8)
        return blocks_input(call, i, b->n, (b->kb * b->bits + 7) / 8, "zero_points", err);
    TRY(infer_dtype_in(call, i, SET_F32_F16, err));
    return blocks_input(call, i, b->n, b->kb, "zero_points", err);
}

static status blocks_weights(const struct op_call *call, const struct blocks *b, int zero_points,
                             struct err *err)
{
    TRY(infer_dtype_is(call, 1, DT_U8, err));
    TRY(infer_dtype_in(call, 2, SET_F32_F16, err));
    TRY(blocks_input(call, 1, b->n, b->kb * b->blob, "B", err));
    TRY(blocks_input(call, 2, b->n, b->kb, "scales", err));
    return blocks_zero_points(call, zero_points, b, err);
}

/* g_idx: the block that each element of K takes its scale from. */
static status check_g_idx(const struct op_call *call, const struct blocks *b, struct err *err)
{
    int64_t v;
    size_t n;

    if (!infer_has_in(call, 4)) return ST_OK;
    TRY(infer_dtype_is(call, 4, DT_I32, err));
    TRY(infer_rank(call, 4, 1, 1, err));
    const int64_t padded = b->kb * (b->blob * 8 / b->bits);
    if (!type_elements(&call->in[4].type, &n)) return ST_OK;
    if ((int64_t)n != b->k && (int64_t)n != padded)
        return infer_fail(call, err, ST_SHAPE,
                          "input 4 (g_idx) has %zu elements, expected %" PRId64, n, b->k);
    for (size_t i = 0; i < n && infer_int_at(call, 4, i, &v); i++) {
        if (v < 0 || v >= b->kb)
            return infer_fail(call, err, ST_SHAPE,
                              "input 4 (g_idx) holds %" PRId64 " with %" PRId64 " blocks", v,
                              b->kb);
    }
    return ST_OK;
}

/* The output of a linear layer: x with its last dimension, K, become N. */
static status linear_output(struct op_call *call, int64_t k, int64_t n, int bias, struct err *err)
{
    struct tensor_type out = call->in[0].type;

    TRY(infer_dtype_in(call, 0, SET_F32_F16, err));
    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    TRY(infer_dim_is(call, 0, -1, k, err));
    if (infer_has_in(call, bias)) {
        TRY(infer_dtype_in(call, bias, SET_F32_F16, err));
        TRY(infer_rank(call, bias, 1, 1, err));
        TRY(infer_dim_is(call, bias, 0, n, err));
    }
    if (out.ndim > 0) out.dim[out.ndim - 1] = n;
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}

status infer_matmulnbits(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_matmulnbits *a = &call->attr.matmulnbits;
    struct blocks b = { .n = a->n, .k = a->k, .bits = a->bits, .size = a->block_size };

    if (a->weight_prepacked != 0)
        return infer_fail(call, err, ST_UNSUPPORTED,
                          "weight_prepacked is %" PRId64
                          ": the layout belongs to one GPU; export without it",
                          a->weight_prepacked);
    if (a->accuracy_level < 0 || a->accuracy_level > 4)
        return infer_fail(call, err, ST_FORMAT, "accuracy_level is %" PRId64 ", expected 0 to 4",
                          a->accuracy_level);
    TRY(blocks_make(call, &b, err));
    TRY(blocks_weights(call, &b, 3, err));
    TRY(check_g_idx(call, &b, err));
    TRY(infer_same_dtype(call, 0, 2, err));
    if (infer_has_in(call, 5)) TRY(infer_same_dtype(call, 0, 5, err));
    return linear_output(call, b.k, b.n, 5, err);
}

/* x [..., K]; float weights [K, N] or [N, K], or block-quantised as MatMulNBits has them. */
status infer_linear(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_linear *a = &call->attr.linear;
    struct blocks b = { .n = a->n, .k = a->k, .bits = a->bits, .size = a->block_size };

    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    if (a->bits != 0) {
        if (!infer_has_in(call, 2))
            return infer_fail(call, err, ST_FORMAT, "input 2 (scales) is required");
        TRY(blocks_make(call, &b, err));
        TRY(blocks_weights(call, &b, 3, err));
        return linear_output(call, b.k, b.n, 4, err);
    }
    if (a->k <= 0 || a->n <= 0)
        return infer_fail(call, err, ST_FORMAT, "K is %" PRId64 ", N is %" PRId64, a->k, a->n);
    if (infer_has_in(call, 2) || infer_has_in(call, 3))
        return infer_fail(call, err, ST_FORMAT, "scales with float weights");
    TRY(infer_dtype_in(call, 1, SET_F32_F16, err));
    TRY(infer_rank(call, 1, 2, 2, err));
    TRY(infer_dim_is(call, 1, 0, a->trans_b ? a->n : a->k, err));
    TRY(infer_dim_is(call, 1, 1, a->trans_b ? a->k : a->n, err));
    return linear_output(call, a->k, a->n, 4, err);
}

/* ---- dequantisation ---- */

static bool dtype_quantised(enum dtype dt)
{
    return dtype_is_int(dt) ? dtype_bits(dt) <= 32 && dt != DT_U32
                            : dtype_is_float(dt) && dtype_bits(dt) <= 8;
}

/* scale [ceil(D / block_size)] along the axis, elsewhere as x. */
static status dequant_blocked(const struct op_call *call, int64_t block, struct err *err)
{
    const struct tensor_type *x = &call->in[0].type;
    int axis;

    if (call->version < 21 && call->op == OP_DEQUANTIZELINEAR)
        return infer_fail(call, err, ST_FORMAT, "block_size needs opset 21, the model has %d",
                          call->version);
    if (x->ndim < 0) return ST_OK;
    TRY(infer_axis(call, "axis", call->attr.dequant.axis, x->ndim, &axis, err));
    TRY(infer_rank(call, 1, x->ndim, x->ndim, err));
    for (int d = 0; d < x->ndim; d++) {
        const int64_t want = d != axis       ? x->dim[d]
                             : x->dim[d] < 0 ? DIM_UNKNOWN
                                             : x->dim[d] / block + (x->dim[d] % block != 0);
        TRY(infer_dim_is(call, 1, d, want, err));
    }
    return ST_OK;
}

static status dequant_scale(const struct op_call *call, struct err *err)
{
    const struct attrs_dequant *a = &call->attr.dequant;
    const struct tensor_type *x = &call->in[0].type, *scale = &call->in[1].type;
    size_t n;
    int axis;

    if (a->block_size < 0)
        return infer_fail(call, err, ST_FORMAT, "block_size is %" PRId64, a->block_size);
    if (a->block_size > 0) return dequant_blocked(call, a->block_size, err);
    TRY(infer_rank(call, 1, 0, 1, err));
    if (scale->ndim == 0 || (type_elements(scale, &n) && n == 1) || x->ndim < 0) return ST_OK;
    TRY(infer_axis(call, "axis", a->axis, x->ndim, &axis, err));
    return scale->ndim == 1 ? infer_dim_is(call, 1, 0, x->dim[axis], err) : ST_OK;
}

status infer_dequant(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const int64_t wanted = call->attr.dequant.output_dtype;
    enum dtype out;

    out = call->in[1].type.dtype;
    if (!dtype_quantised(call->in[0].type.dtype))
        return infer_fail(call, err, ST_UNSUPPORTED, "input 0 is %s, expected a quantised type",
                          dtype_name(call->in[0].type.dtype));
    if (call->in[1].type.dtype != DT_F8E8M0 || wanted == 0)
        TRY(infer_dtype_in(call, 1, SET_F32_F16, err));
    TRY(dequant_scale(call, err));
    if (infer_has_in(call, 2)) {
        TRY(infer_same_dtype(call, 0, 2, err));
        size_t n_scale, n_zero;
        const bool single = type_elements(&call->in[1].type, &n_scale) && n_scale == 1 &&
                            type_elements(&call->in[2].type, &n_zero) && n_zero == 1;
        if (!single && call->in[1].type.ndim >= 0) {
            TRY(infer_rank(call, 2, call->in[1].type.ndim, call->in[1].type.ndim, err));
            for (int d = 0; d < call->in[1].type.ndim; d++)
                TRY(infer_dim_is(call, 2, d, call->in[1].type.dim[d], err));
        }
    }
    if (wanted != 0) out = (enum dtype)wanted;
    if (wanted != 0 && wanted != DT_F32 && wanted != DT_F16 && wanted != DT_BF16)
        return infer_fail(call, err, ST_UNSUPPORTED,
                          "output_dtype is %" PRId64 ", expected f32, f16 or bf16", wanted);
    call->out[0].type = infer_typed(out, &call->in[0].type);
    return infer_size_check(call, 0, err);
}

/* ---- gather from a quantised table ---- */

/* Axes, bits and block size; *pack = table elements a byte. */
static status gatherq_attrs(const struct op_call *call, int *gather, int *quant, int64_t *bits,
                            int64_t *pack, struct err *err)
{
    const struct attrs_gatherq *a = &call->attr.gatherq;
    const struct tensor_type *x = &call->in[0].type;
    const bool bytes = x->dtype == DT_U8;

    *bits = bytes ? a->bits : 4;
    if (!bytes && x->dtype != DT_U4 && x->dtype != DT_I4)
        return infer_fail(call, err, ST_UNSUPPORTED, "input 0 is %s, expected u8, u4 or i4",
                          dtype_name(x->dtype));
    if ((bytes && a->bits != 2 && a->bits != 4 && a->bits != 8) ||
        (!bytes && a->has_bits && a->bits != 4))
        return infer_fail(call, err, ST_UNSUPPORTED, "bits is %" PRId64 " with %s", a->bits,
                          dtype_name(x->dtype));
    *pack = bytes ? 8 / *bits : 1;
    if (a->block_size < 16 || a->block_size > 1 << 16 || !power_of_two(a->block_size))
        return infer_fail(call, err, ST_UNSUPPORTED,
                          "block_size is %" PRId64 ", expected a power of two from 16",
                          a->block_size);
    TRY(infer_axis(call, "gather_axis", a->gather_axis, x->ndim, gather, err));
    TRY(infer_axis(call, "quantize_axis", a->quantize_axis, x->ndim, quant, err));
    if (*gather == *quant || (bytes && (*gather != 0 || *quant != x->ndim - 1)))
        return infer_fail(call, err, ST_UNSUPPORTED, "gather_axis %d with quantize_axis %d",
                          *gather, *quant);
    return ST_OK;
}

/* scales: as the table, ceil(D / block_size) along the quantised axis; zero points likewise, packed
 * when the table is. */
static status gatherq_scales(const struct op_call *call, int quant, int64_t bits, int64_t pack,
                             struct err *err)
{
    const struct tensor_type *x = &call->in[0].type;
    const int64_t block = call->attr.gatherq.block_size;

    TRY(infer_rank(call, 2, x->ndim, x->ndim, err));
    for (int d = 0; d < x->ndim; d++) {
        int64_t blocks = x->dim[d], zero_points = blocks;

        if (d == quant && x->dim[d] >= 0) {
            TRY(infer_dim_mul(call, x->dim[d], pack, &blocks, err));
            blocks = blocks / block + (blocks % block != 0);
            zero_points = pack > 1 ? (blocks * bits + 7) / 8 : blocks;
        }
        TRY(infer_dim_is(call, 2, d, blocks, err));
        if (!infer_has_in(call, 3)) continue;
        TRY(infer_rank(call, 3, x->ndim, x->ndim, err));
        TRY(infer_dim_is(call, 3, d, zero_points, err));
    }
    return ST_OK;
}

status infer_gatherq(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type, *ids = &call->in[1].type;
    int gather, quant;
    int64_t bits = 4, pack = 1;

    struct tensor_type out = { .dtype = call->in[2].type.dtype };
    TRY(infer_dtype_in(call, 1, SET_INDEX, err));
    TRY(infer_dtype_in(call, 2, SET_F32_F16, err));
    if (infer_has_in(call, 3)) TRY(infer_same_dtype(call, 0, 3, err));
    TRY(infer_rank(call, 0, 2, IR_DIMS_MAX, err));
    call->out[0].type = infer_unranked(out.dtype);
    if (x->ndim < 0) return ST_OK;
    TRY(gatherq_attrs(call, &gather, &quant, &bits, &pack, err));
    TRY(gatherq_scales(call, quant, bits, pack, err));
    if (ids->ndim < 0) return ST_OK;
    bool fits = true;
    for (int d = 0; d < x->ndim; d++) {
        int64_t dim = x->dim[d];
        if (d == quant) TRY(infer_dim_mul(call, dim, pack, &dim, err));
        if (d != gather) fits = fits && infer_push_dim(&out, dim);
        for (int i = 0; d == gather && i < ids->ndim; i++)
            fits = fits && infer_push_dim(&out, ids->dim[i]);
    }
    if (!fits)
        return infer_fail(call, err, ST_UNSUPPORTED, "the result has more than %d dimensions",
                          IR_DIMS_MAX);
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}
