/* SPDX-License-Identifier: MIT */
/* server/: the HTTP service - libmicrohttpd, routes table, OpenAI and Foundry dialects, model manager. Public header. */
#pragma once
#include "base/base.h"
#include "engine/engine.h"
#include "models/models.h"

struct server_config {
    const char *host;            /* NULL = 127.0.0.1 */
    int port;                    /* 0 = any free port */
    const char *const *models;   /* MODELs to load at start */
    size_t n_models;
    const char *const *models_dirs; /* folders of model folders */
    size_t n_models_dirs;
    const char *api_key_file;    /* NULL = none; required beyond loopback unless insecure */
    bool insecure;               /* allow a non-loopback address without a key */
    const char *const *allow_origins;
    size_t n_allow_origins;
    struct engine_config engine;
    size_t body_bytes_max;       /* 0 = 32 MiB */
    int connections_max;         /* 0 = 2048 */
    double drain_seconds;        /* SIGTERM: time for running answers; 0 = 30 */
};

struct server;

/* Binds, loads the models named, starts serving. */
status server_start(struct server **out, const struct server_config *cfg, struct err *err);
/* Port it listens on. */
int server_port(const struct server *s);
/* Refuses new work, lets running answers finish (until drain_seconds), then frees everything. Accepts NULL. */
void server_stop(struct server *s);
