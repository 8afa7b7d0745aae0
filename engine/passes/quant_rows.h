/* SPDX-License-Identifier: MIT */
/* Dynamic quantisation on rows of tokens, as both lowered forms write it: a range for the rows of
 * each sequence, and products of bytes. */
#pragma once
#include "engine/graph/graph.h"

/* Bytes of A with their zero points, times constant bytes. Values of the graph, -1: absent. */
struct quant_product {
    const char *name;
    int a, b;
    int a_scale, b_scale; /* both or neither: without them the result is whole numbers */
    int a_zero, b_zero, bias;
};

/* outs = bytes, scales and zero points of rows x; entries of -1 become new values. False when
 * memory runs out. */
bool quant_rows_add(struct graph *g, const char *name, int x, int outs[3]);
/* The product as nodes: i32 sums, or (float)sums * (a_scale * b_scale) + bias. Makes value `out`, a
 * new one where that is -1. Returns it, -1 when memory runs out. */
int quant_product_add(struct graph *g, const struct quant_product *p, int out);
/* Whether b is a constant matrix of k rows, and its scales and zero points are one number or one of
 * each column. */
bool quant_weights_fit(const struct graph *g, const struct quant_product *p, int64_t k);
