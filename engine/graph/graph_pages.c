/* SPDX-License-Identifier: MIT */
#include "engine/graph/graph_pages.h"

#include <sys/mman.h>

#include "engine/graph/graph_internal.h"

enum { PAGE_BYTES_MAX = 64 << 10 }; /* a multiple of every page size there is */

/* Anonymous memory would lose its contents: only what lies in a mapped file is given back, from the
 * beginning of the page that `data` is in (what comes before it there is done with, or read again),
 * to that of the page that its end is in. */
bool graph_drop_pages(const struct graph *g, const void *data, size_t n)
{
    const uintptr_t begin = (uintptr_t)data;

    for (const struct graph_mapping *m = g->storage->mappings; m; m = m->next) {
        const uintptr_t base = (uintptr_t)m->map.data;

        if (begin < base || begin - base > m->map.size || n > m->map.size - (begin - base))
            continue;
        uintptr_t from = begin / PAGE_BYTES_MAX * PAGE_BYTES_MAX;
        const uintptr_t to = (begin + n) / PAGE_BYTES_MAX * PAGE_BYTES_MAX;
        if (from < base) from = base;
        if (from < to) (void)madvise((void *)from, to - from, MADV_DONTNEED);
        return true;
    }
    return false;
}

bool graph_is_alone(const struct graph *g) { return atomic_load(&g->storage->refs) == 1; }

static void drop_pages(const void *user, const void *data, size_t n)
{
    (void)graph_drop_pages(user, data, n);
}

struct op_packed graph_packed(const struct graph *g) { return (struct op_packed){ drop_pages, g }; }

void graph_drop_sources(const struct graph *g, const struct op_call *call)
{
    for (int i = 0; i < call->n_in; i++) {
        size_t bytes = 0;

        if (call->in[i].data && type_bytes(&call->in[i].type, &bytes))
            (void)graph_drop_pages(g, call->in[i].data, bytes);
    }
}
