/* SPDX-License-Identifier: MIT */
/* Chat over a real socket, the engine played by a script: answers, streams, stop strings, tool
 * calls, failures, disconnects, slow readers. */
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
    (void)state;
    fixture_start(&fx, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fixture_stop(&fx);
    return 0;
}

/* Back to the default script between tests. */
static int reset(void **state)
{
    (void)state;
    assert_true(fixture_wait_idle(5000) >= 0);
    fake_script = (struct fake_script){ .context = 4096, .queue_max = 1000 };
    fixture_script("Hello there");
    return 0;
}

#define assert_has(a, text)                                                                        \
    do {                                                                                           \
        if (!strstr((a).body, text)) fail_msg("%s\n  lacks %s", (a).body, text);                   \
    } while (0)
#define assert_lacks(a, text)                                                                      \
    do {                                                                                           \
        if (strstr((a).body, text)) fail_msg("%s\n  holds %s", (a).body, text);                    \
    } while (0)

static void answers_whole(void **state)
{
    struct answer a = client_chat(fx.port, "\"max_tokens\":100,\"seed\":5,\"temperature\":0.5");

    (void)state;
    assert_int_equal(a.code, 200);
    assert_has(a, "\"object\":\"chat.completion\"");
    assert_has(a, "\"message\":{\"role\":\"assistant\",\"content\":\"Hello there\"");
    assert_has(a, "\"finish_reason\":\"stop\"");
    /* <|user|> "user: hi\n" <|assistant|> */
    assert_has(a, "\"prompt_tokens\":11,\"completion_tokens\":11,\"total_tokens\":22");
    assert_has(a, "\"cached_tokens\":1");
    assert_has(a, "\"system_fingerprint\":\"fp_");
    assert_non_null(answer_header(&a, "x-request-id"));
    assert_string_equal(answer_header(&a, "Content-Type"), "application/json");
    const struct gen_request asked = fake_last();
    assert_true(asked.sampling.has_seed);
    assert_int_equal(asked.sampling.seed, 5);
    assert_true(asked.sampling.temperature == 0.5f);
    assert_int_equal(asked.max_tokens, 100);
    answer_free(&a);
}

static void streams_role_text_finish_usage_done(void **state)
{
    struct answer a =
        client_chat(fx.port, "\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    char *text = stream_content(a.body, 0);

    (void)state;
    assert_int_equal(a.code, 200);
    assert_true(a.complete);
    assert_string_equal(answer_header(&a, "Content-Type"), "text/event-stream; charset=utf-8");
    assert_string_equal(text, "Hello there");
    const char *role = strstr(a.body, "\"delta\":{\"role\":\"assistant\",\"content\":\"\"}");
    const char *last = strstr(a.body, "\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"");
    const char *usage = strstr(a.body, "\"choices\":[],\"usage\":{\"prompt_tokens\":11");
    const char *done = strstr(a.body, "data: [DONE]\n\n");
    assert_true(role && last && usage && done && role < last && last < usage && usage < done);
    assert_string_equal(done, "data: [DONE]\n\n");
    assert_true(strncmp(a.body, "data: {", 7) == 0);
    mem_free(text);
    answer_free(&a);
}

static void cuts_at_the_token_limit(void **state)
{
    struct answer a = client_chat(fx.port, "\"max_tokens\":3");

    (void)state;
    assert_has(a, "\"content\":\"Hel\"");
    assert_has(a, "\"finish_reason\":\"length\"");
    assert_has(a, "\"completion_tokens\":3");
    answer_free(&a);
}

static void stops_at_a_string_across_tokens(void **state)
{
    const int stopped = atomic_load(&fake_counts.stopped);

    (void)state;
    fake_script.loop = true; /* would never end by itself */
    fake_script.step_ns = 200000;
    struct answer a = client_chat(fx.port, "\"stop\":[\"xyz\",\"there\"]");
    assert_has(a, "\"content\":\"Hello \"");
    assert_has(a, "\"finish_reason\":\"stop\"");
    assert_has(a,
               "\"completion_tokens\":11"); /* up to the stop's last token, whatever came after */
    answer_free(&a);
    a = client_chat(fx.port, "\"stream\":true,\"stop\":\"lo t\"");
    char *text = stream_content(a.body, 0);
    assert_string_equal(text, "Hel");
    assert_has(a, "[DONE]");
    assert_true(fixture_wait_idle(2000) >= 0);
    assert_true(atomic_load(&fake_counts.stopped) >= stopped + 2);
    mem_free(text);
    answer_free(&a);
}

static void choices_stop_one_by_one(void **state)
{
    (void)state;
    fake_script.loop = true;
    fake_script.skew = 3;
    fake_script.step_ns = 500000;
    struct answer a = client_chat(fx.port, "\"n\":3,\"stop\":\"there\"");
    assert_has(a, "\"content\":\"Hello \"");
    assert_has(a, "\"content\":\"lo \"");
    assert_has(a, "{\"index\":2,\"message\":{\"role\":\"assistant\",\"content\":\"\"");
    assert_has(a, "\"completion_tokens\":24"); /* 11 + 8 + 5: nothing counts after a stop */
    answer_free(&a);
}

static void a_client_that_leaves_during_loading_submits_nothing(void **state)
{
    (void)state;
    struct answer a = client_get(fx.port, "/openai/unloadall", "");
    assert_int_equal(a.code, 200);
    answer_free(&a);
    const int submitted = atomic_load(&fake_counts.submitted);
    const int opened = atomic_load(&fake_counts.opened);
    fake_script.load_ns = 300000000;
    const int fd = client_chat_begin(fx.port, "");
    os_sleep_ns(100000000);
    close(fd);
    while (atomic_load(&fake_counts.opened) == opened) os_sleep_ns(1000000);
    fake_script.load_ns = 0;
    os_sleep_ns(200000000);
    assert_int_equal(atomic_load(&fake_counts.submitted), submitted);
}

static void never_splits_a_character(void **state)
{
    fixture_script("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z");
    struct answer a = client_chat(fx.port, "\"stream\":true");
    char *text = stream_content(a.body, 0);

    (void)state;
    assert_string_equal(text, "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z");
    assert_true(utf8_valid(a.body, strlen(a.body)));
    assert_lacks(a, "\xef\xbf\xbd");
    mem_free(text);
    answer_free(&a);
}

static void gives_n_choices(void **state)
{
    struct answer a = client_chat(fx.port, "\"n\":3");

    (void)state;
    assert_has(a, "{\"index\":0,");
    assert_has(a, "{\"index\":2,");
    assert_has(a, "\"completion_tokens\":33");
    answer_free(&a);
    a = client_chat(fx.port, "\"n\":2,\"stream\":true");
    char *first = stream_content(a.body, 0), *second = stream_content(a.body, 1);
    assert_string_equal(first, "Hello there");
    assert_string_equal(second, "Hello there");
    mem_free(first);
    mem_free(second);
    answer_free(&a);
}

static void gives_logprobs(void **state)
{
    struct answer a = client_chat(fx.port, "\"logprobs\":true,\"max_tokens\":2");

    (void)state;
    assert_has(a, "\"logprobs\":{\"content\":[{\"token\":\"H\",\"logprob\":-0.5,\"bytes\":[72],"
                  "\"top_logprobs\":[]},{\"token\":\"e\"");
    answer_free(&a);
    /* the bytes of a character, one a token */
    fixture_script("\xc3\xa9");
    a = client_chat(fx.port, "\"logprobs\":true");
    assert_has(a,
               "{\"token\":\"\xef\xbf\xbd\",\"logprob\":-0.5,\"bytes\":[195],\"top_logprobs\":[]},"
               "{\"token\":\"\xef\xbf\xbd\",\"logprob\":-0.5,\"bytes\":[169],");
    answer_free(&a);
}

#define TOOLS                                                                                      \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"weather\",\"parameters\":{}}}]"

/* Tags as the special tokens they are in this vocabulary. */
static void script_tool_call(void)
{
    fixture_script("_{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}_");
    fake_script.ids[0] = 3;
    fake_script.ids[fake_script.n - 1] = 4;
}

static void parses_tool_calls(void **state)
{
    (void)state;
    script_tool_call();
    struct answer a = client_chat(fx.port, TOOLS);
    assert_has(a, "\"content\":null");
    assert_has(a, "\"tool_calls\":[{\"id\":\"call_");
    assert_has(a, "\"type\":\"function\",\"function\":{\"name\":\"weather\",\"arguments\":"
                  "\"{\\\"city\\\": \\\"Oslo\\\"}\"}}]");
    assert_has(a, "\"finish_reason\":\"tool_calls\"");
    answer_free(&a);

    a = client_chat(fx.port, TOOLS ",\"stream\":true");
    assert_has(a, "\"function\":{\"name\":\"weather\",\"arguments\":\"\"}}]");
    assert_has(a, "\"function\":{\"arguments\":\"O\"}}]"); /* streamed letter by letter */
    assert_has(a, "\"finish_reason\":\"tool_calls\"");
    answer_free(&a);

    /* Without tools the same text is text. */
    a = client_chat(fx.port, "");
    assert_has(a, "\"finish_reason\":\"stop\"");
    assert_lacks(a, "tool_calls");
    answer_free(&a);
}

static void a_closing_token_ends_an_unfinished_string(void **state)
{
    (void)state;
    fixture_script("_{\"name\": \"weather\", \"arguments\": {\"city\": \"Os_");
    fake_script.ids[0] = 3;
    fake_script.ids[fake_script.n - 1] = 4;
    struct answer a = client_chat(fx.port, TOOLS ",\"stop\":\"~\"");
    assert_has(a, "\"arguments\":\"{\\\"city\\\": \\\"Os\"}}]");
    assert_has(a, "\"content\":null");
    answer_free(&a);
}

static void a_stop_string_inside_the_arguments_is_a_stop(void **state)
{
    (void)state;
    script_tool_call();
    struct answer a = client_chat(fx.port, TOOLS ",\"stop\":\"sl\"");
    assert_has(a, "\"arguments\":\"{\\\"city\\\": \\\"O\"}}]");
    assert_has(a, "\"finish_reason\":\"stop\"");
    answer_free(&a);
    a = client_chat(fx.port, TOOLS ",\"stop\":\"sl\",\"stream\":true");
    assert_has(a, "\"finish_reason\":\"stop\"");
    answer_free(&a);
    /* behind a whole call it changes nothing */
    a = client_chat(fx.port, TOOLS ",\"stop\":\"</tool_call>\"");
    assert_has(a, "\"finish_reason\":\"tool_calls\"");
    answer_free(&a);
}

static void requires_a_tool_by_beginning_its_call(void **state)
{
    (void)state;
    fixture_script("{\"city\": \"Rome\"}}");
    struct answer a =
        client_chat(fx.port, TOOLS
                    ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"weather\"}}");
    assert_has(a, "\"name\":\"weather\",\"arguments\":\"{\\\"city\\\": \\\"Rome\\\"}\"");
    answer_free(&a);
    a = client_chat(fx.port, "\"functions\":[{\"name\":\"weather\"}],\"function_call\":{\"name\":"
                             "\"weather\"}");
    assert_has(a, "\"function_call\":{\"name\":\"weather\",\"arguments\":\"{\\\"city\\\":");
    assert_has(a, "\"finish_reason\":\"function_call\"");
    answer_free(&a);
}

static void an_unfinished_forced_call_is_only_what_was_written(void **state)
{
    (void)state;
    fixture_script("!?");
    struct answer a = client_chat(fx.port, TOOLS ",\"max_tokens\":1,\"tool_choice\":\"required\"");
    assert_has(a, "\"content\":\"!\"");
    assert_has(a, "\"finish_reason\":\"length\"");
    answer_free(&a);
    /* not one of the tools */
    fixture_script("storm\", \"arguments\": {}}");
    a = client_chat(fx.port, TOOLS ",\"tool_choice\":\"required\"");
    assert_has(a, "\"content\":\"storm\\\", \\\"arguments\\\": {}}\"");
    assert_has(a, "\"finish_reason\":\"stop\"");
    answer_free(&a);
}

static void tells_what_is_wrong(void **state)
{
    static const struct {
        const char *body;
        int code;
        const char *holds;
    } cases[] = {
        { "{\"model\":\"tiny\"}", 400, "\"param\":\"messages\"" },
        { "{\"model\":\"none\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", 404,
          "\"param\":\"model\",\"code\":\"model_not_found\"" },
        { "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"refuse\"}]}", 400,
          "\"param\":\"messages\",\"code\":\"chat_template_refused\"" },
        { "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"logit_bias\":"
          "{"
          "\"5000\":1}}",
          400, "\"param\":\"logit_bias.5000\"" },
        { "", 400, "invalid_json" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct answer a = client_post(fx.port, "/v1/chat/completions", "", cases[i].body);
        if (a.code != cases[i].code) fail_msg("%s: %d %s", cases[i].body, a.code, a.body);
        assert_has(a, cases[i].holds);
        assert_has(a, "{\"error\":{\"message\":");
        answer_free(&a);
    }
    /* refused before it is cut into tokens to its end */
    struct str body = { 0 };
    str_put(&body, "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"");
    for (int i = 0; i < 100000; i++) str_put_char(&body, 'a');
    str_put(&body, "\"}]}");
    struct answer over = client_post(fx.port, "/v1/chat/completions", "", str_cstr(&body));
    assert_int_equal(over.code, 400);
    assert_has(over, "\"code\":\"context_length_exceeded\"");
    assert_has(over, "more than 4096 tokens");
    answer_free(&over);
    str_fini(&body);
    fake_script.context = 5;
    struct answer a = client_chat(fx.port, "\"stream\":true");
    assert_int_equal(a.code, 400);
    assert_has(a, "\"code\":\"context_length_exceeded\"");
    answer_free(&a);
}

static void tells_of_failures_in_the_middle(void **state)
{
    (void)state;
    fake_script.fail_at = 3;
    struct answer a = client_chat(fx.port, "\"stream\":true");
    char *text = stream_content(a.body, 0);
    assert_int_equal(a.code, 200);
    assert_string_equal(text, "Hel");
    assert_has(a, "data: {\"error\":{\"message\":\"planted failure\"");
    assert_lacks(a, "[DONE]");
    mem_free(text);
    answer_free(&a);
    a = client_chat(fx.port, "");
    assert_int_equal(a.code, 500);
    assert_has(a, "planted failure");
    answer_free(&a);
}

static void counts_tokens(void **state)
{
    struct answer a =
        client_post(fx.port, "/v1/chat/completions/tokenizer/encode/count", "",
                    "{\"model\":\"tiny:1\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");

    (void)state;
    assert_int_equal(a.code, 200);
    assert_string_equal(a.body, "{\"tokenCount\":11}");
    answer_free(&a);
}

/* ---- clients that leave, or do not read ---- */

static int disconnects(void)
{
    static const char name[] = "\ncupola_client_disconnects_total ";
    struct answer a = client_get(fx.port, "/metrics", "");
    const char *at = strstr(a.body, name);
    const int n = at ? atoi(at + strlen(name)) : -1;

    answer_free(&a);
    return n;
}

static void a_client_that_leaves_stops_the_work(void **state)
{
    static const char *const members[] = { "\"stream\":true", "\"stream\":false", "\"n\":4" };
    const int left = disconnects();

    (void)state;
    fake_script.loop = true;
    fake_script.step_ns = 2000000;
    for (size_t i = 0; i < COUNT(members); i++) {
        const int before = fixture_submitted();
        char byte;
        const int fd = client_chat_begin(fx.port, members[i]);
        if (i == 0) assert_int_equal(recv(fd, &byte, 1, 0), 1);
        fixture_wait_submitted(before + 1);
        assert_true(atomic_load(&fake_counts.running) > 0);
        close(fd);
        const int ms = fixture_wait_idle(3000);
        if (ms < 0 || ms > 1000) fail_msg("%s: stopped after %d ms", members[i], ms);
    }
    const uint64_t t0 = os_now_ns();
    while (disconnects() != left + (int)COUNT(members) && os_now_ns() - t0 < 5000000000u)
        os_sleep_ns(1000000);
    assert_int_equal(disconnects(), left + (int)COUNT(members));
    /* who stays to the end is not counted */
    fixture_script("Hello there");
    fake_script.loop = false;
    struct answer a = client_chat(fx.port, "\"stream\":true");
    assert_has(a, "[DONE]");
    answer_free(&a);
    assert_int_equal(disconnects(), left + (int)COUNT(members));
}

/* The engine takes long to its next token: nothing is ever written to the socket meanwhile. */
static void a_client_that_leaves_during_prefill_is_noticed(void **state)
{
    (void)state;
    fake_script.step_ns = 300000000;
    const int fd = client_chat_begin(fx.port, "\"stream\":true");
    os_sleep_ns(100000000);
    const int cancelled = atomic_load(&fake_counts.cancelled);
    close(fd);
    assert_true(fixture_wait_idle(2000) >= 0);
    assert_int_equal(atomic_load(&fake_counts.cancelled), cancelled + 1);
}

static void a_client_that_does_not_read_pauses_its_generation(void **state)
{
    const int pauses = atomic_load(&fake_counts.pauses);

    (void)state;
    fake_script.loop = true;
    client_receive_bytes = 64 << 10;
    const int fd = client_chat_begin(fx.port, "\"stream\":true");
    client_receive_bytes = 0;
    for (int i = 0; i < 2000 && atomic_load(&fake_counts.pauses) == pauses; i++)
        os_sleep_ns(10000000);
    assert_true(atomic_load(&fake_counts.pauses) > pauses);
    long tokens = -1; /* it comes to stand still, once the sockets' buffers are full */
    for (int i = 0; i < 100 && atomic_load(&fake_counts.tokens) != tokens; i++) {
        tokens = atomic_load(&fake_counts.tokens);
        os_sleep_ns(200000000);
    }
    assert_int_equal(atomic_load(&fake_counts.tokens), tokens);

    /* When the client reads again, the text goes on without a gap. */
    static char text[32 << 20];
    size_t n = 0;
    while (n < sizeof text - 1 && atomic_load(&fake_counts.tokens) < tokens + 5000) {
        const ssize_t got = recv(fd, text + n, sizeof text - 1 - n, 0);
        if (got <= 0) fail_msg("stalled after %zu bytes", n);
        n += (size_t)got;
    }
    assert_true(atomic_load(&fake_counts.tokens) > tokens);
    close(fd);
    assert_true(fixture_wait_idle(3000) >= 0);
    const char *p = text;
    for (size_t i = 0; (p = strstr(p, "\"content\":\"")); i++) {
        static const char script[] = "Hello there";
        p += strlen("\"content\":\"");
        if (i == 0) continue; /* the first chunk's is empty */
        if (*p && *p != script[(i - 1) % strlen(script)]) fail_msg("token %zu is %.9s", i - 1, p);
    }
}

static void a_full_queue_says_503(void **state)
{
    (void)state;
    fake_script.loop = true;
    fake_script.step_ns = 1000000;
    fake_script.queue_max = 1;
    const int before = fixture_submitted();
    const int fd = client_chat_begin(fx.port, "\"stream\":true");
    fixture_wait_submitted(before + 1);
    struct answer a = client_chat(fx.port, "");
    assert_int_equal(a.code, 503);
    assert_non_null(answer_header(&a, "Retry-After"));
    assert_has(a, "server_busy");
    answer_free(&a);
    close(fd);
    assert_true(fixture_wait_idle(3000) >= 0);
}

/* ---- many at once ---- */

struct caller {
    struct thread thread;
    int index;
    bool ok;
};

static void call(void *arg)
{
    struct caller *c = arg;

    for (int round = 0; round < 5; round++) {
        const bool stream = (c->index + round) % 2;
        struct answer a = client_chat(fx.port, stream ? "\"stream\":true" : "\"n\":2");
        char *text = stream ? stream_content(a.body, 0) : NULL;
        c->ok = a.code == 200 && (stream ? !strcmp(text, "Hello there") && strstr(a.body, "[DONE]")
                                         : strstr(a.body, "\"content\":\"Hello there\"") != NULL);
        mem_free(text);
        answer_free(&a);
        if (!c->ok) return;
    }
}

static void many_clients_get_what_one_gets(void **state)
{
    enum { N = 32 };
    static struct caller callers[N];

    (void)state;
    fake_script.step_ns = 100000;
    for (int i = 0; i < N; i++) {
        callers[i] = (struct caller){ .index = i };
        assert_int_equal(thread_start(&callers[i].thread, "caller", call, &callers[i], NULL),
                         ST_OK);
    }
    for (int i = 0; i < N; i++) thread_join(&callers[i].thread);
    for (int i = 0; i < N; i++) assert_true(callers[i].ok);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, reset)
    const struct CMUnitTest tests[] = {
        TEST(answers_whole),
        TEST(streams_role_text_finish_usage_done),
        TEST(cuts_at_the_token_limit),
        TEST(stops_at_a_string_across_tokens),
        TEST(choices_stop_one_by_one),
        TEST(a_client_that_leaves_during_loading_submits_nothing),
        TEST(never_splits_a_character),
        TEST(gives_n_choices),
        TEST(gives_logprobs),
        TEST(parses_tool_calls),
        TEST(requires_a_tool_by_beginning_its_call),
        TEST(a_closing_token_ends_an_unfinished_string),
        TEST(a_stop_string_inside_the_arguments_is_a_stop),
        TEST(an_unfinished_forced_call_is_only_what_was_written),
        TEST(tells_what_is_wrong),
        TEST(tells_of_failures_in_the_middle),
        TEST(counts_tokens),
        TEST(a_client_that_leaves_stops_the_work),
        TEST(a_client_that_leaves_during_prefill_is_noticed),
        TEST(a_client_that_does_not_read_pauses_its_generation),
        TEST(a_full_queue_says_503),
        TEST(many_clients_get_what_one_gets),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
