/* SPDX-License-Identifier: MIT */
/* The size of an expert, from the types of a node's inputs. */
#include "ir/ir.h"

enum { IN_ROUTER = 1, IN_WEIGHTS = 2, IN_ROUTER_WEIGHTS = 14 };

/* Numbers in the weights of projection i of all experts; packed bytes hold several. */
static double projection_weights(const struct op_call *call, int i)
{
    const struct attrs_moe *a = &call->attr.moe;
    const int64_t own[] = { a->fc1_bits, a->fc2_bits, a->fc3_bits };
    const bool packed = call->op == OP_QMOE;
    const int at = IN_WEIGHTS + (packed ? 3 : 2) * i;
    const int64_t bits = own[i] ? own[i] : a->bits;
    size_t n;

    if (at >= call->n_in || call->in[at].type.dtype == DT_NONE ||
        !type_elements(&call->in[at].type, &n))
        return 0;
    return packed && bits > 0 ? (double)n * 8 / (double)bits : (double)n;
}

bool ir_experts_measure(const struct op_call *call, struct ir_experts *out)
{
    *out = (struct ir_experts){ 0 };
    if ((call->op != OP_MOE && call->op != OP_QMOE) || call->n_in <= IN_WEIGHTS) return false;
    const struct tensor_type *fc1 = &call->in[IN_WEIGHTS].type;
    if (fc1->ndim < 1 || fc1->dim[0] < 1 || call->attr.moe.k < 1 || call->attr.moe.k > fc1->dim[0])
        return false;
    out->n = fc1->dim[0];
    out->k = call->attr.moe.k;
    for (int i = 0; i < 3; i++) out->weights += projection_weights(call, i) / (double)out->n;
    for (int i = IN_WEIGHTS; i < call->n_in; i++) {
        size_t bytes;
        if (i == IN_ROUTER_WEIGHTS || call->in[i].type.dtype == DT_NONE) continue;
        if (type_bytes(&call->in[i].type, &bytes)) out->bytes += (double)bytes / (double)out->n;
    }
    return true;
}
