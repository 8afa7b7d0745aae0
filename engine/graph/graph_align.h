/* SPDX-License-Identifier: MIT */
/* Constants that lie misaligned in a mapped file. */
#pragma once
#include "engine/graph/graph.h"

/* *data becomes an aligned copy of its elements, kept with the graph's storage and made once, where
 * it lies misaligned for the type. ST_NOMEM; ST_LIMIT when the copies take more than the mapped
 * files (whose tensors then overlap). */
status graph_align(const struct graph *g, const struct tensor_type *type, const void **data,
                   struct err *err);
/* The same for those constants of a node that its operator does not take as they lie, and for its
 * call. */
status graph_align_inputs(struct graph *g, int node, struct op_call *call, struct err *err);
/* The same for constants that are outputs. */
status graph_align_outputs(struct graph *g, struct err *err);
