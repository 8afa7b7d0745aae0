/* SPDX-License-Identifier: MIT */
/* The text form of a graph, as graph_print writes and graph_parse reads it. For engine/graph only.
 * Example:
 *
 *     graph main {                                   # a comment
 *         opset 22, com.microsoft 1                  # versions of nodes that do not say @version
 *         in x: f32[batch,4]
 *         const w: f32[4,2] = {1, 0, 0, 1, 1, 1, 0, 0}
 *         const b: f32[2] = fill(0.5)
 *         h: f32[batch,2] = MatMul(x, w) as /layers.0/proj
 *         y = Clip(h, _, b) {some_attr: 1, list: [1, 2], text: "a"} @13
 *         z = If(c) {then_branch: graph then { capture h  out h }, else_branch: graph else { … }}
 *         out y, z
 *     }
 *
 * `_` is an absent input or output. Types of results may be left out. Names are bare when made of
 * letters, digits and _ . / $ + -, else in quotes. An attribute is an int (1), a float (1.0, 1e-6,
 * nan, inf, 0x7fc00001 = its bits), a "string", a list of one of these (ints[], floats[], strings[]
 * when empty), a tensor (i64[2]{1, 2}) or a graph. Elements of types without a plain decimal form
 * are hex("…"), their bytes. hash(…) stands for elements that were not printed; such text does not
 * parse. A subgraph names outer values freely, or says `capture name = outer_name`. */
#pragma once
#include "engine/graph/graph.h"

enum { GRAPH_TEXT_NAME_MAX = 4096 };

/* True for names that need no quotes. */
bool graph_text_is_bare(const char *name);
void graph_text_put_name(struct str *out, const char *name);
void graph_text_put_string(struct str *out, const char *s, size_t n);
void graph_text_put_float(struct str *out, float f);
/* "f32[2,batch]". */
void graph_text_put_type(const struct graph *g, const struct tensor_type *t, struct str *out);
/* "{1, 2}", "fill(0)", "hex(...)" or "hash(...)" (more than elements_max elements). */
void graph_text_put_data(const struct tensor_type *t, const void *data, size_t elements_max,
                         struct str *out);
