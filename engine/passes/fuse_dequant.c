/* SPDX-License-Identifier: MIT */
/* Weights stored as DequantizeLinear in front of a MatMul (QDQ form), with scales of
 * blocks, of columns or one for all, become a block-quantised Linear: the codes are
 * laid out as MatMulNBits has them, [N, k_blocks, blob] unsigned with the low bits
 * first. Activations stay float, as the graph says. */
#include "engine/graph/graph_pages.h"
#include "engine/passes/match.h"
#include "engine/passes/passes.h"
#include <string.h>

/* What has a scale and a zero point of its own. */
enum quant_each { EACH_BLOCK, EACH_COLUMN, EACH_TENSOR };

struct quant_weight {
    enum quant_each each;
    const uint8_t *codes, *zero_points; /* zero_points NULL: all `zero` */
    const char *scales;
    enum dtype scale_type; /* f32, f16, bf16: kept */
    int64_t k, n, block, blocks;
    unsigned bits;
    unsigned offset; /* added to a stored code to make it unsigned */
    bool n_major;    /* codes [N, K] (behind a Transpose) instead of [K, N] */
};

static unsigned read_code(const uint8_t *p, unsigned bits, unsigned offset, size_t i)
{
    const unsigned raw = bits == 8 ? p[i] : ((unsigned)p[i / 2] >> (i % 2 * 4)) & 15u;

    return (raw + offset) & (bits == 8 ? 255u : 15u);
}

/* Index of (k, n) in a [rows of K, N] or [N, rows of K] array. */
static size_t at(const struct quant_weight *w, int64_t rows, int64_t k, int64_t n)
{
    return (size_t)(w->n_major ? n * rows + k : k * w->n + n);
}

/* Where the scale and the zero point of block b of column n are. */
static size_t scale_at(const struct quant_weight *w, int64_t b, int64_t n)
{
    return w->each == EACH_BLOCK ? at(w, w->blocks, b, n) : w->each == EACH_COLUMN ? (size_t)n : 0;
}

static void put_code(uint8_t *p, unsigned bits, size_t i, unsigned code)
{
    if (bits == 8)
        p[i] = (uint8_t)code;
    else
        p[i / 2] = (uint8_t)(p[i / 2] | code << (i % 2 * 4));
}

/* One block of one column. */
static void pack_block(const struct quant_weight *w, int64_t n, int64_t b, uint8_t *out)
{
    const size_t blob = (size_t)w->block * w->bits / 8;
    const int64_t first = b * w->block, end = first + w->block < w->k ? first + w->block : w->k;
    uint8_t *block = out + ((size_t)n * (size_t)w->blocks + (size_t)b) * blob;

    for (int64_t k = first; k < end; k++)
        put_code(block, w->bits, (size_t)(k - first),
                 read_code(w->codes, w->bits, w->offset, at(w, w->k, k, n)));
}

/* In the order of the source, whose pages are given back behind. */
static void pack_codes(const struct graph *g, const struct quant_weight *w, uint8_t *out)
{
    const int64_t slow = w->n_major ? w->n : w->blocks, fast = w->n_major ? w->blocks : w->n;
    const size_t all = (size_t)(w->k * w->n) * w->bits / 8;

    for (int64_t i = 0; i < slow; i++) {
        for (int64_t j = 0; j < fast; j++)
            pack_block(w, w->n_major ? i : j, w->n_major ? j : i, out);
        const size_t from = all / (size_t)slow * (size_t)i, size = all / (size_t)slow;
        (void)graph_drop_pages(g, w->codes + from, size < all - from ? size : all - from);
    }
    (void)graph_drop_pages(g, w->codes, all);
}

static void pack_scales(const struct graph *g, const struct quant_weight *w, char *out)
{
    const size_t size = dtype_bits(w->scale_type) / 8;

    for (int64_t n = 0; n < w->n; n++)
        for (int64_t b = 0; b < w->blocks; b++)
            memcpy(out + (size_t)(n * w->blocks + b) * size, w->scales + scale_at(w, b, n) * size,
                   size);
    (void)graph_drop_pages(g, w->scales, (size_t)(w->n * w->blocks) * size);
}

static void pack_zero_points(const struct quant_weight *w, size_t row_bytes, uint8_t *out)
{
    for (int64_t n = 0; n < w->n; n++)
        for (int64_t b = 0; b < w->blocks; b++) {
            const unsigned zp =
                w->zero_points ? read_code(w->zero_points, w->bits, w->offset, scale_at(w, b, n))
                               : w->offset;
            put_code(out + (size_t)n * row_bytes, w->bits, (size_t)b, zp);
        }
}

static int add_u8(struct graph *g, int ndim, const int64_t *dim, uint8_t **data)
{
    const struct tensor_type t = type_make(DT_U8, ndim, dim);
    size_t bytes = 0;

    if (!type_bytes(&t, &bytes) || !(*data = arena_alloc(graph_arena(g), bytes))) return -1;
    return graph_add_constant(g, NULL, &t, *data, false);
}

static bool replace_matmul(struct graph *g, int matmul, const struct quant_weight *w)
{
    const int64_t blob = w->block * w->bits / 8, zp_bytes = (w->blocks * w->bits + 7) / 8;
    const struct tensor_type scales_type =
        type_make(w->scale_type, 2, (int64_t[]){ w->n, w->blocks });
    char *scales =
        arena_alloc(graph_arena(g), (size_t)(w->n * w->blocks) * dtype_bits(w->scale_type) / 8);
    uint8_t *codes = NULL, *zeros = NULL;
    const int b = add_u8(g, 3, (int64_t[]){ w->n, w->blocks, blob }, &codes),
              z = add_u8(g, 2, (int64_t[]){ w->n, zp_bytes }, &zeros);

    if (!scales || b < 0 || z < 0) return false;
    pack_codes(g, w, codes);
    pack_scales(g, w, scales);
    pack_zero_points(w, (size_t)zp_bytes, zeros);
    const int s = graph_add_constant(g, NULL, &scales_type, scales, false);
    const int in[5] = { g->nodes[matmul].in[0], b, s, z, -1 };
    const struct attr attrs[] = { attr_int("K", w->k), attr_int("N", w->n),
                                  attr_int("bits", w->bits), attr_int("block_size", w->block) };
    return s >= 0 && match_replace(g, matmul, g->nodes[matmul].out[0],
                                   &(struct graph_node){ .op = OP_LINEAR,
                                                         .in = in,
                                                         .n_in = 5,
                                                         .attrs = attrs,
                                                         .n_attrs = (int)COUNT(attrs) });
}

/* How the four storage types are read: bits, and what makes a code unsigned. */
static bool read_storage(enum dtype dt, struct quant_weight *w)
{
    w->bits = dtype_bits(dt);
    w->offset = dt == DT_I4 ? 8 : dt == DT_I8 ? 128 : 0;
    return dt == DT_U4 || dt == DT_I4 || dt == DT_U8 || dt == DT_I8;
}

static bool block_fits(int64_t block)
{
    return block >= 16 && block <= 256 && (block & (block - 1)) == 0;
}

/* Blocks of weights whose scale goes further: any will do. */
static int64_t free_block(int64_t k)
{
    int64_t block = 16;

    while (block < k && block < 128) block *= 2;
    return block;
}

/* Which scales there are, from their shape; the blocks follow. `axis` is the file's. */
static bool read_layout(const struct tensor_type *st, const struct attrs_dequant *a,
                        struct quant_weight *w)
{
    const int k_axis = w->n_major ? 1 : 0;
    const int64_t axis = a->axis < 0 ? a->axis + 2 : a->axis;
    size_t count = 0;

    if (st->ndim == 2) {
        if (axis != k_axis || !block_fits(a->block_size)) return false;
        w->block = a->block_size;
    } else if (a->block_size != 0 || !type_elements(st, &count)) {
        return false;
    } else if (count == 1) {
        w->each = EACH_TENSOR;
    } else {
        if (axis != 1 - k_axis || (int64_t)count != w->n) return false;
        w->each = EACH_COLUMN;
    }
    if (st->ndim < 2) w->block = free_block(w->k);
    w->blocks = (w->k + w->block - 1) / w->block;
    return st->ndim < 2 || (st->dim[k_axis] == w->blocks && st->dim[1 - k_axis] == w->n);
}

static bool read_dequant(const struct graph *g, const struct graph_node *dq, struct quant_weight *w)
{
    union op_attrs a;
    const int q = match_in(dq, 0), s = match_in(dq, 1), z = match_in(dq, 2);

    if (q < 0 || s < 0 || !match_attrs(dq, &a) || !graph_is_constant(g, q) ||
        !graph_is_constant(g, s))
        return false;
    const struct tensor_type *qt = &g->values[q].type, *st = &g->values[s].type;
    if (qt->ndim != 2 || st->ndim > 2 || !read_storage(qt->dtype, w) ||
        (st->dtype != DT_F32 && st->dtype != DT_F16 && st->dtype != DT_BF16))
        return false;
    w->scale_type = st->dtype;
    w->k = qt->dim[w->n_major ? 1 : 0];
    w->n = qt->dim[w->n_major ? 0 : 1];
    if (w->k < 1 || w->n < 1 || !read_layout(st, &a.dequant, w)) return false;
    w->codes = g->values[q].data;
    w->scales = g->values[s].data;
    if (z < 0) return true;
    struct tensor_type zt = g->values[z].type;
    zt.dtype = st->dtype;
    w->zero_points = g->values[z].data;
    return graph_is_constant(g, z) && g->values[z].type.dtype == qt->dtype && type_equal(&zt, st);
}

static bool match_weight(const struct graph *g, int value, struct quant_weight *w)
{
    const int transpose = match_producer(g, value, OP_TRANSPOSE);
    const int source = transpose >= 0 ? g->nodes[transpose].in[0] : value;
    const int dq = match_producer(g, source, OP_DEQUANTIZELINEAR);
    union op_attrs a;

    memset(w, 0, sizeof *w);
    if (dq < 0) return false;
    if (transpose >= 0) {
        if (!match_attrs(&g->nodes[transpose], &a)) return false;
        w->n_major =
            a.transpose.perm.n == 0 || (a.transpose.perm.n == 2 && a.transpose.perm.v[0] == 1);
        if (!w->n_major) return false;
    }
    return read_dequant(g, &g->nodes[dq], w);
}

status pass_fuse_dequant(struct graph *g, const struct pass_context *ctx, struct err *err)
{
    const size_t n_nodes = g->n_nodes;
    struct quant_weight w;

    (void)ctx;
    for (size_t i = 0; i < n_nodes; i++)
        if (g->nodes[i].op == OP_MATMUL && match_weight(g, g->nodes[i].in[1], &w) &&
            !replace_matmul(g, (int)i, &w))
            return FAIL(err, ST_NOMEM, "out of memory");
    return ST_OK;
}
