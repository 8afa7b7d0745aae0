/* SPDX-License-Identifier: MIT */
/* A request in flight: its prompt, its parameters, and its choices, each of which is a timeline of
 * its own. Callers' threads touch the atomics and what `lock` guards; everything else is the
 * worker's. */
#pragma once
#include "engine/runtime/sampler.h"
#include "engine/runtime/sequence.h"
#include <stdatomic.h>

/* Where a choice is; the worker's lists say the same. */
enum choice_place {
    CHOICE_WAITING, /* in scheduler.waiting: new, preempted, or waiting for a seat with its pages
                       kept */
    CHOICE_RUNNING, /* in scheduler.running */
    CHOICE_PARKED,  /* its sink is full; in no list but its generation's */
    CHOICE_ENDING,  /* done but for its finish event (and perhaps a last token) */
    CHOICE_DONE,
};

struct choice {
    struct generation *gen;
    int index;
    enum choice_place place;
    bool started; /* has had a seat */
    struct sequence seq;
    int32_t *tokens; /* [cap_tokens] prompt and generated; NULL before choice_prepare */
    int64_t n_tokens, cap_tokens;
    struct token_counts counts;
    struct rng rng;
    struct choice *prev, *next; /* in the waiting list */
    struct choice *next_out;    /* in the list of events to deliver */
    bool in_out;
    int32_t out_id; /* token to be delivered, -1: none */
    float out_logprob;
    enum finish_reason finish; /* decided, to be delivered after out_id */
    struct err *error;         /* FINISH_ERROR: the text, in the generation */
    int32_t n_cached;
    atomic_bool stop_asked;   /* generation_stop_choice */
    atomic_bool resume_asked; /* generation_resume since it was parked */
};

struct generation {
    struct engine *engine;   /* valid while not finished */
    struct generation *next; /* in the inbox, then among the worker's live ones */
    atomic_int refs;         /* the caller's, and the worker's until it is finished */
    uint64_t serial;         /* order of submission: the older goes first */
    int32_t *prompt;         /* [n_prompt] */
    int64_t n_prompt;
    int64_t max_new, min_new; /* per choice */
    int32_t *stop_ids;        /* [n_stop] */
    size_t n_stop;
    struct sampling sampling;
    struct logit_bias *bias; /* sampling.bias */
    gen_mask_fn *mask;       /* or NULL */
    gen_sink_fn *sink;
    void *user;
    int n_choices, n_open; /* n_open: not DONE */
    bool started;
    struct choice *feeder;  /* the choice that feeds (or last fed) the prompt for all */
    struct err error;       /* of the first choice that failed */
    atomic_llong prefilled; /* prompt tokens of the feeder done so far, for progress */
    atomic_bool cancelled;
    atomic_bool attention; /* a flag of it or of its choices was set */
    pthread_mutex_t lock;  /* guards finished, and that engine is valid while it is false */
    pthread_cond_t done;
    bool finished;
    struct choice choices[]; /* [n_choices] */
};

/* Frees the last reference. */
void generation_release(struct generation *g);
/* No choice is open any more: wakes waiters and gives the worker's reference up. */
void generation_finish(struct generation *g);
/* Whether `id` ends a choice. */
bool generation_is_stop(const struct generation *g, int32_t id);

/* Makes the choice's token buffer and tables, unless it has them. Freed by choice_release. */
status choice_prepare(struct choice *c, struct lm *lm, struct kv_pages *kv, struct err *err);
/* Frees tokens, counts, pages. */
void choice_release(struct choice *c);
/* Number of tokens generated so far. */
int64_t choice_generated(const struct choice *c);
/* Everything but the newest generated token is in the cache. */
bool choice_decodes(const struct choice *c);
/* Appends a generated token. */
void choice_push(struct choice *c, int32_t id);
