/* SPDX-License-Identifier: MIT */
/* Pages and the prefix cache.
 *
 * A cached page is keyed by (serial of the chain before it, its token ids). Serials are never used
 * twice, so a chain whose middle was evicted cannot be continued by accident: its tail is simply
 * never found again. The hash is keyed per process, and the ids are compared on a hit: no prompt
 * can be made to match another. */
#include "engine/runtime/kv_pages.h"
#include <assert.h>
#include <limits.h>
#include <string.h>

enum { KV_ALIGN = 64, NONE = -1 };

struct page_meta {
    int32_t refs;
    int32_t next_in_bucket;     /* of the hash table, while published */
    int32_t lru_prev, lru_next; /* while cached; lru_next also links the free pages */
    bool published;
    uint64_t hash, parent, serial; /* while published */
};

struct kv_pages {
    struct kv_store store;
    struct buffer buffer;
    struct backend *backend;
    struct kv_layer *layers;
    struct page_meta *meta; /* [n_pages] */
    int32_t *ids;     /* [n_pages, KV_PAGE_TOKENS] of published pages; NULL without prefix cache */
    int32_t *buckets; /* [n_buckets] first page; NULL without prefix cache */
    size_t n_buckets; /* power of two */
    void *bounce; /* [page_bytes] for copies on devices that the host cannot address, else NULL */
    int32_t free_head, lru_oldest, lru_newest;
    int n_free, n_cached;
    uint64_t next_serial, hash_mask;
};

/* ---- layout ---- */

/* Offsets of one layer's keys and values in a page; *at moves past them. */
static bool kv_place_layer(const struct lm_kv_shape *shape, size_t elem_bytes,
                           struct kv_layer *layer, size_t *at)
{
    size_t bytes;

    if (shape->n_heads <= 0 || shape->head_dim <= 0) return false;
    if (!checked_mul((size_t)shape->n_heads, (size_t)shape->head_dim, &bytes)) return false;
    if (!checked_mul(bytes, KV_PAGE_TOKENS * elem_bytes, &bytes)) return false;
    if (!checked_add(bytes, KV_ALIGN - 1, &bytes)) return false;
    bytes &= ~(size_t)(KV_ALIGN - 1);
    const size_t v_offset = *at + bytes;
    if (!checked_add(*at, bytes, at) || !checked_add(*at, bytes, at)) return false;
    *layer = (struct kv_layer){ .n_heads = shape->n_heads,
                                .head_dim = shape->head_dim,
                                .k_offset = v_offset - bytes,
                                .v_offset = v_offset };
    return true;
}

bool kv_page_bytes(const struct lm_kv_shape *shapes, int n_layers, enum dtype dtype, size_t *bytes)
{
    struct kv_layer layer;
    size_t at = 0;

    if (dtype != DT_F32 && dtype != DT_F16 && dtype != DT_BF16) return false;
    for (int i = 0; i < n_layers; i++)
        if (!kv_place_layer(&shapes[i], dtype_bits(dtype) / 8, &layer, &at)) return false;
    *bytes = at;
    return true;
}

/* ---- life ---- */

static bool kv_alloc_tables(struct kv_pages *kv, const struct kv_pages_config *cfg)
{
    const size_t n = (size_t)cfg->n_pages;

    kv->meta = mem_calloc(n, sizeof *kv->meta);
    kv->layers = mem_calloc((size_t)cfg->n_layers + 1, sizeof *kv->layers);
    if (!kv->meta || !kv->layers) return false;
    if (!cfg->prefix_cache) return true;
    kv->n_buckets = 1;
    while (kv->n_buckets < n) kv->n_buckets *= 2;
    kv->ids = mem_calloc(n, KV_PAGE_TOKENS * sizeof *kv->ids);
    kv->buckets = mem_calloc(kv->n_buckets, sizeof *kv->buckets);
    if (!kv->ids || !kv->buckets) return false;
    for (size_t i = 0; i < kv->n_buckets; i++) kv->buckets[i] = NONE;
    return true;
}

static void kv_free_all(struct kv_pages *kv)
{
    for (int i = 0; i < kv->store.n_pages; i++)
        kv->meta[i] = (struct page_meta){
            .next_in_bucket = NONE,
            .lru_prev = NONE,
            .lru_next = i + 1 < kv->store.n_pages ? i + 1 : NONE,
        };
    kv->free_head = 0;
    kv->n_free = kv->store.n_pages;
    kv->lru_oldest = kv->lru_newest = NONE;
    kv->next_serial = KV_SERIAL_ROOT_LONG + 1;
}

static status kv_alloc_buffer(struct kv_pages *kv, size_t page_bytes, int n_pages, struct err *err)
{
    size_t total;

    if (!checked_mul(page_bytes, (size_t)n_pages, &total))
        return FAIL(err, ST_LIMIT, "KV cache: %d pages of %zu bytes", n_pages, page_bytes);
    const status st = kv->backend->ops->alloc(kv->backend, total ? total : 1, &kv->buffer, err);
    if (st != ST_OK) {
        err_prefix(err, "KV cache of %zu bytes", total);
        return st;
    }
    if (!kv->buffer.host && !(kv->bounce = mem_alloc(page_bytes ? page_bytes : 1)))
        return FAIL(err, ST_NOMEM, "KV cache: out of memory");
    return ST_OK;
}

status kv_pages_create(struct kv_pages **out, struct backend *be, const struct kv_pages_config *cfg,
                       struct err *err)
{
    size_t page_bytes, at = 0;

    *out = NULL;
    if (cfg->n_pages <= 0 || cfg->n_pages > INT_MAX / KV_PAGE_TOKENS || cfg->n_layers < 0)
        return FAIL(err, ST_INVALID, "KV cache: %d pages", cfg->n_pages);
    if (!kv_page_bytes(cfg->shapes, cfg->n_layers, cfg->dtype, &page_bytes))
        return FAIL(err, ST_INVALID, "KV cache: %d layers of %s do not make a page", cfg->n_layers,
                    dtype_name(cfg->dtype));
    struct kv_pages *kv = mem_calloc(1, sizeof *kv);
    if (!kv) return FAIL(err, ST_NOMEM, "KV cache: out of memory");
    kv->backend = be;
    kv->hash_mask = cfg->hash_bits ? UINT64_MAX >> (64 - cfg->hash_bits) : UINT64_MAX;
    status st = kv_alloc_tables(kv, cfg) ? kv_alloc_buffer(kv, page_bytes, cfg->n_pages, err)
                                         : FAIL(err, ST_NOMEM, "KV cache: out of memory");
    if (st != ST_OK) {
        kv_pages_destroy(kv);
        return st;
    }
    for (int i = 0; i < cfg->n_layers; i++)
        (void)kv_place_layer(&cfg->shapes[i], dtype_bits(cfg->dtype) / 8, &kv->layers[i], &at);
    kv->store = (struct kv_store){ .buf = &kv->buffer,
                                   .page_bytes = page_bytes,
                                   .page_tokens = KV_PAGE_TOKENS,
                                   .n_pages = cfg->n_pages,
                                   .n_layers = cfg->n_layers,
                                   .dtype = cfg->dtype,
                                   .layers = kv->layers };
    kv_free_all(kv);
    *out = kv;
    return ST_OK;
}

void kv_pages_destroy(struct kv_pages *kv)
{
    if (!kv) return;
    if (kv->buffer.handle || kv->buffer.host) kv->backend->ops->free(kv->backend, &kv->buffer);
    mem_free(kv->bounce);
    mem_free(kv->buckets);
    mem_free(kv->ids);
    mem_free(kv->layers);
    mem_free(kv->meta);
    mem_free(kv);
}

const struct kv_store *kv_pages_store(const struct kv_pages *kv) { return &kv->store; }
int kv_pages_total(const struct kv_pages *kv) { return kv->store.n_pages; }
int kv_pages_available(const struct kv_pages *kv) { return kv->n_free + kv->n_cached; }
int kv_pages_cached(const struct kv_pages *kv) { return kv->n_cached; }

int kv_pages_used(const struct kv_pages *kv)
{
    return kv->store.n_pages - kv->n_free - kv->n_cached;
}

/* ---- lists ---- */

static void kv_lru_append(struct kv_pages *kv, int32_t page)
{
    struct page_meta *m = &kv->meta[page];

    m->lru_prev = kv->lru_newest;
    m->lru_next = NONE;
    if (kv->lru_newest == NONE)
        kv->lru_oldest = page;
    else
        kv->meta[kv->lru_newest].lru_next = page;
    kv->lru_newest = page;
    kv->n_cached++;
}

static void kv_lru_remove(struct kv_pages *kv, int32_t page)
{
    const struct page_meta *m = &kv->meta[page];

    if (m->lru_prev == NONE)
        kv->lru_oldest = m->lru_next;
    else
        kv->meta[m->lru_prev].lru_next = m->lru_next;
    if (m->lru_next == NONE)
        kv->lru_newest = m->lru_prev;
    else
        kv->meta[m->lru_next].lru_prev = m->lru_prev;
    kv->n_cached--;
}

static int32_t *kv_bucket(const struct kv_pages *kv, uint64_t hash)
{
    return &kv->buckets[hash & (kv->n_buckets - 1)];
}

static void kv_unpublish(struct kv_pages *kv, int32_t page)
{
    struct page_meta *m = &kv->meta[page];
    int32_t *link = kv_bucket(kv, m->hash);

    while (*link != page) link = &kv->meta[*link].next_in_bucket;
    *link = m->next_in_bucket;
    m->published = false;
}

/* ---- pages ---- */

int32_t kv_pages_take(struct kv_pages *kv)
{
    int32_t page = kv->free_head;

    if (page != NONE) {
        kv->free_head = kv->meta[page].lru_next;
        kv->n_free--;
    } else if (kv->lru_oldest != NONE) {
        page = kv->lru_oldest;
        kv_lru_remove(kv, page);
        kv_unpublish(kv, page);
    } else {
        return -1;
    }
    kv->meta[page].refs = 1;
    return page;
}

void kv_pages_ref(struct kv_pages *kv, int32_t page)
{
    if (kv->meta[page].refs++ == 0) kv_lru_remove(kv, page);
}

void kv_pages_unref(struct kv_pages *kv, int32_t page)
{
    struct page_meta *m = &kv->meta[page];

    assert(m->refs > 0);
    if (--m->refs > 0) return;
    if (m->published) {
        kv_lru_append(kv, page);
        return;
    }
    m->lru_next = kv->free_head;
    kv->free_head = page;
    kv->n_free++;
}

status kv_pages_copy(struct kv_pages *kv, int32_t dst, int32_t src, struct err *err)
{
    const size_t n = kv->store.page_bytes;
    const struct backend_ops *ops = kv->backend->ops;
    const struct view to = { &kv->buffer, (size_t)dst * n },
                      from = { &kv->buffer, (size_t)src * n };

    if (kv->buffer.host) {
        memcpy((char *)kv->buffer.host + to.offset, (const char *)kv->buffer.host + from.offset, n);
        return ST_OK;
    }
    TRY(ops->read(kv->backend, kv->bounce, from, n, err));
    return ops->write(kv->backend, to, kv->bounce, n, err);
}

/* ---- prefix cache ---- */

static uint64_t kv_hash(const struct kv_pages *kv, uint64_t parent, const int32_t *ids)
{
    const uint64_t seed = hash_process_seed() ^ (parent * UINT64_C(0x9e3779b97f4a7c15));
    return hash_bytes(ids, KV_PAGE_TOKENS * sizeof *ids, seed) & kv->hash_mask;
}

static int32_t kv_find(const struct kv_pages *kv, uint64_t hash, uint64_t parent,
                       const int32_t *ids)
{
    for (int32_t p = *kv_bucket(kv, hash); p != NONE; p = kv->meta[p].next_in_bucket) {
        const struct page_meta *m = &kv->meta[p];
        const int32_t *own = kv->ids + (size_t)p * KV_PAGE_TOKENS;
        if (m->hash == hash && m->parent == parent &&
            memcmp(own, ids, KV_PAGE_TOKENS * sizeof *ids) == 0)
            return p;
    }
    return NONE;
}

int kv_pages_match(struct kv_pages *kv, uint64_t root, const int32_t *ids, int n_pages_max,
                   int32_t *pages, uint64_t *serial)
{
    int n = 0;

    *serial = root;
    while (kv->buckets && n < n_pages_max) {
        const int32_t *page_ids = ids + (size_t)n * KV_PAGE_TOKENS;
        const int32_t page = kv_find(kv, kv_hash(kv, *serial, page_ids), *serial, page_ids);
        if (page == NONE) break;
        kv_pages_ref(kv, page);
        *serial = kv->meta[page].serial;
        pages[n++] = page;
    }
    return n;
}

void kv_pages_publish(struct kv_pages *kv, int32_t page, const int32_t *ids, uint64_t *serial)
{
    if (!kv->buckets) return;
    const uint64_t hash = kv_hash(kv, *serial, ids);
    const int32_t known = kv_find(kv, hash, *serial, ids);

    if (known != NONE) {
        *serial = kv->meta[known].serial;
        return;
    }
    struct page_meta *m = &kv->meta[page];
    int32_t *bucket = kv_bucket(kv, hash);

    assert(!m->published && m->refs > 0);
    memcpy(kv->ids + (size_t)page * KV_PAGE_TOKENS, ids, KV_PAGE_TOKENS * sizeof *ids);
    m->published = true;
    m->hash = hash;
    m->parent = *serial;
    m->serial = kv->next_serial++;
    m->next_in_bucket = *bucket;
    *bucket = page;
    *serial = m->serial;
}
