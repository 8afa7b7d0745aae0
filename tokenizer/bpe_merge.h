/* SPDX-License-Identifier: MIT */
/* The merging itself: symbols in, fewer symbols out, lowest rank first and leftmost among equals.
 */
#pragma once
#include "tokenizer/model_bpe.h"

struct bpe_symbol {
    int32_t id;
    uint32_t next, prev; /* long words: linked list; UINT32_MAX = none */
};

/* Merges ids[0..n) in place and returns how many remain. scratch: bpe_merge_scratch(n) bytes,
 * 16-byte aligned. */
size_t bpe_merge(const struct bpe *bpe, int32_t *ids, size_t n, void *scratch);
/* SIZE_MAX when n is too large. */
size_t bpe_merge_scratch(const struct bpe *bpe, size_t n);

/* The three ways it does so; all give the same. */
/* At most BPE_SHORT_MAX symbols: repeated scans for the lowest rank. No scratch. */
enum { BPE_SHORT_MAX = 32, BPE_HEAP_MAX = 1 << 14 };
size_t bpe_merge_short(const struct bpe *bpe, int32_t *ids, size_t n);
/* Up to BPE_HEAP_MAX symbols, which the processor's cache holds: a heap of pairs. */
size_t bpe_merge_heap(const struct bpe *bpe, int32_t *ids, size_t n, void *scratch);
size_t bpe_heap_scratch(size_t n);
/* As bpe_merge_heap; parts[id] becomes the last pair seen side by side that makes id. parts: by id,
 * needs no values. */
struct bpe_parts {
    int32_t left, right;
};
size_t bpe_merge_recorded(const struct bpe *bpe, int32_t *ids, size_t n, void *scratch,
                          struct bpe_parts *parts);
/* Beyond: lists of pairs by rank. n at least 1; *steps (may be NULL): what was done, for tests. */
size_t bpe_merge_ranked(const struct bpe *bpe, int32_t *ids, size_t n, void *scratch,
                        uint64_t *steps);
size_t bpe_ranked_scratch(const struct bpe *bpe, size_t n);

/* Slot where the search for a pair begins. */
static inline size_t bpe_home(const struct bpe *bpe, uint64_t key)
{
    uint64_t h = key * bpe->seed;

    h ^= h >> 29;
    h *= 0x9E3779B97F4A7C15u;
    return (size_t)(((h >> 32) * bpe->n_slots) >> 32);
}

static inline uint64_t bpe_key(int32_t left, int32_t right)
{
    return ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) + 1;
}

/* NULL: the two do not merge. */
static inline const struct bpe_merge *bpe_find(const struct bpe *bpe, int32_t left, int32_t right)
{
    const uint64_t key = bpe_key(left, right);

    for (size_t at = bpe_home(bpe, key);;) {
        if (bpe->merges[at].key == key) return &bpe->merges[at];
        if (bpe->merges[at].key == 0) return NULL;
        if (++at == bpe->n_slots) at = 0;
    }
}
