/* SPDX-License-Identifier: MIT */
#include "tests/unit/helper_segment.h"

#include <assert.h>

int sb_value(struct segment_builder *b, enum seg_role role, enum dtype dt, const int64_t *dims,
             const void *data)
{
    struct seg_value *v = &b->values[b->n_values];

    assert(b->n_values < SB_MAX);
    *v = (struct seg_value){ .name = "v", .role = role, .data = data, .type.dtype = dt };
    for (; dims[v->type.ndim] != -100; v->type.ndim++)
        v->type.dim[v->type.ndim] = dims[v->type.ndim];
    return b->n_values++;
}

static int args(struct segment_builder *b, const int *list, int *index, struct tensor *types)
{
    int n = 0;

    for (; list[n] != -100; n++) {
        index[n] = list[n];
        if (list[n] < 0) continue;
        types[n].type = b->values[list[n]].type;
        types[n].data = (void *)b->values[list[n]].data;
    }
    return n;
}

void sb_node(struct segment_builder *b, enum op_kind op, const union op_attrs *attr, const int *in,
             const int *out)
{
    const int i = b->n_nodes++;
    struct seg_node *n = &b->nodes[i];

    assert(i < SB_MAX);
    *n = (struct seg_node){ .in = b->in_index[i], .out = b->out_index[i] };
    n->call = (struct op_call){
        .op = op, .version = 21, .node = "node", .in = b->in[i], .out = b->out[i]
    };
    if (attr) n->call.attr = *attr;
    n->call.n_in = args(b, in, b->in_index[i], b->in[i]);
    n->call.n_out = args(b, out, b->out_index[i], b->out[i]);
}

void sb_bind(struct segment_builder *b, int value, int64_t n, void *data)
{
    struct binding *x = NULL;

    for (int i = 0; i < b->n_bindings; i++)
        if (b->bindings[i].value == value) x = &b->bindings[i];
    if (!x) x = &b->bindings[b->n_bindings++];
    *x = (struct binding){ .value = value, .tensor = { b->values[value].type, data } };
    if (x->tensor.type.dim[0] < 0) x->tensor.type.dim[0] = n;
}

struct segment sb_segment(struct segment_builder *b, int tokens_max, int rows_max, int seqs_max)
{
    return (struct segment){ .values = b->values,
                             .n_values = b->n_values,
                             .nodes = b->nodes,
                             .n_nodes = b->n_nodes,
                             .tokens_max = tokens_max,
                             .rows_max = rows_max,
                             .seqs_max = seqs_max };
}

static uint32_t next(uint32_t *s)
{
    *s = *s * 1664525u + 1013904223u;
    return *s >> 8;
}

void fill_floats(float *out, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) out[i] = (float)next(&seed) / (float)(1 << 23) - 1.0f;
}

void fill_bytes(uint8_t *out, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) out[i] = (uint8_t)next(&seed);
}
