/* SPDX-License-Identifier: MIT */
#include "engine/graph/graph_align.h"

#include "engine/graph/graph_internal.h"

/* Where a constant lies; the key of its copy. */
struct aligned_key {
    const void *data;
    size_t bytes;
};

/* Copies are bounded by what the files have. */
static bool storage_admits(const struct graph_storage *s, size_t bytes)
{
    size_t mapped = 0, want;

    for (const struct graph_mapping *m = s->mappings; m; m = m->next)
        if (!checked_add(mapped, m->map.size, &mapped)) mapped = SIZE_MAX;
    return checked_add(s->aligned_bytes, bytes, &want) && want <= mapped;
}

static status copy_aligned(const struct graph *g, const struct aligned_key *from, const void **out,
                           struct err *err)
{
    struct graph_storage *s = g->storage;
    struct arena *a = &s->arena;

    if (!storage_admits(s, from->bytes))
        return FAIL(err, ST_LIMIT, "tensors overlap in the file, and lie misaligned");
    /* Paid for by the files, not by the budget of what is read from them. */
    if (a->limit_bytes && !checked_add(a->limit_bytes, from->bytes + 64, &a->limit_bytes))
        return FAIL(err, ST_LIMIT, "too large");
    struct aligned_key *key = arena_memdup(a, from, sizeof *from);
    void *copy = key ? arena_memdup(a, from->data, from->bytes) : NULL;
    if (!copy || !map_set(&s->aligned, key, sizeof *key, (uint64_t)(uintptr_t)copy))
        return graph_no_memory(g, err);
    s->aligned_bytes += from->bytes;
    *out = copy;
    return ST_OK;
}

status graph_align(const struct graph *g, const struct tensor_type *type, const void **data,
                   struct err *err)
{
    struct aligned_key key = { .data = *data };
    uint64_t there;

    if ((uintptr_t)*data % dtype_align(type->dtype) == 0) return ST_OK;
    if (!type_bytes(type, &key.bytes)) return FAIL(err, ST_LIMIT, "the dimensions overflow");
    if (!map_get(&g->storage->aligned, &key, sizeof key, &there))
        return copy_aligned(g, &key, data, err);
    *data = (const void *)(uintptr_t)there;
    return ST_OK;
}

static status align_value(struct graph *g, int value, struct err *err)
{
    struct graph_value *v = &g->values[value];

    if (!v->data) return ST_OK;
    const status st = graph_align(g, &v->type, &v->data, err);
    if (st != ST_OK) err_prefix(err, "value '%s'", v->name);
    return st;
}

status graph_align_inputs(struct graph *g, int node, struct op_call *call, struct err *err)
{
    const struct graph_node *n = &g->nodes[node];

    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] < 0 || op_takes_misaligned(n->op, i)) continue;
        TRY(align_value(g, n->in[i], err));
        call->in[i].data = (void *)(uintptr_t)g->values[n->in[i]].data;
    }
    return ST_OK;
}

status graph_align_outputs(struct graph *g, struct err *err)
{
    for (size_t i = 0; i < g->n_outputs; i++) TRY(align_value(g, g->outputs[i], err));
    return ST_OK;
}
