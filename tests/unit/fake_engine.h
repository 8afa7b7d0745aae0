/* SPDX-License-Identifier: MIT */
/* The generation part of engine/engine.h played from a script, for tests of the server: every
 * generation answers with the ids of `script`, a token every `step_ns`, from a worker thread of its
 * own. */
#pragma once
#include "engine/engine.h"
#include <stdatomic.h>

enum { FAKE_SCRIPT_MAX = 4096, FAKE_EOS = -2 };

struct fake_script {
    int32_t ids[FAKE_SCRIPT_MAX];
    size_t n;         /* then FINISH_STOP; repeated while `loop` */
    bool loop;        /* never ends by itself */
    int skew;         /* choice c begins c * skew tokens further on */
    uint64_t step_ns; /* time of a step */
    int64_t context;  /* tokens: longer prompts are refused */
    int queue_max;    /* generations at once; more are refused */
    int fail_at;      /* > 0: FINISH_ERROR after so many tokens */
    uint64_t load_ns; /* time that engine_open takes */
};

/* The test's own copy, and the call that makes it hold for what is submitted from now on. */
extern struct fake_script fake_script;
void fake_apply(void);

struct fake_counts {
    atomic_int opening, opened, closed; /* engines */
    atomic_int closed_early;            /* while generations ran */
    atomic_int submitted, finished, cancelled, stopped, running;
    atomic_long tokens; /* given to sinks */
    atomic_int pauses;  /* a sink said full */
};
extern struct fake_counts fake_counts;

/* What the last submission asked for (its pointers are gone). */
struct gen_request fake_last(void);
