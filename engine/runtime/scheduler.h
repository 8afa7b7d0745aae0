/* SPDX-License-Identifier: MIT */
/* Continuous batching: which timelines run in the next step. The worker thread alone uses it.
 *
 * A choice waits until it has a seat (one of batch_max) and pages for all tokens it has. Seats and
 * pages are given in order of age. While running it first feeds what is not in the cache yet
 * (prefill, in chunks), then one token a step (decode). When pages run out, parked choices and then
 * the youngest give theirs up and feed all their tokens again later: nothing is lost, and the
 * oldest always goes on.
 *
 * A turn of the worker: reap (flags of other threads) -> reserve pages for decode -> admit -> one
 * step -> sample. After the turn is given back, events go to the sinks. */
#pragma once
#include "engine/runtime/generation.h"

struct engine;

struct scheduler {
    struct generation *live; /* every generation with an open choice */
    struct choice *waiting;  /* oldest first */
    struct choice *waiting_last;
    struct choice **running; /* [n_running], oldest first */
    int n_running, seats;
    struct choice *out, **out_tail; /* events to deliver */
    struct choice **stepped;        /* [seats]: whose tokens are in the step */
    struct choice **row_owner;      /* [seats]: whose row of the step */
    struct choice **forks;          /* [seats] */
    float *rows;                    /* [seats, vocab] */
    int n_stepped, n_rows;
    struct sampler_scratch scratch;
    bool again; /* a choice was put back to work outside a turn */
};

status scheduler_init(struct scheduler *s, struct engine *e, struct err *err);
void scheduler_fini(struct scheduler *s);
/* Takes over generations from the inbox. */
void scheduler_accept(struct scheduler *s, struct generation *list);
/* One turn: everything that needs the model, which the caller has. False when there was nothing to
 * run. */
bool scheduler_turn(struct engine *e);
/* Events to the sinks. Without the turn. */
void scheduler_deliver(struct engine *e);
bool scheduler_is_empty(const struct scheduler *s);
/* Cancels everything, on close. */
void scheduler_cancel_all(struct scheduler *s);

/* ---- scheduler_lists.c: places of choices ---- */

/* Into the waiting list, by age. */
void waiting_insert(struct scheduler *s, struct choice *c);
void waiting_remove(struct scheduler *s, struct choice *c);
/* Into running, by age; there is a seat. */
void running_insert(struct scheduler *s, struct choice *c);
void running_remove(struct scheduler *s, struct choice *c);
/* a is older than b. */
bool choice_is_older(const struct choice *a, const struct choice *b);
/* Queues the choice's token and finish for delivery. */
void out_add(struct scheduler *s, struct choice *c);

/* ---- scheduler_pages.c: who gets pages ---- */

/* Gives seats and pages to waiting choices. */
void scheduler_admit(struct engine *e);
/* Room for the next token of every decoding choice; whoever cannot have it waits again. */
void scheduler_reserve(struct engine *e);
/* Starts the generation's other choices from c, which has just fed its prompt: full pages are
 * shared. They take seats; *n of them are listed in forks. */
void scheduler_fork_siblings(struct engine *e, struct choice *c, struct choice **forks, int *n);

/* ---- ending ---- */

/* Decides how a choice ends, wherever it is, and frees what it holds; its finish event goes out
 * with the next delivery. A token not yet delivered is dropped unless keep_token. */
void choice_end(struct scheduler *s, struct choice *c, enum finish_reason why, bool keep_token);
/* choice_end with FINISH_ERROR and the text of err. */
void choice_fail(struct scheduler *s, struct choice *c, const struct err *err);
