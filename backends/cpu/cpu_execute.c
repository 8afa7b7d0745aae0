/* SPDX-License-Identifier: MIT */
/* execute: binds tensors, checks the step's tables, then all workers walk the steps. */
#include <limits.h>
#include <string.h>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_run.h"

/* ---- checks ---- */

static status check_counts(const struct program *p, const struct step *step, struct err *err)
{
    if (step->n_tokens < 0 || step->n_tokens > p->tokens_max)
        return FAIL(err, ST_LIMIT, "step: %d tokens (0..%d)", (int)step->n_tokens, p->tokens_max);
    if (step->n_rows < 0 || step->n_rows > p->rows_max)
        return FAIL(err, ST_LIMIT, "step: %d rows (0..%d)", (int)step->n_rows, p->rows_max);
    if (step->n_seqs < 0 || step->n_seqs > p->seqs_max)
        return FAIL(err, ST_LIMIT, "step: %d sequences (0..%d)", (int)step->n_seqs, p->seqs_max);
    for (int i = 0; step->rows && i < step->n_rows; i++)
        if (step->rows[i] < 0 || step->rows[i] >= step->n_tokens ||
            (i > 0 && step->rows[i] <= step->rows[i - 1]))
            return FAIL(err, ST_INVALID, "step: row %d is not in ascending order or no token", i);
    if (!step->rows && step->n_rows > 0) return FAIL(err, ST_INVALID, "step: no rows table");
    return ST_OK;
}

static status check_pages(const struct step *step, const struct step_seq *s, int i, struct err *err)
{
    const struct kv_store *kv = step->kv;
    const int64_t n_positions = (int64_t)s->n_past + s->n_tokens;
    const int64_t n_pages = (n_positions + kv->page_tokens - 1) / kv->page_tokens;

    if (n_pages > 0 && !s->pages) return FAIL(err, ST_INVALID, "step: sequence %d has no pages", i);
    for (int g = 0; g < kv->n_groups; g++) {
        const int32_t *pages = s->pages + (size_t)g * s->pages_stride;

        for (int64_t j = 0; j < n_pages; j++)
            if (pages[j] >= kv->groups[g].n_pages)
                return FAIL(err, ST_INVALID, "step: sequence %d: page %d of %d", i, (int)pages[j],
                            kv->groups[g].n_pages);
    }
    return ST_OK;
}

static status check_seqs(const struct program *p, const struct step *step, struct err *err)
{
    int64_t next = 0;

    if (p->uses_kv && (!step->kv || !step->kv->buf || !step->kv->buf->host))
        return FAIL(err, ST_INVALID, "step: no KV store on the host");
    if (p->uses_kv && (step->kv->page_tokens < 1 || step->kv->n_layers < 0))
        return FAIL(err, ST_INVALID, "step: KV store without layout");
    for (int i = 0; i < step->n_seqs; i++) {
        const struct step_seq *s = &step->seqs[i];

        if (s->first != next || s->n_tokens < 1 || s->n_past < 0 ||
            (int64_t)s->n_past + s->n_tokens > INT32_MAX)
            return FAIL(err, ST_INVALID, "step: sequence %d does not follow the one before", i);
        next += s->n_tokens;
        if (p->uses_kv) TRY(check_pages(step, s, i, err));
        if (p->uses_state && (!s->state || !s->state->host))
            return FAIL(err, ST_INVALID, "step: sequence %d has no state on the host", i);
    }
    if ((p->uses_kv || p->uses_state) && next != step->n_tokens)
        return FAIL(err, ST_INVALID, "step: sequences cover %d of %d tokens", (int)next,
                    (int)step->n_tokens);
    return ST_OK;
}

/* ---- binding ---- */

static void set_lead(struct program *p, const struct step *step)
{
    for (int v = 0; v < p->n_values; v++) {
        struct cpu_value *x = &p->values[v];

        if (x->lead == CPU_LEAD_TOKENS) x->tensor.type.dim[0] = step->n_tokens;
        if (x->lead == CPU_LEAD_ROWS) x->tensor.type.dim[0] = step->n_rows;
    }
}

static status bind_one(struct program *p, const struct binding *b, struct err *err)
{
    if (b->value < 0 || b->value >= p->n_values)
        return FAIL(err, ST_INVALID, "binding of value %d of %d", b->value, p->n_values);
    struct cpu_value *x = &p->values[b->value];

    if (x->role != SEG_INPUT && x->role != SEG_OUTPUT)
        return FAIL(err, ST_INVALID, "%s: neither input nor output", x->name);
    if (x->bound == p->n_runs) return FAIL(err, ST_INVALID, "%s: bound twice", x->name);
    if (!type_equal(&b->tensor.type, &x->tensor.type)) {
        char want[96], got[96];
        return FAIL(err, ST_SHAPE, "%s: bound to %s (expected %s)", x->name,
                    type_print(&b->tensor.type, got, sizeof got),
                    type_print(&x->tensor.type, want, sizeof want));
    }
    if (!b->tensor.data && cpu_elements(&b->tensor) > 0)
        return FAIL(err, ST_INVALID, "%s: bound to no memory", x->name);
    x->tensor.data = b->tensor.data;
    x->bound = p->n_runs;
    return ST_OK;
}

static status bind_all(struct program *p, const struct step *step, struct err *err)
{
    if (step->n_bindings != p->n_bound_want)
        return FAIL(err, ST_INVALID, "step: %d bindings (expected %d)", step->n_bindings,
                    p->n_bound_want);
    p->n_runs = p->n_runs == INT32_MAX ? 1 : p->n_runs + 1;
    for (int i = 0; i < step->n_bindings; i++) TRY(bind_one(p, &step->bindings[i], err));
    return ST_OK;
}

/* ---- the walk ---- */

static void walk(void *arg, int worker)
{
    struct cpu_run *run = arg;
    const struct program *p = run->prog;
    const struct cpu_backend *be = run->be;
    const int n_workers = p->solo ? 1 : cpu_team_size(be->team);
    struct cpu_task t = {
        .step = run->step,
        .worker = worker,
        .n_workers = n_workers,
        .scratch = be->scratch + be->worker_bytes * (size_t)worker,
        .shared = be->scratch + be->worker_bytes * (size_t)n_workers,
        .run = run,
    };

    for (int i = 0; i < p->n_steps; i++) {
        const struct cpu_step *s = &p->steps[i];

        t.call = &s->call;
        t.in = s->in;
        t.out = s->out;
        t.prepared = s->prepared;
        t.index = i;
        s->run(&t);
        if (i + 1 == p->n_steps) return; /* the end of the run is a barrier too */
        cpu_team_sync(be->team);
        /* Not `any failure`: a faster worker may already have failed in the step after this one,
         * and all must leave by the same door. */
        if (atomic_load_explicit(&run->failed_at, memory_order_relaxed) <= i) return;
    }
}

status cpu_execute(struct backend *be, struct program *p, const struct step *step, struct err *err)
{
    TRY(check_counts(p, step, err));
    TRY(check_seqs(p, step, err));
    set_lead(p, step);
    TRY(bind_all(p, step, err));
    struct cpu_run run = { .be = (struct cpu_backend *)be, .prog = p, .step = step, .err = err };

    for (int i = 0; i < p->n_steps; i++) atomic_init(&p->counters[i].next, 0);
    atomic_flag_clear(&run.claimed);
    atomic_init(&run.failed_at, INT_MAX);
    cpu_kernels_enter(run.be->kern_mask);
    pthread_mutex_lock(&run.be->lock);
    if (p->solo)
        walk(&run, 0);
    else
        cpu_team_run(run.be->team, walk, &run);
    pthread_mutex_unlock(&run.be->lock);
    cpu_kernels_leave();
    return run.st;
}
