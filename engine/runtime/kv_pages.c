/* SPDX-License-Identifier: MIT */
/* Pages: their layout, their memory, who holds them. */
#include "engine/runtime/kv_internal.h"
#include <assert.h>
#include <limits.h>
#include <string.h>

enum { KV_ALIGN = 64 };

/* ---- layout ---- */

/* Offsets of one layer's keys and values in a page; *at moves past them. */
static bool kv_place_layer(const struct lm_kv_shape *shape, enum dtype floats,
                           struct kv_layer *layer, size_t *at)
{
    const enum dtype dtype = shape->bits == 8 ? DT_I8 : shape->bits == 4 ? DT_U8 : floats;
    size_t bytes;

    if (shape->n_heads <= 0 || shape->head_dim <= 0) return false;
    if (!checked_mul((size_t)shape->n_heads, kv_row_bytes(dtype, (size_t)shape->head_dim), &bytes))
        return false;
    if (!checked_mul(bytes, KV_PAGE_TOKENS, &bytes)) return false;
    if (!checked_add(bytes, KV_ALIGN - 1, &bytes)) return false;
    bytes &= ~(size_t)(KV_ALIGN - 1);
    const size_t v_offset = *at + bytes;
    if (!checked_add(*at, bytes, at) || !checked_add(*at, bytes, at)) return false;
    *layer = (struct kv_layer){ .n_heads = shape->n_heads,
                                .head_dim = shape->head_dim,
                                .k_offset = v_offset - bytes,
                                .v_offset = v_offset,
                                .dtype = dtype };
    return true;
}

/* The group with this window, opened if need be. */
static int kv_group_of(struct kv_group_plan *groups, int *n, int window)
{
    int g = 0;

    while (g < *n && groups[g].window != window) g++;
    if (g == *n) groups[(*n)++] = (struct kv_group_plan){ .window = window };
    return g;
}

/* layers [n_layers] or NULL. */
static int kv_place_all(const struct kv_pages_config *cfg, struct kv_group_plan *groups,
                        struct kv_layer *layers)
{
    int n = 0;

    if (cfg->dtype != DT_F32 && cfg->dtype != DT_F16 && cfg->dtype != DT_BF16) return -1;
    if (cfg->n_layers == 0) groups[n++] = (struct kv_group_plan){ 0 };
    for (int i = 0; i < cfg->n_layers; i++) {
        const int g = kv_group_of(groups, &n, cfg->shapes[i].window);
        struct kv_layer layer;

        if (!kv_place_layer(&cfg->shapes[i], cfg->dtype, &layer, &groups[g].page_bytes)) return -1;
        layer.group = g;
        if (layers) layers[i] = layer;
    }
    return n;
}

int kv_plan_groups(const struct lm_kv_shape *shapes, int n_layers, enum dtype dtype,
                   struct kv_group_plan *groups)
{
    const struct kv_pages_config cfg = { .shapes = shapes, .n_layers = n_layers, .dtype = dtype };

    return kv_place_all(&cfg, groups, NULL);
}

int kv_first_page(int window, int64_t position)
{
    return window > 0 && position >= window ? (int)((position + 1 - window) / KV_PAGE_TOKENS) : 0;
}

int kv_pages_spanned(int64_t n)
{
    return n < 1 ? 0 : (int)((n + KV_PAGE_TOKENS - 2) / KV_PAGE_TOKENS + 1);
}

/* ---- life ---- */

static status kv_no_memory(struct err *err)
{
    return FAIL(err, ST_NOMEM, "KV cache: out of memory");
}

static bool kv_pool_init(struct kv_pool *pool, int n_pages, int window)
{
    *pool = (struct kv_pool){ .n_pages = n_pages,
                              .n_free = n_pages,
                              .lru_oldest = KV_NONE,
                              .lru_newest = KV_NONE,
                              .window = window };
    pool->pages = mem_calloc((size_t)n_pages, sizeof *pool->pages);
    for (int i = 0; pool->pages && i < n_pages; i++)
        pool->pages[i] = (struct kv_page){ .lru_prev = KV_NONE,
                                           .lru_next = i + 1 < n_pages ? i + 1 : KV_NONE,
                                           .node = KV_NONE };
    return pool->pages != NULL;
}

/* Groups one after another in the buffer; *total becomes its size. */
static status kv_make_pools(struct kv_pages *kv, const struct kv_pages_config *cfg,
                            const struct kv_group_plan *plan, size_t *total, struct err *err)
{
    *total = 0;
    for (int g = 0; g < kv->store.n_groups; g++) {
        const int n = cfg->n_pages[g];
        size_t bytes;

        if (n <= 0 || n > INT_MAX / KV_PAGE_TOKENS)
            return FAIL(err, ST_INVALID, "KV cache: %d pages", n);
        kv->groups[g] = (struct kv_group){ *total, plan[g].page_bytes, n };
        if (!checked_mul(plan[g].page_bytes, (size_t)n, &bytes) ||
            !checked_add(*total, bytes, total))
            return FAIL(err, ST_LIMIT, "KV cache: %d pages of %zu bytes", n, plan[g].page_bytes);
        if (!kv_pool_init(&kv->pools[g], n, plan[g].window)) return kv_no_memory(err);
    }
    return ST_OK;
}

static status kv_alloc_buffer(struct kv_pages *kv, size_t total, struct err *err)
{
    size_t largest = 1;
    const status st = kv->backend->ops->alloc(kv->backend, total ? total : 1, &kv->buffer, err);

    if (st != ST_OK) {
        err_prefix(err, "KV cache of %zu bytes", total);
        return st;
    }
    for (int g = 0; g < kv->store.n_groups; g++)
        if (kv->groups[g].page_bytes > largest) largest = kv->groups[g].page_bytes;
    if (!kv->buffer.host && !(kv->bounce = mem_alloc(largest))) return kv_no_memory(err);
    return ST_OK;
}

static status kv_fill(struct kv_pages *kv, const struct kv_pages_config *cfg,
                      struct kv_group_plan *plan, struct err *err)
{
    size_t total, n_pages = 0;
    const int n = kv_place_all(cfg, plan, kv->layers);

    if (n < 0)
        return FAIL(err, ST_INVALID, "KV cache: %d layers of %s do not make a page", cfg->n_layers,
                    dtype_name(cfg->dtype));
    kv->groups = mem_calloc((size_t)n, sizeof *kv->groups);
    kv->pools = mem_calloc((size_t)n, sizeof *kv->pools);
    if (!kv->groups || !kv->pools) return kv_no_memory(err);
    kv->store = (struct kv_store){ .buf = &kv->buffer,
                                   .page_tokens = KV_PAGE_TOKENS,
                                   .n_layers = cfg->n_layers,
                                   .n_groups = n,
                                   .layers = kv->layers,
                                   .groups = kv->groups };
    TRY(kv_make_pools(kv, cfg, plan, &total, err));
    for (int g = 0; g < n; g++) n_pages += (size_t)cfg->n_pages[g];
    if (cfg->prefix_cache && !kv_tree_init(kv, n_pages, cfg->hash_bits)) return kv_no_memory(err);
    return kv_alloc_buffer(kv, total, err);
}

status kv_pages_create(struct kv_pages **out, struct backend *be, const struct kv_pages_config *cfg,
                       struct err *err)
{
    struct kv_pages *kv = mem_calloc(1, sizeof *kv);
    const size_t room = (size_t)(cfg->n_layers > 0 ? cfg->n_layers : 0) + 1;
    struct kv_group_plan *plan = mem_calloc(room, sizeof *plan);
    status st = ST_OK;

    *out = NULL;
    if (kv) kv->backend = be;
    if (kv) kv->layers = mem_calloc(room, sizeof *kv->layers);
    if (!kv || !plan || !kv->layers) st = kv_no_memory(err);
    if (st == ST_OK) st = kv_fill(kv, cfg, plan, err);
    mem_free(plan);
    if (st == ST_OK)
        *out = kv;
    else
        kv_pages_destroy(kv);
    return st;
}

void kv_pages_destroy(struct kv_pages *kv)
{
    if (!kv) return;
    if (kv->buffer.handle || kv->buffer.host) kv->backend->ops->free(kv->backend, &kv->buffer);
    mem_free(kv->bounce);
    kv_tree_fini(&kv->tree);
    for (int g = 0; kv->pools && g < kv->store.n_groups; g++) mem_free(kv->pools[g].pages);
    mem_free(kv->pools);
    mem_free(kv->groups);
    mem_free(kv->layers);
    mem_free(kv);
}

/* ---- counts ---- */

const struct kv_store *kv_pages_store(const struct kv_pages *kv) { return &kv->store; }
int kv_pages_groups(const struct kv_pages *kv) { return kv->store.n_groups; }
int kv_pages_window(const struct kv_pages *kv, int group) { return kv->pools[group].window; }

int kv_pages_available(const struct kv_pages *kv, int group)
{
    return kv->pools[group].n_free + kv->pools[group].n_cached;
}

int kv_pages_total(const struct kv_pages *kv)
{
    int n = 0;

    for (int g = 0; g < kv->store.n_groups; g++) n += kv->pools[g].n_pages;
    return n;
}

int kv_pages_cached(const struct kv_pages *kv)
{
    int n = 0;

    for (int g = 0; g < kv->store.n_groups; g++) n += kv->pools[g].n_cached;
    return n;
}

int kv_pages_used(const struct kv_pages *kv)
{
    int n = kv_pages_total(kv);

    for (int g = 0; g < kv->store.n_groups; g++) n -= kv_pages_available(kv, g);
    return n;
}

/* ---- lists ---- */

static void kv_lru_append(struct kv_pool *pool, int32_t page)
{
    struct kv_page *p = &pool->pages[page];

    p->lru_prev = pool->lru_newest;
    p->lru_next = KV_NONE;
    if (pool->lru_newest == KV_NONE)
        pool->lru_oldest = page;
    else
        pool->pages[pool->lru_newest].lru_next = page;
    pool->lru_newest = page;
    pool->n_cached++;
}

static void kv_lru_remove(struct kv_pool *pool, int32_t page)
{
    const struct kv_page *p = &pool->pages[page];

    if (p->lru_prev == KV_NONE)
        pool->lru_oldest = p->lru_next;
    else
        pool->pages[p->lru_prev].lru_next = p->lru_next;
    if (p->lru_next == KV_NONE)
        pool->lru_newest = p->lru_prev;
    else
        pool->pages[p->lru_next].lru_prev = p->lru_prev;
    pool->n_cached--;
}

static void kv_free_append(struct kv_pool *pool, int32_t page)
{
    pool->pages[page].lru_next = pool->free_head;
    pool->free_head = page;
    pool->n_free++;
}

void kv_pool_evict(struct kv_pages *kv, int group)
{
    struct kv_pool *pool = &kv->pools[group];
    const int32_t page = pool->lru_oldest;

    kv_lru_remove(pool, page);
    kv_tree_forget(kv, group, page);
    kv_free_append(pool, page);
}

/* ---- pages ---- */

int32_t kv_pages_take(struct kv_pages *kv, int group)
{
    struct kv_pool *pool = &kv->pools[group];

    if (pool->n_free == 0 && pool->n_cached > 0) kv_pool_evict(kv, group);
    if (pool->n_free == 0) return -1;
    const int32_t page = pool->free_head;
    pool->free_head = pool->pages[page].lru_next;
    pool->n_free--;
    pool->pages[page].refs = 1;
    return page;
}

void kv_pages_ref(struct kv_pages *kv, int group, int32_t page)
{
    if (kv->pools[group].pages[page].refs++ == 0) kv_lru_remove(&kv->pools[group], page);
}

void kv_pages_unref(struct kv_pages *kv, int group, int32_t page)
{
    struct kv_pool *pool = &kv->pools[group];
    struct kv_page *p = &pool->pages[page];

    assert(p->refs > 0);
    if (--p->refs > 0) return;
    if (p->node != KV_NONE)
        kv_lru_append(pool, page);
    else
        kv_free_append(pool, page);
}

status kv_pages_copy(struct kv_pages *kv, int group, int32_t dst, int32_t src, struct err *err)
{
    const struct kv_group *at = &kv->groups[group];
    const struct backend_ops *ops = kv->backend->ops;
    const size_t n = at->page_bytes;
    const struct view to = { &kv->buffer, at->offset + (size_t)dst * n },
                      from = { &kv->buffer, at->offset + (size_t)src * n };

    if (kv->buffer.host) {
        memcpy((char *)kv->buffer.host + to.offset, (const char *)kv->buffer.host + from.offset, n);
        return ST_OK;
    }
    TRY(ops->read(kv->backend, kv->bounce, from, n, err));
    return ops->write(kv->backend, to, kv->bounce, n, err);
}
