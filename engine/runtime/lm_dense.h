/* SPDX-License-Identifier: MIT */
/* Inside the dense language model: what each input and output of its graph stands for. */
#pragma once
#include "engine/exec/dense_exec.h"
#include "engine/passes/length_switch.h"
#include "engine/runtime/lm_internal.h"

enum in_role {
    IN_IDS,
    IN_EMBEDS,
    IN_MASK,      /* attention_mask: ones */
    IN_POSITIONS, /* position_ids, perhaps in three equal rows */
    IN_STATE,     /* what an output of the step before continues */
    IN_PAST_LEN,  /* where in a static cache the step's rows go: positions so far */
    IN_TOTAL_LEN, /* rows of a static cache that count: positions with this step's */
    IN_HAS_PAST   /* whether there is a past: the condition of a merged decoder's If */
};

/* One graph input. The rest is for IN_STATE. */
struct dense_input {
    enum in_role role;
    int present;              /* index among the graph's outputs */
    struct tensor_type empty; /* the state before the first token */
    int grows;                /* dimension that has a row a position, -1: of fixed size */
    bool rewinds;             /* can forget its last positions */
};

struct lm_dense {
    struct lm_base base; /* first */
    struct dense_exec *exec;
    struct dense_input *in;       /* [n_inputs] */
    struct tensor *in_t;          /* operands of a run, [n_inputs] */
    struct tensor *out_t;         /* [n_outputs] */
    int output;                   /* index of logits or hidden states */
    struct length_inputs lengths; /* what length switches hang on */
};

/* Fills in, in_t, out_t, output, lengths and the graph's part of info. ST_UNSUPPORTED naming the
 * input or output that does not belong to a language model. */
status lm_dense_read(struct lm_dense *m, const struct model_io_names *io, struct err *err);
