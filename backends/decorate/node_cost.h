/* SPDX-License-Identifier: MIT */
/* What a node must read, write and compute at least, for comparison with a roofline. */
#pragma once
#include "backends/backend.h"

/* The part that is known when the node is compiled. */
struct node_cost {
    double const_bytes;            /* constants, once a run */
    double token_bytes, row_bytes; /* operands per token, per row */
    double fixed_bytes;            /* operands without a leading symbol */
    double fixed_ops, token_ops, row_ops;
    bool int8;    /* products of 8-bit integers */
    bool gathers; /* reads the rows of a constant that it writes */
    bool attends;
    struct attrs_seqattn attn;
};

void node_cost_init(struct node_cost *c, const struct segment *seg, const struct seg_node *node);
/* Of one run. Operations are counted in matrix products (MatMul, Linear) and attention. */
void node_cost_run(const struct node_cost *c, const struct step *step, double *bytes, double *ops);
