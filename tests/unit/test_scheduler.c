/* SPDX-License-Identifier: MIT */
/* Scheduling against the toy model: whatever is batched, shared, taken away or put off, each choice gets exactly the tokens
 * that its prompt, parameters and seed determine. */
#include "helper_fake_lm.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { MANY = 16 };

/* An engine on a toy model. */
struct bench {
    struct fake_options options;
    struct engine_config cfg;
    struct lm *lm;
    struct engine *engine;
};

static struct bench bench_default(void)
{
    return (struct bench){ .cfg = engine_config_default() };
}

static void bench_open(struct bench *b)
{
    b->lm = fake_lm_create(&b->options);
    assert_non_null(b->lm);
    assert_int_equal(engine_open_lm(&b->engine, b->lm, 600, &b->cfg, NULL), ST_OK);
}

static void bench_close(struct bench *b)
{
    engine_close(b->engine);
    b->engine = NULL;
}

/* A prompt of n tokens that depends on `salt`. */
static void prompt_fill(int32_t *ids, int n, int salt)
{
    for (int i = 0; i < n; i++) ids[i] = (int32_t)((i * 31 + salt * 17 + i * i % 7) % FAKE_VOCAB);
}

struct job {
    int32_t prompt[512];
    struct gen_request req;
    struct collect got;
    struct generation *gen;
};

static struct job *job_create(int n_prompt, int salt, int max_tokens)
{
    struct job *j = mem_calloc(1, sizeof *j);

    assert_non_null(j);
    prompt_fill(j->prompt, n_prompt, salt);
    j->req = (struct gen_request){ .ids = j->prompt, .n_ids = (size_t)n_prompt, .max_tokens = max_tokens,
                                   .n = 1, .sink = collect_sink, .user = &j->got };
    j->req.sampling = sampling_default();
    j->req.sampling.seed = (uint64_t)salt;
    j->req.sampling.has_seed = true;
    if (salt % 3 == 0) j->req.sampling.temperature = 0;
    if (salt % 4 == 1) j->req.sampling.top_k = 7;
    if (salt % 5 == 2) j->req.sampling.frequency_penalty = 0.7F;
    return j;
}

static void job_submit(struct bench *b, struct job *j)
{
    assert_int_equal(engine_submit(b->engine, &j->req, &j->gen, NULL), ST_OK);
}

/* Waits, and compares every choice with what it must be. */
static void job_finish(const struct bench *b, struct job *j)
{
    int32_t want[COLLECT_TOKENS];

    generation_wait(j->gen);
    generation_unref(j->gen);
    for (int i = 0; i < (j->req.n ? j->req.n : 1); i++) {
        const int n = fake_expect(&b->options, &j->req, i, want, COLLECT_TOKENS);
        assert_int_equal(j->got.n[i], n);
        assert_memory_equal(j->got.ids[i], want, (size_t)n * sizeof *want);
        assert_int_equal(j->got.finish[i], n == j->req.max_tokens ? FINISH_LENGTH : FINISH_STOP);
    }
    assert_int_equal(j->got.n_after_finish, 0);
    mem_free(j);
}

/* Every page is free or cached again. */
static void nothing_is_held(struct bench *b)
{
    struct engine_stats stats;

    engine_stats(b->engine, &stats);
    assert_int_equal(stats.kv_pages_used, 0);
    assert_int_equal(stats.running, 0);
    assert_int_equal(stats.waiting, 0);
}

/* ---- one, and many ---- */

static void one_request_gets_its_tokens(void **state)
{
    (void)state;
    for (int salt = 0; salt < 12; salt++) {
        struct bench b = bench_default();
        bench_open(&b);
        struct job *j = job_create(1 + salt * 37, salt, 90);
        job_submit(&b, j);
        job_finish(&b, j);
        struct engine_stats stats;
        engine_stats(b.engine, &stats);
        assert_int_equal(stats.requests, 1);
        assert_int_equal(stats.prompt_tokens, 1 + salt * 37);
        assert_int_equal(stats.generated_tokens, 90);
        bench_close(&b);
    }
}

static void run_many(struct bench *b)
{
    struct job *jobs[MANY];

    turn_take(&b->engine->turn); /* nobody starts before all have come */
    for (int i = 0; i < MANY; i++) {
        jobs[i] = job_create(3 + i * 23, i, 30 + i * 5);
        job_submit(b, jobs[i]);
    }
    turn_give(&b->engine->turn);
    for (int i = 0; i < MANY; i++) job_finish(b, jobs[i]);
}

static void sixteen_at_once_equal_each_alone(void **state)
{
    (void)state;
    for (int prefix_cache = 0; prefix_cache < 2; prefix_cache++) {
        struct bench b = bench_default();
        b.cfg.prefix_cache = prefix_cache;
        bench_open(&b);
        run_many(&b);
        assert_true(fake_lm_stats(b.lm)->seqs_most > 8); /* they did run together */
        assert_true(fake_lm_stats(b.lm)->mixed_steps > 0);
        bench_close(&b);
    }
}

static void fewer_seats_than_requests_is_fine(void **state)
{
    struct bench b = bench_default();

    (void)state;
    b.cfg.batch_max = 3;
    bench_open(&b);
    run_many(&b);
    assert_int_equal(fake_lm_stats(b.lm)->seqs_most, 3);
    bench_close(&b);
}

static void small_steps_are_fine(void **state)
{
    struct bench b = bench_default();

    (void)state;
    b.options = (struct fake_options){ .tokens_max = 5, .seqs_max = 4, .rows_max = 2 };
    b.cfg.chunk_tokens = 3;
    bench_open(&b);
    run_many(&b);
    assert_int_equal(fake_lm_stats(b.lm)->seqs_most, 2);
    bench_close(&b);
}

/* ---- seeds ---- */

static void a_seed_repeats_and_another_differs(void **state)
{
    struct bench b = bench_default();
    struct collect got[3] = { 0 };

    (void)state;
    bench_open(&b);
    for (int i = 0; i < 3; i++) {
        struct job *j = job_create(40, 1, 40);
        j->req.sampling.seed = i == 2 ? 99 : 7;
        job_submit(&b, j);
        generation_wait(j->gen);
        got[i] = j->got;
        job_finish(&b, j);
    }
    assert_memory_equal(got[0].ids[0], got[1].ids[0], sizeof got[0].ids[0]);
    assert_memory_not_equal(got[0].ids[0], got[2].ids[0], sizeof got[0].ids[0]);
    bench_close(&b);
}

static void without_a_seed_answers_differ(void **state)
{
    struct bench b = bench_default();
    struct collect got[2];

    (void)state;
    bench_open(&b);
    for (int i = 0; i < 2; i++) {
        struct job *j = job_create(40, 1, 40);
        j->req.sampling.has_seed = false;
        job_submit(&b, j);
        generation_wait(j->gen);
        got[i] = j->got;
        generation_unref(j->gen);
        mem_free(j);
    }
    assert_memory_not_equal(got[0].ids[0], got[1].ids[0], sizeof got[0].ids[0]);
    bench_close(&b);
}

/* ---- several choices ---- */

static void choices_share_the_prompt(void **state)
{
    (void)state;
    for (int device = 0; device < 2; device++) {
        struct bench b = bench_default();
        b.options.device_memory = device;
        b.cfg.prefix_cache = false;
        bench_open(&b);
        struct job *j = job_create(150, 1, 100);
        j->req.n = 4;
        job_submit(&b, j);
        job_finish(&b, j);
        /* the prompt once, and all tokens but the last of each choice */
        assert_int_equal(fake_lm_stats(b.lm)->tokens, 150 + 4 * 99);
        nothing_is_held(&b);
        bench_close(&b);
    }
}

static void more_choices_than_seats_all_finish(void **state)
{
    (void)state;
    for (int prefix_cache = 0; prefix_cache < 2; prefix_cache++) {
        struct bench b = bench_default();
        b.cfg.batch_max = 3;
        b.cfg.prefix_cache = prefix_cache;
        bench_open(&b);
        struct job *j = job_create(140, 5, 70);
        j->req.n = 8;
        job_submit(&b, j);
        job_finish(&b, j);
        nothing_is_held(&b);
        bench_close(&b);
    }
}

/* ---- prefix cache ---- */

static void a_prompt_seen_before_is_not_fed_again(void **state)
{
    struct bench b = bench_default();

    (void)state;
    bench_open(&b);
    for (int i = 0; i < 2; i++) {
        const int64_t before = fake_lm_stats(b.lm)->tokens;
        struct job *j = job_create(200, 3, 10);
        job_submit(&b, j);
        generation_wait(j->gen);
        assert_int_equal(j->got.n_cached, i ? 192 : 0);
        assert_int_equal(j->got.n_prompt, 200);
        assert_int_equal(fake_lm_stats(b.lm)->tokens - before, (i ? 8 : 200) + 9);
        job_finish(&b, j);
    }
    struct engine_stats stats;
    engine_stats(b.engine, &stats);
    assert_int_equal(stats.cached_tokens, 192);
    assert_int_equal(stats.kv_pages_used, 0);
    assert_int_equal(stats.kv_pages_cached, 3);
    bench_close(&b);
}

/* A prompt of whole pages: its last page must be fed, or there would be no row to sample from. */
static void the_last_token_is_always_fed(void **state)
{
    struct bench b = bench_default();

    (void)state;
    bench_open(&b);
    for (int i = 0; i < 2; i++) {
        struct job *j = job_create(128, 3, 10);
        job_submit(&b, j);
        generation_wait(j->gen);
        assert_int_equal(j->got.n_cached, i ? 64 : 0);
        job_finish(&b, j);
    }
    bench_close(&b);
}

static void an_answer_fed_back_is_found(void **state)
{
    struct bench b = bench_default();

    (void)state;
    bench_open(&b);
    struct job *first = job_create(50, 3, 100), *second = job_create(180, 3, 10);
    job_submit(&b, first);
    generation_wait(first->gen);
    memcpy(second->prompt + 50, first->got.ids[0], 100 * sizeof(int32_t));
    job_submit(&b, second);
    generation_wait(second->gen);
    assert_int_equal(second->got.n_cached, 128);
    job_finish(&b, first);
    job_finish(&b, second);
    bench_close(&b);
}

/* ---- pages run out ---- */

static void when_pages_run_out_nothing_is_lost(void **state)
{
    (void)state;
    for (int prefix_cache = 0; prefix_cache < 2; prefix_cache++) {
        struct bench b = bench_default();
        struct job *jobs[6];
        b.cfg.prefix_cache = prefix_cache;
        b.cfg.kv_tokens_max = 9 * KV_PAGE_TOKENS;
        bench_open(&b);
        assert_int_equal(b.engine->context_max, 9 * KV_PAGE_TOKENS);
        turn_take(&b.engine->turn); /* all at once */
        for (int i = 0; i < 6; i++) { /* each grows from one page to five */
            jobs[i] = job_create(20 + i, i, 280);
            job_submit(&b, jobs[i]);
        }
        turn_give(&b.engine->turn);
        for (int i = 0; i < 6; i++) job_finish(&b, jobs[i]);
        assert_true(fake_lm_stats(b.lm)->seqs_most > 1);
        /* some were fed twice */
        assert_true(prefix_cache || fake_lm_stats(b.lm)->tokens > 6 * (22 + 280));
        nothing_is_held(&b);
        bench_close(&b);
    }
}

static void a_request_that_needs_every_page_runs(void **state)
{
    struct bench b = bench_default();

    (void)state;
    b.cfg.kv_tokens_max = 3 * KV_PAGE_TOKENS;
    bench_open(&b);
    struct job *jobs[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = job_create(100 + i, i, 3 * KV_PAGE_TOKENS - 100 - i);
        job_submit(&b, jobs[i]);
    }
    for (int i = 0; i < 4; i++) job_finish(&b, jobs[i]);
    nothing_is_held(&b);
    bench_close(&b);
}

/* A session holds pages; a request that does not fit beside it waits until it lets go. */
static void a_request_waits_for_a_sessions_pages(void **state)
{
    struct bench b = bench_default();
    struct session *s;
    int32_t ids[128];

    (void)state;
    b.cfg.kv_tokens_max = 3 * KV_PAGE_TOKENS;
    bench_open(&b);
    prompt_fill(ids, 128, 1);
    assert_int_equal(session_create(&s, b.engine, NULL), ST_OK);
    assert_int_equal(session_feed(s, ids, NULL, 128, 0, NULL, 0, NULL, NULL), ST_OK);
    struct job *j = job_create(100, 2, 60);
    job_submit(&b, j);
    os_sleep_ns(20000000);
    assert_int_equal(j->got.n[0], 0);
    session_destroy(s);
    job_finish(&b, j);
    bench_close(&b);
}

/* ---- rotary tables ---- */

static void crossing_the_rotary_threshold_feeds_everything_anew(void **state)
{
    (void)state;
    for (int dense = 0; dense < 2; dense++) {
        struct bench b = bench_default();
        struct job *jobs[5];
        b.options.dense = dense;
        b.options.long_threshold = 100;
        bench_open(&b);
        for (int i = 0; i < 5; i++) { /* prompts on both sides of 100, answers across it */
            jobs[i] = job_create(60 + i * 15, i, 80);
            job_submit(&b, jobs[i]);
        }
        for (int i = 0; i < 5; i++) job_finish(&b, jobs[i]);
        bench_close(&b);
    }
}

static void rotary_classes_do_not_share_pages(void **state)
{
    struct bench b = bench_default();

    (void)state;
    b.options.long_threshold = 150;
    bench_open(&b);
    for (int i = 0; i < 4; i++) { /* the same first 140 tokens, short and long in turn */
        struct job *j = job_create(i % 2 ? 200 : 140, 3, 5);
        job_submit(&b, j);
        generation_wait(j->gen);
        assert_int_equal(j->got.n_cached, i == 2 ? 128 : i == 3 ? 192 : 0);
        job_finish(&b, j);
    }
    bench_close(&b);
}

/* ---- dense models ---- */

static void dense_models_run_one_at_a_time(void **state)
{
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        struct bench b = bench_default();
        b.options.dense = true;
        b.options.whole_prompt = whole;
        bench_open(&b);
        run_many(&b);
        struct job *j = job_create(70, 4, 20);
        j->req.n = 3;
        job_submit(&b, j);
        job_finish(&b, j);
        assert_int_equal(fake_lm_stats(b.lm)->seqs_most, 1);
        bench_close(&b);
    }
}

/* ---- stopping ---- */

static void stop_tokens_end_a_choice_and_are_not_reported(void **state)
{
    struct bench b = bench_default();
    int stopped = 0;

    (void)state;
    bench_open(&b);
    for (int salt = 0; salt < 10; salt++) {
        const int32_t stops[] = { 3, 9, 27, 50, FAKE_VOCAB + 5, -1 };
        struct job *j = job_create(30, salt, 60);
        j->req.stop_ids = stops;
        j->req.n_stop = COUNT(stops);
        job_submit(&b, j);
        generation_wait(j->gen);
        stopped += j->got.finish[0] == FINISH_STOP;
        job_finish(&b, j);
    }
    assert_true(stopped >= 5);
    bench_close(&b);
}

/* fake_expect bans by id, so only stop ids of the vocabulary here. */
static void stop_tokens_are_banned_before_min_tokens(void **state)
{
    struct bench b = bench_default();

    (void)state;
    bench_open(&b);
    for (int salt = 0; salt < 10; salt++) {
        const int32_t stops[] = { 3, 9, 27, 50, 1, 2, 5, 7 };
        struct job *j = job_create(30, salt, 60);
        j->req.stop_ids = stops;
        j->req.n_stop = COUNT(stops);
        j->req.min_tokens = 25;
        job_submit(&b, j);
        generation_wait(j->gen);
        assert_true(j->got.n[0] >= 25);
        job_finish(&b, j);
    }
    bench_close(&b);
}

static void generation_ends_where_the_context_does(void **state)
{
    struct bench b = bench_default();

    (void)state;
    b.cfg.context_max = 100;
    bench_open(&b);
    assert_int_equal(engine_info(b.engine)->context_length, 100);
    struct job *j = job_create(70, 2, 0); /* to the context's end */
    job_submit(&b, j);
    generation_wait(j->gen);
    assert_int_equal(j->got.n[0], 30);
    assert_int_equal(j->got.finish[0], FINISH_LENGTH);
    j->req.max_tokens = 30;
    job_finish(&b, j);
    j = job_create(99, 2, 500);
    job_submit(&b, j);
    generation_wait(j->gen);
    assert_int_equal(j->got.n[0], 1);
    j->req.max_tokens = 1;
    job_finish(&b, j);
    bench_close(&b);
}

/* ---- what is refused ---- */

static void refuse(struct bench *b, struct job *j, status want, const char *word)
{
    struct err err = { 0 };
    struct generation *g;

    assert_int_equal(engine_submit(b->engine, &j->req, &g, &err), want);
    assert_null(g);
    assert_non_null(strstr(err.text, word));
    mem_free(j);
}

static void wrong_requests_are_refused(void **state)
{
    struct bench b = bench_default();

    (void)state;
    b.cfg.context_max = 100;
    bench_open(&b);
    refuse(&b, job_create(100, 1, 5), ST_LIMIT, "context of 100");
    refuse(&b, job_create(0, 1, 5), ST_INVALID, "prompt");
    struct job *j = job_create(20, 1, 5);
    j->prompt[19] = FAKE_VOCAB;
    refuse(&b, j, ST_INVALID, "token 61 at 19");
    j = job_create(20, 1, 5);
    j->prompt[0] = -1;
    refuse(&b, j, ST_INVALID, "token -1 at 0");
    j = job_create(20, 1, 5);
    j->req.n = ENGINE_N_MAX + 1;
    refuse(&b, j, ST_INVALID, "n:");
    j = job_create(20, 1, 5);
    j->req.sampling.top_p = -1;
    refuse(&b, j, ST_INVALID, "top_p");
    j = job_create(20, 1, 5);
    j->req.n_stop = ENGINE_STOP_MAX + 1;
    refuse(&b, j, ST_INVALID, "stop");
    bench_close(&b);
}

static void models_without_logits_do_not_generate(void **state)
{
    struct bench b = bench_default();

    (void)state;
    b.options.hidden_only = true;
    bench_open(&b);
    refuse(&b, job_create(10, 1, 5), ST_UNSUPPORTED, "no logits");
    bench_close(&b);
}

/* ---- a model that can be held up ---- */

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool closed;
    int inside;   /* steps that have come */
    int fail_at;  /* the step that fails, 0: none */
};

static status gate_hook(void *user, const struct lm_step *step, struct err *err)
{
    struct gate *g = user;

    (void)step;
    (void)pthread_mutex_lock(&g->lock);
    const int number = ++g->inside;
    (void)pthread_cond_broadcast(&g->changed);
    while (g->closed) (void)pthread_cond_wait(&g->changed, &g->lock);
    (void)pthread_mutex_unlock(&g->lock);
    return number == g->fail_at ? FAIL(err, ST_INTERNAL, "the model broke") : ST_OK;
}

static void gate_set(struct gate *g, bool closed)
{
    (void)pthread_mutex_lock(&g->lock);
    g->closed = closed;
    (void)pthread_cond_broadcast(&g->changed);
    (void)pthread_mutex_unlock(&g->lock);
}

static void gate_wait_inside(struct gate *g, int n)
{
    (void)pthread_mutex_lock(&g->lock);
    while (g->inside < n) (void)pthread_cond_wait(&g->changed, &g->lock);
    (void)pthread_mutex_unlock(&g->lock);
}

static void gate_init(struct gate *g, struct bench *b, bool closed)
{
    *g = (struct gate){ .closed = closed };
    (void)pthread_mutex_init(&g->lock, NULL);
    (void)pthread_cond_init(&g->changed, NULL);
    bench_open(b);
    fake_lm_hook(b->lm, gate_hook, g);
}

static void job_drop(struct job *j)
{
    generation_wait(j->gen);
    generation_unref(j->gen);
    mem_free(j);
}

static void cancelling_stops_within_a_step(void **state)
{
    struct bench b = bench_default();
    struct gate gate;

    (void)state;
    gate_init(&gate, &b, true);
    struct job *j = job_create(400, 1, 50); /* ten chunks of prompt */
    job_submit(&b, j);
    gate_wait_inside(&gate, 1);
    generation_cancel(j->gen);
    gate_set(&gate, false);
    generation_wait(j->gen);
    assert_int_equal(gate.inside, 1);
    assert_int_equal(j->got.n[0], 0);
    assert_int_equal(j->got.finish[0], FINISH_CANCELLED);
    struct engine_stats stats;
    engine_stats(b.engine, &stats);
    assert_int_equal(stats.cancelled, 1);
    job_drop(j);
    nothing_is_held(&b);
    bench_close(&b);
}

static void a_cancelled_choice_gets_no_more_tokens(void **state)
{
    struct bench b = bench_default();
    struct gate gate;

    (void)state;
    gate_init(&gate, &b, true);
    struct job *j = job_create(10, 1, 50);
    j->req.n = 3;
    job_submit(&b, j);
    gate_wait_inside(&gate, 1);
    generation_cancel(j->gen);
    gate_set(&gate, false); /* the step ends and samples: the token goes nowhere */
    generation_wait(j->gen);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(j->got.n[i], 0);
        assert_int_equal(j->got.finish[i], FINISH_CANCELLED);
    }
    assert_int_equal(j->got.n_after_finish, 0);
    job_drop(j);
    bench_close(&b);
}

static void a_queued_request_can_be_cancelled_and_the_queue_is_bounded(void **state)
{
    struct bench b = bench_default();
    struct gate gate;
    struct job *queued[3];
    struct generation *g;

    (void)state;
    b.cfg.batch_max = 1;
    b.cfg.queue_max = 3;
    gate_init(&gate, &b, true);
    struct job *running = job_create(10, 1, 20);
    job_submit(&b, running);
    gate_wait_inside(&gate, 1); /* it has left the queue */
    for (int i = 0; i < 3; i++) {
        queued[i] = job_create(10, i, 20);
        job_submit(&b, queued[i]);
    }
    struct job *late = job_create(10, 1, 20);
    struct err err = { 0 };
    assert_int_equal(engine_submit(b.engine, &late->req, &g, &err), ST_BUSY);
    assert_non_null(strstr(err.text, "3 requests"));
    generation_cancel(queued[1]->gen);
    gate_set(&gate, false);
    job_finish(&b, running);
    generation_wait(queued[1]->gen);
    assert_int_equal(queued[1]->got.finish[0], FINISH_CANCELLED);
    assert_int_equal(queued[1]->got.n[0], 0);
    job_drop(queued[1]);
    job_finish(&b, queued[0]);
    job_finish(&b, queued[2]);
    job_submit(&b, late); /* there is room again */
    job_finish(&b, late);
    bench_close(&b);
}

static void a_failed_step_ends_its_requests_and_no_others(void **state)
{
    struct bench b = bench_default();
    struct gate gate;

    (void)state;
    gate_init(&gate, &b, false);
    gate.fail_at = 4;
    struct job *j = job_create(10, 1, 50);
    j->req.n = 2;
    job_submit(&b, j);
    generation_wait(j->gen);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(j->got.finish[i], FINISH_ERROR);
        assert_int_equal(j->got.n[i], 3);
    }
    assert_string_equal(j->got.error, "the model broke");
    job_drop(j);
    j = job_create(10, 1, 50);
    job_submit(&b, j);
    job_finish(&b, j);
    bench_close(&b);
}

static void a_row_of_nan_ends_one_choice_only(void **state)
{
    struct bench b = bench_default();

    (void)state;
    bench_open(&b);
    fake_lm_poison(b.lm, 25);
    struct job *sick = job_create(20, 1, 50), *well = job_create(26, 2, 50);
    job_submit(&b, sick);
    job_submit(&b, well);
    job_finish(&b, well);
    generation_wait(sick->gen);
    assert_int_equal(sick->got.finish[0], FINISH_ERROR);
    assert_int_equal(sick->got.n[0], 5);
    assert_non_null(strstr(sick->got.error, "no token"));
    job_drop(sick);
    bench_close(&b);
}

static void closing_cancels_what_runs(void **state)
{
    struct bench b = bench_default();
    struct gate gate;
    struct job *jobs[4];

    (void)state;
    b.cfg.batch_max = 2;
    gate_init(&gate, &b, true);
    for (int i = 0; i < 4; i++) {
        jobs[i] = job_create(30, i, 300);
        job_submit(&b, jobs[i]);
    }
    gate_wait_inside(&gate, 1);
    gate_set(&gate, false);
    bench_close(&b);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(jobs[i]->got.finish[0], FINISH_CANCELLED);
        generation_cancel(jobs[i]->gen); /* harmless now */
        generation_resume(jobs[i]->gen);
        job_drop(jobs[i]);
    }
}

/* ---- sinks that are full ---- */

static void a_full_sink_loses_nothing(void **state)
{
    (void)state;
    for (int dense = 0; dense < 2; dense++) {
        struct bench b = bench_default();
        struct job *jobs[5];
        b.options.dense = dense;
        b.options.long_threshold = 64;
        b.cfg.kv_tokens_max = 5 * KV_PAGE_TOKENS;
        bench_open(&b);
        for (int i = 0; i < 5; i++) {
            jobs[i] = job_create(20 + i * 8, i, 90);
            jobs[i]->req.n = 1 + i % 2;
            jobs[i]->got.refuse_every = 2 + i;
            job_submit(&b, jobs[i]);
        }
        for (int i = 0; i < 5; i++) {
            while (true) { /* a reader that comes by now and then */
                (void)pthread_mutex_lock(&jobs[i]->gen->lock);
                const bool finished = jobs[i]->gen->finished;
                (void)pthread_mutex_unlock(&jobs[i]->gen->lock);
                if (finished) break;
                for (int k = i; k < 5; k++) generation_resume(jobs[k]->gen);
                os_sleep_ns(20000);
            }
            assert_true(jobs[i]->got.refused > 5);
            job_finish(&b, jobs[i]);
        }
        nothing_is_held(&b);
        bench_close(&b);
    }
}

static bool refuse_all(void *user, const struct gen_event *ev)
{
    struct collect *c = user;

    if (ev->finish == FINISH_NONE) {
        c->refused++;
        return false;
    }
    return collect_sink(user, ev);
}

/* One seat, and its owner's sink is full: the seat goes to the next. Cancelling the paused one drops its token. */
static void a_paused_choice_gives_its_seat_away(void **state)
{
    (void)state;
    for (int dense = 0; dense < 2; dense++) {
        struct bench b = bench_default();
        b.options.dense = dense;
        b.cfg.batch_max = 1;
        b.cfg.kv_tokens_max = 3 * KV_PAGE_TOKENS;
        bench_open(&b);
        struct job *paused = job_create(100, 1, 50), *next = job_create(120, 2, 50);
        paused->req.sink = refuse_all;
        job_submit(&b, paused);
        job_submit(&b, next);
        job_finish(&b, next); /* it even got the paused one's pages */
        assert_int_equal(paused->got.refused, 1);
        generation_resume(paused->gen);
        generation_cancel(paused->gen);
        generation_wait(paused->gen);
        assert_int_equal(paused->got.finish[0], FINISH_CANCELLED);
        assert_int_equal(paused->got.n[0], 0);
        job_drop(paused);
        nothing_is_held(&b);
        bench_close(&b);
    }
}

/* ---- stopping one choice from its own sink ---- */

struct stopper {
    struct collect got;
    struct generation *volatile *gen;
    int stop_after;
};

static bool stopping_sink(void *user, const struct gen_event *ev)
{
    struct stopper *s = user;
    const bool ok = collect_sink(&s->got, ev);

    if (ev->choice == 1 && s->got.n[1] == s->stop_after) generation_stop_choice(*s->gen, 1);
    return ok;
}

static void a_choice_stopped_in_its_sink_leaves_the_others(void **state)
{
    struct bench b = bench_default();
    struct gate gate;

    (void)state;
    for (int stop_after = 1; stop_after <= 20; stop_after += 19) { /* at once, and with its last token */
        gate_init(&gate, &b, true);
        struct job *j = job_create(30, 1, 20);
        struct stopper s = { .stop_after = stop_after };
        struct generation *volatile gen = NULL;
        s.gen = &gen;
        j->req.n = 3;
        j->req.user = &s;
        j->req.sink = stopping_sink;
        job_submit(&b, j);
        gen = j->gen;
        gate_set(&gate, false);
        generation_wait(j->gen);
        assert_int_equal(s.got.n[1], stop_after);
        assert_int_equal(s.got.finish[1], FINISH_STOP);
        assert_int_equal(s.got.n[0], 20);
        assert_int_equal(s.got.n[2], 20);
        assert_int_equal(s.got.finish[0], FINISH_LENGTH);
        assert_int_equal(s.got.n_after_finish, 0);
        job_drop(j);
        bench_close(&b);
    }
}

/* ---- order and cost ---- */

/* While a long prompt is fed in chunks, a choice that decodes gets a token in every step. */
static void decoding_goes_on_beside_a_long_prompt(void **state)
{
    struct bench b = bench_default();
    struct gate gate;

    (void)state;
    b.options.tokens_max = 20;
    gate_init(&gate, &b, true);
    struct job *shorter = job_create(5, 1, 100), *longer = job_create(400, 2, 5);
    job_submit(&b, shorter);
    gate_wait_inside(&gate, 1);
    job_submit(&b, longer);
    gate_set(&gate, false);
    job_finish(&b, shorter);
    job_finish(&b, longer);
    /* step 1 feeds the short prompt; 400 tokens at 19 a step beside the 99 others */
    assert_true(fake_lm_stats(b.lm)->steps <= 1 + 99 + 5);
    assert_true(fake_lm_stats(b.lm)->mixed_steps >= 21);
    bench_close(&b);
}

struct alloc_watch {
    struct gate gate;
    uint64_t first, last;
    int seen;
};

static status alloc_hook(void *user, const struct lm_step *step, struct err *err)
{
    struct alloc_watch *w = user;

    TRY(gate_hook(&w->gate, step, err));
    if (step->n_seqs < 8 || step->n_tokens > 8) return ST_OK;
    w->last = mem_alloc_count();
    if (w->seen++ == 0) w->first = w->last;
    return ST_OK;
}

/* From the first step in which all eight decode to the last, over page borders, with penalties and publishing. */
static void decode_steps_do_not_allocate(void **state)
{
    struct bench b = bench_default();
    struct alloc_watch watch = { 0 };
    struct job *jobs[8];

    (void)state;
    gate_init(&watch.gate, &b, true);
    fake_lm_hook(b.lm, alloc_hook, &watch);
    for (int i = 0; i < 8; i++) {
        jobs[i] = job_create(20 + i, i, 400);
        jobs[i]->req.sampling.presence_penalty = 0.1F;
        jobs[i]->req.sampling.top_p = 0.9F;
        job_submit(&b, jobs[i]);
    }
    gate_set(&watch.gate, false);
    for (int i = 0; i < 8; i++) generation_wait(jobs[i]->gen);
    assert_true(watch.seen > 300);
    assert_int_equal(watch.last, watch.first);
    for (int i = 0; i < 8; i++) job_finish(&b, jobs[i]);
    bench_close(&b);
}

static void every_failed_allocation_ends_in_an_error(void **state)
{
    int refused = 0, failed = 0, opened = 0;

    (void)state;
    for (uint64_t n = 1; n < 200; n++) {
        struct bench b = bench_default();
        struct job *j = job_create(70, 2, 5);
        struct generation *g = NULL;
        j->req.n = 2;
        b.cfg.kv_tokens_max = 1024;
        b.lm = fake_lm_create(&b.options);
        mem_fail_after(n, 0);
        status st = engine_open_lm(&b.engine, b.lm, 600, &b.cfg, NULL);
        if (st == ST_OK) st = engine_submit(b.engine, &j->req, &g, NULL);
        if (st == ST_OK) generation_wait(g);
        mem_fail_after(0, 0);
        if (st != ST_OK) assert_int_equal(st, ST_NOMEM);
        refused += st != ST_OK;
        for (int i = 0; st == ST_OK && i < 2; i++) {
            assert_true(j->got.finish[i] == FINISH_LENGTH || j->got.finish[i] == FINISH_ERROR);
            failed += j->got.finish[i] == FINISH_ERROR;
        }
        opened += b.engine != NULL;
        generation_unref(g);
        engine_close(b.engine);
        mem_free(j);
    }
    assert_true(refused > 15 && failed > 3 && opened > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_request_gets_its_tokens),
        cmocka_unit_test(sixteen_at_once_equal_each_alone),
        cmocka_unit_test(fewer_seats_than_requests_is_fine),
        cmocka_unit_test(small_steps_are_fine),
        cmocka_unit_test(a_seed_repeats_and_another_differs),
        cmocka_unit_test(without_a_seed_answers_differ),
        cmocka_unit_test(choices_share_the_prompt),
        cmocka_unit_test(more_choices_than_seats_all_finish),
        cmocka_unit_test(a_prompt_seen_before_is_not_fed_again),
        cmocka_unit_test(the_last_token_is_always_fed),
        cmocka_unit_test(an_answer_fed_back_is_found),
        cmocka_unit_test(when_pages_run_out_nothing_is_lost),
        cmocka_unit_test(a_request_that_needs_every_page_runs),
        cmocka_unit_test(a_request_waits_for_a_sessions_pages),
        cmocka_unit_test(crossing_the_rotary_threshold_feeds_everything_anew),
        cmocka_unit_test(rotary_classes_do_not_share_pages),
        cmocka_unit_test(dense_models_run_one_at_a_time),
        cmocka_unit_test(stop_tokens_end_a_choice_and_are_not_reported),
        cmocka_unit_test(stop_tokens_are_banned_before_min_tokens),
        cmocka_unit_test(generation_ends_where_the_context_does),
        cmocka_unit_test(wrong_requests_are_refused),
        cmocka_unit_test(models_without_logits_do_not_generate),
        cmocka_unit_test(cancelling_stops_within_a_step),
        cmocka_unit_test(a_cancelled_choice_gets_no_more_tokens),
        cmocka_unit_test(a_queued_request_can_be_cancelled_and_the_queue_is_bounded),
        cmocka_unit_test(a_failed_step_ends_its_requests_and_no_others),
        cmocka_unit_test(a_row_of_nan_ends_one_choice_only),
        cmocka_unit_test(closing_cancels_what_runs),
        cmocka_unit_test(a_full_sink_loses_nothing),
        cmocka_unit_test(a_paused_choice_gives_its_seat_away),
        cmocka_unit_test(a_choice_stopped_in_its_sink_leaves_the_others),
        cmocka_unit_test(decoding_goes_on_beside_a_long_prompt),
        cmocka_unit_test(decode_steps_do_not_allocate),
        cmocka_unit_test(every_failed_allocation_ends_in_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
