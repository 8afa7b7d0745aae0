/* SPDX-License-Identifier: MIT */
/* Building segments by hand, for tests of backends. */
#pragma once
#include "backends/backend.h"

enum { SB_MAX = 64, SB_ARGS = 16 };

struct segment_builder {
    struct seg_value values[SB_MAX];
    struct seg_node nodes[SB_MAX];
    struct tensor in[SB_MAX][SB_ARGS], out[SB_MAX][SB_ARGS];
    int in_index[SB_MAX][SB_ARGS], out_index[SB_MAX][SB_ARGS];
    struct binding bindings[SB_MAX];
    int n_values, n_nodes, n_bindings;
};

/* Adds a value of up to 4 dimensions (a list that ends with -100); returns its index. */
#define SB_DIMS(...) ((const int64_t[]){ __VA_ARGS__, -100 })
int sb_value(struct segment_builder *b, enum seg_role role, enum dtype dt, const int64_t *dims,
             const void *data);
/* Adds a node; inputs and outputs are lists that end with -100, -1 = absent. */
#define SB_LIST(...) ((const int[]){ __VA_ARGS__, -100 })
void sb_node(struct segment_builder *b, enum op_kind op, const union op_attrs *attr, const int *in,
             const int *out);
/* Binds memory for the next execution; the leading symbol becomes n. */
void sb_bind(struct segment_builder *b, int value, int64_t n, void *data);
/* The segment as it stands. */
struct segment sb_segment(struct segment_builder *b, int tokens_max, int rows_max, int seqs_max);

/* Floats in (-1, 1) from a seed; the same on every machine. */
void fill_floats(float *out, size_t n, uint32_t seed);
void fill_bytes(uint8_t *out, size_t n, uint32_t seed);
