/* SPDX-License-Identifier: MIT */
/* Threads, queues, pools and the log: order, bounds, closing, timeouts. */
#include "base/base.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { PRODUCERS = 3, CONSUMERS = 3, ITEMS = 4000, MS = 1000000 };

static int numbers[PRODUCERS * ITEMS];
static _Atomic int taken[PRODUCERS * ITEMS];

static void thread_runs_with_its_name(void *arg)
{
    char *name = arg;
    (void)pthread_getname_np(pthread_self(), name, 16);
}

static void thread_reads_its_mask(void *arg) { (void)pthread_sigmask(SIG_SETMASK, NULL, arg); }

static void threads_have_names_and_leave_signals_to_main(void **state)
{
    struct thread t;
    char name[16] = "";
    sigset_t mask;

    (void)state;
    assert_int_equal(
        thread_start(&t, "a-name-longer-than-fifteen", thread_runs_with_its_name, name, NULL),
        ST_OK);
    thread_join(&t);
    thread_join(&t); /* harmless */
    assert_string_equal(name, "a-name-longer-t");
    assert_int_equal(thread_start(&t, "mask", thread_reads_its_mask, &mask, NULL), ST_OK);
    thread_join(&t);
    assert_true(sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGINT) == 1);
    assert_true(sigismember(&mask, SIGSEGV) == 0 && sigismember(&mask, SIGBUS) == 0);
    mem_fail_after(1, 0);
    assert_int_equal(thread_start(&t, "none", thread_reads_its_mask, &mask, NULL), ST_NOMEM);
    mem_fail_after(0, 0);
    thread_join(&t);
}

static void queue_is_first_in_first_out_and_bounded(void **state)
{
    struct queue q;

    (void)state;
    assert_int_equal(queue_init(&q, 0, NULL), ST_INVALID);
    assert_int_equal(queue_init(&q, 3, NULL), ST_OK);
    assert_null(queue_pop(&q, 0));
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++) assert_true(queue_push(&q, &numbers[i]));
        assert_false(queue_push(&q, &numbers[3]));
        assert_int_equal(queue_count(&q), 3);
        for (int i = 0; i < 3; i++) assert_ptr_equal(queue_pop(&q, 0), &numbers[i]);
        assert_true(queue_push(&q, &numbers[0])); /* moves the head, so that the ring wraps */
        assert_non_null(queue_pop(&q, UINT64_MAX));
    }
    queue_fini(&q);
    queue_fini(&q);
}

static void queue_waits_as_long_as_asked(void **state)
{
    struct queue q;

    (void)state;
    assert_int_equal(queue_init(&q, 1, NULL), ST_OK);
    const uint64_t before = os_now_ns();
    assert_null(queue_pop(&q, 20 * MS));
    const uint64_t waited = os_now_ns() - before;
    assert_in_range(waited, 20 * MS, UINT64_C(5000) * MS);
    queue_fini(&q);
}

static void queue_close_wakes_waiters(void *arg)
{
    os_sleep_ns(10 * MS);
    queue_close(arg);
}

static void closed_queue_gives_what_it_holds(void **state)
{
    struct queue q;
    struct thread t;

    (void)state;
    assert_int_equal(queue_init(&q, 2, NULL), ST_OK);
    assert_int_equal(thread_start(&t, "close", queue_close_wakes_waiters, &q, NULL), ST_OK);
    assert_null(queue_pop(&q, UINT64_MAX));
    thread_join(&t);
    assert_false(queue_push(&q, &numbers[0]));
    queue_fini(&q);
    assert_int_equal(queue_init(&q, 2, NULL), ST_OK);
    assert_true(queue_push(&q, &numbers[0]));
    queue_close(&q);
    assert_ptr_equal(queue_pop(&q, UINT64_MAX), &numbers[0]);
    assert_null(queue_pop(&q, UINT64_MAX));
    queue_fini(&q);
}

static struct queue shared;
static _Atomic int next_producer;

static void produce(void *arg)
{
    const int first = atomic_fetch_add(&next_producer, 1) * ITEMS;
    (void)arg;
    for (int i = 0; i < ITEMS; i++) {
        while (!queue_push(&shared, &numbers[first + i])) os_sleep_ns(1000);
    }
}

static void consume(void *arg)
{
    const int *item;
    (void)arg;
    while ((item = queue_pop(&shared, UINT64_MAX))) atomic_fetch_add(&taken[item - numbers], 1);
}

static void every_item_arrives_once(void **state)
{
    struct thread p[PRODUCERS], c[CONSUMERS];

    (void)state;
    assert_int_equal(queue_init(&shared, 16, NULL), ST_OK);
    for (int i = 0; i < CONSUMERS; i++)
        assert_int_equal(thread_start(&c[i], "consume", consume, NULL, NULL), ST_OK);
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(thread_start(&p[i], "produce", produce, NULL, NULL), ST_OK);
    for (int i = 0; i < PRODUCERS; i++) thread_join(&p[i]);
    queue_close(&shared);
    for (int i = 0; i < CONSUMERS; i++) thread_join(&c[i]);
    for (int i = 0; i < PRODUCERS * ITEMS; i++) assert_int_equal(taken[i], 1);
    queue_fini(&shared);
}

static _Atomic int jobs_done;
static _Atomic bool gate_open;

static void job_waits(void *arg)
{
    (void)arg;
    while (!gate_open) os_sleep_ns(MS / 10);
    jobs_done++;
}

static void pool_is_bounded_and_finishes_its_queue(void **state)
{
    struct pool *p;
    int accepted = 0;

    (void)state;
    assert_int_equal(pool_create(&p, 0, 4, NULL), ST_INVALID);
    assert_null(p);
    assert_int_equal(pool_create(&p, 2, 4, NULL), ST_OK);
    for (int i = 0; i < 5000 && accepted < 6; i++) { /* two running, four queued */
        accepted += pool_submit(p, job_waits, NULL);
        os_sleep_ns(MS);
    }
    assert_int_equal(accepted, 6);
    assert_false(pool_submit(p, job_waits, NULL));
    gate_open = true;
    pool_destroy(p);
    assert_int_equal(jobs_done, accepted);
    pool_destroy(NULL);
}

static void pool_survives_every_failed_allocation(void **state)
{
    struct pool *p = NULL;
    uint64_t n = 1;

    (void)state;
    for (; n < 50 && !p; n++) {
        struct err err = { 0 };
        mem_fail_after(n, 0);
        const status st = pool_create(&p, 3, 4, &err);
        mem_fail_after(0, 0);
        assert_int_equal(st, p ? ST_OK : ST_NOMEM);
    }
    assert_in_range(n, 6, 49);
    pool_destroy(p);
}

static char logged[2][2100];
static int n_logged;

static void keep_line(void *user, enum log_level level, const char *line)
{
    assert_ptr_equal(user, logged);
    assert_int_equal(level, LOG_WARN);
    (void)snprintf(logged[n_logged++ % 2], sizeof logged[0], "%s", line);
}

static int times_evaluated;

static int evaluate(void) { return ++times_evaluated; }

static void log_tests_the_level_first_and_escapes(void **state)
{
    enum log_level level = LOG_ERROR;
    char huge[5000];

    (void)state;
    log_configure(LOG_WARN, keep_line, logged);
    LOG(LOG_INFO, "n=%d", evaluate());
    assert_int_equal(times_evaluated, 0);
    LOG(LOG_WARN, "n=%d path=%s", evaluate(), "a\nlevel=error forged\x1b[0m");
    assert_string_equal(logged[0], "n=1 path=a\\nlevel=error forged\\x1b[0m");
    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    LOG(LOG_WARN, "%s", huge);
    assert_int_equal(strlen(logged[1]), 2047);
    assert_int_equal(n_logged, 2);
    assert_true(log_level_parse("trace", &level));
    assert_int_equal(level, LOG_TRACE);
    assert_false(log_level_parse("loud", &level));
    log_configure(LOG_WARN, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_have_names_and_leave_signals_to_main),
        cmocka_unit_test(queue_is_first_in_first_out_and_bounded),
        cmocka_unit_test(queue_waits_as_long_as_asked),
        cmocka_unit_test(closed_queue_gives_what_it_holds),
        cmocka_unit_test(every_item_arrives_once),
        cmocka_unit_test(pool_is_bounded_and_finishes_its_queue),
        cmocka_unit_test(pool_survives_every_failed_allocation),
        cmocka_unit_test(log_tests_the_level_first_and_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
