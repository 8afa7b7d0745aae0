/* SPDX-License-Identifier: MIT */
/* prepare of MoE and QMoE: the experts' constant weights into the panels of linear layers. They
 * stay as many bits as the file gives them (2-bit weights become 4). */
#include <string.h>

#include "backends/cpu/cpu_moe.h"
#include "backends/cpu/cpu_ops.h"
#include "backends/cpu/cpu_pack.h"
#include "backends/cpu/mini_float.h"

enum { BLOCK_MIN = 16, BLOCK_MAX = 256, FP4_BLOCK = 32 };

/* One projection as the node's inputs give it. */
struct source {
    const struct op_call *call;
    const struct tensor *w, *scales, *zp, *bias;
    const struct tensor *global; /* fp4: a factor for each expert, or NULL */
    bool fp4;                    /* weights are e2m1 floats, scales e8m0 */
    int64_t bits, block;         /* bits 0: plain floats; block 0: one scale a row */
    size_t n_experts, n, k;
    size_t blocks, zp_row; /* of a packed row: scales, bytes of zero points */
};

/* An expert's scales and zero points in the form kern_pack_q takes. */
struct staged {
    float *scales;
    uint8_t *zp, *wide;
};

static void moe_release(struct prepared *p)
{
    struct cpu_moe *m = (struct cpu_moe *)p;

    for (int i = 0; i < CPU_FCS; i++) {
        mem_free_aligned(m->fc[i].layer.panels);
        mem_free(m->fc[i].layer.bias);
    }
    mem_free(m);
}

static status no_memory(const struct source *s, struct err *err)
{
    return FAIL(err, ST_NOMEM, "%s: no memory for %zu experts' weights [%zu, %zu]", s->call->node,
                s->n_experts, s->n, s->k);
}

/* ---- reading ---- */

static bool constant_of(const struct tensor *x, size_t n_want)
{
    size_t n;

    return x->data && type_elements(&x->type, &n) && n == n_want;
}

/* Largest block that the kernels take and that divides k: a row's one scale is repeated. */
static int64_t row_block(size_t k)
{
    int64_t block = BLOCK_MAX;

    while (block > BLOCK_MIN && k % (size_t)block != 0) block /= 2;
    return k % (size_t)block == 0 ? block : 0;
}

static status check_quantised(struct source *s, struct err *err)
{
    const char *node = s->call->node;
    const int64_t block = s->block ? s->block : row_block(s->k);
    const size_t rows = s->n_experts * s->n;

    if (s->bits != 2 && s->bits != 4 && s->bits != 8)
        return FAIL(err, ST_UNSUPPORTED, "%s: experts of %lld bits (expected 2, 4 or 8)", node,
                    (long long)s->bits);
    if (block < BLOCK_MIN || block > BLOCK_MAX || (block & (block - 1)) || s->k % (size_t)block)
        return FAIL(err, ST_UNSUPPORTED,
                    "%s: block_size %lld with rows of %zu (expected 16, 32, 64, 128 or 256, a "
                    "divisor)",
                    node, (long long)s->block, s->k);
    s->blocks = s->k / (size_t)block;
    s->zp_row = (s->blocks * (size_t)s->bits + 7) / 8;
    if (!s->scales || !cpu_is_float(s->scales->type.dtype) ||
        !constant_of(s->scales, s->block ? rows * s->blocks : rows))
        return FAIL(err, ST_SHAPE, "%s: scales are no constant floats, one a block of %lld", node,
                    (long long)block);
    const size_t zp_bytes =
        s->block ? rows * s->zp_row : s->n_experts * ((s->n * (size_t)s->bits + 7) / 8);
    if (s->zp && (s->zp->type.dtype != DT_U8 || !constant_of(s->zp, zp_bytes)))
        return FAIL(err, ST_SHAPE, "%s: zero points are no constant u8 of %zu bytes", node,
                    zp_bytes);
    if (!s->block) s->block = -block; /* negative: one scale a row, repeated for each block */
    return ST_OK;
}

/* MXFP4: weights u8 [E, K, N/2], the lower nibble of a byte being the even column; scales [E, N,
 * K/32], the exponents of powers of two. */
static status check_fp4(struct source *s, struct err *err)
{
    const struct tensor_type *t = &s->w->type;
    const char *node = s->call->node;

    s->n = (size_t)t->dim[2] * 2;
    if (s->bits != 4 || (s->block > 0 && s->block != FP4_BLOCK) || s->zp || t->dtype != DT_U8 ||
        s->n == 0 || (size_t)t->dim[1] != s->k || s->k % FP4_BLOCK)
        return FAIL(err, ST_UNSUPPORTED,
                    "%s: quant_type fp4 wants 4 bits, blocks of 32, no zero points, and weights u8 "
                    "[E, %zu, N/2]",
                    node, s->k);
    s->block = FP4_BLOCK;
    s->blocks = s->k / FP4_BLOCK;
    if (!s->scales || (s->scales->type.dtype != DT_U8 && s->scales->type.dtype != DT_F8E8M0) ||
        !constant_of(s->scales, s->n_experts * s->n * s->blocks))
        return FAIL(err, ST_SHAPE, "%s: scales are no constant u8 or f8e8m0 [%zu, %zu, %zu]", node,
                    s->n_experts, s->n, s->blocks);
    if (s->global && (s->global->type.dtype != DT_F32 || !constant_of(s->global, s->n_experts)))
        return FAIL(err, ST_SHAPE, "%s: global scales are no constant f32 [%zu]", node,
                    s->n_experts);
    return ST_OK;
}

static status check_bias(const struct source *s, struct err *err)
{
    if (s->bias &&
        (!cpu_is_float(s->bias->type.dtype) || !constant_of(s->bias, s->n_experts * s->n)))
        return FAIL(err, ST_SHAPE, "%s: a bias is no constant floats [%zu, %zu]", s->call->node,
                    s->n_experts, s->n);
    return ST_OK;
}

/* Weights [E, N, K] (quantised: K * bits / 8 bytes a row), rows of k. */
static status check_source(struct source *s, size_t k, struct err *err)
{
    const struct tensor_type *t = &s->w->type;
    const char *node = s->call->node;

    if (!s->w->data || t->ndim != 3 || t->dim[0] < 1 || t->dim[1] < 1 || k == 0)
        return FAIL(err, ST_UNSUPPORTED, "%s: the experts' weights are no constants [E, N, K]",
                    node);
    s->n_experts = (size_t)t->dim[0];
    s->n = (size_t)t->dim[1];
    s->k = k;
    if (s->fp4) {
        TRY(check_fp4(s, err));
        return check_bias(s, err);
    }
    const uint64_t row_bits = (uint64_t)t->dim[2] * dtype_bits(t->dtype);
    const uint64_t want = (uint64_t)k * (s->bits ? (uint64_t)s->bits : dtype_bits(t->dtype));
    if (row_bits != want || (s->bits ? t->dtype != DT_U8 : !cpu_is_float(t->dtype)))
        return FAIL(err, ST_SHAPE, "%s: a row of the experts' weights does not hold %zu numbers",
                    node, k);
    TRY(check_bias(s, err));
    return s->bits ? check_quantised(s, err) : ST_OK;
}

/* ---- staging one expert ---- */

static unsigned bits_at(const uint8_t *base, size_t i, unsigned bits)
{
    const unsigned per = 8 / bits;

    return (unsigned)base[i / per] >> (i % per * bits) & ((1u << bits) - 1u);
}

static void put_bits(uint8_t *base, size_t i, unsigned bits, unsigned v)
{
    const unsigned per = 8 / bits, shift = (unsigned)(i % per) * bits;

    base[i / per] = (uint8_t)((base[i / per] & ~(((1u << bits) - 1u) << shift)) | v << shift);
}

/* Zero points to [n][blocks] of the packed width, from rows of blocks or one a row. 2-bit weights
 * always get some: their middle is not the middle of 4 bits. */
static void stage_zero_points(const struct source *s, size_t expert, unsigned packed, uint8_t *out)
{
    const unsigned bits = (unsigned)s->bits;
    const size_t row = (s->blocks * packed + 7) / 8;
    const uint8_t *zp = s->zp ? s->zp->data : NULL;

    for (size_t n = 0; n < s->n; n++)
        for (size_t b = 0; b < s->blocks; b++) {
            unsigned v = 1u << (bits - 1);

            if (zp && s->block > 0)
                v = bits_at(zp + (expert * s->n + n) * s->zp_row, b, bits);
            else if (zp)
                v = bits_at(zp + expert * ((s->n * bits + 7) / 8), n, bits);
            put_bits(out + n * row, b, packed, v);
        }
}

/* Codes [K, N/2] to rows of K, exponents to floats. */
static void stage_fp4(const struct source *s, size_t expert, const struct staged *g)
{
    const uint8_t *w = (const uint8_t *)s->w->data + expert * s->k * s->n / 2;
    const uint8_t *e = (const uint8_t *)s->scales->data + expert * s->n * s->blocks;
    float global = 1;

    if (s->global) cpu_pack_floats(&global, s->global->data, DT_F32, expert, 1);
    for (size_t i = 0; i < s->n * s->blocks; i++)
        g->scales[i] = mini_to_f32(MINI_E8M0, e[i]) * global;
    for (size_t k = 0; k < s->k; k += 2)
        for (size_t n = 0; n < s->n; n++) {
            const unsigned low = bits_at(w + k * s->n / 2, n, 4);
            const unsigned high = bits_at(w + (k + 1) * s->n / 2, n, 4);

            g->wide[n * s->k / 2 + k / 2] = (uint8_t)(low | high << 4);
        }
}

static void stage_expert(const struct source *s, size_t expert, unsigned packed,
                         const struct staged *g)
{
    const size_t rows = s->n, per_row = s->block > 0 ? s->blocks : 1;
    const enum dtype dt = s->scales->type.dtype;

    if (s->fp4) {
        stage_fp4(s, expert, g);
        return;
    }
    for (size_t n = 0; n < rows; n++)
        for (size_t b = 0; b < s->blocks; b++)
            cpu_pack_floats(g->scales + n * s->blocks + b, s->scales->data, dt,
                            (expert * rows + n) * per_row + (s->block > 0 ? b : 0), 1);
    if (g->zp) stage_zero_points(s, expert, packed, g->zp);
    if (!g->wide) return;
    const uint8_t *w = (const uint8_t *)s->w->data + expert * rows * s->k / 4;
    for (size_t i = 0; i < rows * s->k; i++) put_bits(g->wide, i, 4, bits_at(w, i, 2));
}

/* ---- packing ---- */

static status pack_expert(struct cpu_backend *be, const struct source *s,
                          const struct cpu_linear *l, size_t expert, const struct staged *g,
                          struct err *err)
{
    const struct cpu_panels to = { l->panels + expert * l->n_panels * l->panel_bytes, l->n_panels,
                                   l->panel_bytes };
    const unsigned packed = s->bits == 8 ? 8 : 4;
    const size_t bits = s->bits ? (size_t)s->bits : dtype_bits(s->w->type.dtype);
    const size_t bytes = s->n * s->k * bits / 8;
    const uint8_t *w = (const uint8_t *)s->w->data + expert * bytes;
    status st = ST_OK;

    if (s->bits) {
        const struct kern_qshape shape = {
            .n = l->n, .k = l->k, .block = l->block, .bits = (uint8_t)packed, .zp = (uint8_t)l->zp
        };
        const struct cpu_qsource src = { .b = g->wide ? g->wide : w,
                                         .scales = g->scales,
                                         .scale_type = DT_F32,
                                         .zp = g->zp,
                                         .zp_type = DT_U8,
                                         .bits = packed };

        stage_expert(s, expert, packed, g);
        st = cpu_pack_quantised(be, s->call, &to, &shape, &src, err);
    } else {
        const struct kern_plain_source src = {
            .w = w, .n = s->n, .k = s->k, .stride_n = s->k, .stride_k = 1, .elem_size = bits / 8
        };

        cpu_pack_plain(be, s->call, &to, &src);
    }
    cpu_pack_tell(s->call, w, bytes);
    return st;
}

static status stage_create(const struct source *s, struct staged *g, struct err *err)
{
    const size_t rows = s->n, zp_row = (s->blocks * (s->bits == 8 ? 8 : 4) + 7) / 8;
    const bool zp = s->zp || s->bits == 2, wide = s->fp4 || s->bits == 2;

    if (!s->bits) return ST_OK;
    g->scales = mem_alloc(rows * s->blocks * sizeof *g->scales);
    if (zp) g->zp = mem_calloc(rows, zp_row);
    if (wide) g->wide = mem_calloc(rows, s->k / 2);
    if (!g->scales || (zp && !g->zp) || (wide && !g->wide)) return no_memory(s, err);
    return ST_OK;
}

static void stage_destroy(struct staged *g)
{
    mem_free(g->scales);
    mem_free(g->zp);
    mem_free(g->wide);
}

/* Kind and panel size of a layer. */
static status shape_layer(const struct cpu_backend *be, const struct source *s,
                          struct cpu_linear *l, struct err *err)
{
    const enum dtype dt = s->w->type.dtype;
    /* onnxruntime's CPU has no float kernel for experts of 8 bits in blocks, whatever the level. */
    const bool a8 = (s->call->attr.moe.accuracy_level == 4 || s->bits == 8) && s->block > 0 &&
                    !s->fp4 && !be->strict;

    l->n = s->n;
    l->k = s->k;
    l->n_panels = kern_panel_count(s->n);
    if (!s->bits) {
        l->kind = dt == DT_F16 ? CPU_LIN_F16 : dt == DT_BF16 ? CPU_LIN_BF16 : CPU_LIN_F32;
        l->panel_bytes = kern_plain_panel_bytes(s->k, dtype_bits(dt) / 8);
        return ST_OK;
    }
    l->block = (uint32_t)(s->block < 0 ? -s->block : s->block);
    l->zp = s->fp4 ? KERN_ZP_E2M1 : s->zp || s->bits == 2 ? KERN_ZP_U8 : KERN_ZP_NONE;
    if (s->bits == 8)
        l->kind = a8 ? CPU_LIN_Q8_A8 : CPU_LIN_Q8_F32;
    else
        l->kind = a8 ? CPU_LIN_Q4_A8 : CPU_LIN_Q4_F32;
    const struct kern_qshape shape = {
        .n = s->n, .k = s->k, .block = l->block, .bits = s->bits == 8 ? 8 : 4, .zp = (uint8_t)l->zp
    };
    if (!kern_qshape_ok(&shape))
        return FAIL(err, ST_LIMIT, "%s: experts [%zu, %zu] too large", s->call->node, s->n, s->k);
    l->panel_bytes = kern_q_panel_bytes(&shape);
    return ST_OK;
}

static status pack_projection(struct cpu_backend *be, struct source *s, struct cpu_experts *e,
                              struct err *err)
{
    struct cpu_linear *l = &e->layer;
    struct staged g = { 0 };
    size_t bytes;

    TRY(shape_layer(be, s, l, err));
    e->n_experts = s->n_experts;
    if (!checked_mul(l->n_panels, l->panel_bytes, &bytes) ||
        !checked_mul(bytes, s->n_experts, &bytes) || bytes == 0)
        return FAIL(err, ST_LIMIT, "%s: experts [%zu, %zu] too large", s->call->node, s->n, s->k);
    l->panels = mem_alloc_aligned(CPU_ALIGN, bytes);
    if (s->bias) l->bias = mem_alloc(s->n_experts * s->n * sizeof *l->bias);
    if (!l->panels || (s->bias && !l->bias)) return no_memory(s, err);
    if (s->bias)
        cpu_pack_floats(l->bias, s->bias->data, s->bias->type.dtype, 0, s->n_experts * s->n);
    status st = stage_create(s, &g, err);
    for (size_t i = 0; st == ST_OK && i < s->n_experts; i++) st = pack_expert(be, s, l, i, &g, err);
    stage_destroy(&g);
    return st;
}

/* ---- the node ---- */

/* Projection i of the node: MoE has weights and bias, QMoE weights, scales, bias, and zero points
 * from input 11 on. */
static struct source source_of(const struct op_call *call, int i)
{
    const struct attrs_moe *a = &call->attr.moe;
    const int64_t own = i == CPU_FC1 ? a->fc1_bits : i == CPU_FC2 ? a->fc2_bits : a->fc3_bits;
    struct source s = { .call = call };

    if (call->op == OP_MOE) {
        s.w = cpu_call_in(call, 2 + 2 * i);
        s.bias = cpu_call_in(call, 3 + 2 * i);
        return s;
    }
    s.w = cpu_call_in(call, 2 + 3 * i);
    s.scales = cpu_call_in(call, 3 + 3 * i);
    s.bias = cpu_call_in(call, 4 + 3 * i);
    s.zp = cpu_call_in(call, 11 + i);
    s.bits = own ? own : a->bits;
    s.block = a->block_size;
    s.fp4 = strcmp(a->quant_type, "fp4") == 0;
    if (s.fp4 && i < CPU_FC3) s.global = cpu_call_in(call, 15 + i);
    return s;
}

static status pack_all(struct cpu_backend *be, const struct op_call *call, struct cpu_moe *m,
                       struct err *err)
{
    const struct tensor_type *x = &call->in[0].type;
    const size_t hidden = x->ndim > 0 && x->dim[x->ndim - 1] > 0 ? (size_t)x->dim[x->ndim - 1] : 0;

    for (int i = 0; i < CPU_FCS; i++) {
        struct source s = source_of(call, i);
        size_t k = hidden;

        if (!s.w && i == CPU_FC3) continue;
        if (!s.w) return FAIL(err, ST_SHAPE, "%s: an expert lacks weights", call->node);
        if (i == CPU_FC2) { /* fed by what the activation leaves of the first projection */
            k = m->fc[CPU_FC1].layer.n;
            if (call->attr.moe.swiglu_fusion != 0) k /= 2;
        }
        TRY(check_source(&s, k, err));
        TRY(pack_projection(be, &s, &m->fc[i], err));
        m->head.bytes += m->fc[i].n_experts * m->fc[i].layer.n_panels * m->fc[i].layer.panel_bytes;
        if (s.n_experts != m->fc[CPU_FC1].n_experts)
            return FAIL(err, ST_SHAPE, "%s: projections of %zu and %zu experts", call->node,
                        m->fc[CPU_FC1].n_experts, s.n_experts);
    }
    return ST_OK;
}

status cpu_moe_prepare(struct cpu_backend *be, const struct op_call *call, struct prepared **out,
                       struct err *err)
{
    struct cpu_moe *m = mem_calloc(1, sizeof *m);

    if (!m) return FAIL(err, ST_NOMEM, "%s: out of memory", call->node);
    m->head.release = moe_release;
    const status st = pack_all(be, call, m, err);
    if (st != ST_OK) {
        moe_release(&m->head);
        return st;
    }
    *out = &m->head;
    return ST_OK;
}
