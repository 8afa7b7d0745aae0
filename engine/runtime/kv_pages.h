/* SPDX-License-Identifier: MIT */
/* The KV cache as pages: one backend buffer, reference counts, and the prefix cache that finds full
 * pages again by the tokens in them.
 *
 * Layers that look back equally far make a group, with pages and page tables of its own: what a
 * windowed layer no longer sees can go while other layers keep theirs. A page is named by its group
 * and its number in it.
 *
 * A page is in one of three states: free; used (referenced by one or more sequences); cached
 * (referenced by nobody, but holding a prefix that may be asked for again - the least recently used
 * goes first when pages are wanted). Not thread-safe: whoever holds the engine's turn may call.
 * Nothing here allocates after create. */
#pragma once
#include "engine/runtime/lm.h"

enum { KV_PAGE_TOKENS = 64 };

/* A chain of KV_PAGE_TOKENS ids after another, from position 0 on: the place in the prefix cache
 * that a timeline has reached. The two roots are the empty chain under either rotary tables. NONE:
 * the timeline is not followed. Who holds a chain that is no root holds a reference to it. */
enum { KV_CHAIN_NONE = -1, KV_CHAIN_ROOT = 0, KV_CHAIN_ROOT_LONG = 1 };

struct kv_pages;

/* A group before it has memory. */
struct kv_group_plan {
    int window; /* as lm_kv_shape */
    size_t page_bytes;
};

struct kv_pages_config {
    const struct lm_kv_shape *shapes; /* [n_layers] */
    int n_layers;
    enum dtype dtype;   /* of caches that are not quantised: DT_F32, DT_F16, DT_BF16 */
    const int *n_pages; /* [groups of the plan] */
    bool prefix_cache;
    unsigned hash_bits; /* of the prefix cache's hash, 0 = all 64; tests make collisions with it */
};

/* A timeline's pages: of group g, page i is pages[g * stride + i], -1 = not held. */
struct kv_table {
    int32_t *pages;
    size_t stride;
};

/* The groups of such layers, in the order in which their windows first appear: groups
 * [n_layers + 1], the return value of them filled, at least one. -1 on overflow or shapes that make
 * no sense. */
int kv_plan_groups(const struct lm_kv_shape *shapes, int n_layers, enum dtype dtype,
                   struct kv_group_plan *groups);

status kv_pages_create(struct kv_pages **out, struct backend *be, const struct kv_pages_config *cfg,
                       struct err *err);
/* Accepts NULL. */
void kv_pages_destroy(struct kv_pages *kv);
/* What a step needs; alive as long as kv. */
const struct kv_store *kv_pages_store(const struct kv_pages *kv);

int kv_pages_groups(const struct kv_pages *kv);
/* Of a group; 0: its layers look back over everything. */
int kv_pages_window(const struct kv_pages *kv, int group);
/* First page that a token at `position` or a later one looks at through such a window. */
int kv_first_page(int window, int64_t position);
/* Pages that n positions lie in, wherever the first of them begins. */
int kv_pages_spanned(int64_t n);

/* Sums over all groups. */
int kv_pages_total(const struct kv_pages *kv);
int kv_pages_used(const struct kv_pages *kv);
int kv_pages_cached(const struct kv_pages *kv);
/* Pages that kv_pages_take would find: free and cached. */
int kv_pages_available(const struct kv_pages *kv, int group);

/* A page of undefined content with one reference; -1 when all are in use. */
int32_t kv_pages_take(struct kv_pages *kv, int group);
void kv_pages_ref(struct kv_pages *kv, int group, int32_t page);
void kv_pages_unref(struct kv_pages *kv, int group, int32_t page);
/* Copies a page's bytes. */
status kv_pages_copy(struct kv_pages *kv, int group, int32_t dst, int32_t src, struct err *err);

/* The longest known prefix of ids [0, n_pages_max * KV_PAGE_TOKENS) after the root *chain that can
 * be gone on from: of each group the pages that the next token looks at are there. Those get a
 * reference and are written to the table, -1 before them. *chain becomes the prefix's, with a
 * reference. Returns its length in pages. */
int kv_pages_match(struct kv_pages *kv, const int32_t *ids, int n_pages_max, struct kv_table table,
                   int32_t *chain);
/* Makes the pages `index` of a timeline findable: their KV_PAGE_TOKENS ids follow *chain. Where a
 * group's page of these tokens is known already this one stays private. *chain moves on by a page;
 * where the cache has no place left it becomes NONE. */
void kv_pages_publish(struct kv_pages *kv, struct kv_table table, int index, const int32_t *ids,
                      int32_t *chain);
/* Another holder of a chain, and one less. Roots and NONE are nobody's. */
void kv_chain_ref(struct kv_pages *kv, int32_t chain);
void kv_chain_unref(struct kv_pages *kv, int32_t chain);
