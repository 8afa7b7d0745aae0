/* SPDX-License-Identifier: MIT */
/* Graphs in tests: from text, to text, from fixtures. */
#pragma once
#include "engine/graph/graph.h"
#include "engine/onnx/onnx_import.h"

/* The graph of a text; the test fails when it does not parse. */
struct graph *graph_of(const char *text);
/* Full listing, constants and all; free with mem_free. */
char *listing_of(const struct graph *g);
/* The listing is this text (both are compared after parsing and printing, so blanks do not matter).
 */
void assert_listing(const struct graph *g, const char *text);
/* Type of a value as text ("f32[b,2]"), in the graph's own symbol names; a static buffer. */
const char *type_of(const struct graph *g, const char *value);
/* "<fixtures>/<name>" in a static buffer: tests/fixtures of this repository. */
const char *fixture(const char *name);
/* The folder of models: $CUPOLA_FIXTURES/zoo where that is set, else tests/fixtures/models. */
const char *models_dir(void);
