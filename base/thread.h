/* SPDX-License-Identifier: MIT */
/* Threads: pthreads behind names of ours, with the thread name set. */
#pragma once
#include "base/status.h"
#include <pthread.h>

struct thread {
    pthread_t handle;
    bool running;
};

typedef void thread_fn(void *arg);

/* Starts fn(arg) on a new thread (8 MiB stack) named `name` (cut to 15 bytes). It receives no
 * signals but faults. Errors: ST_NOMEM. */
status thread_start(struct thread *t, const char *name, thread_fn *fn, void *arg, struct err *err);
/* Waits for its end; harmless on a zeroed struct. */
void thread_join(struct thread *t);
