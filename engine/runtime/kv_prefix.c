/* SPDX-License-Identifier: MIT */
/* The prefix cache: a tree of chains, each child a page of tokens longer.
 *
 * A node is found by the hash of (its parent, its ids). The hash is keyed per process, and parent
 * and ids are compared on a hit: no prompt can be made to match another. A node whose pages are
 * gone stays while anything hangs on it, so a parent's number is never used for another chain in
 * the meantime; what hangs on it can be gone on from as soon as the missing pages are published
 * again. */
#include "engine/runtime/kv_internal.h"
#include <assert.h>
#include <limits.h>
#include <string.h>

enum { ROOTS = 2 };

/* ---- life ---- */

static void kv_tree_reset(struct kv_tree *t, int n_groups)
{
    for (int i = 0; i < t->n_nodes; i++)
        t->nodes[i] = (struct kv_node){ .parent = KV_NONE,
                                        .next = i + 1 < t->n_nodes ? i + 1 : KV_NONE,
                                        .refs = i < ROOTS };
    for (size_t i = 0; i < (size_t)t->n_nodes * (size_t)n_groups; i++) t->pages[i] = KV_NONE;
    for (size_t i = 0; i < t->n_buckets; i++) t->buckets[i] = KV_NONE;
    t->free_head = t->n_nodes > ROOTS ? ROOTS : KV_NONE;
}

/* Twice as many nodes as pages: a node may outlive its pages. */
bool kv_tree_init(struct kv_pages *kv, size_t n_pages, unsigned hash_bits)
{
    struct kv_tree *t = &kv->tree;
    const size_t n = n_pages < INT_MAX / 4 ? 2 * n_pages + ROOTS : INT_MAX / 2;
    const size_t groups = (size_t)kv->store.n_groups;

    t->n_nodes = (int)n;
    t->hash_mask = hash_bits ? UINT64_MAX >> (64 - hash_bits) : UINT64_MAX;
    for (t->n_buckets = 1; t->n_buckets < n; t->n_buckets *= 2) continue;
    t->nodes = mem_calloc(n, sizeof *t->nodes);
    t->ids = mem_calloc(n, KV_PAGE_TOKENS * sizeof *t->ids);
    t->pages = mem_calloc(n, groups * sizeof *t->pages);
    t->buckets = mem_calloc(t->n_buckets, sizeof *t->buckets);
    t->run = mem_calloc(groups, sizeof *t->run);
    if (!t->nodes || !t->ids || !t->pages || !t->buckets || !t->run) return false;
    kv_tree_reset(t, kv->store.n_groups);
    return true;
}

void kv_tree_fini(struct kv_tree *t)
{
    mem_free(t->run);
    mem_free(t->buckets);
    mem_free(t->pages);
    mem_free(t->ids);
    mem_free(t->nodes);
}

/* ---- nodes ---- */

static uint64_t kv_hash(const struct kv_tree *t, int32_t parent, const int32_t *ids)
{
    const uint64_t seed = hash_process_seed() ^ ((uint64_t)parent * UINT64_C(0x9e3779b97f4a7c15));
    return hash_bytes(ids, KV_PAGE_TOKENS * sizeof *ids, seed) & t->hash_mask;
}

static int32_t *kv_bucket(const struct kv_tree *t, uint64_t hash)
{
    return &t->buckets[hash & (t->n_buckets - 1)];
}

static int32_t *kv_node_ids(const struct kv_tree *t, int32_t node)
{
    return t->ids + (size_t)node * KV_PAGE_TOKENS;
}

static int32_t *kv_node_page(const struct kv_pages *kv, int32_t node, int group)
{
    return &kv->tree.pages[(size_t)node * (size_t)kv->store.n_groups + (size_t)group];
}

/* The chain of `parent` and ids; KV_NONE: not known. */
static int32_t kv_child(const struct kv_tree *t, int32_t parent, const int32_t *ids)
{
    const uint64_t hash = kv_hash(t, parent, ids);

    for (int32_t n = *kv_bucket(t, hash); n != KV_NONE; n = t->nodes[n].next)
        if (t->nodes[n].hash == hash && t->nodes[n].parent == parent &&
            memcmp(kv_node_ids(t, n), ids, KV_PAGE_TOKENS * sizeof *ids) == 0)
            return n;
    return KV_NONE;
}

static void kv_node_free(struct kv_tree *t, int32_t node)
{
    int32_t *link = kv_bucket(t, t->nodes[node].hash);

    while (*link != node) link = &t->nodes[*link].next;
    *link = t->nodes[node].next;
    t->nodes[node].next = t->free_head;
    t->free_head = node;
}

/* One holder less; what nothing holds goes, and with it its hold on the parent. */
static void kv_node_unref(struct kv_tree *t, int32_t node)
{
    while (node >= ROOTS && --t->nodes[node].refs == 0) {
        const int32_t parent = t->nodes[node].parent;

        kv_node_free(t, node);
        node = parent;
    }
}

void kv_chain_ref(struct kv_pages *kv, int32_t chain)
{
    if (kv->tree.nodes && chain >= ROOTS) kv->tree.nodes[chain].refs++;
}

void kv_chain_unref(struct kv_pages *kv, int32_t chain)
{
    if (kv->tree.nodes) kv_node_unref(&kv->tree, chain);
}

void kv_tree_forget(struct kv_pages *kv, int group, int32_t page)
{
    struct kv_page *p = &kv->pools[group].pages[page];

    *kv_node_page(kv, p->node, group) = KV_NONE;
    kv_node_unref(&kv->tree, p->node);
    p->node = KV_NONE;
}

/* A free node, if need be at the price of cached pages. KV_NONE: there is none to be had. */
static int32_t kv_node_take(struct kv_pages *kv)
{
    struct kv_tree *t = &kv->tree;

    while (t->free_head == KV_NONE) {
        int most = 0;

        for (int g = 1; g < kv->store.n_groups; g++)
            if (kv->pools[g].n_cached > kv->pools[most].n_cached) most = g;
        if (kv->pools[most].n_cached == 0) return KV_NONE;
        kv_pool_evict(kv, most);
    }
    const int32_t node = t->free_head;
    t->free_head = t->nodes[node].next;
    return node;
}

static int32_t kv_node_add(struct kv_pages *kv, int32_t parent, const int32_t *ids)
{
    struct kv_tree *t = &kv->tree;
    const int32_t node = kv_node_take(kv);

    if (node == KV_NONE) return KV_NONE;
    const uint64_t hash = kv_hash(t, parent, ids);
    int32_t *bucket = kv_bucket(t, hash);
    t->nodes[node] = (struct kv_node){ .parent = parent, .next = *bucket, .hash = hash };
    *bucket = node;
    memcpy(kv_node_ids(t, node), ids, KV_PAGE_TOKENS * sizeof *ids);
    kv_chain_ref(kv, parent);
    return node;
}

/* ---- match and publish ---- */

/* Whether the pages that the token after n pages looks at are there: run[g] is the first of those
 * that lie without a gap before it. */
static bool kv_goes_on(const struct kv_pages *kv, int n)
{
    for (int g = 0; g < kv->store.n_groups; g++)
        if (kv->tree.run[g] > kv_first_page(kv->pools[g].window, (int64_t)n * KV_PAGE_TOKENS))
            return false;
    return true;
}

/* The longest chain that can be gone on from; *n becomes its length in pages. */
static int32_t kv_walk(const struct kv_pages *kv, int32_t root, const int32_t *ids, int n_max,
                       int *n)
{
    const struct kv_tree *t = &kv->tree;
    int32_t node = root, best = root;

    *n = 0;
    memset(t->run, 0, (size_t)kv->store.n_groups * sizeof *t->run);
    for (int i = 0; i < n_max; i++) {
        node = kv_child(t, node, ids + (size_t)i * KV_PAGE_TOKENS);
        if (node == KV_NONE) break;
        for (int g = 0; g < kv->store.n_groups; g++)
            if (*kv_node_page(kv, node, g) == KV_NONE) t->run[g] = i + 1;
        if (!kv_goes_on(kv, i + 1)) continue;
        best = node;
        *n = i + 1;
    }
    return best;
}

int kv_pages_match(struct kv_pages *kv, const int32_t *ids, int n_pages_max, struct kv_table table,
                   int32_t *chain)
{
    int n;

    if (!kv->tree.nodes) return 0;
    *chain = kv_walk(kv, *chain, ids, n_pages_max, &n);
    kv_chain_ref(kv, *chain);
    for (int g = 0; g < kv->store.n_groups; g++) {
        const int first = kv_first_page(kv->pools[g].window, (int64_t)n * KV_PAGE_TOKENS);
        int32_t node = *chain;

        for (int i = n; i-- > 0; node = kv->tree.nodes[node].parent) {
            int32_t *page = &table.pages[(size_t)g * table.stride + (size_t)i];
            *page = i >= first ? *kv_node_page(kv, node, g) : -1;
            if (*page >= 0) kv_pages_ref(kv, g, *page);
        }
    }
    return n;
}

void kv_pages_publish(struct kv_pages *kv, struct kv_table table, int index, const int32_t *ids,
                      int32_t *chain)
{
    if (!kv->tree.nodes || *chain == KV_CHAIN_NONE) return;
    const int32_t from = *chain;
    int32_t node = kv_child(&kv->tree, from, ids);

    if (node == KV_NONE) node = kv_node_add(kv, from, ids);
    *chain = node == KV_NONE ? KV_CHAIN_NONE : node;
    kv_chain_ref(kv, *chain);
    kv_chain_unref(kv, from);
    for (int g = 0; node != KV_NONE && g < kv->store.n_groups; g++) {
        const int32_t page = table.pages[(size_t)g * table.stride + (size_t)index];

        if (page < 0 || *kv_node_page(kv, node, g) != KV_NONE) continue;
        assert(kv->pools[g].pages[page].node == KV_NONE);
        *kv_node_page(kv, node, g) = page;
        kv->pools[g].pages[page].node = node;
        kv->tree.nodes[node].refs++;
    }
}
