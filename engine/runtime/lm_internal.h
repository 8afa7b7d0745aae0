/* SPDX-License-Identifier: MIT */
/* The two kinds of loaded language model, behind lm.h. */
#pragma once
#include "engine/graph/graph.h"
#include "engine/passes/passes.h"
#include "engine/runtime/lm.h"

/* What both kinds own: the backend, the graph they run, strings of info. */
struct lm_base {
    struct lm lm; /* first */
    struct graph *graph;
    struct arena arena;
};

/* Takes over be, and graph on success. The rest of info (device, isa, context) is filled by
 * lm_open. */
status lm_paged_create(struct lm **out, struct backend *be, struct graph *graph,
                       const struct lower_info *info, const struct engine_config *cfg,
                       struct err *err);
status lm_dense_create(struct lm **out, struct backend *be, struct graph *graph,
                       const struct model_io_names *io, const struct engine_config *cfg,
                       struct err *err);
/* Closes graph and backend and frees the struct (at `base`). */
void lm_base_free(struct lm_base *base);

/* Bounds of a step, from the configuration. */
struct lm_bounds {
    int tokens_max, seqs_max;
};
struct lm_bounds lm_bounds_of(const struct engine_config *cfg);
/* The bounds for a model whose prompts are cut into long pieces, and their length. */
struct lm_bounds lm_bounds_pieces(const struct engine_config *cfg, int *piece_tokens);
