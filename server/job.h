/* SPDX-License-Identifier: MIT */
/* A job: one generation between the engine's worker, which pushes its tokens into a bounded ring,
 * and the event loop, which takes them out and writes text. Full ring: the engine pauses that
 * generation. Empty ring: the connection sleeps. One mutex guards the ring; a token that arrives
 * between a look and going to sleep is never lost (see exchange_sleep). */
#pragma once
#include "engine/engine.h"
#include "server/exchange.h"

enum { JOB_RING_EVENTS = 512 };

enum job_phase {
    JOB_PREPARING, /* parsing, loading, template, tokenisation */
    JOB_RUNNING,   /* submitted */
    JOB_FAILED,    /* before it was submitted: error says why */
    JOB_DONE,      /* complete without a generation */
};

struct job {
    atomic_int refs;
    struct exchange *ex; /* a reference */
    void (*destroy)(struct job *job);
    struct watcher_task reap; /* drops the sink's reference on the watcher's thread */

    pthread_mutex_t lock; /* guards the rest */
    enum job_phase phase;
    struct generation *gen; /* ours; NULL before JOB_RUNNING */
    bool cancelled;
    struct api_error error; /* JOB_FAILED, or why it was cancelled, or what the engine said */
    struct gen_event *ring; /* [JOB_RING_EVENTS + choices]: finish events always fit */
    size_t cap, head, count;
    size_t wake_at;   /* events after which the event loop is woken: 1 for streams */
    bool paused;      /* the sink said full */
    int open_choices; /* without a finish event yet */
};

/* The first reference is the caller's. destroy frees the storage that holds the job; it may run on
 * any thread but the engine's. */
bool job_init(struct job *job, struct exchange *ex, void (*destroy)(struct job *job));
struct job *job_ref(struct job *job);
void job_unref(struct job *job);
/* Frees what job_init took; for destroy. */
void job_fini(struct job *job);

/* Before submitting: makes the ring. False: no memory. */
bool job_expect(struct job *job, int n_choices, bool wake_each);
/* The engine's sink, with the job as user. It holds a reference, taken by job_submit, until the
 * last choice has finished. */
bool job_sink(void *user, const struct gen_event *ev);
/* engine_submit with this job's sink; sets the phase and wakes the event loop. A job cancelled
 * meanwhile is cancelled at once. */
status job_submit(struct job *job, struct engine *engine, struct gen_request *req, struct err *err);
/* The job ends before it was submitted, badly or well. */
void job_fail(struct job *job, const struct api_error *e);
void job_done(struct job *job);

/* Event loop: the next event; false if there is none now. */
bool job_next(struct job *job, struct gen_event *ev);
enum job_phase job_phase(struct job *job);
bool job_is_cancelled(struct job *job);
/* It was cancelled because its client left. */
bool job_is_gone(struct job *job);
void job_error(struct job *job, struct api_error *out);
/* Event loop, JOB_RUNNING: the choice needs no more tokens. */
void job_stop_choice(struct job *job, int choice);
/* From any thread: the work stops within one step; `fault` and `why` are what the client is told,
 * if it is still there. */
void job_cancel(struct job *job, enum http_fault fault, const char *why);
