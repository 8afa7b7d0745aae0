/* SPDX-License-Identifier: MIT */
/* The ring and the references of job.h. */
#include "server/job.h"
#include "server/server_internal.h"
#include <assert.h>
#include <string.h>

static void reap(void *arg) { job_unref(arg); }

bool job_init(struct job *job, struct exchange *ex, void (*destroy)(struct job *job))
{
    atomic_init(&job->refs, 1);
    pthread_mutex_init(&job->lock, NULL);
    job->ex = exchange_ref(ex);
    job->destroy = destroy;
    job->reap = (struct watcher_task){ .run = reap, .arg = job };
    atomic_fetch_add(&ex->server->n_alive, 1);
    return true;
}

struct job *job_ref(struct job *job)
{
    atomic_fetch_add(&job->refs, 1);
    return job;
}

void job_unref(struct job *job)
{
    if (atomic_fetch_sub(&job->refs, 1) == 1) job->destroy(job);
}

void job_fini(struct job *job)
{
    struct server *server = job->ex->server;

    if (job->gen) generation_unref(job->gen);
    mem_free(job->ring);
    pthread_mutex_destroy(&job->lock);
    exchange_unref(job->ex);
    atomic_fetch_sub(&server->n_alive, 1);
}

/* ---- the engine's side ---- */

bool job_expect(struct job *job, int n_choices, bool wake_each)
{
    job->cap = JOB_RING_EVENTS + (size_t)n_choices;
    job->ring = mem_calloc(job->cap, sizeof *job->ring);
    job->open_choices = n_choices;
    job->wake_at = wake_each ? 1 : JOB_RING_EVENTS / 2;
    return job->ring != NULL;
}

static void ring_put(struct job *job, const struct gen_event *ev)
{
    assert(job->count < job->cap);
    struct gen_event *slot = &job->ring[(job->head + job->count++) % job->cap];
    *slot = *ev;
    slot->error = NULL; /* only valid during the call: kept in job->error */
}

bool job_sink(void *user, const struct gen_event *ev)
{
    struct job *job = user;
    const bool finish = ev->finish != FINISH_NONE;

    pthread_mutex_lock(&job->lock);
    if (!finish && job->count >= JOB_RING_EVENTS) {
        job->paused = true;
        pthread_mutex_unlock(&job->lock);
        return false;
    }
    if (ev->finish == FINISH_ERROR)
        api_fail(&job->error, FAULT_INTERNAL, NULL, "%s", ev->error ? ev->error : "engine error");
    ring_put(job, ev);
    const bool wake = finish || job->count >= job->wake_at;
    const bool last = finish && --job->open_choices == 0;
    pthread_mutex_unlock(&job->lock);
    if (wake) exchange_wake(job->ex);
    if (last) watcher_run(job->ex->server->watcher, &job->reap);
    return true;
}

status job_submit(struct job *job, struct engine *engine, struct gen_request *req, struct err *err)
{
    struct generation *gen = NULL;

    req->sink = job_sink;
    req->user = job_ref(job);
    const status st = engine_submit(engine, req, &gen, err);
    if (st != ST_OK) {
        job_unref(job);
        return st;
    }
    pthread_mutex_lock(&job->lock);
    job->gen = gen;
    job->phase = JOB_RUNNING;
    const bool cancelled = job->cancelled;
    pthread_mutex_unlock(&job->lock);
    if (cancelled) generation_cancel(gen);
    exchange_wake(job->ex);
    return ST_OK;
}

/* ---- the event loop's side ---- */

bool job_next(struct job *job, struct gen_event *ev)
{
    bool resume = false;

    pthread_mutex_lock(&job->lock);
    const bool got = job->count > 0;
    if (got) {
        *ev = job->ring[job->head];
        job->head = (job->head + 1) % job->cap;
        job->count--;
        resume = job->paused && job->count <= JOB_RING_EVENTS / 2;
        if (resume) job->paused = false;
    }
    pthread_mutex_unlock(&job->lock);
    if (resume) generation_resume(job->gen);
    return got;
}

enum job_phase job_phase(struct job *job)
{
    pthread_mutex_lock(&job->lock);
    const enum job_phase phase = job->phase;
    pthread_mutex_unlock(&job->lock);
    return phase;
}

bool job_is_cancelled(struct job *job)
{
    pthread_mutex_lock(&job->lock);
    const bool cancelled = job->cancelled;
    pthread_mutex_unlock(&job->lock);
    return cancelled;
}

bool job_is_gone(struct job *job)
{
    pthread_mutex_lock(&job->lock);
    const bool gone = job->cancelled && job->error.fault == FAULT_GONE;
    pthread_mutex_unlock(&job->lock);
    return gone;
}

void job_error(struct job *job, struct api_error *out)
{
    pthread_mutex_lock(&job->lock);
    *out = job->error;
    pthread_mutex_unlock(&job->lock);
    if (!out->set) api_fail(out, FAULT_INTERNAL, NULL, "The answer was broken off.");
}

void job_stop_choice(struct job *job, int choice) { generation_stop_choice(job->gen, choice); }

void job_fail(struct job *job, const struct api_error *e)
{
    pthread_mutex_lock(&job->lock);
    if (!job->error.set) job->error = *e;
    job->phase = JOB_FAILED;
    pthread_mutex_unlock(&job->lock);
    exchange_wake(job->ex);
}

void job_done(struct job *job)
{
    pthread_mutex_lock(&job->lock);
    job->phase = JOB_DONE;
    pthread_mutex_unlock(&job->lock);
    exchange_wake(job->ex);
}

void job_cancel(struct job *job, enum http_fault fault, const char *why)
{
    pthread_mutex_lock(&job->lock);
    job->cancelled = true;
    api_fail(&job->error, fault, NULL, "%s", why);
    struct generation *gen = job->gen;
    pthread_mutex_unlock(&job->lock);
    if (gen) generation_cancel(gen);
    exchange_wake(job->ex);
}
