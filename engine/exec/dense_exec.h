/* SPDX-License-Identifier: MIT */
/* The generic executor: any graph, node by node, with dense tensors in host memory; shapes are
 * inferred from the values at hand. */
#pragma once
#include "backends/backend.h"
#include "engine/graph/graph.h"

struct dense;
struct dense_exec;

/* The graph that dense_open made, after its passes. */
const struct graph *dense_graph(const struct dense *d);

/* The graph and the backend must outlive it. */
status dense_exec_create(struct dense_exec **out, const struct graph *g, struct backend *be,
                         struct err *err);
void dense_exec_destroy(struct dense_exec *x);

/* in: [g->n_inputs] known tensors, borrowed during the call; types are checked against the declared
 * ones. out: [g->n_outputs], owned by the executor, valid until the next run. */
status dense_exec_run(struct dense_exec *x, const struct tensor *in, struct tensor *out,
                      struct err *err);

/* From now on the bools that the node at `node` gives are all `value`, whatever it computes. For
 * switches that depend on the length a sequence will have, not on the length it has in this chunk.
 */
void dense_exec_force_bool(struct dense_exec *x, int node, bool value);
