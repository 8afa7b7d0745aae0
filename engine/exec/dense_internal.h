/* SPDX-License-Identifier: MIT */
/* Inside the generic executor: what a run keeps of values and nodes, for control flow. */
#pragma once
#include "engine/exec/dense_exec.h"
#include "engine/exec/node_run.h"

enum { DENSE_ALIGN = 64, DENSE_DEPTH_MAX = 16 };

/* A value while a run lasts. */
struct slot {
    struct tensor tensor; /* data NULL: not computed yet */
    int uses;             /* still to come; the block is freed at 0 */
    bool owned;           /* the executor allocated it */
};

struct dense_node {
    struct node_run run;
    union op_attrs attr;
    bool *is_const;                     /* [n_in] */
    struct tensor *in, *out;            /* the call's operands, [n_in], [n_out] */
    struct dense_exec *then_x, *else_x; /* If; then_x: the body of Loop and Scan */
    bool forced, forced_value;          /* its bools are this */
};

struct dense_exec {
    const struct graph *g;
    struct backend *be;
    struct arena arena;
    struct slot *slots;       /* [n_values] */
    struct dense_node *nodes; /* [n_nodes] */
    int *uses;                /* [n_values] static counts */
};

void dense_slot_free(struct slot *s);
/* Begins a run of subgraph b of x: constants and captured values are there. */
void dense_start_inner(struct dense_exec *x, struct dense_exec *b);
status dense_run_nodes(struct dense_exec *x, struct err *err);
/* An output of a subgraph that has run: moved when the subgraph made it and needs it no more,
 * borrowed when it is a constant, else copied (what it captured may go before the result does). */
status dense_take(struct dense_exec *b, int value, struct slot *out, struct err *err);
/* Loop and Scan (dense_loop.c): the node's inputs are in nodes[node].in. */
status dense_run_loop(struct dense_exec *x, int node, struct err *err);
status dense_run_scan(struct dense_exec *x, int node, struct err *err);
