/* SPDX-License-Identifier: MIT */
/* Threads and barrier of the cpu backend.
 *
 * One counter (`arrived`) and one generation word (`epoch`): the last to arrive resets the counter
 * and moves the epoch on; the others watch the epoch, spinning for at most SPIN_NS, then sleeping
 * on it. The bound matters: two CPUs of a virtual machine may be two threads of one core, or
 * somebody else's work may hold one, and an endless spin then takes the time from the worker waited
 * for. The start of a run is the same wait on another word. Words that different threads write lie
 * in different cache lines. */
#include "backends/cpu/cpu_team.h"

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { CACHE_LINE = 64, SPIN_NS = 40000, RELAX_PER_LOOK = 16, LOOKS_PER_CLOCK = 16 };

/* A word that is waited on. */
struct gate {
    alignas(CACHE_LINE) atomic_uint epoch;
    alignas(CACHE_LINE) atomic_uint sleepers;
};

struct cpu_team {
    struct gate start, barrier;
    alignas(CACHE_LINE) atomic_uint arrived;
    alignas(CACHE_LINE) cpu_team_fn *fn; /* this run's; written before `start` opens */
    void *arg;
    bool closing; /* likewise */
    uint64_t spin_ns;
    int n;
    int n_started;
    struct thread *threads; /* [n - 1] */
    struct member *members; /* [n - 1] */
};

struct member {
    struct cpu_team *team;
    int worker;
};

static void gate_open(struct gate *g)
{
    atomic_fetch_add(&g->epoch, 1);
    if (atomic_load(&g->sleepers) != 0) os_wake_all(&g->epoch);
}

/* True once the epoch has left `seen`; gives up after spin_ns. */
static bool gate_spin(struct gate *g, unsigned seen, uint64_t spin_ns)
{
    if (spin_ns == 0) return false;
    const uint64_t end_ns = os_now_ns() + spin_ns;

    for (unsigned look = 1;; look++) {
        if (atomic_load_explicit(&g->epoch, memory_order_acquire) != seen) return true;
        for (int i = 0; i < RELAX_PER_LOOK; i++) os_cpu_relax();
        if (look % LOOKS_PER_CLOCK == 0 && os_now_ns() >= end_ns) return false;
    }
}

static void gate_wait(struct gate *g, unsigned seen, uint64_t spin_ns)
{
    if (gate_spin(g, seen, spin_ns)) return;
    atomic_fetch_add(&g->sleepers, 1);
    while (atomic_load(&g->epoch) == seen) os_wait_on(&g->epoch, seen);
    atomic_fetch_sub(&g->sleepers, 1);
}

void cpu_team_sync(struct cpu_team *team)
{
    if (team->n == 1) return;
    const unsigned seen = atomic_load_explicit(&team->barrier.epoch, memory_order_relaxed);

    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) + 1 ==
        (unsigned)team->n) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        gate_open(&team->barrier);
        return;
    }
    gate_wait(&team->barrier, seen, team->spin_ns);
}

static void member_main(void *arg)
{
    const struct member *m = arg;
    struct cpu_team *team = m->team;

    for (unsigned seen = 0;; seen++) {
        gate_wait(&team->start, seen, team->spin_ns);
        if (team->closing) return;
        team->fn(team->arg, m->worker);
        cpu_team_sync(team);
    }
}

void cpu_team_run(struct cpu_team *team, cpu_team_fn *fn, void *arg)
{
    team->fn = fn;
    team->arg = arg;
    if (team->n > 1) gate_open(&team->start);
    fn(arg, 0);
    cpu_team_sync(team);
}

static status start_members(struct cpu_team *team, struct err *err)
{
    for (int i = 0; i < team->n - 1; i++) {
        char name[16];

        snprintf(name, sizeof name, "cpu-%d", i + 1);
        team->members[i] = (struct member){ .team = team, .worker = i + 1 };
        TRY(thread_start(&team->threads[i], name, member_main, &team->members[i], err));
        team->n_started++;
    }
    return ST_OK;
}

status cpu_team_open(struct cpu_team **out, int n, struct err *err)
{
    *out = NULL;
    assert(n >= 1);
    struct cpu_team *team = mem_alloc_aligned(CACHE_LINE, sizeof *team);
    if (!team) return FAIL(err, ST_NOMEM, "cpu: thread team");

    memset(team, 0, sizeof *team);
    team->n = n;
    /* With fewer CPUs than workers, whoever spins keeps another from working. */
    team->spin_ns = (unsigned)n <= os_cpu_count() ? SPIN_NS : 0;
    team->threads = mem_calloc((size_t)n, sizeof *team->threads);
    team->members = mem_calloc((size_t)n, sizeof *team->members);
    status st = ST_OK;
    if (!team->threads || !team->members)
        st = FAIL(err, ST_NOMEM, "cpu: thread team of %d", n);
    else
        st = start_members(team, err);
    if (st != ST_OK) {
        cpu_team_close(team);
        return st;
    }
    *out = team;
    return ST_OK;
}

void cpu_team_close(struct cpu_team *team)
{
    if (!team) return;
    team->closing = true;
    gate_open(&team->start);
    for (int i = 0; i < team->n_started; i++) thread_join(&team->threads[i]);
    mem_free(team->threads);
    mem_free(team->members);
    mem_free_aligned(team);
}

int cpu_team_size(const struct cpu_team *team) { return team->n; }
