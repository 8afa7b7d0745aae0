/* SPDX-License-Identifier: MIT */
#include "engine/graph/graph_pages.h"

#include <sys/mman.h>

#include "engine/graph/graph_internal.h"

enum { PAGE_BYTES_MAX = 64 << 10 }; /* a multiple of every page size there is */

/* Anonymous memory would lose its contents: only what a mapping holds whole is given back. */
static void drop_pages(const struct graph *g, const void *data, size_t n)
{
    const uintptr_t begin = (uintptr_t)data;

    for (const struct graph_mapping *m = g->storage->mappings; m; m = m->next) {
        const uintptr_t base = (uintptr_t)m->map.data;

        if (begin < base || begin - base > m->map.size || n > m->map.size - (begin - base))
            continue;
        const uintptr_t from = (begin + PAGE_BYTES_MAX - 1) / PAGE_BYTES_MAX * PAGE_BYTES_MAX;
        const uintptr_t to = (begin + n) / PAGE_BYTES_MAX * PAGE_BYTES_MAX;
        if (from < to) (void)madvise((void *)from, to - from, MADV_DONTNEED);
        return;
    }
}

void graph_drop_sources(const struct graph *g, const struct op_call *call)
{
    for (int i = 0; i < call->n_in; i++) {
        size_t bytes = 0;

        if (call->in[i].data && type_bytes(&call->in[i].type, &bytes))
            drop_pages(g, call->in[i].data, bytes);
    }
}
