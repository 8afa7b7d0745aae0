/* SPDX-License-Identifier: MIT */
/* A decoder's graph under given lengths: one sequence of `past` positions and `rows` new tokens.
 * Every value gets its type, and what follows from lengths, positions and a mask of ones alone gets
 * its elements. So what shapes, masks and rotary tables mean is found by computing them, in
 * whatever operators an exporter wrote them. */
#pragma once
#include "engine/passes/passes.h"

struct length_eval;

/* `g`, io and be are borrowed. ST_NOMEM. Close accepts NULL. */
status length_eval_open(struct length_eval **out, const struct graph *g,
                        const struct model_io_names *io, struct backend *be, struct err *err);
void length_eval_close(struct length_eval *e);

/* Type and elements of value `value` for these lengths; t->data lives until length_eval_forget.
 * ST_UNSUPPORTED naming the value when it does not follow from lengths. */
status length_eval_data(struct length_eval *e, int64_t past, int64_t rows, int value,
                        struct tensor *t, struct err *err);
/* Its type alone; ndim -1 where it is not known. */
status length_eval_type(struct length_eval *e, int64_t past, int64_t rows, int value,
                        struct tensor_type *t, struct err *err);
/* Name of a value. */
const char *length_eval_name(const struct length_eval *e, int value);
/* Drops what was computed for these lengths. */
void length_eval_forget(struct length_eval *e, int64_t past, int64_t rows);

/* ---- dimensions ---- */

/* What a dimension follows: DIM_TOKENS the new tokens, LENGTH_PAST the cached positions, LENGTH_ALL
 * both; else the number that it always is. DIM_UNKNOWN: none of these. */
enum { LENGTH_PAST = -5, LENGTH_ALL = -4 };

/* The dimensions of a value of one sequence in these terms: [IR_DIMS_MAX]. Returns its rank, -1
 * when the type is not known. */
int length_eval_dims(struct length_eval *e, int value, int64_t *dims);
/* Whether the value is the same for all lengths, as far as shapes say; then *t is it. Comparisons
 * with lengths do not count: what depends on them is left to its rule. */
bool length_eval_constant(struct length_eval *e, int value, struct tensor *t);
