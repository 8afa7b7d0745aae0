/* SPDX-License-Identifier: MIT */
/* The service around the chat: routes, gate, limits, deadlines, keys, models in and out, draining.
 */
#include "tests/unit/server_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static struct fixture fx;

static int start(void **state)
{
    const struct server_config cfg = {
        .body_bytes_max = 100000, .header_seconds = 1, .body_seconds = 1, .drain_seconds = 2
    };

    (void)state;
    fixture_start(&fx, &cfg);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    if (fx.server) fixture_stop(&fx);
    return 0;
}

static void expect_code(const char *request, int code, const char *holds)
{
    struct answer a = client_raw(fx.port, request);

    if (a.code != code || (holds && !strstr(a.head, holds) && !strstr(a.body, holds)))
        fail_msg("%s\n-> %s%s", request, a.head, a.body);
    answer_free(&a);
}

#define END "Host: localhost\r\nConnection: close\r\n\r\n"

static void routes(void **state)
{
    (void)state;
    expect_code("GET /health HTTP/1.1\r\n" END, 200, "{\"status\":\"ok\"}");
    expect_code("GET /health/ready HTTP/1.1\r\n" END, 200, "ready");
    expect_code("GET / HTTP/1.1\r\n" END, 200, "<title>Cupola</title>");
    expect_code("GET / HTTP/1.1\r\n" END, 200, "frame-ancestors 'none'");
    expect_code("GET /v1/models HTTP/1.1\r\n" END, 200, "\"id\":\"tiny\",\"object\":\"model\"");
    expect_code("GET /v1/models/tiny HTTP/1.1\r\n" END, 200, "\"state\":\"loaded\"");
    expect_code("GET /v1/models/OTHER%3A1 HTTP/1.1\r\n" END, 200, "\"state\":\"not_loaded\"");
    expect_code("GET /v1/models/other%3A2 HTTP/1.1\r\n" END, 404, "model_not_found");
    expect_code("GET /v1/models/none HTTP/1.1\r\n" END, 404, "model_not_found");
    expect_code("GET /openai/status HTTP/1.1\r\n" END, 200, "\"modelDirPath\":\"/tmp/");
    expect_code("GET /openai/models HTTP/1.1\r\n" END, 200, "[\"tiny:1\",\"other:1\"]");
    expect_code("GET /openai/loadedmodels HTTP/1.1\r\n" END, 200, "[\"tiny:1\"]");
    expect_code("GET /foundry/list HTTP/1.1\r\n" END, 200, "[{\"name\":\"tiny:1\"");
    expect_code("GET /metrics HTTP/1.1\r\n" END, 200,
                "cupola_generated_tokens_total{model=\"tiny\"}");
    expect_code("GET /none HTTP/1.1\r\n" END, 404, "unknown_url");
    expect_code("GET /v1/models/tiny/x HTTP/1.1\r\n" END, 404, "unknown_url");
    expect_code("GET /v1/chat/completions HTTP/1.1\r\n" END, 405, "Allow: POST, OPTIONS");
    expect_code("DELETE /v1/models HTTP/1.1\r\n" END, 405, "Allow: GET, HEAD, OPTIONS");
    expect_code("HEAD /v1/models HTTP/1.1\r\n" END, 200, "Content-Type: application/json");
    expect_code("HEAD /openai/unloadall HTTP/1.1\r\n" END, 405, "Allow: GET, OPTIONS");
    expect_code("OPTIONS /openai/unloadall HTTP/1.1\r\n" END, 204, "Allow: GET, OPTIONS");
    expect_code("OPTIONS /none HTTP/1.1\r\n" END, 404, NULL);
}

static void gate(void **state)
{
    (void)state;
    expect_code("GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "Host");
    expect_code("GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 403,
                "permission_error");
    expect_code("GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, NULL);
    expect_code("GET http://evil.example/v1/models HTTP/1.1\r\n" END, 400, NULL);
    expect_code("GET /v1/models%00x HTTP/1.1\r\n" END, 400, NULL);
    expect_code("GET /v1//models HTTP/1.1\r\n" END, 400, NULL);
    expect_code("GET /openai/unloadall HTTP/1.1\r\nSec-Fetch-Site: cross-site\r\n" END, 403, NULL);
    expect_code("GET /openai/loadedmodels HTTP/1.1\r\n" END, 200, "[\"tiny:1\"]"); /* still */
    expect_code("GET /v1/models HTTP/1.1\r\nOrigin: http://evil.example\r\n" END, 403, NULL);
    expect_code("OPTIONS /v1/models HTTP/1.1\r\nOrigin: http://evil.example\r\n"
                "Access-Control-Request-Method: GET\r\n" END,
                403, NULL);
    expect_code("POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: gzip\r\n" END, 501, NULL);
    expect_code("POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n" END, 501,
                NULL);
    expect_code("POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                "Content-Length: 5\r\n" END,
                400, NULL);
    expect_code("POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked \r\n" END, 501,
                NULL);
    expect_code("GET /v1/models HTTP/1.1\r\nHost: localhost \t\r\nConnection: close\r\n\r\n", 200,
                NULL);
    /* The service's own page may call it. */
    char own[256];
    snprintf(own, sizeof own,
             "GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: http://127.0.0.1:%d\r\n"
             "Connection: close\r\n\r\n",
             fx.port, fx.port);
    expect_code(own, 200, NULL);
}

static void no_cors_header_for_foreign_origins(void **state)
{
    struct answer a = client_get(fx.port, "/openai/status", "Origin: http://evil.example\r\n");

    (void)state;
    assert_int_equal(a.code, 403);
    assert_null(answer_header(&a, "Access-Control-Allow-Origin"));
    assert_null(strstr(a.body, "modelDirPath"));
    answer_free(&a);
}

static void limits(void **state)
{
    struct str s = { 0 };

    (void)state;
    expect_code("POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 100001\r\n" END, 413,
                "request_too_large");
    str_put(&s, "GET /");
    for (int i = 0; i < 8300; i++) str_put_char(&s, 'a');
    str_put(&s, " HTTP/1.1\r\n" END);
    expect_code(str_cstr(&s), 414, "uri_too_long");
    str_clear(&s);
    str_put(&s, "GET /health HTTP/1.1\r\n");
    for (int i = 0; i < 120; i++) str_printf(&s, "X-%d: 1\r\n", i);
    str_put(&s, END);
    expect_code(str_cstr(&s), 431, "headers_too_large");
    /* chunked: what is over is swallowed, then refused */
    str_clear(&s);
    str_put(&s, "POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END);
    for (int i = 0; i < 12; i++) {
        str_put(&s, "2710\r\n");
        for (int b = 0; b < 10000; b++) str_put_char(&s, ' ');
        str_put(&s, "\r\n");
    }
    str_put(&s, "0\r\n\r\n");
    expect_code(str_cstr(&s), 413, "request_too_large");
    str_fini(&s);
}

static void cuts_drips(void **state)
{
    const int fd = client_connect(fx.port);
    const uint64_t t0 = os_now_ns();
    char byte;
    bool cut = false;

    (void)state;
    client_send(fd, "GET /health HTTP/1.1\r\n", 22);
    for (int i = 0; i < 40 && !cut; i++) {
        client_send(fd, "X", 1);
        os_sleep_ns(100000000);
        cut = recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
    }
    close(fd);
    const double seconds = (double)(os_now_ns() - t0) / 1e9;
    assert_true(cut);
    assert_true(seconds < 3);
}

static void loads_and_unloads(void **state)
{
    (void)state;
    expect_code("GET /openai/load/none?ttl=600 HTTP/1.1\r\n" END, 404,
                "No OpenAIService provider found for modelName none");
    expect_code("GET /openai/load/other?ttl=x HTTP/1.1\r\n" END, 400, "\"param\":\"ttl\"");
    expect_code("GET /openai/load/other?ttl=600&ep=cuda HTTP/1.1\r\n" END, 400,
                "The specified EP cuda is not registered.");
    expect_code("GET /openai/load/other%3A1?ttl=600&ep= HTTP/1.1\r\n" END, 200,
                "Content-Length: 0");
    expect_code("GET /openai/loadedmodels HTTP/1.1\r\n" END, 200, "[\"tiny:1\",\"other:1\"]");
    expect_code("GET /openai/unload/other HTTP/1.1\r\n" END, 200, NULL);
    /* its time to live has not passed */
    expect_code("GET /openai/loadedmodels HTTP/1.1\r\n" END, 200, "other:1");
    expect_code("GET /openai/unload/other?force=true HTTP/1.1\r\n" END, 200, NULL);
    expect_code("GET /openai/loadedmodels HTTP/1.1\r\n" END, 200, "[\"tiny:1\"]");
    expect_code("GET /openai/unload/other?force=true HTTP/1.1\r\n" END, 200, NULL);
    expect_code("GET /openai/unload/none HTTP/1.1\r\n" END, 200, NULL);
    expect_code("GET /openai/unloadall HTTP/1.1\r\n" END, 200, NULL);
    expect_code("GET /openai/loadedmodels HTTP/1.1\r\n" END, 200, "[]");
}

static void a_request_loads_its_model(void **state)
{
    (void)state;
    expect_code("GET /openai/unloadall HTTP/1.1\r\n" END, 200, NULL);
    const int opened = atomic_load(&fake_counts.opened);
    int fds[4];

    fake_script.load_ns = 100000000;
    for (size_t i = 0; i < COUNT(fds); i++) fds[i] = client_chat_begin(fx.port, "");
    for (size_t i = 0; i < COUNT(fds); i++) {
        struct answer a = client_read(fds[i]);
        assert_int_equal(a.code, 200);
        answer_free(&a);
    }
    fake_script.load_ns = 0;
    assert_int_equal(atomic_load(&fake_counts.opened), opened + 1); /* they joined one loading */
}

static void unloading_waits_or_breaks_off(void **state)
{
    const int before = fixture_submitted();

    (void)state;
    fake_script.step_ns = 20000000;
    int fd = client_chat_begin(fx.port, "\"stream\":true");
    fixture_wait_submitted(before + 1);
    expect_code("GET /openai/unload/tiny HTTP/1.1\r\n" END, 200, NULL);
    struct answer a = client_read(fd);
    assert_non_null(strstr(a.body, "[DONE]")); /* it was waited for */
    answer_free(&a);

    fake_script.loop = true;
    fd = client_chat_begin(fx.port, "\"stream\":true");
    fixture_wait_submitted(before + 2);
    expect_code("GET /openai/unload/tiny?force=true HTTP/1.1\r\n" END, 200, NULL);
    a = client_read(fd);
    assert_null(strstr(a.body, "[DONE]"));
    assert_non_null(strstr(a.body, "\"code\":\"model_unloaded\""));
    answer_free(&a);
    expect_code("GET /openai/loadedmodels HTTP/1.1\r\n" END, 200, "[]");
    fake_script.loop = false;
    fake_script.step_ns = 0;
}

static void idle_models_leave(void **state)
{
    (void)state;
    expect_code("GET /openai/load/other?ttl=1 HTTP/1.1\r\n" END, 200, NULL);
    expect_code("GET /openai/loadedmodels HTTP/1.1\r\n" END, 200, "other:1");
    for (int i = 0; i < 30; i++) {
        struct answer a = client_get(fx.port, "/openai/loadedmodels", "");
        const bool gone = !strstr(a.body, "other:1");
        answer_free(&a);
        if (gone) return;
        os_sleep_ns(100000000);
    }
    fail_msg("the model stayed");
}

static void keeps_connections_alive(void **state)
{
    const int fd = client_connect(fx.port);
    const char *const request = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    char buf[4096];

    (void)state;
    for (int i = 0; i < 3; i++) {
        client_send(fd, request, strlen(request));
        const ssize_t n = recv(fd, buf, sizeof buf - 1, 0);
        assert_true(n > 0);
        buf[n] = '\0';
        assert_non_null(strstr(buf, "200 OK"));
    }
    close(fd);
}

/* Last: the server is gone after it. */
static void drains(void **state)
{
    const int before = fixture_submitted();

    (void)state;
    fixture_script("Hello");
    fake_script.step_ns = 20000000;
    const int finite = client_chat_begin(fx.port, "\"stream\":true");
    fixture_wait_submitted(before + 1);
    fake_script.loop = true;
    const int endless = client_chat_begin(fx.port, "\"stream\":true");
    fixture_wait_submitted(before + 2);
    const uint64_t t0 = os_now_ns();
    fixture_stop(&fx);
    const double seconds = (double)(os_now_ns() - t0) / 1e9;
    struct answer a = client_read(finite);
    assert_non_null(strstr(a.body, "[DONE]"));
    answer_free(&a);
    a = client_read(endless);
    assert_null(strstr(a.body, "[DONE]"));
    assert_non_null(strstr(a.body, "\"code\":\"server_stopping\""));
    answer_free(&a);
    assert_true(seconds >= 1.9 && seconds < 10);
}

/* ---- stopping in bounded time: servers of their own ---- */

enum { STUCK_SECONDS = 6 }; /* the service waits two for answers that it breaks off */

static atomic_int given_up;

static void count_given_up(void *user, enum log_level level, const char *line)
{
    (void)user;
    if (level == LOG_ERROR && strstr(line, "event=stop_given_up")) atomic_fetch_add(&given_up, 1);
}

/* Stops while something does not let go; then until it has. */
static void stop_while_stuck(struct fixture *f, const char *why)
{
    const uint64_t t0 = os_now_ns();
    struct err err = { 0 };

    atomic_store(&given_up, 0);
    log_configure(LOG_WARN, count_given_up, NULL);
    assert_int_equal(server_stop(f->server, &err), ST_TIMEOUT);
    assert_true(os_now_ns() - t0 < STUCK_SECONDS * UINT64_C(1000000000));
    assert_non_null(strstr(err.text, why));
    assert_int_equal(atomic_load(&given_up), 1);
    while (server_stop(f->server, NULL) == ST_TIMEOUT)
        assert_true(os_now_ns() - t0 < 60 * UINT64_C(1000000000));
    log_configure(LOG_WARN, NULL, NULL);
    f->server = NULL;
    fixture_stop(f);
}

static const struct server_config impatient = { .drain_seconds = 0.05, .abandon_seconds = 0.2 };

static void stopping_gives_up_on_a_stuck_step(void **state)
{
    struct fixture f;
    const int before = fixture_submitted();

    (void)state;
    fixture_start(&f, &impatient);
    fake_script.step_ns = STUCK_SECONDS * UINT64_C(1000000000);
    const int fd = client_chat_begin(f.port, "");
    fixture_wait_submitted(before + 1);
    stop_while_stuck(&f, "requests and jobs are still in use");
    struct answer a = client_read(fd);
    assert_int_equal(a.code, 503);
    answer_free(&a);
}

static void stopping_gives_up_on_a_stuck_load(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, &impatient);
    const int before = atomic_load(&fake_counts.opening);
    fake_script.load_ns = STUCK_SECONDS * UINT64_C(1000000000);
    const int fd = client_connect(f.port);
    const char *load = "GET /openai/load/other HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client_send(fd, load, strlen(load));
    while (atomic_load(&fake_counts.opening) == before) os_sleep_ns(1000000);
    stop_while_stuck(&f, "still being loaded");
    close(fd);
}

/* ---- exposure: servers of their own ---- */

static void refuses_to_be_open_without_a_key(void **state)
{
    struct server_config cfg = { .host = "0.0.0.0", .engine = engine_config_default() };
    struct server *server = NULL;
    struct err err = { 0 };

    (void)state;
    assert_int_equal(server_start(&server, &cfg, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "--api-key-file"));
    cfg.insecure = true;
    assert_int_equal(server_start(&server, &cfg, NULL), ST_OK);
    assert_int_equal(server_stop(server, NULL), ST_OK);
    server = NULL;
    cfg.host = "no such host";
    assert_int_equal(server_start(&server, &cfg, NULL), ST_INVALID);
}

static void asks_for_the_key(void **state)
{
    const char *const origins[] = { "http://localhost:3000" };
    char path[] = "/tmp/cupola-key-XXXXXX";
    struct server_config cfg = { .api_key_file = path,
                                 .allow_origins = origins,
                                 .n_allow_origins = 1 };
    struct fixture f;
    const int fd = mkstemp(path);

    (void)state;
    assert_int_equal(write(fd, "# keys\nsecret-number-1\nsecret-number-2\n", 39), 39);
    close(fd);
    fixture_start(&f, &cfg);
    struct answer a = client_get(f.port, "/v1/models", "");
    assert_int_equal(a.code, 401);
    assert_string_equal(answer_header(&a, "WWW-Authenticate"), "Bearer");
    answer_free(&a);
    a = client_get(f.port, "/v1/models?key=secret-number-1", "");
    assert_int_equal(a.code, 401);
    answer_free(&a);
    a = client_get(f.port, "/v1/models", "Authorization: Bearer secret-number-2\r\n");
    assert_int_equal(a.code, 200);
    answer_free(&a);
    a = client_get(f.port, "/v1/models", "Authorization: Bearer secret-number-2 \r\n");
    assert_int_equal(a.code, 200);
    answer_free(&a);
    a = client_get(f.port, "/health", "");
    assert_int_equal(a.code, 200);
    answer_free(&a);
    /* a preflight carries no key; the request itself does */
    a = client_raw(f.port, "OPTIONS /v1/models HTTP/1.1\r\nOrigin: http://localhost:3000\r\n"
                           "Access-Control-Request-Method: GET\r\n" END);
    assert_int_equal(a.code, 204);
    assert_string_equal(answer_header(&a, "Access-Control-Allow-Origin"), "http://localhost:3000");
    assert_string_equal(answer_header(&a, "Access-Control-Allow-Methods"), "GET, HEAD, OPTIONS");
    assert_string_equal(answer_header(&a, "Vary"), "Origin");
    assert_null(answer_header(&a, "Access-Control-Allow-Credentials"));
    assert_null(answer_header(&a, "Access-Control-Allow-Private-Network"));
    answer_free(&a);
    /* the page may read why it was refused */
    a = client_post(f.port, "/v1/chat/completions",
                    "Origin: http://localhost:3000\r\nAuthorization: Bearer secret-number-1\r\n"
                    "Content-Type: text/plain\r\n",
                    "{}");
    assert_int_equal(a.code, 415);
    assert_string_equal(answer_header(&a, "Access-Control-Allow-Origin"), "http://localhost:3000");
    answer_free(&a);
    fixture_stop(&f);
    unlink(path);
}

static void says_503_beyond_its_connections(void **state)
{
    const struct server_config cfg = { .connections_max = 2 };
    struct fixture f;
    int idle[2];

    (void)state;
    fixture_start(&f, &cfg);
    for (size_t i = 0; i < COUNT(idle); i++) idle[i] = client_connect(f.port);
    os_sleep_ns(100000000);
    struct answer a = client_get(f.port, "/v1/models", "");
    assert_int_equal(a.code, 503);
    answer_free(&a);
    for (size_t i = 0; i < COUNT(idle); i++) close(idle[i]);
    os_sleep_ns(100000000);
    a = client_get(f.port, "/v1/models", "");
    assert_int_equal(a.code, 200);
    answer_free(&a);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes),
        cmocka_unit_test(gate),
        cmocka_unit_test(no_cors_header_for_foreign_origins),
        cmocka_unit_test(limits),
        cmocka_unit_test(cuts_drips),
        cmocka_unit_test(keeps_connections_alive),
        cmocka_unit_test(loads_and_unloads),
        cmocka_unit_test(a_request_loads_its_model),
        cmocka_unit_test(unloading_waits_or_breaks_off),
        cmocka_unit_test(idle_models_leave),
        cmocka_unit_test(drains),
    };
    const struct CMUnitTest exposure[] = {
        cmocka_unit_test(refuses_to_be_open_without_a_key),
        cmocka_unit_test(asks_for_the_key),
        cmocka_unit_test(says_503_beyond_its_connections),
        cmocka_unit_test(stopping_gives_up_on_a_stuck_step),
        cmocka_unit_test(stopping_gives_up_on_a_stuck_load),
    };
    const int failed = cmocka_run_group_tests(tests, start, stop);
    return failed + cmocka_run_group_tests(exposure, NULL, NULL);
}
