/* SPDX-License-Identifier: MIT */
/* What a node must read, write and compute at least, for comparison with a roofline. */
#pragma once
#include "backends/backend.h"

/* Attention within the step's sequences: a token sees `left` tokens before and `right` behind
 * itself. */
struct attend_cost {
    bool attends;
    bool cached; /* keys and values of the whole past are read from the KV cache */
    int64_t left, right;
    double pair_ops; /* operations of a token and one that it sees, all heads */
    int64_t layer;   /* of the cache */
};

/* The part that is known when the node is compiled. */
struct node_cost {
    double const_bytes;            /* constants, once a run */
    double token_bytes, row_bytes; /* operands per token, per row */
    double fixed_bytes;            /* operands without a leading symbol */
    double fixed_ops, token_ops, row_ops;
    bool int8;    /* products of 8-bit integers */
    bool gathers; /* reads the rows of a constant that it writes */
    struct attend_cost attend;
    struct ir_experts experts; /* n = 0: none */
    int router;                /* value of the experts' logits [tokens, n] */
    struct tensor_type router_type;
    bool *chosen; /* [experts.n] scratch of a run */
};

/* ST_NOMEM; memory is the arena's. */
status node_cost_init(struct node_cost *c, const struct segment *seg, const struct seg_node *node,
                      struct arena *a, struct err *err);
/* Of one run on operands data[value]. Operations are counted in matrix products (MatMul, Linear,
 * experts) and in attention of the lowered forms; of experts those count that were chosen. */
void node_cost_run(const struct node_cost *c, const struct step *step, void *const *data,
                   double *bytes, double *ops);
