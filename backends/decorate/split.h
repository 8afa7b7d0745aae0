/* SPDX-License-Identifier: MIT */
/* A segment as programs of one node each, with memory for the values between them: what trace and
 * mirror run in place of the program that a backend would make of the whole. */
#pragma once
#include "backends/backend.h"

struct split_value {
    struct tensor_type type; /* leading dimension as in the segment */
    enum seg_role role;
    int slot; /* SEG_TEMP: memory that values of other times share; else -1 */
};

struct split_node {
    enum op_kind op;
    const char *name;
    struct program *program;
    int n_in, n_out;          /* bound operands: neither absent nor constant */
    int *operands;            /* [n_in + n_out] values */
    struct binding *bindings; /* [n_in + n_out] */
};

struct split {
    struct arena arena;
    struct backend *be;
    struct split_value *values; /* [n_values], numbered as in the segment */
    struct split_node *nodes;   /* [n_nodes] */
    void **data;                /* [n_values] where each value lies; set by split_begin */
    void **slots;               /* [n_slots] */
    int n_values, n_nodes, n_slots;
};

/* Compiles each node of the segment on `be`. prepared [n_nodes]: what be->prepare gave for them.
 * On failure nothing is kept. */
status split_open(struct split *s, struct backend *be, const struct segment *seg,
                  struct prepared *const *prepared, struct err *err);
/* Harmless on a zeroed struct. */
void split_fini(struct split *s);
/* Points the segment's inputs and outputs to the step's bindings. */
status split_begin(struct split *s, const struct step *step, struct err *err);
/* Runs a node on operands in[value], writing out[value]; both may be s->data. No allocation. */
status split_run(struct split *s, int node, const struct step *step, void *const *in,
                 void *const *out, struct err *err);
/* The type of a value in a step: symbols replaced. */
struct tensor_type split_type(const struct tensor_type *type, const struct step *step);
