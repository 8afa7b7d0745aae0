/* SPDX-License-Identifier: MIT */
/* Dynamic quantisation: the file takes one range of a whole batch; here each text has its own, as
 * it has when it is alone. Ranges, and what is computed from them, are numbers of each sequence. */
#include "engine/passes/encoder_rows.h"

static int emit(struct enc *e, const struct graph_node *n, enum op_kind op, const int *in, int n_in)
{
    return enc_emit(e,
                    &(struct enc_node){ .op = op,
                                        .version = op == OP_MATMULINTEGER ? 10 : 14,
                                        .name = n->name,
                                        .in = in,
                                        .n_in = n_in,
                                        .dtype = op == OP_MATMULINTEGER ? DT_I32 : DT_F32 },
                    NULL, 1);
}

static bool is_matrix_rows(const struct enc_row *r) { return enc_is_natural(r) && r->n_feat == 1; }

/* x -> bytes, scales, zero points. */
static status quantize(struct enc *e, const struct graph_node *n, const struct enc_row *x,
                       int outs[3], struct err *err)
{
    const struct enc_node node = {
        .op = OP_SEQQUANT, .version = 1, .name = n->name, .in = &x->value, .n_in = 1, .dtype = DT_U8
    };

    if (!is_matrix_rows(x)) return enc_refuse(n, "its input is not rows of tokens", err);
    if (enc_emit(e, &node, outs, 3) < 0) return FAIL(err, ST_NOMEM, "out of memory");
    e->g->values[outs[1]].type.dtype = DT_F32;
    return ST_OK;
}

static status rule_dynquant(struct enc *e, const struct graph_node *n, struct err *err)
{
    const struct enc_row x = e->row[n->in[0]];
    int outs[3];

    TRY(quantize(e, n, &x, outs, err));
    enc_set(e, n->out[0], outs[0], &x);
    for (int i = 1; i < 3; i++)
        if (match_out(n, i) >= 0)
            e->row[n->out[i]] = (struct enc_row){ .kind = ROW_EACH, .value = outs[i] };
    return ST_OK;
}

/* Bytes of A with their zero points, times constant bytes. */
struct product {
    int a, b, a_scale, b_scale, a_zero, b_zero, bias; /* of the lowered graph; -1: absent */
};

/* An operand that is a constant or a number of each sequence. */
static bool take(struct enc *e, const struct graph_node *n, int i, bool each, int *out)
{
    const int v = match_in(n, i);

    *out = -1;
    if (v < 0) return true;
    *out = each && e->row[v].kind == ROW_EACH ? e->row[v].value : enc_constant(e, v);
    return *out >= 0;
}

static int integer_product(struct enc *e, const struct graph_node *n, const struct product *p)
{
    const int in[4] = { p->a, p->b, p->a_zero, p->b_zero };

    return emit(e, n, OP_MATMULINTEGER, in, 4);
}

/* sums * (a_scale * b_scale) + bias; -1 when memory runs out. */
static int scaled(struct enc *e, const struct graph_node *n, const struct product *p, int sums)
{
    const struct attr to = attr_int("to", DT_F32);
    const int scales[2] = { p->a_scale, p->b_scale };
    const struct enc_node cast = { .op = OP_CAST,
                                   .version = 13,
                                   .name = n->name,
                                   .in = &sums,
                                   .n_in = 1,
                                   .attrs = &to,
                                   .n_attrs = 1,
                                   .dtype = DT_F32 };
    const int scale = emit(e, n, OP_MUL, scales, 2), x = enc_emit(e, &cast, NULL, 1);
    const int factors[2] = { x, scale };
    const int y = scale < 0 || x < 0 ? -1 : emit(e, n, OP_MUL, factors, 2);
    const int terms[2] = { y, p->bias };

    return y < 0 || p->bias < 0 ? y : emit(e, n, OP_ADD, terms, 2);
}

/* b, its zero points and scales must be one matrix, and one number or one of each column. */
static bool weights_fit(const struct enc *e, const struct product *p, int64_t k)
{
    const struct tensor_type *b = &e->g->values[p->b].type;

    if (b->ndim != 2 || b->dim[0] != k) return false;
    for (int i = 0; i < 2; i++) {
        const int v = i == 0 ? p->b_zero : p->b_scale;
        if (v >= 0 && e->g->values[v].type.ndim > 1) return false;
    }
    return true;
}

status enc_rule_quant(struct enc *e, const struct graph_node *n, struct err *err)
{
    const struct enc_row x = e->row[n->in[0]];
    const bool dynamic = n->op == OP_DYNQUANTMATMUL, integer = n->op == OP_MATMULINTEGER;
    struct product p = { x.value, -1, -1, -1, -1, -1, -1 };
    bool ok = true;

    if (n->op == OP_DYNQUANT) return rule_dynquant(e, n, err);
    if (!is_matrix_rows(&x)) return enc_refuse(n, "its input is not rows of tokens", err);
    ok = take(e, n, 1, false, &p.b) && p.b >= 0;
    if (integer)
        ok = ok && take(e, n, 2, true, &p.a_zero) && take(e, n, 3, false, &p.b_zero);
    else if (dynamic)
        ok = ok && take(e, n, 2, false, &p.b_scale) && take(e, n, 3, false, &p.b_zero) &&
             take(e, n, 4, false, &p.bias);
    else
        ok = ok && take(e, n, 2, true, &p.a_scale) && take(e, n, 3, false, &p.b_scale) &&
             take(e, n, 4, true, &p.a_zero) && take(e, n, 5, false, &p.b_zero) &&
             take(e, n, 6, false, &p.bias);
    if (!ok || !weights_fit(e, &p, x.feat[0]))
        return enc_refuse(n, "its weights are no constant matrix", err);
    if (dynamic) {
        int outs[3];
        TRY(quantize(e, n, &x, outs, err));
        p.a = outs[0];
        p.a_scale = outs[1];
        p.a_zero = outs[2];
    }
    int y = integer_product(e, n, &p);
    if (y >= 0 && !integer) y = scaled(e, n, &p, y);
    if (y < 0) return FAIL(err, ST_NOMEM, "out of memory");
    enc_set(e, n->out[0], y, &x);
    return ST_OK;
}
