/* SPDX-License-Identifier: MIT */
/* The process has one log; each open handle with a function of its own gets every line. */
#include "api/api_internal.h"
#include <assert.h>
#include <pthread.h>

struct log_tap {
    cupola_log_fn *fn;
    void *user;
    enum log_level level;
    struct log_tap *next;
};

static_assert((int)CUPOLA_LOG_ERROR == (int)LOG_ERROR + 1, "log level");
static_assert((int)CUPOLA_LOG_TRACE == (int)LOG_TRACE + 1, "log level");

/* Taken in this order: `change` (one change at a time), the log's own lock, `list` (taps). */
static pthread_mutex_t change = PTHREAD_MUTEX_INITIALIZER, list = PTHREAD_MUTEX_INITIALIZER;
static struct log_tap *taps;

static void log_fan_out(void *user, enum log_level level, const char *line)
{
    (void)user;
    (void)pthread_mutex_lock(&list);
    for (const struct log_tap *t = taps; t; t = t->next)
        if (level <= t->level) t->fn(t->user, (int32_t)level + 1, line);
    (void)pthread_mutex_unlock(&list);
}

/* The log is as loud as its loudest listener wants. Called under `change`. */
static void log_adjust(void)
{
    enum log_level level = LOG_ERROR;

    for (const struct log_tap *t = taps; t; t = t->next)
        if (t->level > level) level = t->level;
    if (taps)
        log_configure(level, log_fan_out, NULL);
    else
        log_configure(LOG_WARN, NULL, NULL);
}

status log_tap_open(struct log_tap **out, const struct cupola_options *given, struct err *err)
{
    struct log_tap *tap;

    *out = NULL;
    if (given->log_level < CUPOLA_LOG_DEFAULT || given->log_level > CUPOLA_LOG_TRACE)
        return FAIL(err, ST_INVALID, "log_level: expected 0 to %d, got %d", CUPOLA_LOG_TRACE,
                    (int)given->log_level);
    if (!given->log) return ST_OK;
    tap = mem_calloc(1, sizeof *tap);
    if (!tap) return FAIL(err, ST_NOMEM, "log: out of memory");
    tap->fn = given->log;
    tap->user = given->log_user;
    tap->level = given->log_level ? (enum log_level)(given->log_level - 1) : LOG_WARN;
    (void)pthread_mutex_lock(&change);
    (void)pthread_mutex_lock(&list);
    tap->next = taps;
    taps = tap;
    (void)pthread_mutex_unlock(&list);
    log_adjust();
    (void)pthread_mutex_unlock(&change);
    *out = tap;
    return ST_OK;
}

void log_tap_close(struct log_tap *tap)
{
    if (!tap) return;
    (void)pthread_mutex_lock(&change);
    (void)pthread_mutex_lock(&list);
    struct log_tap **at = &taps;
    while (*at != tap) at = &(*at)->next;
    *at = tap->next;
    (void)pthread_mutex_unlock(&list);
    log_adjust();
    (void)pthread_mutex_unlock(&change);
    mem_free(tap);
}
