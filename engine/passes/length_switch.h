/* SPDX-License-Identifier: MIT */
/* Comparisons of a sequence's length with a constant: what longrope models choose their rotary
 * tables by, with an If or with an offset into a joined table. */
#pragma once
#include "engine/graph/graph.h"

/* Graph inputs that tell a sequence's length; -1 where there is none. */
struct length_inputs {
    int mask;      /* attention_mask [batch, total] */
    int positions; /* position_ids, the last of them total - 1 */
};

/* Node index of a Greater or GreaterOrEqual that says total length > threshold: the threshold; 0
 * when the node is nothing of the kind. */
int64_t length_switch_threshold(const struct graph *g, int node, const struct length_inputs *in);

/* The If at `node` has such a comparison as its condition. */
bool length_switch_decides(const struct graph *g, int node, const struct length_inputs *in);

/* The threshold that all such comparisons share; 0 when there are none or several. */
int64_t length_switch_common(const struct graph *g, const struct length_inputs *in);
