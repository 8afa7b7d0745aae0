/* SPDX-License-Identifier: MIT */
/* Threads over pthreads. */
#include "base/thread.h"
#include "base/mem.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { THREAD_STACK_BYTES = 8 << 20, THREAD_NAME_MAX = 16 };

struct thread_start {
    thread_fn *fn;
    void *arg;
    char name[THREAD_NAME_MAX];
};

static void *thread_main(void *opaque)
{
    const struct thread_start start = *(struct thread_start *)opaque;

    mem_free(opaque);
    (void)pthread_setname_np(pthread_self(), start.name);
    start.fn(start.arg);
    return NULL;
}

/* The new thread inherits a mask without the signals that ask the process something (INT, TERM,
 * HUP, USR1...): they go to the thread that waits for them. Faults stay deliverable. */
static void thread_block_signals(sigset_t *old)
{
    static const int faults[] = {
        SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF
    };
    sigset_t set;

    (void)sigfillset(&set);
    for (size_t i = 0; i < COUNT(faults); i++) (void)sigdelset(&set, faults[i]);
    (void)pthread_sigmask(SIG_SETMASK, &set, old);
}

status thread_start(struct thread *t, const char *name, thread_fn *fn, void *arg, struct err *err)
{
    pthread_attr_t attr;
    sigset_t old;

    *t = (struct thread){ 0 };
    struct thread_start *start = mem_alloc(sizeof *start);
    if (!start) return FAIL(err, ST_NOMEM, "thread %s: out of memory", name);
    *start = (struct thread_start){ .fn = fn, .arg = arg };
    (void)snprintf(start->name, sizeof start->name, "%.15s", name);

    int rc = pthread_attr_init(&attr);
    if (rc == 0) {
        (void)pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
        thread_block_signals(&old);
        rc = pthread_create(&t->handle, &attr, thread_main, start);
        (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
        (void)pthread_attr_destroy(&attr);
    }
    if (rc != 0) {
        mem_free(start);
        return FAIL(err, ST_NOMEM, "thread %s: %s", name, strerror(rc));
    }
    t->running = true;
    return ST_OK;
}

void thread_join(struct thread *t)
{
    if (!t->running) return;
    (void)pthread_join(t->handle, NULL);
    t->running = false;
}
