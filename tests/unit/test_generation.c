/* SPDX-License-Identifier: MIT */
/* The life of a request: what is refused, how it ends, how it is cancelled, paused and stopped. */
#include "helper_engine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

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

/* ---- masks ---- */

/* Every id is one more than a multiple of three away from the one before; even ones first. */
static void steps_of_three(void *user, int choice, const int32_t *ids, size_t n, uint32_t *allowed)
{
    (void)user;
    for (int32_t id = 0; id < FAKE_VOCAB; id++)
        if (n == 0 ? id % 2 != choice % 2 : (id - ids[n - 1] + 3 * FAKE_VOCAB) % 3 != 1)
            token_set_remove(allowed, id);
}

/* Beside requests without one, with little memory, so that choices wait and begin again;
 * job_finish knows the mask. */
static void a_mask_says_what_may_come(void **state)
{
    struct bench b = bench_default();
    struct job *jobs[6];

    (void)state;
    b.cfg.kv_tokens_max = 6 * KV_PAGE_TOKENS;
    bench_open(&b);
    for (int i = 0; i < 6; i++) {
        jobs[i] = job_create(20 + i, i, 80);
        jobs[i]->req.n = 1 + i % 3;
        if (i % 2 == 0) jobs[i]->req.mask = steps_of_three;
        job_submit(&b, jobs[i]);
    }
    for (int i = 0; i < 6; i++) {
        const struct collect *got = &jobs[i]->got;
        generation_wait(jobs[i]->gen);
        for (int c = 0; i % 2 == 0 && c < jobs[i]->req.n; c++) {
            assert_true(got->n[c] == 80 && got->ids[c][0] % 2 == c % 2);
            for (int k = 1; k < 80; k++)
                assert_int_equal((got->ids[c][k] - got->ids[c][k - 1] + 3 * FAKE_VOCAB) % 3, 1);
        }
        job_finish(&b, jobs[i]);
    }
    nothing_is_held(&b);
    bench_close(&b);
}

/* The last of three tokens can be followed by nothing. */
static void three_and_nothing(void *user, int choice, const int32_t *ids, size_t n,
                              uint32_t *allowed)
{
    (void)user, (void)choice, (void)ids;
    for (int32_t id = 0; n == 3 && id < FAKE_VOCAB; id++) token_set_remove(allowed, id);
}

static void a_mask_that_leaves_nothing_ends_the_choice(void **state)
{
    struct bench b = bench_default();

    (void)state;
    bench_open(&b);
    struct job *j = job_create(30, 1, 20);
    j->req.mask = three_and_nothing;
    job_submit(&b, j);
    generation_wait(j->gen);
    assert_int_equal(j->got.finish[0], FINISH_ERROR);
    assert_int_equal(j->got.n[0], 3);
    assert_non_null(strstr(j->got.error, "mask"));
    job_drop(j);
    nothing_is_held(&b);
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

static bool refuse_once(void *user, const struct gen_event *ev)
{
    struct collect *c = user;

    if (ev->finish == FINISH_NONE && c->refused == 0) {
        c->refused++;
        return false;
    }
    return collect_sink(user, ev);
}

/* Nothing else is going on, so nothing else wakes the worker. */
static void one_resume_is_enough(void **state)
{
    struct bench b = bench_default();
    struct engine_stats stats = { 0 };

    (void)state;
    bench_open(&b);
    struct job *j = job_create(100, 1, 50);
    j->req.sink = refuse_once;
    job_submit(&b, j);
    while (stats.steps < 3) { /* 100 tokens in steps of 40 */
        os_sleep_ns(1000000);
        engine_stats(b.engine, &stats);
    }
    os_sleep_ns(10000000);
    generation_resume(j->gen);
    job_finish(&b, j);
    bench_close(&b);
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

/* One seat, and its owner's sink is full: the seat goes to the next. Cancelling the paused one
 * drops its token. */
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
    for (int stop_after = 1; stop_after <= 20;
         stop_after += 19) { /* at once, and with its last token */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stop_tokens_end_a_choice_and_are_not_reported),
        cmocka_unit_test(stop_tokens_are_banned_before_min_tokens),
        cmocka_unit_test(a_mask_says_what_may_come),
        cmocka_unit_test(a_mask_that_leaves_nothing_ends_the_choice),
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
        cmocka_unit_test(one_resume_is_enough),
        cmocka_unit_test(a_paused_choice_gives_its_seat_away),
        cmocka_unit_test(a_choice_stopped_in_its_sink_leaves_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
