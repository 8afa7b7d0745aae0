/* SPDX-License-Identifier: MIT */
/* Memory plan: the lifetimes of a segment's temporaries are packed into one block.
 *
 * A temporary lives from the node that writes it to the last node that reads it. Where an operator
 * may write over an input that dies there, output and input become one object (a chain of them
 * lives from the first writer to the last reader). Objects are placed largest first, each at the
 * lowest offset free during its life. */
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu_run.h"

/* So that sums of sizes cannot overflow. */
static const size_t OBJECT_BYTES_MAX = (size_t)1 << 44;

struct object {
    size_t bytes, offset;
    int first, last; /* nodes; last < first: not used */
    int owner;       /* value whose object this is (itself, or the head of its chain) */
    int value;
};

static bool bounded_bytes(const struct segment *seg, const struct tensor_type *type, size_t *out)
{
    struct tensor_type t = *type;

    if (t.ndim > 0 && t.dim[0] == DIM_TOKENS) t.dim[0] = seg->tokens_max;
    if (t.ndim > 0 && t.dim[0] == DIM_ROWS) t.dim[0] = seg->rows_max;
    return type_bytes(&t, out);
}

static int owner_of(struct object *objs, int v)
{
    while (objs[v].owner != v) v = objs[v].owner;
    return v;
}

static void touch(struct object *o, int node)
{
    if (o->last < o->first) o->first = node;
    o->last = node;
}

static status find_lifetimes(const struct segment *seg, struct object *objs, struct err *err)
{
    for (int v = 0; v < seg->n_values; v++) {
        objs[v] = (struct object){ .first = 0, .last = -1, .owner = v, .value = v };
        if (seg->values[v].role != SEG_TEMP) continue;
        if (!bounded_bytes(seg, &seg->values[v].type, &objs[v].bytes))
            return FAIL(err, ST_SHAPE, "%s: shape is not known at compile time",
                        seg->values[v].name);
    }
    for (int n = 0; n < seg->n_nodes; n++) {
        const struct seg_node *node = &seg->nodes[n];

        for (int i = 0; i < node->call.n_in; i++)
            if (node->in[i] >= 0) touch(&objs[node->in[i]], n);
        for (int i = 0; i < node->call.n_out; i++)
            if (node->out[i] >= 0) touch(&objs[node->out[i]], n);
    }
    return ST_OK;
}

/* Whether types have the same number of bytes in every step. */
static bool same_bytes(const struct segment *seg, int a, int b)
{
    const struct tensor_type *x = &seg->values[a].type, *y = &seg->values[b].type;
    size_t nx, ny;
    const int64_t lead_x = x->ndim > 0 && x->dim[0] < 0 ? x->dim[0] : 0;
    const int64_t lead_y = y->ndim > 0 && y->dim[0] < 0 ? y->dim[0] : 0;

    return lead_x == lead_y && bounded_bytes(seg, x, &nx) && bounded_bytes(seg, y, &ny) && nx == ny;
}

static void join_inplace(const struct segment *seg, struct object *objs)
{
    for (int n = 0; n < seg->n_nodes; n++) {
        const struct seg_node *node = &seg->nodes[n];
        const unsigned mask = cpu_ops[node->call.op].inplace;
        const int out = node->call.n_out > 0 ? node->out[0] : -1;

        if (out < 0 || seg->values[out].role != SEG_TEMP || objs[out].first != n) continue;
        for (int i = 0; i < node->call.n_in && i < 32; i++) {
            const int in = node->in[i];

            if (in < 0 || !(mask >> i & 1) || seg->values[in].role != SEG_TEMP) continue;
            struct object *o = &objs[owner_of(objs, in)];
            if (o->last != n || !same_bytes(seg, in, out)) continue;
            o->last = objs[out].last;
            objs[out].owner = o->value;
            break;
        }
    }
}

static int by_size_descending(const void *a, const void *b)
{
    const struct object *x = *(const struct object *const *)a;
    const struct object *y = *(const struct object *const *)b;

    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return (x->value > y->value) - (x->value < y->value);
}

static int by_offset(const void *a, const void *b)
{
    const struct object *x = *(const struct object *const *)a;
    const struct object *y = *(const struct object *const *)b;

    if (x->offset != y->offset) return x->offset > y->offset ? 1 : -1;
    return (x->value > y->value) - (x->value < y->value);
}

/* Lowest offset where o fits between those already placed that live at the same time. */
static void place(struct object *o, struct object **placed, size_t n_placed, struct object **near)
{
    size_t n = 0, at = 0;

    for (size_t i = 0; i < n_placed; i++)
        if (placed[i]->first <= o->last && o->first <= placed[i]->last) near[n++] = placed[i];
    qsort(near, n, sizeof(struct object *), by_offset);
    for (size_t i = 0; i < n; i++) {
        if (near[i]->offset >= at + o->bytes) break;
        const size_t end = near[i]->offset + near[i]->bytes;
        if (end > at) at = end;
    }
    o->offset = at;
}

static status place_all(struct object *objs, int n_values, size_t *bytes, struct err *err)
{
    size_t n = 0;
    struct object **order = mem_calloc((size_t)n_values + 1, 2 * sizeof(struct object *));

    if (!order) return FAIL(err, ST_NOMEM, "cpu: memory plan");
    for (int v = 0; v < n_values; v++) {
        struct object *o = &objs[v];

        if (o->owner != v || o->last < o->first || o->bytes == 0) continue;
        if (o->bytes > OBJECT_BYTES_MAX) {
            mem_free(order);
            return FAIL(err, ST_LIMIT, "cpu: a temporary of %zu bytes", o->bytes);
        }
        o->bytes = (o->bytes + CPU_ALIGN - 1) & ~(size_t)(CPU_ALIGN - 1);
        order[n++] = o;
    }
    qsort(order, n, sizeof(struct object *), by_size_descending);
    *bytes = 0;
    for (size_t i = 0; i < n; i++) {
        place(order[i], order, i, order + n_values);
        const size_t end = order[i]->offset + order[i]->bytes;
        if (end > *bytes) *bytes = end;
    }
    mem_free(order);
    return ST_OK;
}

status cpu_plan_temps(const struct segment *seg, int64_t *offset, size_t *bytes, struct err *err)
{
    struct object *objs = mem_calloc((size_t)seg->n_values + 1, sizeof *objs);

    if (!objs) return FAIL(err, ST_NOMEM, "cpu: memory plan");
    status st = find_lifetimes(seg, objs, err);
    if (st == ST_OK) {
        join_inplace(seg, objs);
        st = place_all(objs, seg->n_values, bytes, err);
    }
    for (int v = 0; st == ST_OK && v < seg->n_values; v++) {
        offset[v] = -1;
        if (seg->values[v].role == SEG_TEMP) offset[v] = (int64_t)objs[owner_of(objs, v)].offset;
    }
    mem_free(objs);
    return st;
}
