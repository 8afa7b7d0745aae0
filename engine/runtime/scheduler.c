/* SPDX-License-Identifier: MIT */
/* A turn of the worker, and the events after it. */
#include "engine/runtime/scheduler.h"
#include "engine/runtime/engine_state.h"
#include <string.h>

/* ---- life ---- */

status scheduler_init(struct scheduler *s, struct engine *e, struct err *err)
{
    const struct lm_info *info = &e->lm->info;
    size_t n_floats;

    *s = (struct scheduler){ .seats = info->paged ? e->cfg.batch_max : 1 };
    s->out_tail = &s->out;
    if (s->seats > info->seqs_max) s->seats = info->seqs_max;
    if (s->seats > info->rows_max) s->seats = info->rows_max;
    if (s->seats > info->tokens_max) s->seats = info->tokens_max;
    if (info->hidden_only || info->vocab <= 0) return ST_OK; /* sessions only */
    if (!checked_mul((size_t)s->seats, (size_t)info->vocab, &n_floats))
        return FAIL(err, ST_LIMIT, "scheduler: vocabulary of %lld", (long long)info->vocab);
    s->running = mem_calloc((size_t)s->seats, sizeof(struct choice *));
    s->stepped = mem_calloc((size_t)s->seats, sizeof(struct choice *));
    s->row_owner = mem_calloc((size_t)s->seats, sizeof(struct choice *));
    s->forks = mem_calloc((size_t)s->seats, sizeof(struct choice *));
    s->rows = mem_calloc(n_floats, sizeof *s->rows);
    if (!s->running || !s->stepped || !s->row_owner || !s->forks || !s->rows)
        return FAIL(err, ST_NOMEM, "scheduler: out of memory");
    return sampler_scratch_init(&s->scratch, info->vocab, err);
}

void scheduler_fini(struct scheduler *s)
{
    sampler_scratch_fini(&s->scratch);
    mem_free(s->rows);
    mem_free(s->forks);
    mem_free(s->row_owner);
    mem_free(s->stepped);
    mem_free(s->running);
    *s = (struct scheduler){ 0 };
}

void scheduler_accept(struct scheduler *s, struct generation *list)
{
    struct generation **tail = &s->live;

    while (*tail) tail = &(*tail)->next;
    *tail = list;
    for (struct generation *g = list; g; g = g->next)
        for (int i = 0; i < g->n_choices; i++) waiting_insert(s, &g->choices[i]);
}

bool scheduler_is_empty(const struct scheduler *s) { return !s->live; }

void scheduler_cancel_all(struct scheduler *s)
{
    for (struct generation *g = s->live; g; g = g->next) {
        atomic_store(&g->cancelled, true);
        atomic_store(&g->attention, true);
    }
}

/* ---- flags of other threads ---- */

static void reap_generation(struct engine *e, struct generation *g)
{
    struct scheduler *s = &e->sched;
    const bool cancelled = atomic_load(&g->cancelled);

    for (int i = 0; i < g->n_choices; i++) {
        struct choice *c = &g->choices[i];
        const bool resume = atomic_exchange(&c->resume_asked, false);

        if (cancelled)
            choice_end(s, c, FINISH_CANCELLED, false);
        else if (atomic_load(&c->stop_asked))
            choice_end(s, c, FINISH_STOP, false);
        else if (resume && c->out_id >= 0)
            out_add(s, c);
    }
}

static void scheduler_reap(struct engine *e)
{
    for (struct generation *g = e->sched.live; g; g = g->next)
        if (atomic_exchange(&g->attention, false)) reap_generation(e, g);
}

/* ---- the step ---- */

/* The next n tokens of a choice; its row too when these are its last. */
static void add_part(struct engine *e, struct choice *c, int64_t n)
{
    static const int32_t first_row = 0;
    struct scheduler *s = &e->sched;
    const bool last = c->seq.length + n == c->n_tokens;
    const int32_t row = (int32_t)(n - 1);

    step_batch_add(&e->batch, &(struct step_part){
                                  .seq = &c->seq,
                                  .ids = c->tokens + c->seq.length,
                                  .n = (int32_t)n,
                                  .total = c->n_tokens,
                                  .rows = n == 1 ? &first_row : &row,
                                  .n_rows = last,
                              });
    s->stepped[s->n_stepped++] = c;
    if (last) s->row_owner[s->n_rows++] = c;
}

/* Tokens of a choice's prompt that the next step takes; 0: they do not fit into what the others
 * left. Where the split of a prompt shows in the results it is the choice's own, whatever else
 * runs, and tokens that it has generated before its pages were taken go in one by one, as they did.
 */
static int64_t next_part(const struct engine *e, const struct choice *c, int64_t budget)
{
    const struct lm_info *info = &e->lm->info;
    const int64_t left = c->n_tokens - c->seq.length;

    if (info->whole_prompt) return left;
    if (info->piece_tokens == 0) return left < budget ? left : budget;
    const int64_t prompt = c->gen->n_prompt - c->seq.length;
    const int64_t n = prompt > 0 ? step_piece(info, c->seq.length, prompt) : 1;
    return n <= budget ? n : 0;
}

/* Decode first: a token of each. Then prompts, oldest first, while the chunk lasts. */
static void scheduler_build(struct engine *e)
{
    struct scheduler *s = &e->sched;
    const bool whole = e->lm->info.whole_prompt;

    s->n_stepped = s->n_rows = 0;
    step_batch_begin(&e->batch);
    for (int i = 0; i < s->n_running; i++)
        if (choice_decodes(s->running[i])) add_part(e, s->running[i], 1);

    int64_t budget = e->batch.tokens_max - e->batch.n_tokens;
    if (budget > e->cfg.chunk_tokens) budget = e->cfg.chunk_tokens;
    for (int i = 0; i < s->n_running && (budget > 0 || whole); i++) {
        struct choice *c = s->running[i];
        const int64_t n = choice_decodes(c) ? 0 : next_part(e, c, budget);
        if (n == 0) continue;
        add_part(e, c, n);
        budget -= n;
    }
}

/* ---- tokens ---- */

/* The tokens that may come: what the request's mask leaves, without stop tokens before min_tokens.
 * NULL: all. */
static const uint32_t *choice_mask(struct scheduler *s, const struct choice *c)
{
    const struct generation *g = c->gen;
    const int64_t n = choice_generated(c);
    const size_t n_banned = n < g->min_new ? g->n_stop : 0;

    if (!g->mask && !n_banned) return NULL;
    uint32_t *allowed = sampler_full_mask(&s->scratch);
    if (g->mask) g->mask(g->user, c->index, c->tokens + g->n_prompt, (size_t)n, allowed);
    for (size_t i = 0; i < n_banned; i++) token_set_remove(allowed, g->stop_ids[i]);
    return allowed;
}

static void sample_choice(struct engine *e, struct choice *c, const float *row)
{
    struct scheduler *s = &e->sched;
    struct generation *g = c->gen;
    const struct sample_input in = {
        .logits = row,
        .params = &g->sampling,
        .counts = &c->counts,
        .mask = choice_mask(s, c),
    };
    struct err err = { 0 };
    int32_t id;

    if (sampler_pick(&s->scratch, &in, &c->rng, &id, &c->out_logprob, &err) != ST_OK) {
        choice_fail(s, c, &err);
        return;
    }
    if (generation_is_stop(g, id)) {
        choice_end(s, c, FINISH_STOP, false);
        return;
    }
    choice_push(c, id);
    c->out_id = id;
    atomic_fetch_add(&e->counters.generated_tokens, 1);
    if (c->n_tokens == c->cap_tokens)
        choice_end(s, c, FINISH_LENGTH, true);
    else
        out_add(s, c);
}

/* The first token of a prompt is drawn by every choice from the same row. */
static void sample_row(struct engine *e, struct choice *c, const float *row)
{
    struct scheduler *s = &e->sched;
    int n_forks = 0;

    if (c->gen->n_choices > 1 && choice_generated(c) == 0)
        scheduler_fork_siblings(e, c, s->forks, &n_forks);
    sample_choice(e, c, row);
    for (int i = 0; i < n_forks; i++) sample_choice(e, s->forks[i], row);
}

static void scheduler_step(struct engine *e)
{
    struct scheduler *s = &e->sched;
    const size_t width = (size_t)e->lm->info.width;
    struct err err = { 0 };

    if (engine_run_batch(e, s->rows, &err) != ST_OK) {
        for (int i = 0; i < s->n_stepped; i++) choice_fail(s, s->stepped[i], &err);
        return;
    }
    for (int i = 0; i < s->n_stepped; i++) {
        struct generation *g = s->stepped[i]->gen;
        const int64_t done = s->stepped[i]->seq.length;
        atomic_store(&g->prefilled, done < g->n_prompt ? done : g->n_prompt);
    }
    for (int i = 0; i < s->n_stepped; i++) {
        struct sequence *seq = &s->stepped[i]->seq;
        if (e->cfg.prefix_cache) sequence_publish(seq, s->stepped[i]->tokens);
        sequence_slide(seq);
    }
    for (int i = 0; i < s->n_rows; i++) sample_row(e, s->row_owner[i], s->rows + (size_t)i * width);
}

static void scheduler_count(struct engine *e)
{
    const struct scheduler *s = &e->sched;
    int waiting = 0;

    for (const struct choice *c = s->waiting; c; c = c->next) waiting++;
    atomic_store(&e->counters.running, s->n_running);
    atomic_store(&e->counters.waiting, waiting);
    engine_count_pages(e);
}

bool scheduler_turn(struct engine *e)
{
    struct scheduler *s = &e->sched;

    scheduler_reap(e);
    scheduler_reserve(e);
    scheduler_admit(e);
    scheduler_build(e);
    if (s->n_stepped > 0) scheduler_step(e);
    scheduler_count(e);
    return s->n_stepped > 0;
}

/* ---- events ---- */

static struct gen_event choice_event(const struct choice *c)
{
    return (struct gen_event){
        .choice = c->index,
        .id = -1,
        .n_prompt = (int32_t)c->gen->n_prompt,
        .n_cached = c->n_cached,
    };
}

/* False when the sink is full: the choice is out of the running until generation_resume. */
static bool deliver_token(struct scheduler *s, struct choice *c)
{
    struct generation *g = c->gen;
    struct gen_event ev = choice_event(c);

    ev.id = c->out_id;
    ev.logprob = c->out_logprob;
    atomic_store(&c->resume_asked, false);
    if (!g->sink(g->user, &ev)) {
        if (c->place == CHOICE_RUNNING) {
            running_remove(s, c);
            c->place = CHOICE_PARKED;
        }
        return false;
    }
    c->out_id = -1;
    if (c->place == CHOICE_PARKED) {
        waiting_insert(s, c);
        s->again = true;
    }
    return true;
}

static void generation_leave(struct engine *e, struct generation *g)
{
    struct generation **link = &e->sched.live;

    while (*link != g) link = &(*link)->next;
    *link = g->next;
    if (!g->started) engine_dequeued(e);
    if (atomic_load(&g->cancelled)) atomic_fetch_add(&e->counters.cancelled, 1);
    generation_finish(g);
}

static void deliver_finish(struct engine *e, struct choice *c)
{
    struct generation *g = c->gen;
    struct gen_event ev = choice_event(c);

    ev.finish = c->finish;
    if (c->finish == FINISH_ERROR) ev.error = c->error ? c->error->text : "internal error";
    c->place = CHOICE_DONE;
    (void)g->sink(g->user, &ev);
    if (--g->n_open == 0) generation_leave(e, g);
}

static void deliver_choice(struct engine *e, struct choice *c)
{
    struct generation *g = c->gen;
    const bool cancelled = atomic_load(&g->cancelled);

    /* Told to stop since the step: its token goes nowhere, and the next turn ends it if this does
     * not. */
    if (cancelled || atomic_load(&c->stop_asked)) {
        c->out_id = -1;
        if (c->finish != FINISH_ERROR) c->finish = cancelled ? FINISH_CANCELLED : FINISH_STOP;
    }
    if (c->out_id >= 0 && !deliver_token(&e->sched, c)) return;
    if (c->place != CHOICE_ENDING) return;
    if (atomic_load(&c->stop_asked) && c->finish == FINISH_LENGTH) c->finish = FINISH_STOP;
    deliver_finish(e, c);
}

void scheduler_deliver(struct engine *e)
{
    struct scheduler *s = &e->sched;
    struct choice *c = s->out;

    s->out = NULL;
    s->out_tail = &s->out;
    while (c) {
        struct choice *next = c->next_out;
        c->in_out = false;
        deliver_choice(e, c);
        c = next;
    }
}
