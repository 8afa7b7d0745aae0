/* SPDX-License-Identifier: MIT */
/* A text graph on the generic executor, without passes. */
#pragma once
#include "engine/exec/dense_exec.h"

struct dense_fixture {
    struct backend *be;
    struct graph *g;
    struct dense_exec *x;
    struct tensor out[4];
    struct err err;
};

/* Reads, infers and runs the graph on one thread; f->out lives until dense_finish, which is owed
 * whatever the status. */
status dense_start(struct dense_fixture *f, const char *text, const struct tensor *in);
void dense_finish(struct dense_fixture *f);

/* Output i is f32, [dim], with these very elements. */
void dense_expect(const struct dense_fixture *f, int i, int ndim, const int64_t *dim,
                  const float *want);
/* Runs a graph without inputs: its one output is f32 [n], whatever its shape, and near `want`; a
 * NaN is near a NaN. */
void dense_gives(const char *text, size_t n, const float *want);
