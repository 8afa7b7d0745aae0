/* SPDX-License-Identifier: MIT */
/* An epoll of its own beside the library's, one eventfd, one list of deadlines swept twice a
 * second. */
#include "server/watcher.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SWEEP_MS = 500, EVENTS_MAX = 64 };

struct conn_watch {
    int fd;
    uint64_t serial;      /* tells this connection from an earlier one in the same slot */
    uint64_t deadline_ns; /* 0 = none */
    watcher_gone_fn *gone, *ref, *unref; /* gone NULL = not armed */
    void *user;
    bool in_epoll;
    struct conn_watch *prev, *next;
};

struct watcher {
    struct thread thread;
    int epoll_fd, event_fd;
    pthread_mutex_t lock; /* guards the rest */
    struct conn_watch *conns;
    struct watcher_task *tasks, **tasks_end;
    uint64_t serial;
    bool stop;
};

static void poke(struct watcher *w)
{
    const uint64_t one = 1;

    /* The counter cannot overflow before it is read; a failed write then only means "already set".
     */
    if (write(w->event_fd, &one, sizeof one) < 0) return;
}

/* ---- the thread ---- */

/* Calls gone() of the connection with that serial, if it still is and is armed. */
static void tell_gone(struct watcher *w, uint64_t serial)
{
    watcher_gone_fn *gone = NULL, *unref = NULL;
    void *user = NULL;

    pthread_mutex_lock(&w->lock);
    for (struct conn_watch *c = w->conns; c; c = c->next) {
        if (c->serial != serial || !c->gone) continue;
        gone = c->gone;
        unref = c->unref;
        user = c->user;
        c->ref(user);
        c->gone = NULL;
        break;
    }
    pthread_mutex_unlock(&w->lock);
    if (!gone) return;
    gone(user);
    unref(user);
}

static void sweep_deadlines(struct watcher *w)
{
    const uint64_t now = os_now_ns();

    pthread_mutex_lock(&w->lock);
    for (struct conn_watch *c = w->conns; c; c = c->next) {
        if (c->deadline_ns == 0 || now < c->deadline_ns) continue;
        c->deadline_ns = 0;
        shutdown(c->fd, SHUT_RDWR); /* the library sees the end and closes */
    }
    pthread_mutex_unlock(&w->lock);
}

/* False when it is time to end and nothing is left to run. */
static bool run_tasks(struct watcher *w)
{
    for (;;) {
        pthread_mutex_lock(&w->lock);
        struct watcher_task *task = w->tasks;
        const bool stop = w->stop;
        if (task) w->tasks = task->next;
        if (!w->tasks) w->tasks_end = &w->tasks;
        pthread_mutex_unlock(&w->lock);
        if (!task) return !stop;
        task->run(task->arg);
    }
}

static void watch(void *arg)
{
    struct watcher *w = arg;
    struct epoll_event events[EVENTS_MAX];
    uint64_t swept_ns = 0;

    while (run_tasks(w)) {
        const int n = epoll_wait(w->epoll_fd, events, EVENTS_MAX, SWEEP_MS);
        for (int i = 0; i < n; i++) {
            uint64_t count;
            if (events[i].data.u64 != 0)
                tell_gone(w, events[i].data.u64);
            else if (read(w->event_fd, &count, sizeof count) < 0)
                continue;
        }
        if (os_now_ns() - swept_ns < (uint64_t)SWEEP_MS * 1000000) continue;
        swept_ns = os_now_ns();
        sweep_deadlines(w);
    }
}

/* ---- life ---- */

status watcher_create(struct watcher **out, struct err *err)
{
    struct watcher *w = mem_calloc(1, sizeof *w);
    struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 0 };

    if (!w) return FAIL(err, ST_NOMEM, "watcher");
    pthread_mutex_init(&w->lock, NULL);
    w->tasks_end = &w->tasks;
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    status st = ST_OK;
    if (w->epoll_fd < 0 || w->event_fd < 0 ||
        epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->event_fd, &ev) != 0)
        st = FAIL(err, ST_IO, "watcher: no epoll");
    if (st == ST_OK) st = thread_start(&w->thread, "cupola-watch", watch, w, err);
    if (st != ST_OK) {
        watcher_destroy(w);
        return st;
    }
    *out = w;
    return ST_OK;
}

void watcher_destroy(struct watcher *w)
{
    if (!w) return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_mutex_unlock(&w->lock);
    if (w->thread.running) {
        poke(w);
        thread_join(&w->thread);
    }
    while (w->conns) watcher_remove(w, w->conns);
    if (w->event_fd >= 0) close(w->event_fd);
    if (w->epoll_fd >= 0) close(w->epoll_fd);
    pthread_mutex_destroy(&w->lock);
    mem_free(w);
}

void watcher_run(struct watcher *w, struct watcher_task *task)
{
    pthread_mutex_lock(&w->lock);
    task->next = NULL;
    *w->tasks_end = task;
    w->tasks_end = &task->next;
    pthread_mutex_unlock(&w->lock);
    poke(w);
}

/* ---- connections ---- */

struct conn_watch *watcher_add(struct watcher *w, int fd)
{
    struct conn_watch *c = mem_calloc(1, sizeof *c);

    if (!c) return NULL;
    c->fd = fd;
    pthread_mutex_lock(&w->lock);
    c->serial = ++w->serial;
    c->next = w->conns;
    if (c->next) c->next->prev = c;
    w->conns = c;
    pthread_mutex_unlock(&w->lock);
    return c;
}

void watcher_remove(struct watcher *w, struct conn_watch *c)
{
    if (!c) return;
    pthread_mutex_lock(&w->lock);
    if (c->in_epoll) epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
    if (c->next) c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        w->conns = c->next;
    pthread_mutex_unlock(&w->lock);
    mem_free(c);
}

void watcher_deadline(struct watcher *w, struct conn_watch *c, double seconds)
{
    if (!c) return;
    pthread_mutex_lock(&w->lock);
    c->deadline_ns = seconds > 0 ? os_now_ns() + (uint64_t)(seconds * 1e9) : 0;
    pthread_mutex_unlock(&w->lock);
}

void watcher_arm(struct watcher *w, struct conn_watch *c, watcher_gone_fn *gone,
                 watcher_gone_fn *ref, watcher_gone_fn *unref, void *user)
{
    struct epoll_event ev = { .events = EPOLLRDHUP | EPOLLONESHOT };

    if (!c) return;
    pthread_mutex_lock(&w->lock);
    c->gone = gone;
    c->ref = ref;
    c->unref = unref;
    c->user = user;
    ev.data.u64 = c->serial;
    epoll_ctl(w->epoll_fd, c->in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &ev);
    c->in_epoll = true;
    pthread_mutex_unlock(&w->lock);
}

void watcher_disarm(struct watcher *w, struct conn_watch *c)
{
    if (!c) return;
    pthread_mutex_lock(&w->lock);
    c->gone = NULL;
    if (c->in_epoll) epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
    c->in_epoll = false;
    pthread_mutex_unlock(&w->lock);
}
