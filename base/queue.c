/* SPDX-License-Identifier: MIT */
/* Bounded queue: a ring under one mutex. */
#include "base/queue.h"
#include "base/mem.h"
#include <assert.h>
#include <time.h>

status queue_init(struct queue *q, size_t cap, struct err *err)
{
    pthread_condattr_t attr;

    *q = (struct queue){ 0 };
    if (cap == 0) return FAIL(err, ST_INVALID, "queue: capacity 0, expected at least 1");
    q->items = mem_calloc(cap, sizeof *q->items);
    if (!q->items) return FAIL(err, ST_NOMEM, "queue: no memory for %zu items", cap);
    q->cap = cap;
    /* On Linux these three only fail for want of memory that they do not take. */
    (void)pthread_mutex_init(&q->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&q->not_empty, &attr);
    (void)pthread_condattr_destroy(&attr);
    return ST_OK;
}

void queue_fini(struct queue *q)
{
    if (!q->items) return;
    (void)pthread_cond_destroy(&q->not_empty);
    (void)pthread_mutex_destroy(&q->lock);
    mem_free(q->items);
    *q = (struct queue){ 0 };
}

bool queue_push(struct queue *q, void *item)
{
    assert(item); /* NULL is what queue_pop says for "nothing" */
    (void)pthread_mutex_lock(&q->lock);
    const bool ok = !q->closed && q->count < q->cap;
    if (ok) {
        q->items[(q->head + q->count) % q->cap] = item;
        q->count++;
        (void)pthread_cond_signal(&q->not_empty);
    }
    (void)pthread_mutex_unlock(&q->lock);
    return ok;
}

/* Absolute monotonic time `ns` from now, saturated. */
static struct timespec queue_deadline(uint64_t ns)
{
    static const uint64_t second = 1000000000u, horizon_s = 1u << 30;
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    const uint64_t seconds = ns / second < horizon_s ? ns / second : horizon_s;
    const uint64_t nanos = (uint64_t)t.tv_nsec + ns % second;
    t.tv_sec += (time_t)(seconds + nanos / second);
    t.tv_nsec = (long)(nanos % second);
    return t;
}

/* Waits until there is an item or no more will come; the lock is held. False on timeout. */
static bool queue_wait(struct queue *q, uint64_t timeout_ns)
{
    if (timeout_ns == UINT64_MAX) {
        while (q->count == 0 && !q->closed) (void)pthread_cond_wait(&q->not_empty, &q->lock);
        return true;
    }
    if (q->count == 0 && timeout_ns == 0) return false;
    const struct timespec deadline = queue_deadline(timeout_ns);
    while (q->count == 0 && !q->closed) {
        if (pthread_cond_timedwait(&q->not_empty, &q->lock, &deadline) != 0) return q->count > 0;
    }
    return true;
}

void *queue_pop(struct queue *q, uint64_t timeout_ns)
{
    void *item = NULL;

    (void)pthread_mutex_lock(&q->lock);
    if (queue_wait(q, timeout_ns) && q->count > 0) {
        item = q->items[q->head];
        q->head = (q->head + 1) % q->cap;
        q->count--;
    }
    (void)pthread_mutex_unlock(&q->lock);
    return item;
}

void queue_close(struct queue *q)
{
    (void)pthread_mutex_lock(&q->lock);
    q->closed = true;
    (void)pthread_cond_broadcast(&q->not_empty);
    (void)pthread_mutex_unlock(&q->lock);
}

size_t queue_count(struct queue *q)
{
    (void)pthread_mutex_lock(&q->lock);
    const size_t count = q->count;
    (void)pthread_mutex_unlock(&q->lock);
    return count;
}
