/* SPDX-License-Identifier: MIT */
/* What a graph computes from the lengths of its texts alone: shapes, positions, masks. Exporters
 * write these in a hundred ways; what comes out for texts without padding is found by computing it.
 */
#pragma once
#include "engine/passes/passes.h"

struct length_probe {
    struct graph *g; /* a clone: every value's type at this size, and its data where lengths decide
                        it (constants have data, too) */
    struct arena arena;
    int64_t batch, length;
    bool *needed; /* [n_nodes]: of g */
};

/* Computes for `batch` texts of `length` tokens, none of them padding, what `value` needs (and
 * nothing else). Nothing that hangs on token ids has data. roles: [g->n_inputs]. ST_UNSUPPORTED
 * naming the node that has no answer at this length. Close it in any case. */
status length_probe_open(struct length_probe *p, const struct graph *g,
                         const enum lower_role *roles, struct backend *be, int value,
                         struct err *err);
void length_probe_close(struct length_probe *p);
