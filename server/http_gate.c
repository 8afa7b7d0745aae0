/* SPDX-License-Identifier: MIT */
/* The rules behind http_gate.h, on plain values: they know nothing of the library. */
#include "server/http_gate.h"
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { HOST_BYTES_MAX = 256 };

/* ---- collecting ---- */

static bool is_token(const char *s, size_t n)
{
    static const char extra[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < n; i++) {
        const char c = s[i];
        const bool alnum = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
        if (!alnum && (c == '\0' || !strchr(extra, c))) return false;
    }
    return n > 0;
}

/* No control bytes (which catches NULs and folded lines). */
static bool is_value(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) return false;
    }
    return true;
}

static const char **slot_of(struct gate_headers *h, const char *name)
{
    const struct {
        const char *name;
        const char **slot;
    } slots[] = {
        { "Host", &h->host },
        { "Origin", &h->origin },
        { "Content-Type", &h->content_type },
        { "Authorization", &h->authorization },
        { "Content-Length", &h->content_length },
        { "Transfer-Encoding", &h->transfer_encoding },
        { "Sec-Fetch-Site", &h->fetch_site },
        { "Sec-Fetch-Mode", &h->fetch_mode },
        { "Sec-Fetch-Dest", &h->fetch_dest },
        { "Referer", &h->referer },
        { "X-Request-Id", &h->request_id },
        { "Access-Control-Request-Method", &h->cors_method },
        { "Access-Control-Request-Headers", &h->cors_headers },
    };

    for (size_t i = 0; i < COUNT(slots); i++)
        if (strcasecmp(slots[i].name, name) == 0) return slots[i].slot;
    return NULL;
}

/* The value without the blanks behind it; NULL: no memory. */
static const char *value_of(const struct header *h, struct arena *a)
{
    size_t n = h->value_n;

    while (n > 0 && (h->value[n - 1] == ' ' || h->value[n - 1] == '\t')) n--;
    return n == h->value_n ? h->value : arena_strndup(a, h->value, n);
}

bool gate_collect(struct gate_headers *out, const struct header *headers, size_t n, struct arena *a,
                  struct api_error *e)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        const struct header *h = &headers[i];
        out->bytes += h->name_n + h->value_n + 4;
        if (!is_token(h->name, h->name_n))
            return api_fail(e, FAULT_REQUEST, NULL, "Malformed header name.");
        if (!is_value(h->value, h->value_n))
            return api_fail(e, FAULT_REQUEST, NULL, "Malformed value of header %.64s.", h->name);
        const char **slot = slot_of(out, h->name);
        if (!slot) continue;
        if (*slot) return api_fail(e, FAULT_REQUEST, NULL, "Header %.64s is given twice.", h->name);
        /* The library reads "chunked " as no chunks, so what it is told must be what it reads. */
        *slot = slot == &out->transfer_encoding ? h->value : value_of(h, a);
        if (!*slot) return api_fail(e, FAULT_MEMORY, NULL, "No memory for the headers.");
    }
    return true;
}

/* ---- framing ---- */

bool gate_check_framing(const struct gate_headers *h, bool http11, struct api_error *e)
{
    if (http11 && !h->host) return api_fail(e, FAULT_REQUEST, NULL, "Missing header Host.");
    if (h->content_length && h->transfer_encoding)
        return api_fail(e, FAULT_REQUEST, NULL,
                        "Both Content-Length and Transfer-Encoding are given.");
    if (h->transfer_encoding && strcasecmp(h->transfer_encoding, "chunked") != 0)
        return api_fail(e, FAULT_CODING, NULL, "Transfer-Encoding: only chunked is supported.");
    if (h->content_length && (h->content_length[0] == '\0' ||
                              strspn(h->content_length, "0123456789") != strlen(h->content_length)))
        return api_fail(e, FAULT_REQUEST, NULL, "Malformed Content-Length.");
    return true;
}

/* ---- Host ---- */

/* Splits "name", "name:port", "[v6]", "[v6]:port"; copies the name without brackets. */
static bool host_name(const char *host, char name[HOST_BYTES_MAX], bool *bracketed)
{
    const char *end = NULL, *rest = NULL;

    *bracketed = host[0] == '[';
    if (*bracketed) {
        end = strchr(++host, ']');
        if (!end) return false;
        rest = end + 1;
    } else {
        end = host + strcspn(host, ":");
        rest = end;
    }
    const size_t n = (size_t)(end - host);
    if (n == 0 || n >= HOST_BYTES_MAX) return false;
    if (rest[0] == ':') {
        if (strlen(rest) < 2 || strlen(rest) > 6 ||
            strspn(rest + 1, "0123456789") != strlen(rest + 1))
            return false;
    } else if (rest[0] != '\0') {
        return false;
    }
    memcpy(name, host, n);
    name[n] = '\0';
    return true;
}

static bool is_loopback_name(const char *name, bool bracketed)
{
    struct in_addr v4;
    struct in6_addr v6;
    const size_t n = strlen(name);
    static const char suffix[] = ".localhost";
    const size_t suffix_n = sizeof suffix - 1;

    if (bracketed) return inet_pton(AF_INET6, name, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    if (strcasecmp(name, "localhost") == 0) return true;
    if (n > suffix_n && strcasecmp(name + n - suffix_n, suffix) == 0) return name[0] != '.';
    return inet_pton(AF_INET, name, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}

bool gate_host_is_loopback(const char *host)
{
    char name[HOST_BYTES_MAX];
    bool bracketed = false;

    return host_name(host, name, &bracketed) && is_loopback_name(name, bracketed);
}

/* Rebinding needs a DNS name, so an address literal is safe; but only a server bound beyond
 * loopback answers to one. */
static bool is_address(const char *name, bool bracketed)
{
    struct in_addr v4;
    struct in6_addr v6;

    return bracketed ? inet_pton(AF_INET6, name, &v6) == 1 : inet_pton(AF_INET, name, &v4) == 1;
}

static bool is_configured_name(const struct gate_policy *policy, const char *name)
{
    char machine[HOST_BYTES_MAX] = "";

    for (size_t i = 0; i < policy->n_hosts; i++)
        if (strcasecmp(policy->hosts[i], name) == 0) return true;
    if (policy->bound_host && strcasecmp(policy->bound_host, name) == 0) return true;
    return !policy->loopback && gethostname(machine, sizeof machine - 1) == 0 && machine[0] &&
           strcasecmp(machine, name) == 0;
}

bool gate_check_host(const struct gate_headers *h, const struct gate_policy *policy,
                     struct api_error *e)
{
    char name[HOST_BYTES_MAX];
    bool bracketed = false;

    if (!h->host) return true;
    if (!host_name(h->host, name, &bracketed))
        return api_fail(e, FAULT_REQUEST, NULL, "Malformed header Host.");
    if (is_loopback_name(name, bracketed) || is_configured_name(policy, name)) return true;
    if (!policy->loopback && is_address(name, bracketed)) return true;
    return api_fail(e, FAULT_FORBIDDEN, NULL, "Host '%.100s' is not served here.", name);
}

/* ---- Origin, Sec-Fetch, Referer ---- */

/* url is "http://HOST" of this very request, alone or followed by '/'. */
static bool is_own_url(const struct gate_headers *h, const char *url, bool path_allowed)
{
    static const char scheme[] = "http://";
    const size_t n = h->host ? strlen(h->host) : 0;

    if (n == 0 || strncasecmp(url, scheme, sizeof scheme - 1) != 0) return false;
    url += sizeof scheme - 1;
    if (strncasecmp(url, h->host, n) != 0) return false;
    return url[n] == '\0' || (path_allowed && (url[n] == '/' || url[n] == '?'));
}

static bool is_configured_origin(const struct gate_policy *policy, const char *origin)
{
    for (size_t i = 0; i < policy->n_origins; i++)
        if (strcasecmp(policy->origins[i], origin) == 0) return true;
    return false;
}

static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    const size_t n = sizeof json - 1;

    return type && strncasecmp(type, json, n) == 0 &&
           (type[n] == '\0' || type[n] == ';' || type[n] == ' ');
}

static bool differs(const char *value, const char *wanted)
{
    return value && strcasecmp(value, wanted) != 0;
}

/* A GET that changes something may come from a program or from fetch(), not from an image, a link
 * or the address bar. */
static bool check_state_get(const struct gate_headers *h, bool own, struct api_error *e)
{
    if (differs(h->fetch_dest, "empty") ||
        (h->fetch_mode && strcasecmp(h->fetch_mode, "navigate") == 0))
        return api_fail(e, FAULT_FORBIDDEN, NULL,
                        "This address changes state: it cannot be opened as a page or resource.");
    if (h->referer && !own && !is_own_url(h, h->referer, true))
        return api_fail(e, FAULT_FORBIDDEN, NULL, "Requests from other sites are refused.");
    return true;
}

bool gate_check_origin(const struct gate_headers *h, const struct gate_policy *policy,
                       struct gate_route route, const char **origin_allowed, struct api_error *e)
{
    const bool own = h->origin && is_own_url(h, h->origin, false);
    const bool configured = h->origin && is_configured_origin(policy, h->origin);
    const bool cross_site = differs(h->fetch_site, "same-origin") && differs(h->fetch_site, "none");

    *origin_allowed = configured ? h->origin : NULL;
    if (route.is_public) return true;
    if (h->origin && !own && !configured)
        return api_fail(e, FAULT_FORBIDDEN, NULL, "Origin is not allowed (see --allow-origin).");
    if (cross_site && !configured)
        return api_fail(e, FAULT_FORBIDDEN, NULL, "Requests from other sites are refused.");
    if (route.changes_state && !check_state_get(h, own || configured, e)) return false;
    const bool browser = h->origin || h->fetch_site || h->fetch_mode || h->fetch_dest;
    if (route.post && browser && !is_json(h->content_type))
        return api_fail(e, FAULT_MEDIA, NULL, "Content-Type must be application/json.");
    return true;
}

/* ---- API key ---- */

/* Compares hashes, all of them and to their end, so that time tells nothing of a key. */
static bool key_matches(const char *key, const struct gate_policy *policy)
{
    char hex[65];
    bool found = false;

    if (hash_sha256(key, strlen(key), hex, NULL) != ST_OK) return false;
    for (size_t k = 0; k < policy->n_keys; k++) {
        unsigned char diff = 0;
        for (size_t i = 0; i < 64; i++) diff |= (unsigned char)(hex[i] ^ policy->key_hashes[k][i]);
        found |= diff == 0;
    }
    return found;
}

bool gate_check_key(const struct gate_headers *h, const struct gate_policy *policy,
                    struct api_error *e)
{
    static const char scheme[] = "Bearer ";

    if (policy->n_keys == 0) return true;
    if (!h->authorization || strncasecmp(h->authorization, scheme, sizeof scheme - 1) != 0)
        return api_fail(e, FAULT_KEY, NULL, "Missing header Authorization: Bearer KEY.");
    if (!key_matches(h->authorization + sizeof scheme - 1, policy))
        return api_fail(e, FAULT_KEY, NULL, "Wrong API key.");
    return true;
}
