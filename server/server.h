/* SPDX-License-Identifier: MIT */
/* server/: the HTTP service - libmicrohttpd, routes table, OpenAI and Foundry dialects, model
 * manager. Public header. README.md tells a request's life and which file does what. */
#pragma once
#include "base/base.h"
#include "engine/engine.h"
#include "models/models.h"

/* A field that is 0 or NULL has the default named beside it. Everything is copied by server_start,
 * except engine.progress_user. */
struct server_config {
    const char *host;          /* address or name to bind; NULL = 127.0.0.1 */
    int port;                  /* 0 = any free port */
    const char *const *models; /* MODELs to load at start */
    size_t n_models;
    const char *const *models_dirs; /* folders of model folders: known, loaded when asked for */
    size_t n_models_dirs;
    const char *api_key_file; /* one key a line, # comments; NULL = none; required beyond loopback
                                 unless insecure */
    bool insecure;            /* allow a non-loopback address without a key */
    const char *const *allow_origins; /* browser origins ("http://localhost:3000") that may call the
                                         API; the server's own always may */
    size_t n_allow_origins;
    const char *const *allow_hosts; /* further names accepted in Host, beside localhost, loopback
                                       addresses and `host` */
    size_t n_allow_hosts;
    struct engine_config engine;
    size_t body_bytes_max;   /* 0 = 32 MiB */
    size_t bodies_bytes_max; /* all requests together; 0 = twice body_bytes_max, at least 64 MiB */
    int connections_max;     /* 0 = 2048; further ones are told 503 */
    int workers;   /* threads for JSON, templates and tokenisation; 0 = one per CPU, at most 4 */
    int queue_max; /* requests waiting for such a thread; 0 = 256 */
    double header_seconds; /* to receive a request's head; 0 = 10 */
    double body_seconds;   /* to receive a body, plus its size at 64 KiB/s; 0 = 60 */
    double idle_seconds;   /* keep-alive connections, and clients that do not read; 0 = 60 */
    double drain_seconds;  /* server_stop: time for running answers; 0 = 30 */
    double
        abandon_seconds; /* server_stop: further time for what was broken off to let go; 0 = 20 */
};

struct server;

/* Binds, loads the models named, starts serving. Requests that arrive while models load wait for
 * them. Errors: ST_INVALID (beyond loopback without a key, a bad origin), ST_IO (address in use,
 * key file), or what loading a model said. */
status server_start(struct server **out, const struct server_config *cfg, struct err *err);
/* Port it listens on. */
int server_port(const struct server *s);
/* "http://127.0.0.1:8080": an address a client on this machine can connect to. Lives as long as the
 * server. */
const char *server_url(const struct server *s);
/* Refuses new work, lets running answers finish (until drain_seconds), breaks off the rest, then
 * frees everything. Accepts NULL. ST_TIMEOUT: an engine step, a loading model or a worker has not
 * let go within abandon_seconds; nothing answers any more, but nothing is freed either, since it is
 * still in use: the caller ends the process, or calls again. */
status server_stop(struct server *s, struct err *err);
