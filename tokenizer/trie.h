/* SPDX-License-Identifier: MIT */
/* Byte trie over one hash table: added tokens and Unigram pieces are looked up in it. */
#pragma once
#include "base/base.h"
#include <stddef.h>
#include <stdint.h>

struct trie_edge {
    uint64_t key; /* node << 8 | byte, plus one; 0 = empty */
    uint32_t child;
};

/* Zero-initialised with arena set is empty; node 0 is the root. */
struct trie {
    struct arena *arena;
    struct trie_edge *edges; /* open addressing */
    size_t n_edges, n_slots;
    int32_t *values; /* [n_nodes]; -1: no key ends here */
    size_t n_nodes, values_cap;
    uint32_t root[256]; /* children of the root, 0 = none */
};

/* Room for n nodes. */
status trie_reserve(struct trie *t, size_t n, struct err *err);
/* Sets the value of a key; a key that is there keeps its old value unless `replace`. */
status trie_put(struct trie *t, const char *key, size_t n, int32_t value, bool replace,
                struct err *err);

static inline size_t trie_slot(const struct trie *t, uint64_t key)
{
    uint64_t h = key * 0x9E3779B97F4A7C15u;

    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    return (size_t)(h >> 32) & (t->n_slots - 1);
}

/* Child of a node, 0 if none. */
static inline uint32_t trie_step(const struct trie *t, uint32_t node, unsigned char byte)
{
    if (node == 0) return t->root[byte];
    const uint64_t key = ((uint64_t)node << 8 | byte) + 1;
    for (size_t at = trie_slot(t, key);; at = (at + 1) & (t->n_slots - 1)) {
        if (t->edges[at].key == key) return t->edges[at].child;
        if (t->edges[at].key == 0) return 0;
    }
}
