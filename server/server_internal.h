/* SPDX-License-Identifier: MIT */
/* The service's own state, shared by the files of server/. Nobody else includes it. */
#pragma once
#include "server/exchange.h"
#include "server/metrics.h"
#include "server/model_manager.h"
#include "server/server.h"

/* Limits that are not configurable. */
enum {
    HEADERS_BYTES_MAX = 32 << 10,
    CONNECTION_MEMORY_BYTES = 64 << 10, /* the library's buffer: head, and what is being sent */
    CONNECTIONS_RESERVE = 64,           /* beyond connections_max, to say 503 */
    API_KEY_BYTES_MIN = 8,
    API_KEY_FILE_BYTES_MAX = 64 << 10,
};

struct server {
    /* ---- fixed once started ---- */
    struct arena arena;
    struct server_config cfg; /* defaults filled in; texts in the arena */
    const char *url;
    int port;
    bool loopback;          /* bound to a loopback address */
    char (*key_hashes)[65]; /* [n_keys] SHA-256 of the API keys, hex; none: open to all */
    size_t n_keys;
    struct MHD_Daemon *daemon;
    int listen_fd; /* -1 once the library owns it */
    struct watcher *watcher;
    struct pool *pool;
    struct model_manager *models;
    struct metrics metrics;
    int64_t started; /* seconds since the epoch */

    /* ---- shared ---- */
    atomic_int n_connections;
    atomic_size_t bodies_bytes; /* of all requests being received or parsed */
    atomic_bool ready;          /* the models named at the start are loaded */
    atomic_bool draining;       /* no new work */
    atomic_bool closing;        /* nothing sleeps any more */
    pthread_mutex_t lock;       /* guards the rest */
    struct exchange *exchanges; /* those with a handler still at work */
    atomic_int n_alive;         /* exchanges and jobs in memory */
};

/* The exchange waits for an answer from elsewhere. With a job (else NULL) its connection is
 * watched: when the client leaves, the job is cancelled. Undone by itself when the exchange is
 * over. */
void server_enlist(struct exchange *ex, struct job *job);
void server_delist(struct exchange *ex);
/* Calls fn for every job at work, without any lock. */
void server_each_job(struct server *s, void (*fn)(struct job *job, void *arg), void *arg);
