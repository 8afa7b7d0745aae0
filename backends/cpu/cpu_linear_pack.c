/* SPDX-License-Identifier: MIT */
/* prepare of linear layers: checks the constants against each other and packs them. */
#include <string.h>

#include "backends/cpu/cpu_linear.h"
#include "backends/cpu/cpu_ops.h"
#include "backends/cpu/cpu_pack.h"
#include "backends/cpu/cpu_shared.h"

/* ---- common ---- */

static void linear_release(struct prepared *p)
{
    struct cpu_linear *l = (struct cpu_linear *)p;

    if (l->shared)
        cpu_shared_leave(l->shared);
    else
        mem_free_aligned(l->panels);
    mem_free(l->bias);
    mem_free(l);
}

static const char *no_memory = "%s: no memory for packed weights [%zu, %zu]";

static status linear_create(struct cpu_linear **out, const char *node, size_t n, size_t k,
                            struct err *err)
{
    struct cpu_linear *l = mem_calloc(1, sizeof *l);

    *out = l;
    if (!l) return FAIL(err, ST_NOMEM, no_memory, node, n, k);
    l->head.release = linear_release;
    l->n = n;
    l->k = k;
    l->n_panels = kern_panel_count(n);
    return ST_OK;
}

static status take_bias(struct cpu_linear *l, const struct op_call *call, const struct tensor *bias,
                        struct err *err)
{
    size_t n;

    if (!bias) return ST_OK;
    if (!bias->data || !cpu_is_float(bias->type.dtype) || !type_elements(&bias->type, &n) ||
        n != l->n)
        return FAIL(err, ST_SHAPE, "%s: bias is no constant of %zu floats", call->node, l->n);
    l->bias = mem_alloc(n * sizeof(float));
    if (!l->bias) return FAIL(err, ST_NOMEM, no_memory, call->node, l->n, l->k);
    cpu_pack_floats(l->bias, bias->data, bias->type.dtype, 0, n);
    return ST_OK;
}

/* Constant with at least this many elements of one of the given kinds. */
static bool constant_of(const struct tensor *x, size_t n_want)
{
    size_t n;

    return x && x->data && type_elements(&x->type, &n) && n == n_want;
}

/* Memory for the panels, whose number and size are set. */
static status panels_create(struct cpu_linear *l, const char *node, struct cpu_panels *out,
                            struct err *err)
{
    size_t bytes;

    if (!checked_mul(l->n_panels, l->panel_bytes, &bytes) || bytes == 0)
        return FAIL(err, ST_LIMIT, "%s: weights [%zu, %zu] too large", node, l->n, l->k);
    l->panels = mem_alloc_aligned(CPU_ALIGN, bytes);
    if (!l->panels) return FAIL(err, ST_NOMEM, no_memory, node, l->n, l->k);
    l->head.bytes = bytes + (l->bias ? l->n * sizeof *l->bias : 0);
    *out = (struct cpu_panels){ l->panels, l->n_panels, l->panel_bytes };
    return ST_OK;
}

/* ---- plain weights ---- */

/* The panels: those that another node has of the same weights, else packed now. */
static status take_panels(struct cpu_backend *be, const struct op_call *call,
                          const struct kern_plain_source *src, struct cpu_linear *l,
                          struct err *err)
{
    struct cpu_panels panels;

    l->shared = cpu_shared_find(be, src);
    if (l->shared) {
        l->panels = l->shared->panels;
        l->head.bytes = l->bias ? l->n * sizeof *l->bias : 0;
        return ST_OK;
    }
    TRY(panels_create(l, call->node, &panels, err));
    l->shared = cpu_shared_add(be, src, l->panels);
    if (!l->shared) return FAIL(err, ST_NOMEM, no_memory, call->node, l->n, l->k);
    cpu_pack_plain(be, call, &panels, src);
    return ST_OK;
}

status cpu_linear_pack_plain(struct cpu_backend *be, const struct op_call *call,
                             const struct cpu_plain_layer *layer, struct prepared **out,
                             struct err *err)
{
    const struct kern_plain_source *src = &layer->w;
    const enum dtype dt = layer->dtype;
    struct cpu_linear *l;
    status st = linear_create(&l, call->node, src->n, src->k, err);

    if (st != ST_OK) return st;
    l->kind = dt == DT_F16 ? CPU_LIN_F16 : dt == DT_BF16 ? CPU_LIN_BF16 : CPU_LIN_F32;
    l->panel_bytes = kern_plain_panel_bytes(src->k, src->elem_size);
    st = take_bias(l, call, layer->bias, err);
    if (st == ST_OK) st = take_panels(be, call, src, l, err);
    if (st != ST_OK) {
        linear_release(&l->head);
        return st;
    }
    *out = &l->head;
    return ST_OK;
}

static status prepare_float(struct cpu_backend *be, const struct op_call *call,
                            struct prepared **out, struct err *err)
{
    const struct attrs_linear *a = &call->attr.linear;
    const struct tensor *w = cpu_call_in(call, 1);
    size_t n, count;

    if (!w || !w->data || !cpu_is_float(w->type.dtype) || !type_elements(&w->type, &n))
        return FAIL(err, ST_UNSUPPORTED, "%s: weights are no constant floats", call->node);
    if (a->n < 1 || a->k < 1 || !checked_mul((size_t)a->n, (size_t)a->k, &count) || count != n)
        return FAIL(err, ST_SHAPE, "%s: %zu weights are not K=%lld times N=%lld", call->node, n,
                    (long long)a->k, (long long)a->n);
    const struct cpu_plain_layer layer = { .w = { .w = w->data,
                                                  .n = (size_t)a->n,
                                                  .k = (size_t)a->k,
                                                  .stride_n = a->trans_b ? (size_t)a->k : 1,
                                                  .stride_k = a->trans_b ? 1 : (size_t)a->n,
                                                  .elem_size = cpu_size(w->type.dtype) },
                                           .dtype = w->type.dtype,
                                           .bias = cpu_call_in(call, 4) };
    return cpu_linear_pack_plain(be, call, &layer, out, err);
}

/* ---- block-quantised weights ---- */

/* Linear and MatMulNBits under one roof. */
struct qlinear {
    const char *node;
    int64_t n, k, bits, block, accuracy_level;
    const struct tensor *b, *scales, *zp, *bias;
    size_t blocks; /* per column */
};

static status read_call(const struct op_call *call, struct qlinear *q, struct err *err)
{
    *q = (struct qlinear){ .node = call->node,
                           .b = cpu_call_in(call, 1),
                           .scales = cpu_call_in(call, 2),
                           .zp = cpu_call_in(call, 3) };
    if (call->op == OP_LINEAR) {
        const struct attrs_linear *a = &call->attr.linear;

        q->n = a->n, q->k = a->k, q->bits = a->bits, q->block = a->block_size;
        q->accuracy_level = a->accuracy_level;
        q->bias = cpu_call_in(call, 4);
        return ST_OK;
    }
    const struct attrs_matmulnbits *a = &call->attr.matmulnbits;
    q->n = a->n, q->k = a->k, q->bits = a->bits, q->block = a->block_size;
    q->accuracy_level = a->accuracy_level;
    q->bias = cpu_call_in(call, 5);
    if (a->weight_prepacked)
        return FAIL(err, ST_UNSUPPORTED,
                    "%s: weight_prepacked: a layout private to one GPU library; export without it",
                    call->node);
    return ST_OK;
}

static status check_qlinear(struct qlinear *q, struct err *err)
{
    if (q->n < 1 || q->k < 1 || q->n > INT32_MAX || q->k > INT32_MAX)
        return FAIL(err, ST_SHAPE, "%s: K=%lld, N=%lld", q->node, (long long)q->k, (long long)q->n);
    if ((q->bits != 2 && q->bits != 4 && q->bits != 8) || q->block < 16 || q->block > 256 ||
        (q->block & (q->block - 1)) != 0)
        return FAIL(err, ST_UNSUPPORTED,
                    "%s: %lld bits in blocks of %lld (expected 2, 4, 8 bits; 16, 32, 64, 128, 256)",
                    q->node, (long long)q->bits, (long long)q->block);
    q->blocks = ((size_t)q->k + (size_t)q->block - 1) / (size_t)q->block;
    const size_t all = (size_t)q->n * q->blocks;
    if (!constant_of(q->b, all * (size_t)q->block * (size_t)q->bits / 8) ||
        dtype_bits(q->b->type.dtype) != 8)
        return FAIL(err, ST_SHAPE, "%s: B is no constant u8[%lld, %zu, %lld]", q->node,
                    (long long)q->n, q->blocks, (long long)(q->block * q->bits / 8));
    if (!constant_of(q->scales, all) || !cpu_is_float(q->scales->type.dtype))
        return FAIL(err, ST_SHAPE, "%s: scales are no constant floats [%lld, %zu]", q->node,
                    (long long)q->n, q->blocks);
    if (!q->zp) return ST_OK;
    const bool is_float = cpu_is_float(q->zp->type.dtype);
    const size_t packed = (size_t)q->n * ((q->blocks * (size_t)q->bits + 7) / 8);
    if (!constant_of(q->zp, is_float ? all : packed) ||
        (!is_float && dtype_bits(q->zp->type.dtype) != 8))
        return FAIL(err, ST_SHAPE, "%s: zero_points fit neither u8 [%lld, %zu] nor floats", q->node,
                    (long long)q->n, packed / (size_t)q->n);
    return ST_OK;
}

static uint8_t zp_kind(const struct qlinear *q)
{
    if (q->zp && cpu_is_float(q->zp->type.dtype)) return KERN_ZP_F32;
    return q->zp || q->bits == 2 ? KERN_ZP_U8 : KERN_ZP_NONE;
}

static status build_qlinear(struct cpu_backend *be, const struct op_call *call,
                            const struct qlinear *q, struct cpu_linear *l, struct err *err)
{
    const uint8_t zp = zp_kind(q);
    struct cpu_panels panels;

    TRY(take_bias(l, call, q->bias, err));
    const struct kern_qshape shape = {
        .n = l->n, .k = l->k, .block = (uint32_t)q->block, .bits = q->bits == 8 ? 8 : 4, .zp = zp
    };
    if (!kern_qshape_ok(&shape))
        return FAIL(err, ST_LIMIT, "%s: weights [%zu, %zu] too large", q->node, l->n, l->k);
    const bool a8 = q->accuracy_level == 4 && zp != KERN_ZP_F32 && !be->strict;
    if (shape.bits == 8)
        l->kind = a8 ? CPU_LIN_Q8_A8 : CPU_LIN_Q8_F32;
    else
        l->kind = a8 ? CPU_LIN_Q4_A8 : CPU_LIN_Q4_F32;
    l->block = shape.block;
    l->zp = zp;
    l->panel_bytes = kern_q_panel_bytes(&shape);
    const struct cpu_qsource src = { .b = q->b->data,
                                     .scales = q->scales->data,
                                     .scale_type = q->scales->type.dtype,
                                     .zp = q->zp ? q->zp->data : NULL,
                                     .zp_type = q->zp ? q->zp->type.dtype : DT_NONE,
                                     .bits = (unsigned)q->bits };
    TRY(panels_create(l, q->node, &panels, err));
    return cpu_pack_quantised(be, call, &panels, &shape, &src, err);
}

status cpu_linear_prepare(struct cpu_backend *be, const struct op_call *call, struct prepared **out,
                          struct err *err)
{
    struct qlinear q;
    struct cpu_linear *l = NULL;

    if (call->op == OP_LINEAR && call->attr.linear.bits == 0)
        return prepare_float(be, call, out, err);
    TRY(read_call(call, &q, err));
    TRY(check_qlinear(&q, err));
    status st = linear_create(&l, q.node, (size_t)q.n, (size_t)q.k, err);
    if (st == ST_OK) st = build_qlinear(be, call, &q, l, err);
    if (st != ST_OK) {
        if (l) linear_release(&l->head);
        return st;
    }
    *out = &l->head;
    return ST_OK;
}
