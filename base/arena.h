/* SPDX-License-Identifier: MIT */
/* Arena: memory that lives and dies together (a model, a request, a step). */
#pragma once
#include <stdarg.h>
#include <stddef.h>

struct arena_block;

/* Zero-initialised is a valid empty arena without limit. Not thread-safe. */
struct arena {
    struct arena_block *head;
    size_t used_bytes;  /* handed out since init or reset */
    size_t limit_bytes; /* 0 = none; beyond it allocation fails */
};

void arena_init(struct arena *a, size_t limit_bytes);
/* Frees everything. */
void arena_fini(struct arena *a);
/* Makes the arena empty again, keeping its largest block. */
void arena_reset(struct arena *a);
/* 16-byte aligned, zeroed; NULL when memory or the limit is exhausted. */
void *arena_alloc(struct arena *a, size_t size);
/* n objects of `size` bytes, overflow-checked, zeroed. */
void *arena_alloc_array(struct arena *a, size_t n, size_t size);
/* Room for about `size` bytes in one stretch, if there is any to be had: what is allocated next
 * then wastes no ends of blocks. */
void arena_reserve(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
void *arena_memdup(struct arena *a, const void *p, size_t n);
/* printf into the arena; NULL on failure. */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Grows an array in the arena: returns items (moved if need be) with room for at least n_want
 * items, *capacity updated. NULL on failure, the old array intact. */
void *arena_grow(struct arena *a, void *items, size_t *capacity, size_t n_want, size_t item_size);

#define ARENA_NEW(a, type)      ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, n, type) ((type *)arena_alloc_array((a), (n), sizeof(type)))
