/* SPDX-License-Identifier: MIT */
/* Who gets seats and pages. Age decides: the oldest waiting choice is the next to be admitted, and
 * nobody older ever gives way to somebody younger; so the oldest always finishes, and there is no
 * deadlock. */
#include "engine/runtime/engine_state.h"

/* ---- taking pages away ---- */

/* Parked choices first, they are not going anywhere; then the youngest that holds pages. */
static bool victim_is_better(const struct choice *c, const struct choice *best)
{
    if (!best) return true;
    const bool parked = c->place == CHOICE_PARKED;
    if (parked != (best->place == CHOICE_PARKED)) return parked;
    return choice_is_older(best, c);
}

/* Somebody whose pages can be had for `c`: any parked choice, or one younger than c. NULL: nobody.
 */
static struct choice *find_victim(const struct scheduler *s, const struct choice *c)
{
    struct choice *best = NULL;

    for (struct generation *g = s->live; g; g = g->next) {
        for (int i = 0; i < g->n_choices; i++) {
            struct choice *v = &g->choices[i];
            if (v == c || v->place == CHOICE_DONE || v->place == CHOICE_ENDING) continue;
            if (sequence_held(&v->seq) == 0) continue;
            if (v->place != CHOICE_PARKED && !choice_is_older(c, v)) continue;
            if (victim_is_better(v, best)) best = v;
        }
    }
    return best;
}

/* Its pages go; it will feed its tokens again. */
static void evict(struct scheduler *s, struct choice *v)
{
    LOG(LOG_DEBUG, "event=preempt request=%llu choice=%d tokens=%lld",
        (unsigned long long)v->gen->serial, v->index, (long long)v->n_tokens);
    sequence_clear(&v->seq);
    if (v->place == CHOICE_RUNNING) {
        running_remove(s, v);
        waiting_insert(s, v);
    }
}

/* ---- admission ---- */

/* The timeline grows past what the short rotary tables are for: every key was rotated with the
 * wrong ones. */
static bool choice_changes_rope(const struct choice *c)
{
    return c->seq.length > 0 && c->seq.rope_long != sequence_class(&c->seq, c->n_tokens);
}

/* Tokens of the choice that a step may feed. */
static int64_t choice_chunk(const struct engine *e, const struct choice *c)
{
    const int64_t left = c->n_tokens - c->seq.length;

    return left < e->cfg.chunk_tokens ? left : e->cfg.chunk_tokens;
}

/* Pages of a group that the choice lacks for the tokens it has and a page of those it may get. */
static int pages_ahead(const struct engine *e, const struct choice *c, int group)
{
    const int64_t soon = c->n_tokens + KV_PAGE_TOKENS;

    return sequence_lacks(&c->seq, group, soon < c->cap_tokens ? soon : c->cap_tokens,
                          choice_chunk(e, c));
}

/* Whether the pages are there to admit c: of each group those for its tokens; and, unless it is
 * alone, for the next ones of everybody, so that it does not lose them again at once. */
static bool pages_suffice(const struct engine *e, const struct choice *c)
{
    const struct scheduler *s = &e->sched;

    for (int g = 0; g < kv_pages_groups(e->kv); g++) {
        int want = s->n_running == 0 ? sequence_lacks(&c->seq, g, c->n_tokens, choice_chunk(e, c))
                                     : pages_ahead(e, c, g);

        for (int i = 0; i < s->n_running; i++) want += pages_ahead(e, s->running[i], g);
        if (kv_pages_available(e->kv, g) < want) return false;
    }
    return true;
}

/* Pages for c, and a state where the model has such. */
static bool has_room(const struct engine *e, const struct choice *c)
{
    const struct lm *lm = e->lm;

    return pages_suffice(e, c) &&
           (lm->info.state_bytes == 0 || c->seq.state || lm->n_states < lm->states_max);
}

/* Room for the choice's next step, and of unwindowed layers for all its tokens. */
static status reserve_step(const struct engine *e, struct choice *c, struct err *err)
{
    return sequence_reserve(&c->seq, c->n_tokens, c->seq.length + choice_chunk(e, c), err);
}

/* Pages to begin with. ST_BUSY: not now. */
static status admit_pages(struct engine *e, struct choice *c, struct err *err)
{
    struct sequence *seq = &c->seq;
    const bool fresh = !sequence_resident(seq);

    if (!e->kv) return reserve_step(e, c, err);
    if (fresh) sequence_adopt_prefix(seq, c->tokens, c->n_tokens);
    while (!has_room(e, c)) {
        struct choice *v = find_victim(&e->sched, c);
        /* A running younger one is left to finish: it frees its pages soon, and no work is done
         * twice. */
        if (!v || v->place == CHOICE_RUNNING) {
            if (fresh) sequence_clear(seq);
            return ST_BUSY;
        }
        evict(&e->sched, v);
    }
    return reserve_step(e, c, err);
}

/* First admission: what the counters and the events say of the prompt. */
static void count_start(struct engine *e, struct choice *c)
{
    struct generation *g = c->gen;

    c->started = true;
    c->n_cached = (int32_t)c->seq.length;
    if (g->started) return;
    g->started = true;
    engine_dequeued(e);
    atomic_fetch_add(&e->counters.prompt_tokens, (uint64_t)g->n_prompt);
    atomic_fetch_add(&e->counters.cached_tokens, (uint64_t)c->seq.length);
}

static status admit_choice(struct engine *e, struct choice *c, struct err *err)
{
    TRY(choice_prepare(c, e->lm, e->kv, err));
    if (choice_changes_rope(c)) sequence_clear(&c->seq);
    TRY(admit_pages(e, c, err));
    if (!c->started) count_start(e, c);
    return ST_OK;
}

/* Another choice of the generation is feeding the prompt: c will start from its pages. */
static bool waits_for_feeder(const struct engine *e, const struct choice *c)
{
    const struct choice *feeder = c->gen->feeder;

    return e->kv && !c->started && feeder && feeder->place == CHOICE_RUNNING &&
           choice_generated(feeder) == 0;
}

void scheduler_admit(struct engine *e)
{
    struct scheduler *s = &e->sched;
    struct choice *c = s->waiting, *next;
    int n_kept = 0; /* seats for choices that will start when their prompt has been fed */

    for (; c && s->n_running + n_kept < s->seats; c = next) {
        struct err err = { 0 };

        next = c->next;
        if (waits_for_feeder(e, c)) {
            n_kept++;
            continue;
        }
        const bool fresh = !c->started;
        const status st = admit_choice(e, c, &err);
        if (st == ST_BUSY) return;
        if (st != ST_OK) {
            choice_fail(s, c, &err);
            continue;
        }
        if (fresh) c->gen->feeder = c;
        waiting_remove(s, c);
        running_insert(s, c);
    }
}

/* ---- the next step ---- */

static bool reserve_or_evict(struct engine *e, struct choice *c)
{
    while (reserve_step(e, c, NULL) != ST_OK) {
        struct choice *v = find_victim(&e->sched, c);
        evict(&e->sched, v ? v : c);
        if (!v) return false;
    }
    return true;
}

void scheduler_reserve(struct engine *e)
{
    struct scheduler *s = &e->sched;

    /* Oldest first; whoever is evicted lies behind, or is the choice itself. */
    for (int i = 0; i < s->n_running;) {
        struct choice *c = s->running[i];
        if (choice_changes_rope(c))
            evict(s, c);
        else if (!e->kv || reserve_or_evict(e, c))
            i++;
    }
}

/* ---- n > 1 ---- */

void scheduler_fork_siblings(struct engine *e, struct choice *c, struct choice **forks, int *n)
{
    struct scheduler *s = &e->sched;
    struct generation *g = c->gen;

    *n = 0;
    if (!e->kv || c->seq.length != g->n_prompt) return;
    for (int i = 0; i < g->n_choices && s->n_running < s->seats; i++) {
        struct choice *sib = &g->choices[i];
        struct err err = { 0 };

        if (sib->started || sib->place != CHOICE_WAITING) continue;
        status st = choice_prepare(sib, e->lm, e->kv, &err);
        if (st == ST_OK) st = sequence_fork(&sib->seq, &c->seq, &err);
        if (st == ST_BUSY) return;
        if (st != ST_OK) {
            choice_fail(s, sib, &err);
            continue;
        }
        sib->started = true;
        sib->n_cached = c->n_cached;
        waiting_remove(s, sib);
        running_insert(s, sib);
        forks[(*n)++] = sib;
    }
}
