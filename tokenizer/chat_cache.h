/* SPDX-License-Identifier: MIT */
/* Compiled chat templates of a tokenizer, made on first use. */
#pragma once
#include "base/base.h"
#include "tokenizer/chat_template.h"
#include <stddef.h>

struct chat_cache;

/* Room for n templates. */
status chat_cache_create(struct chat_cache **out, size_t n, struct err *err);
/* Accepts NULL. */
void chat_cache_destroy(struct chat_cache *cache);
/* Template i, compiled from source on the first call; lives as long as the cache. Thread-safe. */
status chat_cache_get(struct chat_cache *cache, size_t i, const char *source, size_t n,
                      const struct chat_template **out, struct err *err);
