/* SPDX-License-Identifier: MIT */
/* The rules of http_body.h. */
#include "server/http_body.h"
#include "server/routes.h"
#include "server/server_internal.h"
#include <string.h>

enum { UNWANTED_BODY_BYTES = 64 << 10 }; /* of a request that needs none: read and ignored */

size_t body_limit(const struct exchange *ex)
{
    const struct route *route = ex->route;

    if (!route || !(route->flags & ROUTE_BODY)) return UNWANTED_BODY_BYTES;
    return route->body_bytes_max ? route->body_bytes_max : ex->server->cfg.body_bytes_max;
}

static bool charge(struct exchange *ex, size_t n)
{
    struct server *s = ex->server;

    if (atomic_fetch_add(&s->bodies_bytes, n) + n > s->cfg.bodies_bytes_max) {
        atomic_fetch_sub(&s->bodies_bytes, n);
        return false;
    }
    ex->body_charged += n;
    return true;
}

void body_release(struct exchange *ex)
{
    if (ex->body_charged > 0) atomic_fetch_sub(&ex->server->bodies_bytes, ex->body_charged);
    ex->body_charged = 0;
}

static bool refuse(struct exchange *ex, enum http_fault fault, const char *why)
{
    reply_fault(ex, fault, NULL, "%s", why);
    ex->reply.close = true;
    ex->refused = true;
    str_fini(&ex->body);
    body_release(ex);
    return true;
}

bool body_take(struct exchange *ex, const char *data, size_t n)
{
    const size_t limit = body_limit(ex);
    const bool wanted = ex->route && (ex->route->flags & ROUTE_BODY) && !ex->refused;

    ex->body_received += n;
    if (ex->body_received > 2 * limit) return false;
    if (!wanted) return true;
    if (ex->body_received > limit)
        return refuse(ex, FAULT_BODY_SIZE, "The request body is too large.");
    if (!charge(ex, n)) return refuse(ex, FAULT_BUSY, "Too many requests are being received.");
    str_put_n(&ex->body, data, n);
    if (ex->body.failed) return refuse(ex, FAULT_MEMORY, "No memory for the request body.");
    return true;
}

status body_json(const char *body, size_t n, const struct json_limits *limits, cJSON **out,
                 struct err *err)
{
    if (n >= 3 && memcmp(body, "\xEF\xBB\xBF", 3) == 0)
        return FAIL(err, ST_FORMAT, "byte 0: a byte order mark (the body is UTF-8 without one)");
    return json_parse(body, n, limits, out, err);
}
