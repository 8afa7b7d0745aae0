/* SPDX-License-Identifier: MIT */
/* One node on a backend with dense tensors: prepared once, compiled per
 * combination of types, run as a segment of its own. */
#pragma once
#include "backends/backend.h"

struct node_run {
    struct backend *be;
    struct prepared *prepared;
    struct program *program;   /* of the types below; NULL before the first run */
    struct tensor_type *types; /* inputs then outputs of the compiled program */
    bool tried_prepare;
    struct arena aligned; /* constants that lie misaligned and were not packed */
};

/* Zero-initialise, then set be. */
void node_run_fini(struct node_run *r);

/* Runs the call: in[].data are the operands (absent inputs have dtype DT_NONE),
 * out[].type is inferred and known, out[].data is where results go (outputs
 * with dtype DT_NONE or no data are not wanted; their type must be DT_NONE).
 * is_const[i]: input i is a constant of the graph (may be NULL: none). */
status node_run_execute(struct node_run *r, const struct op_call *call, const bool *is_const,
                        struct err *err);

/* Infers and runs a call whose inputs are all known, results in the arena. For
 * constant folding. */
status node_run_once(struct backend *be, struct op_call *call, struct arena *a, struct err *err);
