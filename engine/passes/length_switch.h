/* SPDX-License-Identifier: MIT */
/* The longrope switch: an If whose condition is "total sequence length > threshold". */
#pragma once
#include "engine/graph/graph.h"

/* Threshold of If node `node`: its then-branch is meant for sequences longer than this. `mask` is
 * the value of attention_mask, whose second dimension is the total length. 0 when the condition is
 * anything else. */
int64_t length_switch_threshold(const struct graph *g, int node, int mask);

/* The threshold that all length switches of the graph share; 0 when there are none, or they differ.
 */
int64_t length_switch_common(const struct graph *g, int mask);
