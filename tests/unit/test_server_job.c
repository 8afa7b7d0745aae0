/* SPDX-License-Identifier: MIT */
/* Sleeping and waking without a connection, and a job between its two sides. */
#include "server/job.h"
#include "server/server_internal.h"
#include "tests/unit/fake_engine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct server *server;
static struct engine *engine;

static int setup(void **state)
{
    (void)state;
    server = mem_calloc(1, sizeof *server);
    assert_non_null(server);
    assert_int_equal(watcher_create(&server->watcher, NULL), ST_OK);
    assert_int_equal(engine_open(&engine, NULL, NULL, NULL), ST_OK);
    fake_script.step_ns = 1000000;
    fake_script.loop = true;
    fake_script.n = 1;
    fake_script.ids[0] = 7;
    fake_apply();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    engine_close(engine);
    while (atomic_load(&server->n_alive) > 0) os_sleep_ns(1000000);
    watcher_destroy(server->watcher);
    mem_free(server);
    return 0;
}

static void a_wake_before_the_sleep_is_not_lost(void **state)
{
    struct exchange *ex = exchange_create(server, "/x");

    (void)state;
    exchange_wake(ex);
    exchange_wake(ex);
    assert_false(exchange_sleep(ex)); /* look again */
    atomic_store(&server->closing, true);
    assert_false(exchange_sleep(ex)); /* nothing sleeps any more */
    atomic_store(&server->closing, false);
    ex->over = true;
    exchange_wake(ex); /* there is no connection to resume */
    exchange_unref(ex);
}

static void free_job(struct job *job)
{
    job_fini(job);
    mem_free(job);
}

static struct job *make_job(struct exchange *ex)
{
    struct job *job = mem_calloc(1, sizeof *job);

    assert_true(job_init(job, ex, free_job));
    assert_true(job_expect(job, 1, true));
    return job;
}

static struct gen_request request(void)
{
    static const int32_t prompt[] = { 1, 2, 3 };

    return (struct gen_request){
        .ids = prompt, .n_ids = COUNT(prompt), .n = 1, .sampling = sampling_default()
    };
}

static enum finish_reason drain(struct job *job, size_t *n_tokens)
{
    struct gen_event ev = { .finish = FINISH_NONE };

    *n_tokens = 0;
    for (int i = 0; i < 5000; i++) {
        while (job_next(job, &ev)) {
            if (ev.finish != FINISH_NONE) return ev.finish;
            ++*n_tokens;
        }
        os_sleep_ns(1000000);
    }
    fail_msg("no finish event");
    return FINISH_NONE;
}

static void a_job_cancelled_before_it_is_submitted_ends_at_once(void **state)
{
    struct exchange *ex = exchange_create(server, "/x");
    struct job *job = make_job(ex);
    struct gen_request req = request();
    size_t n = 0;

    (void)state;
    job_cancel(job, FAULT_GONE, "first");
    job_cancel(job, FAULT_STOPPING, "second");
    assert_int_equal(job_submit(job, engine, &req, NULL), ST_OK);
    assert_int_equal(drain(job, &n), FINISH_CANCELLED);
    assert_true(n < 100);
    struct api_error e;
    job_error(job, &e);
    assert_string_equal(e.text, "first");
    job_unref(job);
    exchange_unref(ex);
}

static void a_full_ring_pauses_and_goes_on(void **state)
{
    struct exchange *ex = exchange_create(server, "/x");
    struct job *job = make_job(ex);
    struct gen_request req = request();
    const int pauses = atomic_load(&fake_counts.pauses);
    struct gen_event ev;
    size_t n = 0;

    (void)state;
    fake_script.step_ns = 0;
    fake_apply();
    assert_int_equal(job_submit(job, engine, &req, NULL), ST_OK);
    while (atomic_load(&fake_counts.pauses) == pauses) os_sleep_ns(1000000);
    const long tokens = atomic_load(&fake_counts.tokens);
    os_sleep_ns(50000000);
    assert_int_equal(atomic_load(&fake_counts.tokens), tokens);
    for (; n < JOB_RING_EVENTS && job_next(job, &ev); n++) assert_int_equal(ev.id, 7);
    while (atomic_load(&fake_counts.tokens) < tokens + 100) {
        if (!job_next(job, &ev)) os_sleep_ns(100000);
    }
    job_cancel(job, FAULT_GONE, "enough");
    assert_int_equal(drain(job, &n), FINISH_CANCELLED);
    job_unref(job);
    exchange_unref(ex);
}

static void a_refused_submission_leaves_no_reference(void **state)
{
    struct exchange *ex = exchange_create(server, "/x");
    struct job *job = make_job(ex);
    struct gen_request req = request();

    (void)state;
    fake_script.context = 1;
    fake_apply();
    assert_int_equal(job_submit(job, engine, &req, NULL), ST_LIMIT);
    fake_script.context = 4096;
    fake_apply();
    assert_int_equal(atomic_load(&job->refs), 1);
    job_unref(job);
    exchange_unref(ex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wake_before_the_sleep_is_not_lost),
        cmocka_unit_test(a_job_cancelled_before_it_is_submitted_ends_at_once),
        cmocka_unit_test(a_full_ring_pauses_and_goes_on),
        cmocka_unit_test(a_refused_submission_leaves_no_reference),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
