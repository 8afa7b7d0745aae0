/* SPDX-License-Identifier: MIT */
/* Requests: making and checking them, the flags that other threads set, waiting for them. */
#include "engine/runtime/generation.h"
#include "engine/runtime/engine_state.h"
#include <assert.h>
#include <string.h>

/* ---- making ---- */

static status request_check(const struct engine *e, const struct gen_request *req, struct err *err)
{
    const int64_t vocab = e->lm->info.vocab;

    if (e->lm->info.hidden_only || vocab <= 0)
        return FAIL(err, ST_UNSUPPORTED, "generate: the model has no logits");
    if (e->lm->info.takes_embeds)
        return FAIL(err, ST_UNSUPPORTED, "generate: the model takes embeddings, not token ids");
    if (!req->sink) return FAIL(err, ST_INVALID, "generate: no sink");
    if (req->n_ids == 0) return FAIL(err, ST_INVALID, "prompt: expected at least one token");
    if (req->n_ids >= (uint64_t)e->context_max)
        return FAIL(err, ST_LIMIT, "prompt: %zu tokens leave no room in the context of %lld tokens",
                    req->n_ids, (long long)e->context_max);
    if (req->n < 0 || req->n > ENGINE_N_MAX)
        return FAIL(err, ST_INVALID, "n: expected 1 to %d, got %d", ENGINE_N_MAX, req->n);
    if (req->n_stop > ENGINE_STOP_MAX)
        return FAIL(err, ST_INVALID, "stop tokens: expected at most %d, got %zu", ENGINE_STOP_MAX,
                    req->n_stop);
    for (size_t i = 0; i < req->n_ids; i++)
        if (req->ids[i] < 0 || req->ids[i] >= vocab)
            return FAIL(err, ST_INVALID, "prompt: token %d at %zu is not in the vocabulary of %lld",
                        (int)req->ids[i], i, (long long)vocab);
    return sampling_check(&req->sampling, vocab, err);
}

static void *copy_array(const void *src, size_t n, size_t size)
{
    void *copy = mem_calloc(n ? n : 1, size);

    if (copy && n) memcpy(copy, src, n * size);
    return copy;
}

/* Stop ids that the vocabulary does not have can never come; leaving them out keeps the ban of
 * min_tokens safe. */
static void generation_take_stops(struct generation *g, const struct gen_request *req,
                                  int64_t vocab)
{
    for (size_t i = 0; i < req->n_stop; i++)
        if (req->stop_ids[i] >= 0 && req->stop_ids[i] < vocab)
            g->stop_ids[g->n_stop++] = req->stop_ids[i];
}

static void generation_init_choices(struct generation *g)
{
    for (int i = 0; i < g->n_choices; i++) {
        struct choice *c = &g->choices[i];
        c->gen = g;
        c->index = i;
        c->place = CHOICE_WAITING;
        c->out_id = -1;
        rng_seed(&c->rng, g->sampling.seed, (uint64_t)i);
        atomic_init(&c->stop_asked, false);
        atomic_init(&c->resume_asked, false);
    }
}

static status generation_create(struct generation **out, struct engine *e,
                                const struct gen_request *req, struct err *err)
{
    const int n = req->n ? req->n : 1;
    const int64_t room = e->context_max - (int64_t)req->n_ids;
    struct generation *g = mem_calloc(1, sizeof *g + (size_t)n * sizeof g->choices[0]);

    if (!g) return FAIL(err, ST_NOMEM, "generate: out of memory");
    (void)pthread_mutex_init(&g->lock, NULL);
    (void)pthread_cond_init(&g->done, NULL);
    atomic_init(&g->refs, 2);
    atomic_init(&g->cancelled, false);
    atomic_init(&g->attention, false);
    g->engine = e;
    g->n_choices = g->n_open = n;
    g->n_prompt = (int64_t)req->n_ids;
    g->max_new = req->max_tokens <= 0 || req->max_tokens > room ? room : req->max_tokens;
    g->min_new = req->min_tokens;
    g->mask = req->mask;
    g->sink = req->sink;
    g->user = req->user;
    g->sampling = req->sampling;
    if (!g->sampling.has_seed) os_random(&g->sampling.seed, sizeof g->sampling.seed);
    g->prompt = copy_array(req->ids, req->n_ids, sizeof *g->prompt);
    g->stop_ids = mem_calloc(req->n_stop + 1, sizeof *g->stop_ids);
    g->bias = copy_array(req->sampling.bias, req->sampling.n_bias, sizeof *g->bias);
    g->sampling.bias = g->bias;
    if (!g->prompt || !g->stop_ids || !g->bias) {
        atomic_store(&g->refs, 1);
        generation_release(g);
        return FAIL(err, ST_NOMEM, "generate: out of memory");
    }
    generation_take_stops(g, req, e->lm->info.vocab);
    generation_init_choices(g);
    *out = g;
    return ST_OK;
}

status engine_submit(struct engine *e, const struct gen_request *req, struct generation **out,
                     struct err *err)
{
    struct generation *g = NULL;

    *out = NULL;
    TRY(request_check(e, req, err));
    TRY(generation_create(&g, e, req, err));
    const status st = engine_enqueue(e, g, err);
    if (st != ST_OK) {
        atomic_store(&g->refs, 1);
        generation_release(g);
        return st;
    }
    *out = g;
    return ST_OK;
}

/* ---- references ---- */

void generation_release(struct generation *g)
{
    if (atomic_fetch_sub(&g->refs, 1) != 1) return;
    (void)pthread_cond_destroy(&g->done);
    (void)pthread_mutex_destroy(&g->lock);
    mem_free(g->bias);
    mem_free(g->stop_ids);
    mem_free(g->prompt);
    mem_free(g);
}

void generation_unref(struct generation *g)
{
    if (g) generation_release(g);
}

void generation_finish(struct generation *g)
{
    (void)pthread_mutex_lock(&g->lock);
    g->finished = true;
    (void)pthread_cond_broadcast(&g->done);
    (void)pthread_mutex_unlock(&g->lock);
    generation_release(g);
}

void generation_wait(struct generation *g)
{
    (void)pthread_mutex_lock(&g->lock);
    while (!g->finished) (void)pthread_cond_wait(&g->done, &g->lock);
    (void)pthread_mutex_unlock(&g->lock);
}

/* ---- flags from other threads ---- */

/* The worker cannot finish g, and so the engine cannot go, while the lock is held. */
static void generation_call_worker(struct generation *g)
{
    (void)pthread_mutex_lock(&g->lock);
    if (!g->finished) {
        atomic_store(&g->attention, true);
        engine_wake(g->engine);
    }
    (void)pthread_mutex_unlock(&g->lock);
}

void generation_cancel(struct generation *g)
{
    atomic_store(&g->cancelled, true);
    generation_call_worker(g);
}

void generation_stop_choice(struct generation *g, int choice)
{
    if (choice < 0 || choice >= g->n_choices) return;
    atomic_store(&g->choices[choice].stop_asked, true);
    generation_call_worker(g);
}

void generation_resume(struct generation *g)
{
    for (int i = 0; i < g->n_choices; i++) atomic_store(&g->choices[i].resume_asked, true);
    generation_call_worker(g);
}

/* ---- choices ---- */

bool generation_is_stop(const struct generation *g, int32_t id)
{
    for (size_t i = 0; i < g->n_stop; i++)
        if (g->stop_ids[i] == id) return true;
    return false;
}

/* On failure what was made stays, for choice_release. */
status choice_prepare(struct choice *c, struct lm *lm, struct kv_pages *kv, struct err *err)
{
    struct generation *g = c->gen;

    if (c->tokens) return ST_OK;
    c->cap_tokens = g->n_prompt + g->max_new;
    TRY(sequence_init(&c->seq, lm, kv, c->cap_tokens, err));
    c->tokens = mem_calloc((size_t)c->cap_tokens, sizeof *c->tokens);
    if (!c->tokens) return FAIL(err, ST_NOMEM, "generate: out of memory");
    memcpy(c->tokens, g->prompt, (size_t)g->n_prompt * sizeof *c->tokens);
    c->n_tokens = g->n_prompt;
    if (!sampler_needs_counts(&g->sampling)) return ST_OK;
    c->counts.generated = mem_calloc((size_t)lm->info.vocab, sizeof *c->counts.generated);
    if (!c->counts.generated) return FAIL(err, ST_NOMEM, "generate: out of memory");
    for (int64_t i = 0; i < g->n_prompt; i++) c->counts.generated[g->prompt[i]] |= TOKEN_IN_PROMPT;
    return ST_OK;
}

void choice_release(struct choice *c)
{
    sequence_fini(&c->seq);
    mem_free(c->tokens);
    mem_free(c->counts.generated);
    c->tokens = NULL;
    c->counts.generated = NULL;
}

int64_t choice_generated(const struct choice *c)
{
    return c->tokens ? c->n_tokens - c->gen->n_prompt : 0;
}

bool choice_decodes(const struct choice *c)
{
    return c->seq.length == c->n_tokens - 1 && choice_generated(c) > 0;
}

void choice_push(struct choice *c, int32_t id)
{
    assert(c->n_tokens < c->cap_tokens);
    c->tokens[c->n_tokens++] = id;
    if (c->counts.generated) c->counts.generated[id]++;
}

int64_t generation_prefilled(const struct generation *g) { return atomic_load(&g->prefilled); }
