/* SPDX-License-Identifier: MIT */
#include "tokenizer/chat_cache.h"
#include "base/base.h"
#include <pthread.h>

struct chat_cache {
    pthread_mutex_t lock;         /* guards the slots while they are filled */
    struct chat_template **slots; /* [n] */
    size_t n;
};

status chat_cache_create(struct chat_cache **out, size_t n, struct err *err)
{
    struct chat_cache *c = mem_calloc(1, sizeof *c);

    if (!c) return FAIL(err, ST_NOMEM, "chat templates: no memory");
    c->slots = mem_calloc(n + 1, sizeof *c->slots);
    if (!c->slots || pthread_mutex_init(&c->lock, NULL) != 0) {
        mem_free(c->slots);
        mem_free(c);
        return FAIL(err, ST_NOMEM, "chat templates: no memory");
    }
    c->n = n;
    *out = c;
    return ST_OK;
}

void chat_cache_destroy(struct chat_cache *cache)
{
    if (!cache) return;
    for (size_t i = 0; i < cache->n; i++) chat_template_destroy(cache->slots[i]);
    pthread_mutex_destroy(&cache->lock);
    mem_free(cache->slots);
    mem_free(cache);
}

status chat_cache_get(struct chat_cache *cache, size_t i, const char *source, size_t n,
                      const struct chat_template **out, struct err *err)
{
    status st = ST_OK;

    if (i >= cache->n) return FAIL(err, ST_INTERNAL, "chat templates: no template %zu", i);
    pthread_mutex_lock(&cache->lock);
    if (!cache->slots[i]) st = chat_template_compile(&cache->slots[i], source, n, err);
    *out = cache->slots[i];
    pthread_mutex_unlock(&cache->lock);
    return st;
}
