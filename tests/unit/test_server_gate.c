/* SPDX-License-Identifier: MIT */
/* The header gate: framing, Host, Origin, Sec-Fetch, keys. The cases are numbered as in
 * docs/security of a service on localhost: what a local tool sends passes, what a foreign page can
 * make a browser send does not. */
#include "server/http_gate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { PAIRS_MAX = 8 };

/* What the gate says: 0 = admitted, else the HTTP code. */
struct gate_case {
    const char *what;
    const char *pairs[2 * PAIRS_MAX]; /* name, value, … */
    bool public_route, state_route, post;
    int code;
    const char *origin; /* echoed */
};

static const char *const two_origins[] = { "http://localhost:3000", "https://chat.example" };

static int check(const struct gate_case *c, const struct gate_policy *policy, const char **origin)
{
    static char echoed[128];
    struct header headers[PAIRS_MAX];
    struct gate_headers h;
    struct api_error e = { 0 };
    struct arena a = { 0 };
    size_t n = 0;

    for (; n < PAIRS_MAX && c->pairs[2 * n]; n++)
        headers[n] = (struct header){ c->pairs[2 * n], c->pairs[2 * n + 1], strlen(c->pairs[2 * n]),
                                      strlen(c->pairs[2 * n + 1]) };
    const struct gate_route route = { c->public_route, c->state_route, c->post };

    *origin = NULL;
    const bool ok = gate_collect(&h, headers, n, &a, &e) && gate_check_framing(&h, true, &e) &&
                    gate_check_host(&h, policy, &e) &&
                    gate_check_origin(&h, policy, route, origin, &e) &&
                    gate_check_key(&h, policy, &e);
    assert_int_equal(ok, !e.set);
    if (*origin) snprintf(echoed, sizeof echoed, "%s", *origin); /* it may lie in the arena */
    if (*origin) *origin = echoed;
    arena_fini(&a);
    return ok ? 0 : fault_http_code(e.fault);
}

static void run(const struct gate_case *cases, size_t n, const struct gate_policy *policy)
{
    for (size_t i = 0; i < n; i++) {
        const char *origin = NULL;
        const int code = check(&cases[i], policy, &origin);
        if (code != cases[i].code)
            fail_msg("%s: %d, expected %d", cases[i].what, code, cases[i].code);
        if (!(origin ? cases[i].origin && !strcmp(origin, cases[i].origin) : !cases[i].origin))
            fail_msg("%s: origin %s", cases[i].what, origin ? origin : "none");
    }
}

#define HOST "Host", "127.0.0.1:8080"

static const struct gate_policy local = { .bound_host = "127.0.0.1", .loopback = true };

static void hosts(void **state)
{
    static const struct gate_case cases[] = {
        { "1 localhost", { "Host", "localhost" }, .code = 0 },
        { "1 with port", { "Host", "LocalHost:5272" }, .code = 0 },
        { "2 127.0.0.1 with port", { "Host", "127.0.0.1:5272" }, .code = 0 },
        { "2 127.1.2.3", { "Host", "127.1.2.3" }, .code = 0 },
        { "3 [::1]", { "Host", "[::1]" }, .code = 0 },
        { "3 [::1] with port", { "Host", "[::1]:80" }, .code = 0 },
        { "4 x.localhost", { "Host", "x.localhost" }, .code = 0 },
        { "5 evil.example", { "Host", "evil.example" }, .code = 403 },
        { "6 localhost.evil.example", { "Host", "localhost.evil.example" }, .code = 403 },
        { "7 127.0.0.1.evil.example", { "Host", "127.0.0.1.evil.example" }, .code = 403 },
        { "8 two hosts", { "Host", "localhost", "Host", "localhost" }, .code = 400 },
        { "8 two hosts in other case", { "Host", "localhost", "hOST", "evil" }, .code = 400 },
        { "9 missing", { "Accept", "*/*" }, .code = 400 },
        { "11 space before the colon", { "Host ", "localhost" }, .code = 400 },
        { "12 trailing dot", { "Host", "localhost." }, .code = 403 },
        { "not loopback address", { "Host", "192.168.1.7" }, .code = 403 },
        { "0.0.0.0", { "Host", "0.0.0.0" }, .code = 403 },
        { "decimal 127.0.0.1", { "Host", "2130706433" }, .code = 403 },
        { "short 127.1", { "Host", "127.1" }, .code = 403 },
        { ".localhost alone", { "Host", ".localhost" }, .code = 403 },
        { "..localhost", { "Host", "..localhost" }, .code = 403 },
        { "xlocalhost", { "Host", "xlocalhost" }, .code = 403 },
        { "[::2]", { "Host", "[::2]" }, .code = 403 },
        { "[::1 open", { "Host", "[::1" }, .code = 400 },
        { "[::1]x", { "Host", "[::1]x" }, .code = 400 },
        { "bad port", { "Host", "localhost:80x" }, .code = 400 },
        { "user@", { "Host", "localhost@evil.example" }, .code = 403 },
        { "empty", { "Host", "" }, .code = 400 },
    };

    (void)state;
    run(cases, COUNT(cases), &local);
}

static void hosts_beyond_loopback(void **state)
{
    static const char *const names[] = { "llm.lan" };
    static const struct gate_policy open = { .bound_host = "0.0.0.0",
                                             .hosts = names,
                                             .n_hosts = 1 };
    static const struct gate_case cases[] = {
        { "an address", { "Host", "192.168.1.7:5272" }, .code = 0 },
        { "a v6 address", { "Host", "[fd00::7]:5272" }, .code = 0 },
        { "a configured name", { "Host", "LLM.lan" }, .code = 0 },
        { "loopback", { "Host", "localhost" }, .code = 0 },
        { "rebinding", { "Host", "evil.example" }, .code = 403 },
        { "prefix of a configured name", { "Host", "llm.lan.evil.example" }, .code = 403 },
    };

    (void)state;
    run(cases, COUNT(cases), &open);
}

static void framing(void **state)
{
    static const struct gate_case cases[] = {
        { "blanks behind values",
          { "Host", "localhost \t", "Content-Length", "12 ", "Content-Type", "\t" },
          .code = 0 },
        { "chunked with a blank behind", { HOST, "Transfer-Encoding", "chunked " }, .code = 501 },
        { "length", { HOST, "Content-Length", "12" }, .code = 0 },
        { "chunked", { HOST, "Transfer-Encoding", "Chunked" }, .code = 0 },
        { "both", { HOST, "Content-Length", "5", "Transfer-Encoding", "chunked" }, .code = 400 },
        { "two lengths", { HOST, "Content-Length", "5", "Content-Length", "5" }, .code = 400 },
        { "two encodings",
          { HOST, "Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked" },
          .code = 400 },
        { "gzip", { HOST, "Transfer-Encoding", "gzip, chunked" }, .code = 501 },
        { "xchunked", { HOST, "Transfer-Encoding", "xchunked" }, .code = 501 },
        { "identity", { HOST, "Transfer-Encoding", "identity" }, .code = 501 },
        { "negative length", { HOST, "Content-Length", "-1" }, .code = 400 },
        { "signed length", { HOST, "Content-Length", "+1" }, .code = 400 },
        { "length list", { HOST, "Content-Length", "5, 5" }, .code = 400 },
        { "empty length", { HOST, "Content-Length", "" }, .code = 400 },
        { "control byte", { HOST, "X-A", "a\x01" }, .code = 400 },
        { "folded line", { HOST, "X-A", "a\r\n b" }, .code = 400 },
        { "empty name", { HOST, "", "a" }, .code = 400 },
        { "name with a bracket", { HOST, "a(b)", "a" }, .code = 400 },
    };
    const struct header nul = { "X-A", "a\0b", 3, 3 };
    struct gate_headers h;
    struct api_error e = { 0 };

    (void)state;
    run(cases, COUNT(cases), &local);
    assert_false(gate_collect(&h, &nul, 1, NULL, &e));
}

static void origins(void **state)
{
    static const struct gate_policy two = {
        .bound_host = "127.0.0.1", .loopback = true, .origins = two_origins, .n_origins = 2
    };
    static const struct gate_case cases[] = {
        { "13 none", { HOST }, .code = 0 },
        { "14 evil", { HOST, "Origin", "http://evil.example" }, .code = 403 },
        { "15 null", { HOST, "Origin", "null" }, .code = 403 },
        { "16 another port", { HOST, "Origin", "http://127.0.0.1:3000" }, .code = 403 },
        { "own page",
          { HOST, "Origin", "http://127.0.0.1:8080", "Sec-Fetch-Site", "same-origin" },
          .code = 0 },
        { "own, other scheme", { HOST, "Origin", "https://127.0.0.1:8080" }, .code = 403 },
        { "own with a tail",
          { HOST, "Origin", "http://127.0.0.1:8080.evil.example" },
          .code = 403 },
        { "two origins", { HOST, "Origin", "http://a", "Origin", "http://b" }, .code = 400 },
        { "public route", { HOST, "Origin", "http://evil.example" }, .public_route = true },
    };
    static const struct gate_case configured[] = {
        { "17 configured",
          { HOST, "Origin", "http://localhost:3000" },
          .origin = "http://localhost:3000" },
        { "17 configured and cross-site",
          { HOST, "Origin", "https://chat.example", "Sec-Fetch-Site", "cross-site" },
          .origin = "https://chat.example" },
        { "18 a refused type is told to the page",
          { HOST, "Origin", "http://localhost:3000", "Content-Type", "text/plain" },
          .post = true,
          .code = 415,
          .origin = "http://localhost:3000" },
        { "18 not both", { HOST, "Origin", "https://evil.example" }, .code = 403 },
        { "18 list",
          { HOST, "Origin", "http://localhost:3000, https://chat.example" },
          .code = 403 },
    };

    (void)state;
    run(cases, COUNT(cases), &local);
    run(configured, COUNT(configured), &two);
}

static void cross_site_requests(void **state)
{
    static const struct gate_case cases[] = {
        { "22 cross-site GET of a state",
          { HOST, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors" },
          .state_route = true,
          .code = 403 },
        { "cross-site GET of data", { HOST, "Sec-Fetch-Site", "cross-site" }, .code = 403 },
        { "23 image",
          { HOST, "Sec-Fetch-Site", "none", "Sec-Fetch-Dest", "image" },
          .state_route = true,
          .code = 403 },
        { "24 same-site",
          { HOST, "Sec-Fetch-Site", "same-site" },
          .state_route = true,
          .code = 403 },
        { "25 typed into the address bar",
          { HOST, "Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate" },
          .state_route = true,
          .code = 403 },
        { "typed, but only data",
          { HOST, "Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate" },
          .code = 0 },
        { "26 foreign referer",
          { HOST, "Referer", "http://evil.example/x" },
          .state_route = true,
          .code = 403 },
        { "26 referer that begins alike",
          { HOST, "Referer", "http://127.0.0.1:8080.evil.example/" },
          .state_route = true,
          .code = 403 },
        { "own referer", { HOST, "Referer", "http://127.0.0.1:8080/" }, .state_route = true },
        { "27 curl", { HOST, "Accept", "*/*" }, .state_route = true },
        { "own fetch",
          { HOST, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest",
            "empty" },
          .state_route = true },
    };

    (void)state;
    run(cases, COUNT(cases), &local);
}

static void bodies_from_pages(void **state)
{
    static const struct gate_case cases[] = {
        { "28 text/plain from a page",
          { HOST, "Origin", "http://127.0.0.1:8080", "Content-Type", "text/plain" },
          .post = true,
          .code = 415 },
        { "28 text/plain from an evil page",
          { HOST, "Origin", "http://evil.example", "Content-Type", "text/plain" },
          .post = true,
          .code = 403 },
        { "29 form",
          { HOST, "Sec-Fetch-Site", "cross-site", "Content-Type",
            "application/x-www-form-urlencoded" },
          .post = true,
          .code = 403 },
        { "29 form of the same origin",
          { HOST, "Sec-Fetch-Site", "same-origin", "Content-Type",
            "application/x-www-form-urlencoded" },
          .post = true,
          .code = 415 },
        { "json of the same origin",
          { HOST, "Sec-Fetch-Site", "same-origin", "Content-Type",
            "application/json; charset=utf-8" },
          .post = true },
        { "jsonp",
          { HOST, "Sec-Fetch-Site", "same-origin", "Content-Type", "application/jsonp" },
          .post = true,
          .code = 415 },
        { "30 curl -d",
          { HOST, "Content-Type", "application/x-www-form-urlencoded" },
          .post = true },
        { "30 no type", { HOST }, .post = true },
    };

    (void)state;
    run(cases, COUNT(cases), &local);
}

static void keys(void **state)
{
    char hashes[2][65];
    struct gate_policy policy = local;
    static const struct gate_case cases[] = {
        { "34 no key", { HOST }, .code = 401 },
        { "34 wrong key", { HOST, "Authorization", "Bearer sk-wrong" }, .code = 401 },
        { "34 prefix", { HOST, "Authorization", "Bearer sk-firs" }, .code = 401 },
        { "34 longer", { HOST, "Authorization", "Bearer sk-firstx" }, .code = 401 },
        { "empty", { HOST, "Authorization", "Bearer " }, .code = 401 },
        { "other scheme", { HOST, "Authorization", "Basic sk-first" }, .code = 401 },
        { "first", { HOST, "Authorization", "Bearer sk-first" }, .code = 0 },
        { "a blank behind", { HOST, "Authorization", "Bearer sk-first " }, .code = 0 },
        { "second", { HOST, "Authorization", "bearer sk-second" }, .code = 0 },
        { "two", { HOST, "Authorization", "Bearer sk-first", "Authorization", "x" }, .code = 400 },
    };

    (void)state;
    assert_int_equal(hash_sha256("sk-first", 8, hashes[0], NULL), ST_OK);
    assert_int_equal(hash_sha256("sk-second", 9, hashes[1], NULL), ST_OK);
    policy.key_hashes = hashes;
    policy.n_keys = 2;
    run(cases, COUNT(cases), &policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts),
        cmocka_unit_test(hosts_beyond_loopback),
        cmocka_unit_test(framing),
        cmocka_unit_test(origins),
        cmocka_unit_test(cross_site_requests),
        cmocka_unit_test(bodies_from_pages),
        cmocka_unit_test(keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
