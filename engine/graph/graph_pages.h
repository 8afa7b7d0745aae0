/* SPDX-License-Identifier: MIT */
/* Pages of mapped files behind constants. A model takes its packed weights, not the file's pages
 * too: what a backend has packed is given back to the system, which reads it again should it be
 * touched (a table that another node gathers rows from). Data that lies elsewhere is left alone. */
#pragma once
#include "engine/graph/graph.h"

/* For op_call.packed: gives back what is told, while packing goes on. g must outlive its use. */
struct op_packed graph_packed(const struct graph *g);
/* The backend has packed this call's constants and will not read them again: gives back the rest.
 */
void graph_drop_sources(const struct graph *g, const struct op_call *call);
