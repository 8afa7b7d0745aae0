/* SPDX-License-Identifier: MIT */
/* Pool of worker threads that run small jobs (templates, tokenisation) off the event loop. */
#pragma once
#include "base/status.h"
#include <stddef.h>

struct pool;

typedef void pool_job_fn(void *arg);

status pool_create(struct pool **out, unsigned n_threads, size_t queue_max, struct err *err);
/* Runs what is queued, then ends the threads. Accepts NULL. */
void pool_destroy(struct pool *p);
/* False when the queue is full or closing. */
bool pool_submit(struct pool *p, pool_job_fn *fn, void *arg);
