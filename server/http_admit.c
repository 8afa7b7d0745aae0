/* SPDX-License-Identifier: MIT */
/* The gate on a real request: headers out of the library, through the rules, to a route. */
#include "server/http_body.h"
#include "server/http_gate.h"
#include "server/routes.h"
#include "server/server_internal.h"
#include <string.h>

enum { HEADERS_MAX = 100 };

struct header_list {
    struct header items[HEADERS_MAX];
    size_t n;
    bool too_many;
};

static enum MHD_Result collect(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_n,
                               const char *value, size_t value_n)
{
    struct header_list *list = cls;

    (void)kind;
    if (list->n == HEADERS_MAX) {
        list->too_many = true;
        return MHD_NO;
    }
    list->items[list->n++] = (struct header){ name, value ? value : "", name_n, value_n };
    return MHD_YES;
}

static struct gate_policy policy_of(const struct server *s)
{
    return (struct gate_policy){
        .bound_host = s->cfg.host,
        .loopback = s->loopback,
        .key_hashes = s->key_hashes,
        .n_keys = s->n_keys,
        .origins = s->cfg.allow_origins,
        .n_origins = s->cfg.n_allow_origins,
        .hosts = s->cfg.allow_hosts,
        .n_hosts = s->cfg.n_allow_hosts,
    };
}

/* The client's own id, where it is a plain one, so that its log and ours agree. */
static void take_request_id(struct exchange *ex, const char *id)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    if (!id || id[0] == '\0' || strlen(id) > REQUEST_ID_MAX || strspn(id, plain) != strlen(id))
        return;
    memcpy(ex->id, id, strlen(id) + 1);
}

/* The route; false with *e filled (404, 405), or with the reply to OPTIONS made. */
static bool find_route(struct exchange *ex, struct api_error *e)
{
    const char *allow = NULL;
    struct err err = { 0 };

    if (url_parse(&ex->url, ex->target, &ex->arena, &err) != ST_OK)
        return api_fail(e, err.code == ST_LIMIT ? FAULT_URI_SIZE : FAULT_REQUEST, NULL, "%s",
                        err.text);
    ex->route = route_find(ex->method, &ex->url, &ex->name, &ex->arena, &allow);
    if (ex->route) return true;
    if (!allow)
        return api_fail(e, FAULT_ROUTE, NULL, "Unknown address: %.64s %.200s", ex->method,
                        ex->target);
    ex->reply.allow = allow;
    if (str_equal(ex->method, "OPTIONS")) {
        reply_empty(ex, 204);
        return false;
    }
    return api_fail(e, FAULT_METHOD, NULL, "Method %.32s is not allowed here.", ex->method);
}

/* Origin first, so that a page of another site learns not even which addresses exist. */
static bool check_access(struct exchange *ex, const struct gate_headers *h,
                         const struct gate_policy *policy, bool found, struct api_error *e)
{
    const unsigned flags = ex->route ? ex->route->flags : 0;
    const struct gate_route route = { flags & ROUTE_PUBLIC, flags & ROUTE_STATE,
                                      found && (flags & ROUTE_BODY) };
    const char *origin = NULL;

    const bool ok = gate_check_origin(h, policy, route, &origin, e);
    if (origin) ex->origin = arena_strdup(&ex->arena, origin); /* a page may read its refusal too */
    if (!ok) return false;
    if (ex->reply.code == 204) { /* OPTIONS: a preflight carries no key */
        ex->reply.preflight = h->cors_method && ex->origin;
        return true;
    }
    return route.is_public || gate_check_key(h, policy, e);
}

static bool check_capacity(struct exchange *ex, const struct gate_headers *h, struct api_error *e)
{
    struct server *s = ex->server;
    int64_t length = 0;

    if (atomic_load(&s->draining) && !(ex->route->flags & ROUTE_DRAIN))
        return api_fail(e, FAULT_STOPPING, NULL, "The server is stopping.");
    if (atomic_load(&s->n_connections) > s->cfg.connections_max)
        return api_fail(e, FAULT_BUSY, NULL, "Too many connections.");
    if (!h->content_length) return true;
    if (!str_to_i64(h->content_length, &length) || (uint64_t)length > body_limit(ex))
        return api_fail(e, FAULT_BODY_SIZE, NULL, "The request body may have at most %zu bytes.",
                        body_limit(ex));
    return true;
}

static bool check(struct exchange *ex, const struct gate_headers *h, bool http11,
                  struct api_error *e)
{
    const struct gate_policy policy = policy_of(ex->server);
    struct api_error route_error = { 0 };

    if (h->bytes > HEADERS_BYTES_MAX)
        return api_fail(e, FAULT_HEADER_SIZE, NULL, "Headers: %zu bytes, at most %d.", h->bytes,
                        HEADERS_BYTES_MAX);
    if (!gate_check_framing(h, http11, e) || !gate_check_host(h, &policy, e)) return false;
    const bool found = find_route(ex, &route_error);
    if (!check_access(ex, h, &policy, found, e)) return false;
    if (route_error.set) *e = route_error;
    if (!found) return false;
    return check_capacity(ex, h, e);
}

bool gate_admit(struct exchange *ex, const char *version)
{
    struct header_list list = { .n = 0 };
    struct gate_headers h;
    struct api_error e = { 0 };

    (void)MHD_get_connection_values_n(ex->conn, MHD_HEADER_KIND, collect, &list);
    bool ok = true;
    if (list.too_many)
        ok = api_fail(&e, FAULT_HEADER_SIZE, NULL, "More than %d headers.", HEADERS_MAX);
    ok = ok && gate_collect(&h, list.items, list.n, &ex->arena, &e);
    if (ok) {
        take_request_id(ex, h.request_id);
        ok = check(ex, &h, !str_equal(version, "HTTP/1.0"), &e);
    }
    if (ok) return true;
    if (e.set) reply_error(ex, &e);
    /* What is wrong with the framing makes the rest of the connection unreadable. */
    if (e.set && (e.fault == FAULT_REQUEST || e.fault == FAULT_CODING ||
                  e.fault == FAULT_BODY_SIZE || e.fault == FAULT_HEADER_SIZE))
        ex->reply.close = true;
    return false;
}
