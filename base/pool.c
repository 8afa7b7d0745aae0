/* SPDX-License-Identifier: MIT */
/* Pool of worker threads: job slots wander between a queue of ready ones and a queue of unused
 * ones. */
#include "base/pool.h"
#include "base/mem.h"
#include "base/queue.h"
#include "base/thread.h"
#include <stdint.h>
#include <stdio.h>

struct pool_job {
    pool_job_fn *fn;
    void *arg;
};

struct pool {
    struct queue ready, unused;
    struct pool_job *jobs;  /* queue_max slots */
    struct thread *threads; /* n_threads, those started */
    unsigned n_threads;
};

static void pool_worker(void *opaque)
{
    struct pool *p = opaque;
    struct pool_job *slot;

    while ((slot = queue_pop(&p->ready, UINT64_MAX))) {
        const struct pool_job job = *slot;
        (void)queue_push(&p->unused, slot); /* as many places as slots */
        job.fn(job.arg);
    }
}

static status pool_start(struct pool *p, unsigned n_threads, size_t queue_max, struct err *err)
{
    TRY(queue_init(&p->ready, queue_max, err));
    TRY(queue_init(&p->unused, queue_max, err));
    p->jobs = mem_calloc(queue_max, sizeof *p->jobs);
    p->threads = mem_calloc(n_threads, sizeof *p->threads);
    if (!p->jobs || !p->threads) return FAIL(err, ST_NOMEM, "pool: out of memory");
    for (size_t i = 0; i < queue_max; i++) (void)queue_push(&p->unused, &p->jobs[i]);
    for (unsigned i = 0; i < n_threads; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "pool-%u", i);
        TRY(thread_start(&p->threads[i], name, pool_worker, p, err));
        p->n_threads++;
    }
    return ST_OK;
}

status pool_create(struct pool **out, unsigned n_threads, size_t queue_max, struct err *err)
{
    *out = NULL;
    if (n_threads == 0 || queue_max == 0)
        return FAIL(err, ST_INVALID, "pool: %u threads and %zu places, expected at least 1 of each",
                    n_threads, queue_max);
    struct pool *p = mem_calloc(1, sizeof *p);
    if (!p) return FAIL(err, ST_NOMEM, "pool: out of memory");
    const status st = pool_start(p, n_threads, queue_max, err);
    if (st != ST_OK) {
        pool_destroy(p);
        return st;
    }
    *out = p;
    return ST_OK;
}

void pool_destroy(struct pool *p)
{
    if (!p) return;
    if (p->ready.items) queue_close(&p->ready);
    for (unsigned i = 0; i < p->n_threads; i++) thread_join(&p->threads[i]);
    queue_fini(&p->ready);
    queue_fini(&p->unused);
    mem_free(p->jobs);
    mem_free(p->threads);
    mem_free(p);
}

bool pool_submit(struct pool *p, pool_job_fn *fn, void *arg)
{
    struct pool_job *slot = queue_pop(&p->unused, 0);

    if (!slot) return false;
    *slot = (struct pool_job){ .fn = fn, .arg = arg };
    if (queue_push(&p->ready, slot)) return true;
    (void)queue_push(&p->unused, slot);
    return false;
}
