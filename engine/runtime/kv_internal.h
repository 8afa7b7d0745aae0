/* SPDX-License-Identifier: MIT */
/* What kv_pages.c and kv_prefix.c share: the pools of pages, and the tree of known chains. */
#pragma once
#include "engine/runtime/kv_pages.h"

enum { KV_NONE = -1 };

struct kv_page {
    int32_t refs;
    int32_t lru_prev, lru_next; /* while cached; lru_next also links the free pages */
    int32_t node;               /* of the tree that names it; KV_NONE: private */
};

/* The pages of a group. */
struct kv_pool {
    struct kv_page *pages; /* [n_pages] */
    int n_pages, n_free, n_cached;
    int32_t free_head, lru_oldest, lru_newest;
    int window;
};

/* A chain: its parent's, and KV_PAGE_TOKENS ids more. It lives while a page of it is known, a
 * longer chain lives, or a timeline has got there. */
struct kv_node {
    int32_t parent;
    int32_t next; /* in its bucket; of a free node the next free one */
    int32_t refs;
    uint64_t hash;
};

struct kv_tree {
    struct kv_node *nodes; /* [n_nodes]; the roots first. NULL: no prefix cache */
    int32_t *ids;          /* [n_nodes, KV_PAGE_TOKENS] */
    int32_t *pages;        /* [n_nodes, n_groups] */
    int32_t *buckets;      /* [n_buckets] */
    int *run;              /* [n_groups] scratch of a match */
    size_t n_buckets;      /* power of two */
    int n_nodes;
    int32_t free_head;
    uint64_t hash_mask;
};

struct kv_pages {
    struct kv_store store;
    struct buffer buffer;
    struct backend *backend;
    struct kv_layer *layers;
    struct kv_group *groups;
    struct kv_pool *pools; /* [n_groups] */
    struct kv_tree tree;
    void *bounce; /* [largest page] for copies on devices that the host cannot address, else NULL */
};

/* Makes an empty tree for n_pages pages in all groups. False when out of memory; fini either way.
 */
bool kv_tree_init(struct kv_pages *kv, size_t n_pages, unsigned hash_bits);
void kv_tree_fini(struct kv_tree *tree);
/* A cached page is taken for other tokens: its node forgets it. */
void kv_tree_forget(struct kv_pages *kv, int group, int32_t page);
/* Gives the longest unused cached page of a group to the free ones. */
void kv_pool_evict(struct kv_pages *kv, int group);
