/* SPDX-License-Identifier: MIT */
/* Pages of mapped files behind constants. */
#pragma once
#include "engine/graph/graph.h"

/* A backend has packed the constants of this call and will not read them again: a model takes its
 * packed weights, not the file's pages too. Pages that lie wholly inside a file that the graph has
 * mapped are given back to the system, which reads them again should they be touched (a table that
 * another node gathers rows from). Data that lies elsewhere is left alone. */
void graph_drop_sources(const struct graph *g, const struct op_call *call);
