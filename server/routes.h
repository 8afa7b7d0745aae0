/* SPDX-License-Identifier: MIT */
/* The one table of routes: what a method and a path lead to, and under which conditions. */
#pragma once
#include "server/exchange.h"

/* P  public: no API key, and any page may navigate to it (it tells nothing)
 * S  changes state although it is a GET: refused to pages and links
 * J  has a JSON body
 * D  answered while the server drains */
enum { ROUTE_PUBLIC = 1, ROUTE_STATE = 2, ROUTE_BODY = 4, ROUTE_DRAIN = 8 };

typedef void route_handler(struct exchange *ex);

struct route {
    const char *method, *path;
    route_handler *handle;
    size_t body_bytes_max; /* 0 with ROUTE_BODY: the configured limit */
    unsigned flags;
};

size_t route_count(void);
const struct route *route_at(size_t i);
size_t route_index(const struct route *route);
/* The route of a method and a decoded path; *name gets the segment that {name} stands for. NULL:
 * none; *allow is then the methods that the path has ("GET, HEAD"), NULL if it has none. HEAD finds
 * GET routes that change nothing. */
const struct route *route_find(const char *method, const struct url *url, const char **name,
                               struct arena *a, const char **allow);
