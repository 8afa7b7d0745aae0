/* SPDX-License-Identifier: MIT */
/* The KV cache as pages: one backend buffer, reference counts, and the prefix cache that finds full
 * pages again by the tokens in them.
 *
 * A page is in one of three states: free; used (referenced by one or more sequences); cached
 * (referenced by nobody, but holding a prefix that may be asked for again - the least recently used
 * goes first when pages are wanted). Not thread-safe: whoever holds the engine's turn may call.
 * Nothing here allocates after create. */
#pragma once
#include "engine/runtime/lm.h"

enum { KV_PAGE_TOKENS = 64 };

/* Identity of a chain of full pages: equal serials mean equal tokens from position 0 on, and the
 * same rotary tables. The two roots stand for the empty chain. */
enum { KV_SERIAL_ROOT = 0, KV_SERIAL_ROOT_LONG = 1 };

struct kv_pages;

struct kv_pages_config {
    const struct lm_kv_shape *shapes; /* [n_layers] */
    int n_layers;
    enum dtype dtype; /* DT_F32, DT_F16, DT_BF16 */
    int n_pages;
    bool prefix_cache;
    unsigned hash_bits; /* of the prefix cache's hash, 0 = all 64; tests make collisions with it */
};

/* Bytes of a page of such layers; false on overflow or shapes that make no sense. */
bool kv_page_bytes(const struct lm_kv_shape *shapes, int n_layers, enum dtype dtype, size_t *bytes);

status kv_pages_create(struct kv_pages **out, struct backend *be, const struct kv_pages_config *cfg,
                       struct err *err);
/* Accepts NULL. */
void kv_pages_destroy(struct kv_pages *kv);
/* What a step needs; alive as long as kv. */
const struct kv_store *kv_pages_store(const struct kv_pages *kv);

int kv_pages_total(const struct kv_pages *kv);
/* Pages that kv_pages_take would find: free and cached. */
int kv_pages_available(const struct kv_pages *kv);
int kv_pages_used(const struct kv_pages *kv);
int kv_pages_cached(const struct kv_pages *kv);

/* A page of undefined content with one reference; -1 when all are in use. */
int32_t kv_pages_take(struct kv_pages *kv);
void kv_pages_ref(struct kv_pages *kv, int32_t page);
void kv_pages_unref(struct kv_pages *kv, int32_t page);
/* Copies a page's bytes. */
status kv_pages_copy(struct kv_pages *kv, int32_t dst, int32_t src, struct err *err);

/* Longest chain of known pages for ids [0, n_pages_max * KV_PAGE_TOKENS) after the root. Each page
 * found gets a reference and is written to pages; *serial becomes the chain's. Returns the number
 * of pages. */
int kv_pages_match(struct kv_pages *kv, uint64_t root, const int32_t *ids, int n_pages_max,
                   int32_t *pages, uint64_t *serial);
/* Makes a full page findable: its KV_PAGE_TOKENS ids follow the chain *serial. Where such a page is
 * known already this one stays private. Either way *serial moves on by a page. */
void kv_pages_publish(struct kv_pages *kv, int32_t page, const int32_t *ids, uint64_t *serial);
