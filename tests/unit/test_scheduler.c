/* SPDX-License-Identifier: MIT */
/* Scheduling against the toy model: whatever is batched, shared, taken away or put off, each choice
 * gets exactly the tokens that its prompt, parameters and seed determine. */
#include "helper_engine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { MANY = 16 };

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

/* ---- states of fixed size beside the pages ---- */

static void states_go_with_their_sequences(void **state)
{
    struct bench b = bench_default();

    (void)state;
    b.options.state = true;
    bench_open(&b);
    run_many(&b);
    assert_true(fake_lm_stats(b.lm)->seqs_most > 8);
    assert_int_equal(fake_lm_stats(b.lm)->states, 0);
    assert_int_equal(b.lm->n_states, 0);
    nothing_is_held(&b);
    bench_close(&b);
}

/* A fork has a state of its own, and it is the prompt's. */
static void choices_copy_the_state(void **state)
{
    struct bench b = bench_default();

    (void)state;
    b.options.state = true;
    bench_open(&b);
    struct job *j = job_create(150, 1, 100);
    j->req.n = 4;
    job_submit(&b, j);
    job_finish(&b, j);
    assert_int_equal(fake_lm_stats(b.lm)->tokens, 150 + 4 * 99); /* the prompt once */
    nothing_is_held(&b);
    bench_close(&b);
}

/* Pages do not hold the state at their end: a prompt seen before is fed again. */
static void prefixes_are_not_reused_without_their_state(void **state)
{
    struct bench b = bench_default();

    (void)state;
    b.options.state = true;
    bench_open(&b);
    for (int i = 0; i < 2; i++) {
        struct job *j = job_create(200, 3, 10);
        job_submit(&b, j);
        generation_wait(j->gen);
        assert_int_equal(j->got.n_cached, 0);
        job_finish(&b, j);
    }
    assert_int_equal(fake_lm_stats(b.lm)->tokens, 2 * (200 + 9));
    bench_close(&b);
}

static void when_states_run_out_nothing_is_lost(void **state)
{
    struct bench b = bench_default();

    (void)state;
    b.options.state = true;
    bench_open(&b);
    b.lm->states_max = 3;
    run_many(&b);
    assert_int_equal(fake_lm_stats(b.lm)->seqs_most, 3);
    struct job *j = job_create(140, 5, 70);
    j->req.n = 5;
    job_submit(&b, j);
    job_finish(&b, j);
    nothing_is_held(&b);
    bench_close(&b);
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
        turn_take(&b.engine->turn);   /* all at once */
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

/* Counts how often the timeline that begins with `first` is begun. */
struct begin_watch {
    int32_t first;
    int begun;
};

static status begin_hook(void *user, const struct lm_step *step, struct err *err)
{
    struct begin_watch *w = user;

    (void)err;
    for (int32_t i = 0; i < step->n_seqs; i++)
        w->begun += step->seqs[i].n_past == 0 && step->ids[step->seqs[i].first] == w->first;
    return ST_OK;
}

static void the_oldest_never_gives_its_pages_up(void **state)
{
    struct bench b = bench_default();
    struct begin_watch watch = { 0 };
    struct job *jobs[6];

    (void)state;
    b.cfg.kv_tokens_max = 7 * KV_PAGE_TOKENS;
    b.cfg.prefix_cache = false;
    bench_open(&b);
    fake_lm_hook(b.lm, begin_hook, &watch);
    turn_take(&b.engine->turn);
    for (int i = 0; i < 6; i++) {
        jobs[i] = job_create(20 + i, i + 1, 280);
        job_submit(&b, jobs[i]);
    }
    watch.first = jobs[0]->prompt[0];
    turn_give(&b.engine->turn);
    for (int i = 0; i < 6; i++) job_finish(&b, jobs[i]);
    assert_int_equal(watch.begun, 1);
    bench_close(&b);
}

/* The order in which timelines are begun, by their first token. */
struct order_watch {
    int32_t first[64];
    int n;
};

static status order_hook(void *user, const struct lm_step *step, struct err *err)
{
    struct order_watch *w = user;

    (void)err;
    for (int32_t i = 0; i < step->n_seqs && w->n < 64; i++)
        if (step->seqs[i].n_past == 0) w->first[w->n++] = step->ids[step->seqs[i].first];
    return ST_OK;
}

/* Two run, the younger loses its pages; it comes back before a third that has waited for a seat. */
static void who_lost_its_pages_goes_before_the_younger(void **state)
{
    struct bench b = bench_default();
    struct order_watch watch = { 0 };
    struct job *jobs[3];

    (void)state;
    b.cfg.kv_tokens_max = 6 * KV_PAGE_TOKENS;
    b.cfg.batch_max = 2;
    b.cfg.prefix_cache = false;
    bench_open(&b);
    fake_lm_hook(b.lm, order_hook, &watch);
    turn_take(&b.engine->turn);
    for (int i = 0; i < 3; i++) {
        jobs[i] = job_create(20, i + 1, i < 2 ? 300 : 5);
        job_submit(&b, jobs[i]);
    }
    const int32_t second = jobs[1]->prompt[0], third = jobs[2]->prompt[0];
    turn_give(&b.engine->turn);
    for (int i = 0; i < 3; i++) job_finish(&b, jobs[i]);
    assert_true(watch.n >= 4); /* the second was begun twice */
    for (int i = 0; i + 1 < watch.n; i++) assert_true(watch.first[i] != third);
    assert_int_equal(watch.first[watch.n - 1], third);
    assert_int_equal(watch.first[watch.n - 2], second);
    bench_close(&b);
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
    assert_int_equal(session_feed(s, &(struct token_feed){ .ids = ids, .n = 128 }, NULL), ST_OK);
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

/* ---- models where the split of a prompt shows ---- */

enum { PIECE = 20, PIECE_JOBS = 6 };

/* Which job a sequence of a step is, by its page table, which stays its own. */
struct piece_watch {
    struct job *jobs[PIECE_JOBS];
    const void *pages[64];
    const struct job *job[64];
    int n, begun, wrong;
};

static const struct job *piece_job(struct piece_watch *w, const struct step_seq *seq, int32_t first)
{
    int at = 0;

    while (at < w->n && w->pages[at] != (const void *)seq->pages) at++;
    assert_true(at < 64);
    if (at == w->n) w->n++;
    w->pages[at] = (const void *)seq->pages;
    for (int i = 0; seq->n_past == 0 && i < PIECE_JOBS; i++)
        if (w->jobs[i]->prompt[0] == first) w->job[at] = w->jobs[i];
    return w->job[at];
}

static status piece_hook(void *user, const struct lm_step *step, struct err *err)
{
    struct piece_watch *w = user;

    (void)err;
    for (int32_t i = 0; i < step->n_seqs; i++) {
        const struct step_seq *seq = &step->seqs[i];
        const struct job *j = piece_job(w, seq, step->ids[seq->first]);
        const int left = (int)j->req.n_ids - seq->n_past, room = PIECE - seq->n_past % PIECE;

        w->begun += seq->n_past == 0;
        w->wrong += seq->n_tokens != (left < 1 ? 1 : left < room ? left : room);
    }
    return ST_OK;
}

/* Whatever runs beside it, and when its pages are taken away: a prompt goes in in the same pieces,
 * and what was generated one by one. */
static void pieces_are_the_prompts_own(void **state)
{
    struct bench b = bench_default();
    struct piece_watch watch = { 0 };

    (void)state;
    b.options.piece_tokens = PIECE;
    b.cfg.kv_tokens_max = 9 * KV_PAGE_TOKENS;
    bench_open(&b);
    fake_lm_hook(b.lm, piece_hook, &watch);
    turn_take(&b.engine->turn);
    for (int i = 0; i < PIECE_JOBS; i++) {
        watch.jobs[i] = job_create(15 + 13 * i, i, 280);
        job_submit(&b, watch.jobs[i]);
    }
    turn_give(&b.engine->turn);
    for (int i = 0; i < PIECE_JOBS; i++) generation_wait(watch.jobs[i]->gen);
    for (int i = 0; i < PIECE_JOBS; i++) job_finish(&b, watch.jobs[i]);
    assert_true(watch.begun > PIECE_JOBS); /* pages ran out */
    assert_int_equal(watch.wrong, 0);
    assert_true(fake_lm_stats(b.lm)->mixed_steps > 0);
    nothing_is_held(&b);
    bench_close(&b);
}

/* A page of another prompt was computed in another split. */
static void nothing_is_shared_where_the_split_shows(void **state)
{
    struct bench b = bench_default();

    (void)state;
    b.options.piece_tokens = PIECE;
    bench_open(&b);
    for (int i = 0; i < 2; i++) {
        struct job *j = job_create(200, 3, 5);
        job_submit(&b, j);
        generation_wait(j->gen);
        assert_int_equal(j->got.n_cached, 0);
        job_finish(&b, j);
    }
    bench_close(&b);
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

/* From the first step in which all eight decode to the last, over page borders, with penalties and
 * publishing. */
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
        cmocka_unit_test(states_go_with_their_sequences),
        cmocka_unit_test(choices_copy_the_state),
        cmocka_unit_test(prefixes_are_not_reused_without_their_state),
        cmocka_unit_test(when_states_run_out_nothing_is_lost),
        cmocka_unit_test(a_prompt_seen_before_is_not_fed_again),
        cmocka_unit_test(the_last_token_is_always_fed),
        cmocka_unit_test(an_answer_fed_back_is_found),
        cmocka_unit_test(when_pages_run_out_nothing_is_lost),
        cmocka_unit_test(the_oldest_never_gives_its_pages_up),
        cmocka_unit_test(who_lost_its_pages_goes_before_the_younger),
        cmocka_unit_test(a_request_that_needs_every_page_runs),
        cmocka_unit_test(a_request_waits_for_a_sessions_pages),
        cmocka_unit_test(crossing_the_rotary_threshold_feeds_everything_anew),
        cmocka_unit_test(rotary_classes_do_not_share_pages),
        cmocka_unit_test(pieces_are_the_prompts_own),
        cmocka_unit_test(nothing_is_shared_where_the_split_shows),
        cmocka_unit_test(dense_models_run_one_at_a_time),
        cmocka_unit_test(decoding_goes_on_beside_a_long_prompt),
        cmocka_unit_test(decode_steps_do_not_allocate),
        cmocka_unit_test(every_failed_allocation_ends_in_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
