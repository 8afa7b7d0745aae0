/* SPDX-License-Identifier: MIT */
/* plan: a lowered graph on a backend - constants packed (prepare), nodes made one segment, the
 * segment compiled. After this nothing about ONNX exists. */
#pragma once
#include "backends/backend.h"
#include "engine/engine.h"
#include "engine/graph/graph.h"

struct plan {
    struct backend *be;
    struct program *program;
    struct prepared **prepared; /* [n_prepared] */
    size_t n_prepared;
    int input, output;        /* binding values: the graph's first input and first output */
    uint64_t packed_bytes;    /* of memory that the packed constants of all nodes take */
    uint64_t bytes_per_token; /* of Linear layers and of the experts that one token goes through, as
                                 the file stores them */
    /* Two for each weight that every token is multiplied with, and for those behind SelectRows. */
    uint64_t ops_per_token, ops_per_row;
};

struct plan_config {
    int tokens_max, rows_max, seqs_max; /* of a step */
    engine_progress_fn *progress;       /* may be NULL */
    void *progress_user;
};

/* Prepares and compiles g. ST_UNSUPPORTED naming the first node the backend has no kernel for. The
 * graph's constants must outlive the plan. `out` is the caller's storage; plan_fini. */
status plan_open(struct plan *out, const struct graph *g, struct backend *be,
                 const struct plan_config *cfg, struct err *err);
void plan_fini(struct plan *p);
