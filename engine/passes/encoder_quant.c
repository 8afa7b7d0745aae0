/* SPDX-License-Identifier: MIT */
/* Dynamic quantisation: the file takes one range of a whole batch; here each text has its own, as
 * it has when it is alone. Ranges, and what is computed from them, are numbers of each sequence. */
#include "engine/passes/encoder_rows.h"
#include "engine/passes/quant_rows.h"

static bool is_matrix_rows(const struct enc_row *r) { return enc_is_natural(r) && r->n_feat == 1; }

/* x -> bytes, scales, zero points. */
static status quantize(struct enc *e, const struct graph_node *n, const struct enc_row *x,
                       int outs[3], struct err *err)
{
    if (!is_matrix_rows(x)) return enc_refuse(n, "its input is not rows of tokens", err);
    outs[0] = outs[1] = outs[2] = -1;
    return quant_rows_add(e->g, n->name, x->value, outs) ? ST_OK
                                                         : FAIL(err, ST_NOMEM, "out of memory");
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

/* An operand that is a constant or a number of each sequence. */
static bool take(struct enc *e, const struct graph_node *n, int i, bool each, int *out)
{
    const int v = match_in(n, i);

    *out = -1;
    if (v < 0) return true;
    *out = each && e->row[v].kind == ROW_EACH ? e->row[v].value : enc_constant(e, v);
    return *out >= 0;
}

status enc_rule_quant(struct enc *e, const struct graph_node *n, struct err *err)
{
    const struct enc_row x = e->row[n->in[0]];
    const bool dynamic = n->op == OP_DYNQUANTMATMUL, integer = n->op == OP_MATMULINTEGER;
    struct quant_product p = { n->name, x.value, -1, -1, -1, -1, -1, -1 };
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
    if (!ok || !quant_weights_fit(e->g, &p, x.feat[0]))
        return enc_refuse(n, "its weights are no constant matrix", err);
    if (dynamic) {
        int outs[3];
        TRY(quantize(e, n, &x, outs, err));
        p.a = outs[0];
        p.a_scale = outs[1];
        p.a_zero = outs[2];
    }
    const int y = quant_product_add(e->g, &p, -1);
    if (y < 0) return FAIL(err, ST_NOMEM, "out of memory");
    enc_set(e, n->out[0], y, &x);
    return ST_OK;
}
