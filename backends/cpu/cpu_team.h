/* SPDX-License-Identifier: MIT */
/* The thread team: every worker runs the same function (SPMD) and meets the others at barriers. */
#pragma once
#include "base/base.h"

struct cpu_team;

/* Work of one worker, 0 .. size - 1. Worker 0 is the thread that called cpu_team_run. */
typedef void cpu_team_fn(void *arg, int worker);

/* n >= 1 workers: n - 1 threads are started, which sleep between runs. */
status cpu_team_open(struct cpu_team **out, int n, struct err *err);
/* Ends the threads; accepts NULL. No run may be under way. */
void cpu_team_close(struct cpu_team *team);
int cpu_team_size(const struct cpu_team *team);

/* Runs fn(arg, worker) on every worker and returns when all have ended. One run at a time. */
void cpu_team_run(struct cpu_team *team, cpu_team_fn *fn, void *arg);

/* Barrier, from within a run: every worker must come. What was written before it is seen after it.
 */
void cpu_team_sync(struct cpu_team *team);
