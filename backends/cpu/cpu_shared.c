/* SPDX-License-Identifier: MIT */
#include "backends/cpu/cpu_shared.h"

static bool same_source(const struct kern_plain_source *a, const struct kern_plain_source *b)
{
    return a->w == b->w && a->n == b->n && a->k == b->k && a->stride_n == b->stride_n &&
           a->stride_k == b->stride_k && a->elem_size == b->elem_size;
}

struct cpu_shared *cpu_shared_find(struct cpu_backend *be, const struct kern_plain_source *src)
{
    pthread_mutex_lock(&be->shared_lock);
    struct cpu_shared *s = be->shared_panels;
    while (s && !same_source(&s->src, src)) s = s->next;
    if (s) s->holders++;
    pthread_mutex_unlock(&be->shared_lock);
    return s;
}

struct cpu_shared *cpu_shared_add(struct cpu_backend *be, const struct kern_plain_source *src,
                                  char *panels)
{
    struct cpu_shared *s = mem_alloc(sizeof *s);

    if (!s) return NULL;
    pthread_mutex_lock(&be->shared_lock);
    *s = (struct cpu_shared){
        .src = *src, .panels = panels, .holders = 1, .be = be, .next = be->shared_panels
    };
    be->shared_panels = s;
    pthread_mutex_unlock(&be->shared_lock);
    return s;
}

void cpu_shared_leave(struct cpu_shared *s)
{
    if (!s) return;
    struct cpu_backend *be = s->be;

    pthread_mutex_lock(&be->shared_lock);
    const bool last = --s->holders == 0;
    struct cpu_shared **at = &be->shared_panels;
    while (last && *at != s) at = &(*at)->next;
    if (last) *at = s->next;
    pthread_mutex_unlock(&be->shared_lock);
    if (!last) return;
    mem_free_aligned(s->panels);
    mem_free(s);
}
