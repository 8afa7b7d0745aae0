/* SPDX-License-Identifier: MIT */
/* Hash map: open addressing with linear probing, at most 3/4 full, removal by shifting back. */
#include "base/map.h"
#include "base/checked.h"
#include "base/hash.h"
#include "base/mem.h"
#include <string.h>

struct map_entry {
    const void *key;
    size_t n;
    uint64_t hash; /* 0 = free */
    uint64_t value;
};

enum { MAP_CAP_MIN = 16 };

static uint64_t map_hash(const void *key, size_t n)
{
    const uint64_t hash = hash_bytes(key, n, hash_process_seed());
    return hash ? hash : 1;
}

/* The entry of the key, or the free one where it would go. cap > 0 and not full. */
static struct map_entry *map_slot(struct map_entry *entries, size_t cap, const void *key, size_t n,
                                  uint64_t hash)
{
    for (size_t i = hash & (cap - 1);; i = (i + 1) & (cap - 1)) {
        struct map_entry *e = &entries[i];
        if (!e->hash) return e;
        if (e->hash == hash && e->n == n && (n == 0 || memcmp(e->key, key, n) == 0)) return e;
    }
}

void map_fini(struct map *m)
{
    mem_free(m->entries);
    *m = (struct map){ 0 };
}

bool map_reserve(struct map *m, size_t n)
{
    size_t cap = m->cap ? m->cap : MAP_CAP_MIN, want;

    if (!checked_add(n, n / 3 + 1, &want)) return false;
    while (cap < want) {
        if (!checked_mul(cap, 2, &cap)) return false;
    }
    if (cap == m->cap) return true;
    struct map_entry *entries = mem_calloc(cap, sizeof *entries);
    if (!entries) return false;
    for (size_t i = 0; i < m->cap; i++) {
        const struct map_entry *e = &m->entries[i];
        if (e->hash) *map_slot(entries, cap, e->key, e->n, e->hash) = *e;
    }
    mem_free(m->entries);
    m->entries = entries;
    m->cap = cap;
    return true;
}

bool map_set(struct map *m, const void *key, size_t n, uint64_t value)
{
    if (!map_reserve(m, m->count + 1)) return false;
    const uint64_t hash = map_hash(key, n);
    struct map_entry *e = map_slot(m->entries, m->cap, key, n, hash);
    if (!e->hash) {
        *e = (struct map_entry){ .key = key, .n = n, .hash = hash };
        m->count++;
    }
    e->value = value;
    return true;
}

bool map_get(const struct map *m, const void *key, size_t n, uint64_t *value)
{
    if (m->count == 0) return false;
    const struct map_entry *e = map_slot(m->entries, m->cap, key, n, map_hash(key, n));
    if (!e->hash) return false;
    if (value) *value = e->value;
    return true;
}

bool map_remove(struct map *m, const void *key, size_t n)
{
    if (m->count == 0) return false;
    const size_t mask = m->cap - 1;
    struct map_entry *e = map_slot(m->entries, m->cap, key, n, map_hash(key, n));
    if (!e->hash) return false;

    /* Pull later entries of the run into the hole, unless they already stand at or after their
     * home. */
    size_t hole = (size_t)(e - m->entries);
    for (size_t i = (hole + 1) & mask; m->entries[i].hash; i = (i + 1) & mask) {
        const size_t home = m->entries[i].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask)) continue;
        m->entries[hole] = m->entries[i];
        hole = i;
    }
    m->entries[hole] = (struct map_entry){ 0 };
    m->count--;
    return true;
}

bool map_next(const struct map *m, size_t *pos, const void **key, size_t *n, uint64_t *value)
{
    while (*pos < m->cap) {
        const struct map_entry *e = &m->entries[(*pos)++];
        if (!e->hash) continue;
        *key = e->key;
        *n = e->n;
        *value = e->value;
        return true;
    }
    return false;
}
