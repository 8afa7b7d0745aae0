/* SPDX-License-Identifier: MIT */
/* Pages of mapped files behind constants. A model takes its packed weights, not the file's pages
 * too: what a backend has packed is given back to the system, which reads it again should it be
 * touched (a table that another node gathers rows from). Data that lies elsewhere is left alone. */
#pragma once
#include "engine/graph/graph.h"

/* Gives back [data, data + n) if it lies in a file that the graph has mapped; false: it does not.
 */
bool graph_drop_pages(const struct graph *g, const void *data, size_t n);
/* Whether no other graph (but its own subgraphs) shares the storage, and so the constants' memory.
 */
bool graph_is_alone(const struct graph *g);
/* For op_call.packed: gives back what is told, while packing goes on. g must outlive its use. */
struct op_packed graph_packed(const struct graph *g);
/* The backend has packed this call's constants and will not read them again: gives back the rest.
 */
void graph_drop_sources(const struct graph *g, const struct op_call *call);
