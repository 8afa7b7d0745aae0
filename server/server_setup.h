/* SPDX-License-Identifier: MIT */
/* What happens once, before the service runs: configuration, socket, API key, first models. */
#pragma once
#include "base/base.h"

struct server;
struct server_config;

/* Copies and completes the configuration; raises the limit of open files. ST_INVALID: a malformed
 * origin. */
status setup_config(struct server *s, const struct server_config *cfg, struct err *err);
/* Binds and listens: sets listen_fd, port, loopback, url. ST_INVALID: beyond loopback without a
 * key. */
status setup_listen(struct server *s, struct err *err);
void setup_close_listen(struct server *s);
/* Reads the key file and keeps the keys' hashes. */
status setup_api_key(struct server *s, struct err *err);
/* Loads the models named in the configuration; waits for them. */
status setup_load(struct server *s, struct err *err);
