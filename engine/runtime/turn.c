/* SPDX-License-Identifier: MIT */
/* Ticket lock that sleeps. */
#include "engine/runtime/turn.h"

void turn_init(struct turn *t)
{
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)pthread_cond_init(&t->changed, NULL);
    t->next = t->serving = 0;
}

void turn_fini(struct turn *t)
{
    (void)pthread_cond_destroy(&t->changed);
    (void)pthread_mutex_destroy(&t->lock);
}

void turn_take(struct turn *t)
{
    (void)pthread_mutex_lock(&t->lock);
    const uint64_t ticket = t->next++;
    while (t->serving != ticket) (void)pthread_cond_wait(&t->changed, &t->lock);
    (void)pthread_mutex_unlock(&t->lock);
}

void turn_give(struct turn *t)
{
    (void)pthread_mutex_lock(&t->lock);
    t->serving++;
    (void)pthread_cond_broadcast(&t->changed);
    (void)pthread_mutex_unlock(&t->lock);
}
