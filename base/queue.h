/* SPDX-License-Identifier: MIT */
/* Bounded queue of pointers between threads. */
#pragma once
#include "base/status.h"
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct queue {
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t not_empty;
    void **items; /* ring of cap */
    size_t cap, head, count;
    bool closed;
};

status queue_init(struct queue *q, size_t cap, struct err *err);
void queue_fini(struct queue *q);
/* False when full or closed; never blocks. */
bool queue_push(struct queue *q, void *item);
/* Waits until an item is there (timeout_ns 0 = only look, UINT64_MAX = for ever). NULL on timeout,
 * or when closed and empty. */
void *queue_pop(struct queue *q, uint64_t timeout_ns);
/* No more pushes; wakes every waiter. */
void queue_close(struct queue *q);
size_t queue_count(struct queue *q);
