/* SPDX-License-Identifier: MIT */
/* The table of routes. A new endpoint is a row here and a function in its dialect's file. */
#include "server/routes.h"
#include "server/foundry.h"
#include "server/health.h"
#include "server/metrics.h"
#include "server/openai_chat.h"
#include "server/openai_embeddings.h"
#include "server/openai_models.h"
#include "server/page.h"
#include <string.h>

#define P ROUTE_PUBLIC
#define S ROUTE_STATE
#define J ROUTE_BODY
#define D ROUTE_DRAIN

// clang-format off
static const struct route routes[] = {
    /* method path                                           handler                body   flags */
    { "POST", "/v1/chat/completions",                        openai_chat,              0, J },
    { "POST", "/v1/chat/completions/tokenizer/encode/count", openai_chat_count,        0, J },
    { "POST", "/v1/embeddings",                              openai_embeddings,        0, J },
    { "GET",  "/v1/models",                                  openai_models_list,       0, 0 },
    { "GET",  "/v1/models/{name}",                           openai_models_get,        0, 0 },
    { "GET",  "/openai/status",                              foundry_status,           0, D },
    { "GET",  "/openai/models",                              foundry_models,           0, 0 },
    { "GET",  "/openai/loadedmodels",                        foundry_loaded_models,    0, 0 },
    { "GET",  "/openai/load/{name}",                         foundry_load,             0, S },
    { "GET",  "/openai/unload/{name}",                       foundry_unload,           0, S },
    { "GET",  "/openai/unloadall",                           foundry_unload_all,       0, S },
    { "GET",  "/foundry/list",                               foundry_list,             0, 0 },
    { "GET",  "/health",                                     health_alive,             0, P | D },
    { "GET",  "/health/ready",                               health_ready,             0, P | D },
    { "GET",  "/metrics",                                    metrics_show,             0, D },
    { "GET",  "/",                                           page_chat,                0, P },
};
// clang-format on

size_t route_count(void) { return COUNT(routes); }

const struct route *route_at(size_t i) { return &routes[i]; }

size_t route_index(const struct route *route) { return (size_t)(route - routes); }

/* Compares a pattern with decoded segments. */
static bool path_matches(const char *pattern, const struct url *url, const char **name)
{
    const char *p = pattern + 1;

    *name = NULL;
    for (size_t i = 0; i < url->n_segments; i++) {
        const size_t n = strcspn(p, "/");
        if (n == 0) return false;
        if (p[0] == '{')
            *name = url->segments[i];
        else if (strlen(url->segments[i]) != n || memcmp(p, url->segments[i], n) != 0)
            return false;
        p += n + (p[n] == '/');
    }
    return *p == '\0';
}

static bool method_matches(const struct route *route, const char *method)
{
    if (str_equal(route->method, method)) return true;
    return str_equal(method, "HEAD") && str_equal(route->method, "GET") &&
           !(route->flags & ROUTE_STATE);
}

/* "GET, HEAD, OPTIONS" for the rows of this path. */
static const char *allowed_methods(const struct url *url, struct arena *a)
{
    const char *allow = NULL, *name = NULL;

    for (size_t i = 0; i < COUNT(routes); i++) {
        const bool head = str_equal(routes[i].method, "GET") && !(routes[i].flags & ROUTE_STATE);
        if (!path_matches(routes[i].path, url, &name)) continue;
        allow = arena_printf(a, "%s%s%s%s", allow ? allow : "", allow ? ", " : "", routes[i].method,
                             head ? ", HEAD" : "");
    }
    return allow ? arena_printf(a, "%s, OPTIONS", allow) : NULL;
}

const struct route *route_find(const char *method, const struct url *url, const char **name,
                               struct arena *a, const char **allow)
{
    *allow = NULL;
    for (size_t i = 0; i < COUNT(routes); i++)
        if (path_matches(routes[i].path, url, name) && method_matches(&routes[i], method))
            return &routes[i];
    *allow = allowed_methods(url, a);
    return NULL;
}
