/* SPDX-License-Identifier: MIT */
/* Hash map from byte strings to 64-bit values; keyed hashing, so hostile keys cannot pile up. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_entry;

/* Zero-initialised is a valid empty map. Keys are borrowed: they must outlive the map. */
struct map {
    struct map_entry *entries;
    size_t count, cap;
};

void map_fini(struct map *m);
/* Makes room for n entries; false when memory runs out. */
bool map_reserve(struct map *m, size_t n);
/* Sets key to value (replaces); false when memory runs out. */
bool map_set(struct map *m, const void *key, size_t n, uint64_t value);
/* value may be NULL. */
bool map_get(const struct map *m, const void *key, size_t n, uint64_t *value);
bool map_remove(struct map *m, const void *key, size_t n);
/* Iteration: *pos starts at 0; false at the end. Order unspecified; no change of the map meanwhile.
 */
bool map_next(const struct map *m, size_t *pos, const void **key, size_t *n, uint64_t *value);
