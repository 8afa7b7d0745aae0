/* SPDX-License-Identifier: MIT */
#include "cli/answer.h"
#include "cli/cli.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Tokens between the engine's thread and the terminal's. */
struct inbox {
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t arrived;
    int32_t ids[256]; /* ring */
    size_t head, count;
    bool full; /* the sink said so: generation_resume is due */
    bool done;
    enum finish_reason finish;
    int32_t n_prompt;
    char error[ERR_TEXT_MAX];
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

static bool on_event(void *user, const struct gen_event *ev)
{
    struct inbox *box = user;
    bool accepted = true;

    pthread_mutex_lock(&box->lock);
    box->n_prompt = ev->n_prompt;
    if (ev->id >= 0) {
        accepted = box->count < COUNT(box->ids);
        if (accepted)
            box->ids[(box->head + box->count++) % COUNT(box->ids)] = ev->id;
        else
            box->full = true;
    }
    if (accepted && ev->finish != FINISH_NONE) {
        box->done = true;
        box->finish = ev->finish;
        snprintf(box->error, sizeof box->error, "%s", ev->error ? ev->error : "");
    }
    pthread_cond_signal(&box->arrived);
    pthread_mutex_unlock(&box->lock);
    return accepted;
}

/* Waits for tokens, at most 50 ms so that Ctrl-C is seen. Returns their number; *done when no more
 * will come. */
static size_t take(struct inbox *box, int32_t ids[256], bool *done, bool *resume)
{
    struct timespec until;
    size_t n = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 50000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&box->lock);
    if (!box->count && !box->done) pthread_cond_timedwait(&box->arrived, &box->lock, &until);
    while (box->count) {
        ids[n++] = box->ids[box->head];
        box->head = (box->head + 1) % COUNT(box->ids);
        box->count--;
    }
    *done = box->done;
    *resume = box->full;
    box->full = false;
    pthread_mutex_unlock(&box->lock);
    return n;
}

struct printer {
    struct token_stream *stream;
    struct answer *out;
    bool print, progress;
    size_t n_prompt;
};

static status print_piece(struct printer *p, const struct str *piece, struct err *err)
{
    str_put_n(&p->out->text, str_cstr(piece), piece->len);
    return p->print && piece->len ? cli_put(str_cstr(piece), piece->len, err) : ST_OK;
}

static status print_ids(struct printer *p, const int32_t *ids, size_t n, bool last, struct err *err)
{
    struct str piece = { 0 };
    status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < n; i++)
        st = token_stream_push(p->stream, ids[i], &piece, err);
    if (st == ST_OK && last) st = token_stream_finish(p->stream, &piece, err);
    if (st == ST_OK) st = print_piece(p, &piece, err);
    str_fini(&piece);
    return st;
}

/* A prompt that takes longer than half a second to read gets a bar. */
static void show_prefill(const struct printer *p, const struct generation *gen, uint64_t start_ns,
                         bool answered)
{
    const double done = (double)generation_prefilled(gen) / (double)p->n_prompt;

    if (!p->progress || os_now_ns() - start_ns < 500000000) return;
    cli_progress(NULL, "reading the prompt", answered ? 1 : done < 1 ? done : 0.999);
}

/* Prints until the generation is done. */
static status pump(struct printer *p, struct inbox *box, struct generation *gen, uint64_t start_ns,
                   struct err *err)
{
    int32_t ids[256];
    bool done = false, resume = false;
    uint64_t first_ns = 0, last_ns = 0;
    status st = ST_OK;

    while (!done) {
        const size_t n = take(box, ids, &done, &resume);
        if (n) last_ns = os_now_ns();
        if (!first_ns) show_prefill(p, gen, start_ns, n > 0 || done);
        if (n && !first_ns) first_ns = last_ns;
        p->out->n_generated += (int32_t)n;
        if (st == ST_OK) st = print_ids(p, ids, n, done, err);
        if (interrupted || st != ST_OK) generation_cancel(gen);
        if (resume) generation_resume(gen);
    }
    p->out->finish = box->finish;
    p->out->n_prompt = box->n_prompt;
    snprintf(p->out->error, sizeof p->out->error, "%s", box->error);
    if (first_ns) {
        p->out->ttft_ms = (double)(first_ns - start_ns) / 1e6;
        p->out->prefill_tokens_per_s =
            (double)box->n_prompt / ((double)(first_ns - start_ns) / 1e9);
        if (p->out->n_generated > 1 && last_ns > first_ns)
            p->out->decode_tokens_per_s =
                (p->out->n_generated - 1) / ((double)(last_ns - first_ns) / 1e9);
    }
    return st;
}

static status submit_and_pump(struct engine *e, const struct token_ids *prompt,
                              const struct answer_options *opt, struct printer *p,
                              struct inbox *box, struct err *err)
{
    struct gen_request req = { .ids = prompt->ids,
                               .n_ids = prompt->n,
                               .max_tokens = (int32_t)opt->max_tokens,
                               .stop_ids = opt->stop_ids,
                               .n_stop = opt->n_stop,
                               .sampling = opt->sampling,
                               .sink = on_event,
                               .user = box };
    struct generation *gen = NULL;
    const uint64_t start = os_now_ns();

    TRY(engine_submit(e, &req, &gen, err));
    const status st = pump(p, box, gen, start, err);
    generation_unref(gen);
    return st;
}

status answer_generate(struct engine *e, const struct tokenizer *tok,
                       const struct token_ids *prompt, const struct answer_options *opt,
                       struct answer *out, struct err *err)
{
    struct inbox box = { .lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER };
    struct printer p = {
        .out = out, .print = opt->print, .progress = opt->progress, .n_prompt = prompt->n
    };
    struct sigaction act = { .sa_handler = on_interrupt }, old;
    status st;

    TRY(token_stream_create(&p.stream, tok, true, err));
    token_stream_clean_up(p.stream);
    interrupted = 0;
    sigaction(SIGINT, &act, &old);
    st = submit_and_pump(e, prompt, opt, &p, &box, err);
    sigaction(SIGINT, &old, NULL);
    token_stream_destroy(p.stream);
    if (st == ST_OK && out->finish == FINISH_ERROR) st = FAIL(err, ST_INTERNAL, "%s", out->error);
    return st;
}

void answer_fini(struct answer *a) { str_fini(&a->text); }

const char *answer_finish_name(enum finish_reason reason)
{
    static const char *const names[] = { "none", "stop", "length", "cancelled", "error" };
    return names[reason];
}
