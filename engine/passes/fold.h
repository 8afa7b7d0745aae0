/* SPDX-License-Identifier: MIT */
/* Computing a node ahead of time: what constant folding and the evaluation by lengths share. */
#pragma once
#include "backends/backend.h"

/* Whether nodes of this kind are ever computed ahead. */
bool fold_takes(enum op_kind op);

/* Whether every input of the call has data (in[i] < 0: absent), or it asks only for a known shape.
 */
bool fold_ready(const struct op_call *call, const int *in);
/* Whether every output is of known size, at most `most` bytes, and no strings. */
bool fold_outputs_fit(const struct op_call *call, size_t most);

/* Computes a call whose types are inferred and that is fold_ready: out[].data are set, views share
 * the bytes of their input, the rest is in `a`. *done is false, and nothing is set, when the
 * results are too large, or no kernel takes the call. ST_NOMEM. */
status fold_call(struct op_call *call, struct backend *be, struct arena *a, bool *done,
                 struct err *err);
