/* SPDX-License-Identifier: MIT */
/* The header gate: what a request must look like before it is routed. It closes what libmicrohttpd
 * lets through (doubled headers, two framings, foreign absolute targets) and keeps web pages of
 * other origins away from a service on this machine: by Host (DNS rebinding), Origin and Sec-Fetch
 * (cross-site requests), and by the API key. */
#pragma once
#include "server/exchange.h"

/* One header of the request as the library gives it. */
struct header {
    const char *name, *value;
    size_t name_n, value_n;
};

/* What the gate looks at, gathered once. */
struct gate_headers {
    const char *host, *origin, *content_type, *authorization, *content_length;
    const char *transfer_encoding, *fetch_site, *fetch_mode, *fetch_dest, *referer;
    const char *request_id, *cors_method, *cors_headers;
    size_t bytes;
};

/* What the gate knows of the service. */
struct gate_policy {
    const char *bound_host; /* as configured */
    bool loopback;
    char (*key_hashes)[65]; /* [n_keys] SHA-256, hex; n_keys 0 = no key is asked for */
    size_t n_keys;
    const char *const *origins, *const *hosts;
    size_t n_origins, n_hosts;
};

/* Gathers the headers, values without the blanks behind them (RFC 9112, section 5: they are no part
 * of the value); what had some is copied into the arena. False with *e filled: one that may be
 * there once is there twice, or a name or value is malformed. Transfer-Encoding stays as the
 * library sees it. */
bool gate_collect(struct gate_headers *out, const struct header *headers, size_t n, struct arena *a,
                  struct api_error *e);
/* Framing and Host. http11: Host is required. */
bool gate_check_framing(const struct gate_headers *h, bool http11, struct api_error *e);
bool gate_check_host(const struct gate_headers *h, const struct gate_policy *policy,
                     struct api_error *e);
/* What the route asks of a caller from another origin. */
struct gate_route {
    bool is_public;     /* anybody may ask */
    bool changes_state; /* though it is a GET */
    bool post;          /* it has a body */
};
/* Origin and Sec-Fetch. *origin_allowed = Origin to echo. */
bool gate_check_origin(const struct gate_headers *h, const struct gate_policy *policy,
                       struct gate_route route, const char **origin_allowed, struct api_error *e);
bool gate_check_key(const struct gate_headers *h, const struct gate_policy *policy,
                    struct api_error *e);

/* Host names: exported for the tests. True for localhost, *.localhost, 127/8, [::1], with or
 * without a port. */
bool gate_host_is_loopback(const char *host);

/* The whole gate for an exchange whose headers have arrived: routes it, sets ex->origin, ex->id,
 * ex->route, ex->name; false with ex->reply filled when it is refused or already answered
 * (OPTIONS). */
bool gate_admit(struct exchange *ex, const char *version);
