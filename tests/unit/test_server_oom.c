/* SPDX-License-Identifier: MIT */
/* Memory that runs out in the middle of a request: whichever allocation fails, the client gets an
 * answer or its connection is closed, and the next request is answered. The client here allocates
 * nothing itself. */
#include "tests/unit/server_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static struct fixture fx;

static int start(void **state)
{
    (void)state;
    fixture_start(&fx, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    mem_fail_after(0, 0);
    fixture_stop(&fx);
    return 0;
}

struct request {
    const char *target, *body; /* body NULL: GET */
};

/* The answer's HTTP code; 0: closed without one. */
static int ask(const struct request *r)
{
    static char buf[65536];
    const int fd = client_connect(fx.port);
    size_t n = (size_t)snprintf(buf, sizeof buf,
                                "%s %s HTTP/1.1\r\nHost: localhost\r\n"
                                "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
                                r->body ? "POST" : "GET", r->target, r->body ? strlen(r->body) : 0,
                                r->body ? r->body : "");

    client_send(fd, buf, n);
    n = 0;
    for (ssize_t got; n < sizeof buf - 1; n += (size_t)got) {
        got = recv(fd, buf + n, sizeof buf - 1 - n, 0);
        if (got <= 0) break;
    }
    close(fd);
    buf[n] = '\0';
    int code = 0;
    (void)sscanf(buf, "HTTP/1.1 %d", &code);
    return code;
}

static const struct request health = { "/health", NULL };

static const struct request requests[] = {
    { "/v1/chat/completions",
      "{\"model\":\"tiny\",\"stop\":[\"qq\"],\"n\":2,\"messages\":[{\"role\":"
      "\"user\",\"content\":\"hi\"}]}" },
    { "/v1/chat/completions",
      "{\"model\":\"tiny\",\"stream\":true,\"logprobs\":true,\"messages\":[{"
      "\"role\":\"user\",\"content\":\"hi\"}]}" },
    { "/v1/models", NULL },
    { "/foundry/list", NULL },
    { "/metrics", NULL },
    { "/openai/load/tiny?ttl=0", NULL },
    { "/", NULL },
};

static void survives(const struct request *request, int forever)
{
    enum { MORE = 10 }; /* threads do not allocate in the same order every time */
    const uint64_t before = mem_alloc_count();

    assert_int_equal(ask(request), 200);
    assert_true(fixture_wait_idle(5000) >= 0);
    const uint64_t n = mem_alloc_count() - before;
    assert_true(n > 1);
    for (uint64_t k = 1; k <= n + MORE; k++) {
        mem_fail_after(k, forever);
        const int code = ask(request);
        mem_fail_after(0, 0);
        if (code != 0 && code != 200 && code != 400 && code != 500 && code != 503)
            fail_msg("allocation %llu: code %d", (unsigned long long)k, code);
        if (ask(&health) != 200) fail_msg("allocation %llu: dead", (unsigned long long)k);
        if (fixture_wait_idle(5000) < 0) fail_msg("allocation %llu: stuck", (unsigned long long)k);
    }
    assert_int_equal(ask(request), 200);
}

static void any_single_failure(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(requests); i++) survives(&requests[i], 0);
}

static void failure_for_ever(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(requests); i++) survives(&requests[i], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_single_failure),
        cmocka_unit_test(failure_for_ever),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
