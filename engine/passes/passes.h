/* SPDX-License-Identifier: MIT */
/* Passes: an ordered list of graph edits that turn what exporters write in
 * pieces into the operators the engine is fast at, and lower_decoder, which
 * turns a causal language model into rows of flattened tokens. */
#pragma once
#include "backends/backend.h"
#include "engine/graph/graph.h"
#include "models/models.h"

struct pass_context {
    struct backend *backend; /* evaluates constant nodes */
    int64_t positions_max;   /* lower_decoder: the model's context; 0 = not known */
};

/* Edits g in place; leaves it compacted and inferred (passes_run sees to that).
 * ST_UNSUPPORTED never: what is not recognised is left alone. */
typedef status pass_fn(struct graph *g, const struct pass_context *ctx, struct err *err);

struct pass {
    const char *name;
    pass_fn *run;
};

/* The passes in order. */
extern const struct pass passes_list[];
extern const size_t passes_count;

/* Clones `in` and runs the passes up to and including `last` (NULL: all of
 * them). The caller owns *out. ST_NOT_FOUND: no such pass. */
status passes_run(const struct graph *in, const char *last, const struct pass_context *ctx,
                  struct graph **out, struct err *err);

pass_fn pass_fold_constants, pass_cse, pass_dead_code, pass_remove_casts, pass_fuse_rmsnorm,
    pass_fuse_dequant, pass_fuse_linear, pass_fuse_bias, pass_fuse_gated, pass_fuse_qk_norm;

/* Data of output 0 of an inferred Shape or Size call from the known type of its input (no kernel
 * could read it off a value that is not there yet). False when memory runs out. */
bool pass_fold_from_type(struct op_call *call, struct arena *a);

/* ---- the lowered form ---- */

struct lower_kv {
    int n_heads, head_dim;
    int window; /* positions a token looks back over, itself included; 0: all */
    int bits;   /* of a quantised cache, 8 or 4; 0: floats */
};

struct lower_info {
    int n_layers;           /* KV layers, numbered densely in graph order */
    struct lower_kv *kv;    /* [n_layers], in the lowered graph's arena */
    enum dtype kv_dtype;    /* of the file's caches that are not quantised: f32, f16 or bf16 */
    int64_t long_threshold; /* 0: one rotary table */
    int64_t positions;      /* positions that tables and caches of the graph have; 0: no bound */
    int n_states;           /* layers that carry something else: convolutions, recurrences */
    int64_t state_floats;   /* of all of them, for one sequence; 0: there are none */
    int64_t hidden;         /* width of embeds input or hidden_states output; 0 if neither */
    int64_t vocab;          /* width of logits; 0 if there are none */
    int input;              /* value: ids i32[tokens], or embeds f32[tokens, hidden] */
    int output;             /* value: logits f32[rows, vocab], or hidden f32[rows, hidden] */
    bool takes_embeds, hidden_only;
    bool whole_pieces; /* activations are quantised by the range of what a sequence is fed in a
                          step: how a prompt is cut shows in what comes out */
};

/* Makes the lowered form of a causal language model: the mask -> seqlens
 * subgraph, position_ids, past and present values and the longrope If vanish;
 * attention refers to a KV layer; everything after the last attention runs only
 * on the rows asked for. `g` has been through the passes. ST_UNSUPPORTED with
 * the node and the reason when the graph is not of this kind: it then runs
 * through the generic executor. */
status lower_decoder(const struct graph *g, const struct model_io_names *io,
                     const struct pass_context *ctx, struct graph **out, struct lower_info *info,
                     struct err *err);

/* What an encoder's inputs are for. */
enum lower_role { LOWER_IDS, LOWER_MASK, LOWER_TYPES, LOWER_POSITIONS };

struct lower_encoder_spec {
    const enum lower_role *roles; /* [g->n_inputs] */
    int output;                   /* number of the output that gives token states */
    int64_t length_max;           /* longest text; 0: not known */
};

/* Makes the lowered form of an encoder: one input, ids i32[tokens], one output, states
 * f32[tokens, width]. Texts lie one behind the other without padding; masks, token types and
 * positions vanish, attention is cupola.SelfAttention. `g` has been through the passes.
 * ST_UNSUPPORTED with the node and the reason when the graph is not of this kind. */
status lower_encoder(const struct graph *g, const struct lower_encoder_spec *spec,
                     const struct pass_context *ctx, struct graph **out, struct err *err);
