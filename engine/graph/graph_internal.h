/* SPDX-License-Identifier: MIT */
/* What graphs are made of inside: shared storage and lists of uses. For engine/graph only. */
#pragma once
#include "engine/graph/graph.h"
#include <stdatomic.h>

/* Names of one graph, in a list so that the storage can free the tables. */
struct graph_index {
    struct map map;
    struct graph_index *next;
};

struct graph_mapping {
    struct os_mapping map;
    struct graph_mapping *next;
};

/* Freed by the last graph_destroy. The arrays of graphs lie in the arena too. */
struct graph_storage {
    atomic_int refs;
    struct arena arena;
    struct graph_index *indices;
    struct graph_mapping *mappings;
    struct map aligned; /* graph_align.c: where a misaligned constant lies -> its copy */
    size_t aligned_bytes;
    struct map symbol_index;
    const char **symbols;
    size_t n_symbols, cap_symbols;
};

/* One use of a value: by input `slot` of `node`, or, when `inner` is set, by value `slot` of that
 * subgraph of `node`. */
struct graph_use {
    struct graph_use *next, *prev;
    struct graph *inner;
    int value, node, slot;
};

/* Puts a use at the head of its value's list / takes it out. value -1: nothing. */
void graph_link_use(struct graph *g, struct graph_use *use);
void graph_unlink_use(struct graph *g, struct graph_use *use);
/* Makes the list of uses of a node anew (inputs, then captures of its subgraphs). false when memory
 * runs out. */
bool graph_relink_node(struct graph *g, int node);
/* ST_LIMIT when the storage's budget is spent, else ST_NOMEM; names the graph. */
status graph_no_memory(const struct graph *g, struct err *err);
