/* SPDX-License-Identifier: MIT */
/* The one door to malloc, with a counter and a fault to inject. */
#include "base/mem.h"
#include "base/checked.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HUGE_PAGE_BYTES = 2 << 20 };

static _Atomic uint64_t mem_count;
/* Number of the allocation (in mem_count) that is to fail; 0 = none. */
static _Atomic uint64_t mem_fail_at;
static _Atomic bool mem_fail_forever;

/* Counts one allocation; false when it is chosen to fail. */
static bool mem_admit(void)
{
    const uint64_t number = atomic_fetch_add_explicit(&mem_count, 1, memory_order_relaxed) + 1;
    const uint64_t fail_at = atomic_load_explicit(&mem_fail_at, memory_order_relaxed);

    if (fail_at == 0 || number < fail_at) return true;
    return number > fail_at && !atomic_load_explicit(&mem_fail_forever, memory_order_relaxed);
}

void *mem_alloc(size_t size)
{
    if (!mem_admit()) return NULL;
    return malloc(size ? size : 1);
}

void *mem_calloc(size_t n, size_t size)
{
    size_t total;
    if (!mem_admit() || !checked_mul(n, size, &total)) return NULL;
    return calloc(1, total ? total : 1);
}

void *mem_realloc(void *p, size_t size)
{
    if (!mem_admit()) return NULL;
    return realloc(p, size ? size : 1);
}

void *mem_realloc_array(void *p, size_t n, size_t size)
{
    size_t total;
    if (!checked_mul(n, size, &total)) return NULL;
    return mem_realloc(p, total);
}

void mem_free(void *p) { free(p); }

void *mem_alloc_aligned(size_t alignment, size_t size)
{
    void *p = NULL;

    if (!mem_admit()) return NULL;
    if (size >= HUGE_PAGE_BYTES && alignment < HUGE_PAGE_BYTES) alignment = HUGE_PAGE_BYTES;
    if (posix_memalign(&p, alignment, size ? size : 1) != 0) return NULL;
    /* A hint: where the kernel has no huge pages, small ones serve. */
    if (size >= HUGE_PAGE_BYTES)
        (void)madvise(p, size & ~(size_t)(HUGE_PAGE_BYTES - 1), MADV_HUGEPAGE);
    return p;
}

void mem_free_aligned(void *p) { free(p); }

static void *map_pages(size_t n)
{
    void *p =
        mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

/* Begins where a huge page does: more is mapped, and what is too much at both ends given back. */
static void *map_huge(size_t n)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t total;

    if (!checked_add(n, HUGE_PAGE_BYTES, &total)) return NULL;
    unsigned char *p = map_pages(total);
    if (!p) return NULL;
    const size_t before = (size_t)(-(uintptr_t)p & (HUGE_PAGE_BYTES - 1));
    const size_t end = (before + n + page - 1) & ~(page - 1);
    if (before) (void)munmap(p, before);
    if (end < total) (void)munmap(p + end, total - end);
    (void)madvise(p + before, n, MADV_HUGEPAGE);
    return p + before;
}

void *mem_map_zeroed(size_t size)
{
    const size_t n = size ? size : 1;

    if (!mem_admit()) return NULL;
    if (n >= HUGE_PAGE_BYTES) return map_huge(n);
    return map_pages(n);
}

void mem_unmap(void *p, size_t size)
{
    if (p) (void)munmap(p, size ? size : 1);
}

void mem_discard(const void *p, size_t n)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)p;
    const uintptr_t from = (begin + page - 1) / page * page, to = (begin + n) / page * page;

    if (from < to) (void)madvise((void *)from, to - from, MADV_DONTNEED);
}

char *mem_strdup(const char *s) { return mem_strndup(s, strlen(s)); }

char *mem_strndup(const char *s, size_t n)
{
    size_t total;
    if (!checked_add(n, 1, &total)) return NULL;
    char *copy = mem_alloc(total);
    if (!copy) return NULL;
    if (n) memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

uint64_t mem_alloc_count(void) { return atomic_load_explicit(&mem_count, memory_order_relaxed); }

void mem_fail_after(uint64_t n, int forever)
{
    const uint64_t now = mem_alloc_count();
    atomic_store(&mem_fail_at, 0);
    atomic_store(&mem_fail_forever, forever != 0);
    if (n) atomic_store(&mem_fail_at, now + n);
}
