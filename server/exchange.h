/* SPDX-License-Identifier: MIT */
/* An exchange: one HTTP request and its answer, from the request line to the last byte sent.
 *
 * Its own thread is libmicrohttpd's event loop; only what is said so below may be touched by
 * others. A handler either fills `reply` at once, or leaves it empty and sets `poll`: then the
 * connection sleeps, and each exchange_wake (from any thread) lets `poll` look again. A streamed
 * answer works the same way with `read`. */
#pragma once
#include "server/http_error.h"
#include "server/url.h"
#include "server/watcher.h"
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

struct server;
struct route;
struct job;
struct exchange;

enum { REQUEST_ID_MAX = 64 };

/* The answer. Zero-initialised: none yet. */
struct reply {
    int code;         /* HTTP status; 0 = none yet */
    const char *type; /* content type; NULL = application/json. Static text. */
    struct str body;
    const char *allow; /* Allow header; static or in the exchange's arena; NULL = none */
    bool cacheable;    /* without it: Cache-Control: no-store */
    bool html;         /* adds the page's Content-Security-Policy */
    bool preflight;    /* answers a CORS preflight */
    int retry_after_s; /* 0 = none */
    bool final_fault;  /* x-should-retry: false */
    bool close;        /* the connection ends with this answer */
};

/* Copies what is ready into buf[0..max). Bytes (> 0), 0 = nothing yet, -1 = the end, -2 = broken
 * off. */
typedef long exchange_read_fn(struct exchange *ex, char *buf, size_t max);
/* Looks whether the answer is ready: true once `reply.code` or `streaming` is set. */
typedef bool exchange_poll_fn(struct exchange *ex);

struct exchange {
    atomic_int refs;
    struct server *server;
    struct MHD_Connection *conn;
    struct conn_watch *watch; /* its connection; NULL where the library gave none */
    struct arena arena;
    uint64_t t0_ns;

    /* ---- the request ---- */
    const char *target; /* as sent, undecoded */
    const char *method;
    struct url url;
    const struct route *route; /* NULL: none matched */
    const char *name;          /* decoded {name} of the route's pattern */
    const char *origin;        /* allowed Origin, to be echoed; NULL = none */
    char id[REQUEST_ID_MAX + 1];
    struct str body;
    size_t body_received; /* bytes, also of what was thrown away */
    size_t body_charged;  /* bytes counted in the server's budget */
    bool begun;           /* the header gate has seen it */
    bool refused;         /* swallowing the body of a request that gets `reply` */

    /* ---- the answer ---- */
    struct reply reply;
    bool handled;   /* the handler ran */
    bool streaming; /* the answer comes from `read` */
    exchange_poll_fn *poll;
    exchange_read_fn *read;
    void (*finish)(
        struct exchange *ex); /* on the event loop, once, when it is over, answered or not */
    void *user;               /* the handler's state */
    int code_sent;
    atomic_uint_fast64_t bytes_sent;
    char note[160]; /* more key=value for the request log */

    /* ---- sleeping and waking ---- */
    pthread_mutex_t lock; /* guards the rest */
    bool suspended;       /* the library does not run it */
    bool wake_pending;    /* woken while it was not suspended: do not sleep */
    bool over;            /* conn is no longer valid */

    /* ---- the server's list of exchanges that wait; guarded by the server's lock ---- */
    bool listed;
    struct job *job;
    struct exchange *prev, *next;
};

/* NULL when memory is short. The caller has the first reference. */
struct exchange *exchange_create(struct server *server, const char *target);
struct exchange *exchange_ref(struct exchange *ex);
void exchange_unref(struct exchange *ex);

/* From any thread, any number of times; harmless once the exchange is over. */
void exchange_wake(struct exchange *ex);
/* Event loop only: suspends the connection, unless a wake is pending (false: look again). */
bool exchange_sleep(struct exchange *ex);

/* ---- filling the answer ---- */

/* An OpenAI error object with the fault's HTTP code and headers. */
void reply_error(struct exchange *ex, const struct api_error *e);
void reply_fault(struct exchange *ex, enum http_fault fault, const char *param, const char *fmt,
                 ...) __attribute__((format(printf, 4, 5)));
/* 200 with JSON text; takes the string. */
void reply_json(struct exchange *ex, struct str *body);
void reply_empty(struct exchange *ex, int code);

/* Queues reply or stream. Event loop only. */
enum MHD_Result exchange_send(struct exchange *ex);
