/* SPDX-License-Identifier: MIT */
/* Where choices are: waiting list, running array, outgoing events. */
#include "engine/runtime/scheduler.h"
#include <assert.h>
#include <string.h>

bool choice_is_older(const struct choice *a, const struct choice *b)
{
    if (a->gen->serial != b->gen->serial) return a->gen->serial < b->gen->serial;
    return a->index < b->index;
}

/* From the young end: a new choice is the youngest. */
void waiting_insert(struct scheduler *s, struct choice *c)
{
    struct choice *after = s->waiting_last;

    while (after && choice_is_older(c, after)) after = after->prev;
    c->prev = after;
    c->next = after ? after->next : s->waiting;
    if (c->next)
        c->next->prev = c;
    else
        s->waiting_last = c;
    if (after)
        after->next = c;
    else
        s->waiting = c;
    c->place = CHOICE_WAITING;
}

void waiting_remove(struct scheduler *s, struct choice *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        s->waiting = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        s->waiting_last = c->prev;
    c->prev = c->next = NULL;
}

void running_insert(struct scheduler *s, struct choice *c)
{
    int at = s->n_running;

    assert(s->n_running < s->seats);
    while (at > 0 && choice_is_older(c, s->running[at - 1])) at--;
    memmove(s->running + at + 1, s->running + at, (size_t)(s->n_running - at) * sizeof *s->running);
    s->running[at] = c;
    s->n_running++;
    c->place = CHOICE_RUNNING;
}

void running_remove(struct scheduler *s, struct choice *c)
{
    int at = 0;

    while (s->running[at] != c) at++;
    s->n_running--;
    memmove(s->running + at, s->running + at + 1, (size_t)(s->n_running - at) * sizeof *s->running);
}

void out_add(struct scheduler *s, struct choice *c)
{
    if (c->in_out) return;
    c->in_out = true;
    c->next_out = NULL;
    *s->out_tail = c;
    s->out_tail = &c->next_out;
}

void choice_end(struct scheduler *s, struct choice *c, enum finish_reason why, bool keep_token)
{
    if (c->place == CHOICE_DONE) return;
    if (c->place == CHOICE_WAITING) waiting_remove(s, c);
    if (c->place == CHOICE_RUNNING) running_remove(s, c);
    c->place = CHOICE_ENDING;
    c->finish = why;
    if (!keep_token) c->out_id = -1;
    choice_release(c);
    out_add(s, c);
}

void choice_fail(struct scheduler *s, struct choice *c, const struct err *err)
{
    struct generation *g = c->gen;

    if (g->error.code == ST_OK) g->error = *err;
    c->error = &g->error;
    choice_end(s, c, FINISH_ERROR, false);
}
