/* SPDX-License-Identifier: MIT */
/* Setting up, step by step. */
#include "server/server_setup.h"
#include "server/server_internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTEN_BACKLOG = 1024, FILES_SPARE = 256, WORKERS_MAX = 4 };

/* ---- configuration ---- */

static status copy_list(const char *const **list, size_t n, struct arena *a, struct err *err)
{
    const char **copy = ARENA_ARRAY(a, n ? n : 1, const char *);

    if (!copy) return FAIL(err, ST_NOMEM, "server configuration");
    for (size_t i = 0; i < n; i++) {
        copy[i] = arena_strdup(a, (*list)[i]);
        if (!copy[i]) return FAIL(err, ST_NOMEM, "server configuration");
    }
    *list = copy;
    return ST_OK;
}

/* "http://host" or "https://host:port", nothing behind. */
static status check_origin(const char *origin, struct err *err)
{
    const char *host = NULL;

    if (strncasecmp(origin, "http://", 7) == 0) host = origin + 7;
    if (strncasecmp(origin, "https://", 8) == 0) host = origin + 8;
    if (!host || host[0] == '\0' || strpbrk(host, "/*?# "))
        return FAIL(err, ST_INVALID, "origin \"%s\": expected SCHEME://HOST[:PORT]", origin);
    return ST_OK;
}

static void fill_defaults(struct server_config *c)
{
    const size_t mib = 1 << 20;

    if (!c->host) c->host = "127.0.0.1";
    if (c->body_bytes_max == 0) c->body_bytes_max = 32 * mib;
    if (c->bodies_bytes_max == 0)
        c->bodies_bytes_max = c->body_bytes_max > 32 * mib ? 2 * c->body_bytes_max : 64 * mib;
    if (c->connections_max <= 0) c->connections_max = 2048;
    if (c->queue_max <= 0) c->queue_max = 256;
    if (c->header_seconds <= 0) c->header_seconds = 10;
    if (c->body_seconds <= 0) c->body_seconds = 60;
    if (c->idle_seconds <= 0) c->idle_seconds = 60;
    if (c->drain_seconds <= 0) c->drain_seconds = 30;
    if (c->abandon_seconds <= 0) c->abandon_seconds = 20;
    if (c->workers <= 0) {
        const unsigned cpus = os_cpu_count();
        c->workers = cpus > WORKERS_MAX ? WORKERS_MAX : (int)(cpus ? cpus : 1);
    }
}

/* Every connection is a file; so is much else. As far as the hard limit goes. */
static void raise_file_limit(const struct server_config *c)
{
    struct rlimit limit;
    const rlim_t wanted = (rlim_t)c->connections_max + CONNECTIONS_RESERVE + FILES_SPARE;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
    limit.rlim_cur =
        limit.rlim_max != RLIM_INFINITY && limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        LOG(LOG_WARN, "event=file_limit limit=%llu wanted=%llu", (unsigned long long)limit.rlim_cur,
            (unsigned long long)wanted);
}

status setup_config(struct server *s, const struct server_config *cfg, struct err *err)
{
    struct server_config *c = &s->cfg;

    *c = *cfg;
    fill_defaults(c);
    TRY(copy_list(&c->models, c->n_models, &s->arena, err));
    TRY(copy_list(&c->models_dirs, c->n_models_dirs, &s->arena, err));
    TRY(copy_list(&c->allow_origins, c->n_allow_origins, &s->arena, err));
    TRY(copy_list(&c->allow_hosts, c->n_allow_hosts, &s->arena, err));
    for (size_t i = 0; i < c->n_allow_origins; i++) TRY(check_origin(c->allow_origins[i], err));
    c->host = arena_strdup(&s->arena, c->host);
    if (c->api_key_file) c->api_key_file = arena_strdup(&s->arena, c->api_key_file);
    const char **texts[] = { &c->engine.device, &c->engine.isa, &c->engine.precision,
                             &c->engine.kv_dtype };
    for (size_t i = 0; i < COUNT(texts); i++)
        if (*texts[i]) *texts[i] = arena_strdup(&s->arena, *texts[i]);
    if (c->port < 0 || c->port > 65535)
        return FAIL(err, ST_INVALID, "port %d: expected 0 to 65535", c->port);
    raise_file_limit(c);
    return c->host ? ST_OK : FAIL(err, ST_NOMEM, "server configuration");
}

/* ---- socket ---- */

static bool is_loopback(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, addr, sizeof v4);
        return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
    }
    struct sockaddr_in6 v6;
    memcpy(&v6, addr, sizeof v6);
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

static bool is_any(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, addr, sizeof v4);
        return v4.sin_addr.s_addr == htonl(INADDR_ANY);
    }
    struct sockaddr_in6 v6;
    memcpy(&v6, addr, sizeof v6);
    return IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
}

static int bound_port(int fd)
{
    struct sockaddr_storage addr;
    socklen_t n = sizeof addr;
    char port[16];

    if (getsockname(fd, (struct sockaddr *)&addr, &n) != 0 ||
        getnameinfo((struct sockaddr *)&addr, n, NULL, 0, port, sizeof port, NI_NUMERICSERV) != 0)
        return 0;
    int64_t number = 0;
    return str_to_i64(port, &number) ? (int)number : 0;
}

static int open_socket(const struct addrinfo *ai)
{
    const int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int one = 1;

    if (fd < 0) return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, LISTEN_BACKLOG) == 0) return fd;
    close(fd);
    return -1;
}

/* An address that a client on this machine can connect to. */
static const char *make_url(struct server *s, const struct addrinfo *ai)
{
    char host[64] = "127.0.0.1";
    const bool v6 = ai->ai_family == AF_INET6;

    if (is_any(ai->ai_addr))
        snprintf(host, sizeof host, "%s", v6 ? "::1" : "127.0.0.1");
    else if (getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST) !=
             0)
        return NULL;
    return arena_printf(&s->arena, v6 ? "http://[%s]:%d" : "http://%s:%d", host, s->port);
}

static status listen_on(struct server *s, const struct addrinfo *ai, struct err *err)
{
    s->loopback = is_loopback(ai->ai_addr);
    if (!s->loopback && !s->cfg.api_key_file && !s->cfg.insecure)
        return FAIL(err, ST_INVALID,
                    "host %s: beyond this machine only with --api-key-file (or --insecure)",
                    s->cfg.host);
    s->listen_fd = open_socket(ai);
    if (s->listen_fd < 0)
        return FAIL(err, ST_IO, "%s port %d: cannot listen: %s", s->cfg.host, s->cfg.port,
                    strerror(errno));
    s->port = bound_port(s->listen_fd);
    s->url = make_url(s, ai);
    return s->url ? ST_OK : FAIL(err, ST_IO, "%s: no address", s->cfg.host);
}

status setup_listen(struct server *s, struct err *err)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *found = NULL;
    char port[16];

    snprintf(port, sizeof port, "%d", s->cfg.port);
    const int rc = getaddrinfo(s->cfg.host, port, &hints, &found);
    if (rc != 0) return FAIL(err, ST_INVALID, "host %s: %s", s->cfg.host, gai_strerror(rc));
    const struct addrinfo *ai = found;
    for (const struct addrinfo *a = found; a; a = a->ai_next) /* IPv4 where both are */
        if (a->ai_family == AF_INET) {
            ai = a;
            break;
        }
    const status st = listen_on(s, ai, err);
    freeaddrinfo(found);
    return st;
}

void setup_close_listen(struct server *s)
{
    if (s->listen_fd >= 0) close(s->listen_fd);
    s->listen_fd = -1;
}

/* ---- API keys ---- */

static status add_key(struct server *s, const char *key, size_t n, struct err *err)
{
    if (n < API_KEY_BYTES_MIN || memchr(key, ' ', n) || memchr(key, '\t', n))
        return FAIL(err, ST_INVALID, "%s: line %zu: a key has at least %d characters, no spaces",
                    s->cfg.api_key_file, s->n_keys + 1, API_KEY_BYTES_MIN);
    return hash_sha256(key, n, s->key_hashes[s->n_keys++], err);
}

static status read_keys(struct server *s, const char *text, struct err *err)
{
    size_t lines = 1;

    for (const char *p = text; *p; p++) lines += *p == '\n';
    s->key_hashes = arena_alloc_array(&s->arena, lines, sizeof *s->key_hashes);
    if (!s->key_hashes) return FAIL(err, ST_NOMEM, "%s", s->cfg.api_key_file);
    while (*text) {
        const size_t n = strcspn(text, "\r\n");
        if (n > 0 && text[0] != '#') TRY(add_key(s, text, n, err));
        text += n + strspn(text + n, "\r\n");
    }
    if (s->n_keys == 0) return FAIL(err, ST_INVALID, "%s: holds no key", s->cfg.api_key_file);
    return ST_OK;
}

status setup_api_key(struct server *s, struct err *err)
{
    char *text = NULL;
    size_t n = 0;

    if (!s->cfg.api_key_file) return ST_OK;
    TRY(os_read_file(s->cfg.api_key_file, API_KEY_FILE_BYTES_MAX, &text, &n, err));
    const status st = read_keys(s, text, err);
    explicit_bzero(text, n);
    mem_free(text);
    return st;
}

/* ---- first models ---- */

struct first_load {
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t done;
    bool told;
    struct err err;
};

static void first_loaded(void *user, const struct err *err)
{
    struct first_load *load = user;

    pthread_mutex_lock(&load->lock);
    if (err) load->err = *err;
    load->told = true;
    pthread_cond_signal(&load->done);
    pthread_mutex_unlock(&load->lock);
}

static status load_one(struct model *model, struct err *err)
{
    struct first_load load = { .told = false };
    struct model_waiter waiter = { .fn = first_loaded, .user = &load };

    pthread_mutex_init(&load.lock, NULL);
    pthread_cond_init(&load.done, NULL);
    if (!model_pin(model)) return FAIL(err, ST_BUSY, "%s: is being unloaded", model_path(model));
    model_when_ready(model, &waiter);
    pthread_mutex_lock(&load.lock);
    while (!load.told) pthread_cond_wait(&load.done, &load.lock);
    pthread_mutex_unlock(&load.lock);
    model_unpin(model);
    pthread_cond_destroy(&load.done);
    pthread_mutex_destroy(&load.lock);
    return load.err.code == ST_OK ? ST_OK : FAIL(err, load.err.code, "%s", load.err.text);
}

/* The models named at the start come first in the manager's list. */
status setup_load(struct server *s, struct err *err)
{
    for (size_t i = 0; i < model_named_count(s->models); i++)
        TRY(load_one(model_at(s->models, i), err));
    return ST_OK;
}
