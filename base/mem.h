/* SPDX-License-Identifier: MIT */
/* The one door to malloc: counted, so that tests can fail the n-th allocation and count a step's.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* As malloc, calloc, realloc, free; NULL on failure. Size 0 gives a unique pointer. n*size is
 * checked for overflow. */
void *mem_alloc(size_t size);
void *mem_calloc(size_t n, size_t size);
void *mem_realloc(void *p, size_t size);
void *mem_realloc_array(void *p, size_t n, size_t size);
void mem_free(void *p);

/* Aligned block (alignment a power of two, at least sizeof(void *)); free with mem_free_aligned.
 * Blocks of 2 MiB and more ask for transparent huge pages. Contents undefined. */
void *mem_alloc_aligned(size_t alignment, size_t size);
void mem_free_aligned(void *p);

/* Zeroed pages from the system, taken one by one as they are first touched: for large tables of
 * which only a part may be used. NULL on failure; give back with the same size. */
void *mem_map_zeroed(size_t size);
void mem_unmap(void *p, size_t size);

/* The system may take the whole pages within [p, p + n) of a block back, whose contents are lost:
 * for what is read once and freed much later. */
void mem_discard(const void *p, size_t n);

/* Copies; NULL on failure. mem_strndup adds a NUL. */
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);

/* Allocations made by this process so far (all threads). */
uint64_t mem_alloc_count(void);

/* Testing aid: from now on, the n-th allocation (1 = the next) fails, and `forever` all after it; 0
 * switches it off. */
void mem_fail_after(uint64_t n, int forever);
