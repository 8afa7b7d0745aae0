/* SPDX-License-Identifier: MIT */
/* The watcher: a thread that notices clients who left (the HTTP library cannot while a connection
 * sleeps) and enforces absolute deadlines (the library only knows inactivity). A client that closes
 * its sending half counts as gone. It is also where references are dropped that their owner must
 * not drop itself. */
#pragma once
#include "base/base.h"

struct watcher;
struct conn_watch;

/* Called on the watcher's thread with the watcher's lock held by nobody. */
typedef void watcher_gone_fn(void *user);

status watcher_create(struct watcher **out, struct err *err);
/* Ends the thread. Accepts NULL. Connections and tasks must be gone. */
void watcher_destroy(struct watcher *w);

/* A new connection; NULL when memory is short. */
struct conn_watch *watcher_add(struct watcher *w, int fd);
/* Before its fd is closed. Accepts NULL. */
void watcher_remove(struct watcher *w, struct conn_watch *c);
/* The connection is shut down `seconds` from now unless that is changed before; <= 0: no deadline.
 * Accepts NULL. */
void watcher_deadline(struct watcher *w, struct conn_watch *c, double seconds);
/* From now on `gone(user)` is called, once, when the peer closes. ref/unref keep `user` alive over
 * the call. Accepts NULL. */
void watcher_arm(struct watcher *w, struct conn_watch *c, watcher_gone_fn *gone,
                 watcher_gone_fn *ref, watcher_gone_fn *unref, void *user);
/* No further call begins. Accepts NULL. */
void watcher_disarm(struct watcher *w, struct conn_watch *c);

/* A piece of work for the watcher's thread; the storage is the caller's until it runs. */
struct watcher_task {
    void (*run)(void *arg);
    void *arg;
    struct watcher_task *next;
};
void watcher_run(struct watcher *w, struct watcher_task *task);
