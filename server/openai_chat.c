/* SPDX-License-Identifier: MIT */
/* A chat request from its handler to its last byte. Where it is at work:
 *
 * - event loop, openai_chat: takes the body, queues chat_prepare; sleeps
 * - worker, chat_prepare: parses, pins the model, which may have to load (chat_model_ready),
 *   chat_start
 * - engine, job_sink: tokens into the ring
 * - event loop, chat_poll and chat_read: tokens out of the ring, text to the client
 * - watcher, job_gone: the client left; job_cancel stops the engine within a step
 */
#include "server/openai_chat.h"
#include "server/chat.h"
#include "server/http_body.h"
#include "server/server_internal.h"
#include <stdio.h>
#include <string.h>

/* Native values of a request may take this many times its text, and a little. */
enum { ARENA_FACTOR = 32, ARENA_BYTES_MIN = 4 << 20 };

/* ---- life ---- */

static void answer_fini(struct chat_answer *a)
{
    if (a->begun) choice_fini(&a->choice);
    str_fini(&a->content);
    str_fini(&a->calls);
    str_fini(&a->arguments);
}

static void release_body(struct chat *chat)
{
    str_fini(&chat->body);
    if (chat->body_charged > 0)
        atomic_fetch_sub(&chat->job.ex->server->bodies_bytes, chat->body_charged);
    chat->body_charged = 0;
}

static void chat_destroy(struct job *job)
{
    struct chat *chat = (struct chat *)job;
    struct server *s = job->ex->server;

    release_body(chat);
    for (int i = 0; chat->answers && i < chat->n_choices; i++) answer_fini(&chat->answers[i]);
    str_fini(&chat->head);
    str_fini(&chat->out);
    atomic_fetch_sub(&s->metrics.chats, 1);
    struct model *model = chat->model;
    if (job->gen) generation_unref(job->gen);
    job->gen = NULL;
    if (model) model_unpin(model);
    arena_fini(&chat->arena);
    job_fini(job);
    mem_free(chat);
}

/* ---- on a worker ---- */

static void run_start(void *arg)
{
    struct chat *chat = arg;
    struct api_error e = { 0 };

    if (job_is_cancelled(&chat->job))
        job_error(&chat->job, &e);
    else if (chat_start(chat, &e) && chat->count_only)
        job_done(&chat->job);
    if (e.set) job_fail(&chat->job, &e);
    job_unref(&chat->job);
}

static void chat_model_ready(void *user, const struct err *err)
{
    struct chat *chat = user;
    struct api_error e = { 0 };

    if (err)
        api_fail_status(&e, err->code, err->code != ST_CANCELLED, NULL, err);
    else if (!pool_submit(chat->job.ex->server->pool, run_start, chat))
        api_fail(&e, FAULT_BUSY, NULL, "The queue is full.");
    if (!e.set) return;
    job_fail(&chat->job, &e);
    job_unref(&chat->job);
}

static bool find_model(struct chat *chat, struct api_error *e)
{
    struct model *model = model_find(chat->job.ex->server->models, chat->req.model);

    if (!model)
        return api_fail(e, FAULT_MODEL, "model", "The model '%.200s' does not exist.",
                        chat->req.model);
    if (!model_pin(model))
        return api_fail(e, FAULT_UNLOADED, NULL, "The model '%.200s' is being unloaded.",
                        chat->req.model);
    pthread_mutex_lock(&chat->job.lock); /* an abort looks at it meanwhile */
    chat->model = model;
    pthread_mutex_unlock(&chat->job.lock);
    return true;
}

static bool parse(struct chat *chat, struct api_error *e)
{
    const bool ok =
        chat_request_parse(&chat->req, str_cstr(&chat->body), chat->body.len, &chat->arena, e);

    release_body(chat);
    if (!ok) return false;
    chat->stream = !chat->count_only && chat->req.num[CHAT_STREAM].integer != 0;
    chat->n_choices = chat->req.num[CHAT_N].given ? (int)chat->req.num[CHAT_N].integer : 1;
    return find_model(chat, e);
}

static void chat_prepare(void *arg)
{
    struct chat *chat = arg;
    struct api_error e = { 0 };

    if (!parse(chat, &e)) {
        job_fail(&chat->job, &e);
        job_unref(&chat->job);
        return;
    }
    if (chat->req.num[CHAT_TTL].given) model_set_ttl(chat->model, chat->req.num[CHAT_TTL].integer);
    chat->waiter = (struct model_waiter){ .fn = chat_model_ready, .user = chat };
    if (model_state(chat->model) == MODEL_READY)
        run_start(chat);
    else
        model_when_ready(chat->model, &chat->waiter);
}

/* ---- on the event loop ---- */

bool chat_begin_answers(struct chat *chat)
{
    chat->answers = ARENA_ARRAY(&chat->arena, (size_t)chat->n_choices, struct chat_answer);
    if (!chat->answers) return false;
    chat->n_open = chat->n_choices;
    for (int i = 0; i < chat->n_choices; i++) {
        struct chat_answer *a = &chat->answers[i];
        a->chat = chat;
        a->index = i;
        if (chat->stream)
            chat_stream_sink(a);
        else
            chat_message_sink(a);
        if (chat->stream) chat_stream_first(a);
        a->begun = true;
        if (choice_init(&a->choice, &chat->rules, &a->sink, NULL) != ST_OK) return false;
    }
    return true;
}

static void choice_ended(struct chat_answer *a)
{
    struct chat *chat = a->chat;

    if (chat->stream) chat_stream_last(a);
    chat->n_open--;
}

static void take_event(struct chat *chat, const struct gen_event *ev)
{
    struct chat_answer *a = &chat->answers[ev->choice];
    struct chat_choice *c = &a->choice;

    if (ev->n_cached > chat->n_cached) chat->n_cached = ev->n_cached;
    if (c->ended) return;
    if (ev->finish == FINISH_ERROR || ev->finish == FINISH_CANCELLED) {
        chat->broken = true;
        return;
    }
    if (ev->id >= 0) {
        if (chat->n_completion++ == 0) chat->first_token_ns = os_now_ns();
        const bool ended = choice_token(c, ev);
        /* The engine need not be told about a choice that it has just finished itself. */
        if (ended && ev->finish == FINISH_NONE) job_stop_choice(&chat->job, ev->choice);
    }
    if (ev->finish != FINISH_NONE && !c->ended) choice_finish(c, ev->finish);
    if (choice_failed(c)) chat->broken = true;
    if (c->ended) choice_ended(a);
}

/* Takes events while there are any and the text waiting for the client is short. */
static void drain(struct chat *chat, size_t out_max)
{
    struct gen_event ev;

    while (!chat->broken && chat->n_open > 0 && chat->out.len - chat->out_sent < out_max &&
           job_next(&chat->job, &ev))
        take_event(chat, &ev);
    if (chat->out.failed) chat->broken = true;
    if (chat->broken && chat->n_open > 0)
        job_cancel(&chat->job, FAULT_MEMORY, "No memory for the answer.");
}

static bool reply_broken(struct chat *chat)
{
    struct api_error e;

    job_error(&chat->job, &e);
    reply_error(chat->job.ex, &e);
    return true;
}

static bool poll_running(struct chat *chat)
{
    struct exchange *ex = chat->job.ex;

    if (!chat->begun) {
        chat->begun = true;
        if (!chat_begin_answers(chat)) chat->broken = true;
    }
    if (chat->stream && !chat->broken) {
        ex->streaming = true;
        return true;
    }
    drain(chat, SIZE_MAX);
    if (chat->broken) return reply_broken(chat);
    if (chat->n_open > 0) return false;
    struct str out = { 0 };
    chat_message_json(chat, &out);
    reply_json(ex, &out);
    return true;
}

static bool poll_counted(struct chat *chat)
{
    struct str out = { 0 };

    str_printf(&out, "{\"tokenCount\":%lld}", (long long)chat->prompt_tokens);
    reply_json(chat->job.ex, &out);
    return true;
}

static bool chat_poll(struct exchange *ex)
{
    struct chat *chat = ex->user;

    switch (job_phase(&chat->job)) {
    case JOB_PREPARING: return job_is_cancelled(&chat->job) && reply_broken(chat);
    case JOB_RUNNING: return poll_running(chat);
    case JOB_DONE: return poll_counted(chat);
    case JOB_FAILED: break;
    }
    return reply_broken(chat);
}

static long chat_read(struct exchange *ex, char *buf, size_t max)
{
    struct chat *chat = ex->user;

    drain(chat, max);
    if (!chat->closed && (chat->broken || chat->n_open == 0)) chat_stream_close(chat);
    if (chat->out.failed) return -2;
    const size_t left = chat->out.len - chat->out_sent, n = left < max ? left : max;
    if (n == 0) return chat->closed ? -1 : 0;
    memcpy(buf, chat->out.data + chat->out_sent, n);
    chat->out_sent += n;
    if (chat->out_sent == chat->out.len) {
        str_clear(&chat->out);
        chat->out_sent = 0;
    }
    return (long)n;
}

/* Was there an answer, and did it go out? What is made for a client that has left (an error, which
 * also closes a stream) is none. */
static bool is_complete(struct exchange *ex)
{
    struct chat *chat = ex->user;

    if (!ex->streaming) return ex->reply.code != 0 && ex->reply.code != fault_http_code(FAULT_GONE);
    if (chat->broken && job_is_gone(&chat->job)) return false;
    return chat->closed && chat->out.len == 0;
}

static void chat_finish(struct exchange *ex)
{
    struct chat *chat = ex->user;
    const bool complete = is_complete(ex);

    if (job_phase(&chat->job) != JOB_PREPARING) /* else a worker may be writing these */
        snprintf(ex->note, sizeof ex->note,
                 " prompt_tokens=%lld cached_tokens=%d completion_tokens=%lld stream=%d",
                 (long long)chat->prompt_tokens, chat->n_cached, (long long)chat->n_completion,
                 ex->streaming);
    if (chat->first_token_ns)
        metrics_observe(&ex->server->metrics.first_token_time, chat->first_token_ns - ex->t0_ns);
    if (!complete) atomic_fetch_add(&ex->server->metrics.disconnects, 1);
    /* Harmless when everything has finished; otherwise nobody reads the answer any more. */
    if (!complete || chat->n_open > 0) job_cancel(&chat->job, FAULT_GONE, "The client has left.");
    ex->user = NULL;
    job_unref(&chat->job);
}

/* ---- handlers ---- */

static void begin(struct exchange *ex, bool count_only)
{
    struct server *s = ex->server;
    struct chat *chat = mem_calloc(1, sizeof *chat);

    if (!chat || !job_init(&chat->job, ex, chat_destroy)) {
        mem_free(chat);
        reply_fault(ex, FAULT_MEMORY, NULL, "No memory for the request.");
        return;
    }
    atomic_fetch_add(&s->metrics.chats, 1);
    chat->count_only = count_only;
    chat->body = ex->body;
    chat->body_charged = ex->body_charged;
    memset(&ex->body, 0, sizeof ex->body);
    ex->body_charged = 0;
    arena_init(&chat->arena, ARENA_BYTES_MIN + chat->body.len * ARENA_FACTOR);
    ex->user = chat;
    ex->poll = chat_poll;
    ex->read = chat_read;
    ex->finish = chat_finish;
    server_enlist(ex, &chat->job);
    job_ref(&chat->job);
    if (pool_submit(s->pool, chat_prepare, chat)) return;
    job_unref(&chat->job);
    atomic_fetch_add(&s->metrics.refused_busy, 1);
    reply_fault(ex, FAULT_BUSY, NULL, "The queue is full.");
}

void openai_chat(struct exchange *ex) { begin(ex, false); }

void openai_chat_count(struct exchange *ex) { begin(ex, true); }

struct abort_target {
    const struct model *model;
};

static void abort_if_model(struct job *job, void *arg)
{
    const struct abort_target *target = arg;

    if (job->destroy != chat_destroy) return;
    pthread_mutex_lock(&job->lock);
    const bool same = ((struct chat *)job)->model == target->model;
    pthread_mutex_unlock(&job->lock);
    if (same) job_cancel(job, FAULT_UNLOADED, "The model was unloaded.");
}

void openai_chat_abort_model(struct server *s, const struct model *model)
{
    struct abort_target target = { model };

    server_each_job(s, abort_if_model, &target);
}
