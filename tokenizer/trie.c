/* SPDX-License-Identifier: MIT */
#include "tokenizer/trie.h"
#include <string.h>

static status grow_edges(struct trie *t, size_t n_edges, struct err *err)
{
    size_t slots = 64;
    const uint64_t *old = t->edges;
    const size_t n_old = t->n_slots;

    while (slots < n_edges * 2) slots *= 2;
    if (slots <= t->n_slots) return ST_OK;
    uint64_t *edges = ARENA_ARRAY(t->arena, slots, uint64_t);
    if (!edges) return FAIL(err, ST_NOMEM, "trie: no memory");
    t->edges = edges;
    t->n_slots = slots;
    for (size_t i = 0; i < n_old; i++)
        if (old[i]) edges[trie_find(t, old[i] >> TRIE_NODE_BITS)] = old[i];
    return ST_OK;
}

/* Room for n more nodes and the edges to them. */
static status grow(struct trie *t, size_t n, struct err *err)
{
    const size_t nodes = t->n_nodes + n;

    if (nodes > (size_t)1 << TRIE_NODE_BITS) return FAIL(err, ST_LIMIT, "trie: too many nodes");
    if (nodes > t->values_cap) {
        void *values = arena_grow(t->arena, t->values, &t->values_cap, nodes, sizeof *t->values);
        if (!values) return FAIL(err, ST_NOMEM, "trie: no memory");
        t->values = values;
    }
    if (nodes * 2 <= t->n_slots) return ST_OK;
    return grow_edges(t, t->n_slots ? nodes * 2 : nodes, err);
}

/* Where there is room. */
static uint32_t new_node(struct trie *t)
{
    t->values[t->n_nodes] = -1;
    return (uint32_t)t->n_nodes++;
}

status trie_reserve(struct trie *t, size_t n, struct err *err)
{
    TRY(grow(t, n ? n : 1, err));
    if (t->n_nodes == 0) (void)new_node(t);
    return ST_OK;
}

/* How far the trie goes along a key, and to which node. */
static size_t follow(const struct trie *t, const char *key, size_t n, uint32_t *node)
{
    size_t i = 0;

    for (; i < n; i++) {
        const uint32_t child = trie_step(t, *node, (unsigned char)key[i]);

        if (!child) break;
        *node = child;
    }
    return i;
}

status trie_put(struct trie *t, const char *key, size_t n, int32_t value, bool replace,
                struct err *err)
{
    uint32_t node = 0;

    if (t->n_nodes == 0) TRY(trie_reserve(t, 1, err));
    size_t i = follow(t, key, n, &node);
    if (i < n) TRY(grow(t, n - i, err));
    for (; i < n; i++) {
        const unsigned char byte = (unsigned char)key[i];
        const uint32_t child = new_node(t);

        if (node == 0) {
            t->root[byte] = child;
        } else {
            const uint64_t k = trie_key(node, byte);
            t->edges[trie_find(t, k)] = k << TRIE_NODE_BITS | child;
        }
        node = child;
    }
    if (replace || t->values[node] < 0) t->values[node] = value;
    return ST_OK;
}
