/* SPDX-License-Identifier: MIT */
/* A lock that is handed on in the order of asking, so that sessions and the worker, who each take
 * it for a step at a time, cannot starve one another. */
#pragma once
#include <pthread.h>
#include <stdint.h>

struct turn {
    pthread_mutex_t lock; /* guards next and serving */
    pthread_cond_t changed;
    uint64_t next, serving;
};

void turn_init(struct turn *t);
void turn_fini(struct turn *t);
void turn_take(struct turn *t);
void turn_give(struct turn *t);
