/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "backends/cpu/cpu_team.h"

enum { TEAM_MAX = 6, PHASES = 7 };

struct work {
    struct cpu_team *team;
    int n;
    int slot[PHASES][TEAM_MAX]; /* written plainly: only the barrier orders it */
    atomic_int wrong;
};

/* In each phase a worker writes its slot, and after the barrier must see everyone's. */
static void phases(void *arg, int worker)
{
    struct work *w = arg;

    for (int p = 0; p < PHASES; p++) {
        w->slot[p][worker] = p + 1;
        cpu_team_sync(w->team);
        for (int i = 0; i < w->n; i++)
            if (w->slot[p][i] != p + 1) atomic_fetch_add(&w->wrong, 1);
    }
}

static void barrier_orders_what_workers_write(void **state)
{
    (void)state;
    for (int n = 1; n <= TEAM_MAX; n++) {
        struct work w = { .n = n };

        assert_int_equal(cpu_team_open(&w.team, n, NULL), ST_OK);
        assert_int_equal(cpu_team_size(w.team), n);
        for (int run = 0; run < 400; run++) {
            memset(w.slot, 0, sizeof w.slot);
            cpu_team_run(w.team, phases, &w);
        }
        cpu_team_close(w.team);
        assert_int_equal(atomic_load(&w.wrong), 0);
    }
}

static void count(void *arg, int worker)
{
    int *runs = arg;

    runs[worker * 16]++;
}

static void every_worker_runs_once_also_after_sleeping(void **state)
{
    int runs[TEAM_MAX * 16] = { 0 };
    struct cpu_team *team;

    (void)state;
    assert_int_equal(cpu_team_open(&team, 3, NULL), ST_OK);
    for (int i = 0; i < 40; i++) {
        cpu_team_run(team, count, runs);
        if (i % 4 == 0) os_sleep_ns(500000); /* longer than anyone spins */
    }
    cpu_team_close(team);
    for (int w = 0; w < 3; w++) assert_int_equal(runs[w * 16], 40);
}

static void idle_team_uses_no_cpu(void **state)
{
    struct cpu_team *team;
    int runs[TEAM_MAX * 16] = { 0 };
    struct timespec before, after;

    (void)state;
    assert_int_equal(cpu_team_open(&team, 4, NULL), ST_OK);
    cpu_team_run(team, count, runs);
    os_sleep_ns(5000000); /* let the spins end */
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    os_sleep_ns(200000000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    cpu_team_close(team);
    const double used =
        (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) * 1e-9;
    assert_true(used < 0.02);
}

static void closing_an_unused_team_ends(void **state)
{
    struct cpu_team *team;

    (void)state;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(cpu_team_open(&team, 5, NULL), ST_OK);
        cpu_team_close(team);
    }
    cpu_team_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(barrier_orders_what_workers_write),
        cmocka_unit_test(every_worker_runs_once_also_after_sleeping),
        cmocka_unit_test(idle_team_uses_no_cpu),
        cmocka_unit_test(closing_an_unused_team_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
