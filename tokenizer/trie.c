/* SPDX-License-Identifier: MIT */
#include "tokenizer/trie.h"
#include <string.h>

enum { NODES_MAX = 1 << 28 };

static status grow_edges(struct trie *t, size_t n_edges, struct err *err)
{
    size_t slots = 64;
    struct trie_edge *old = t->edges;
    const size_t n_old = t->n_slots;

    while (slots < n_edges * 2) slots *= 2;
    if (slots <= t->n_slots) return ST_OK;
    struct trie_edge *edges = ARENA_ARRAY(t->arena, slots, struct trie_edge);
    if (!edges) return FAIL(err, ST_NOMEM, "trie: no memory");
    t->edges = edges;
    t->n_slots = slots;
    for (size_t i = 0; i < n_old; i++) {
        if (!old[i].key) continue;
        size_t at = trie_slot(t, old[i].key);
        while (edges[at].key) at = (at + 1) & (slots - 1);
        edges[at] = old[i];
    }
    return ST_OK;
}

static status new_node(struct trie *t, uint32_t *out, struct err *err)
{
    if (t->n_nodes >= NODES_MAX) return FAIL(err, ST_LIMIT, "trie: too many nodes");
    if (t->n_nodes == t->values_cap) {
        void *values =
            arena_grow(t->arena, t->values, &t->values_cap, t->n_nodes + 1, sizeof *t->values);
        if (!values) return FAIL(err, ST_NOMEM, "trie: no memory");
        t->values = values;
    }
    t->values[t->n_nodes] = -1;
    *out = (uint32_t)t->n_nodes++;
    return ST_OK;
}

status trie_reserve(struct trie *t, size_t n, struct err *err)
{
    uint32_t root;

    if (n > t->values_cap) {
        void *values = arena_grow(t->arena, t->values, &t->values_cap, n, sizeof *t->values);
        if (!values) return FAIL(err, ST_NOMEM, "trie: no memory");
        t->values = values;
    }
    if (t->n_nodes == 0) TRY(new_node(t, &root, err));
    return grow_edges(t, n, err);
}

static status add_child(struct trie *t, uint32_t node, unsigned char byte, uint32_t *child,
                        struct err *err)
{
    TRY(new_node(t, child, err));
    if (node == 0) {
        t->root[byte] = *child;
        return ST_OK;
    }
    if ((t->n_edges + 1) * 2 > t->n_slots) TRY(grow_edges(t, (t->n_edges + 1) * 2, err));
    const uint64_t key = ((uint64_t)node << 8 | byte) + 1;
    size_t at = trie_slot(t, key);
    while (t->edges[at].key) at = (at + 1) & (t->n_slots - 1);
    t->edges[at] = (struct trie_edge){ key, *child };
    t->n_edges++;
    return ST_OK;
}

status trie_put(struct trie *t, const char *key, size_t n, int32_t value, bool replace,
                struct err *err)
{
    uint32_t node = 0;

    if (t->n_nodes == 0 || !t->n_slots) TRY(trie_reserve(t, 1, err));
    for (size_t i = 0; i < n; i++) {
        uint32_t child = trie_step(t, node, (unsigned char)key[i]);

        if (!child) TRY(add_child(t, node, (unsigned char)key[i], &child, err));
        node = child;
    }
    if (replace || t->values[node] < 0) t->values[node] = value;
    return ST_OK;
}
