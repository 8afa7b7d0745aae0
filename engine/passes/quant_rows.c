/* SPDX-License-Identifier: MIT */
#include "engine/passes/quant_rows.h"
#include "engine/passes/match.h"

static int new_value(struct graph *g, enum dtype dtype)
{
    const struct tensor_type type = { .dtype = dtype, .ndim = -1 };

    return graph_add_value(g, NULL, &type);
}

/* A node with one output, `out` or a new value. */
static int add(struct graph *g, const char *name, enum op_kind op, const int *in, int n_in, int out)
{
    const bool sums = op == OP_MATMULINTEGER;
    const struct attr to = attr_int("to", DT_F32);
    const int version = sums ? 10 : op == OP_CAST ? 13 : 14;

    if (out < 0) out = new_value(g, sums ? DT_I32 : DT_F32);
    if (out < 0 || graph_add_node(g, &(struct graph_node){ .op = op,
                                                           .version = version,
                                                           .name = name,
                                                           .in = in,
                                                           .n_in = n_in,
                                                           .out = &out,
                                                           .n_out = 1,
                                                           .attrs = &to,
                                                           .n_attrs = op == OP_CAST }) < 0)
        return -1;
    return out;
}

bool quant_rows_add(struct graph *g, const char *name, int x, int outs[3])
{
    static const enum dtype types[3] = { DT_U8, DT_F32, DT_U8 };

    for (int i = 0; i < 3; i++)
        if (outs[i] < 0 && (outs[i] = new_value(g, types[i])) < 0) return false;
    return graph_add_node(g, &(struct graph_node){ .op = OP_SEQQUANT,
                                                   .version = 1,
                                                   .name = name,
                                                   .in = &x,
                                                   .n_in = 1,
                                                   .out = outs,
                                                   .n_out = 3 }) >= 0;
}

int quant_product_add(struct graph *g, const struct quant_product *p, int out)
{
    const int in[4] = { p->a, p->b, p->a_zero, p->b_zero }, scales[2] = { p->a_scale, p->b_scale };
    const bool floats = p->a_scale >= 0;
    const int sums = add(g, p->name, OP_MATMULINTEGER, in, 4, floats ? -1 : out);

    if (!floats || sums < 0) return sums;
    const int scale = add(g, p->name, OP_MUL, scales, 2, -1),
              x = add(g, p->name, OP_CAST, &sums, 1, -1);
    if (scale < 0 || x < 0) return -1;
    const int factors[2] = { x, scale };
    const int y = add(g, p->name, OP_MUL, factors, 2, p->bias >= 0 ? -1 : out);
    const int terms[2] = { y, p->bias };
    return y < 0 || p->bias < 0 ? y : add(g, p->name, OP_ADD, terms, 2, out);
}

bool quant_weights_fit(const struct graph *g, const struct quant_product *p, int64_t k)
{
    if (p->b < 0 || !graph_is_constant(g, p->b)) return false;
    const struct tensor_type *b = &g->values[p->b].type;
    if (b->ndim != 2 || b->dim[0] != k) return false;
    for (int i = 0; i < 2; i++) {
        const int v = i == 0 ? p->b_zero : p->b_scale;
        if (v >= 0 && g->values[v].type.ndim > 1) return false;
    }
    return true;
}
