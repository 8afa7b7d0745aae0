/* SPDX-License-Identifier: MIT */
/* Byte trie over one hash table: added tokens and Unigram pieces are looked up in it. */
#pragma once
#include "base/base.h"
#include <stddef.h>
#include <stdint.h>

/* An edge is one word, so that the table is small: node << 8 | byte, then the child; 0 is empty,
 * since no edge leads to the root. */
enum { TRIE_NODE_BITS = 28 };

/* Zero-initialised with arena set is empty; node 0 is the root. */
struct trie {
    struct arena *arena;
    uint64_t *edges; /* open addressing */
    size_t n_slots;
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

static inline uint64_t trie_key(uint32_t node, unsigned char byte)
{
    return (uint64_t)node << 8 | byte;
}

/* Where the edge of a key is, or the empty slot where it belongs. */
static inline size_t trie_find(const struct trie *t, uint64_t key)
{
    size_t at = trie_slot(t, key);

    while (t->edges[at] && t->edges[at] >> TRIE_NODE_BITS != key) at = (at + 1) & (t->n_slots - 1);
    return at;
}

static inline uint32_t trie_child(uint64_t edge)
{
    return (uint32_t)(edge & ((1u << TRIE_NODE_BITS) - 1));
}

/* Child of a node, 0 if none. */
static inline uint32_t trie_step(const struct trie *t, uint32_t node, unsigned char byte)
{
    if (node == 0) return t->root[byte];
    return trie_child(t->edges[trie_find(t, trie_key(node, byte))]);
}
