/* SPDX-License-Identifier: MIT */
/* Fuzz target: a chat request's body, through the JSON gate and the parser; then the same bytes as
 * a model's answer through stop strings and tool calls, and as a request target. */
#include "server/openai_chat_parse.h"
#include "server/tool_calls.h"
#include "server/url.h"
#include "tests/fuzz/fuzz.h"
#include <assert.h>
#include <string.h>

static void ignore_content(void *user, const char *text, size_t n)
{
    size_t *total = user;

    (void)text;
    *total += n;
}

static void ignore_call(void *user, int index, const char *name, size_t n)
{
    (void)user, (void)index, (void)name;
    assert(n > 0);
}

static void ignore_arguments(void *user, int index, const char *text, size_t n)
{
    (void)user, (void)index, (void)text;
    assert(n > 0);
}

static void parse_request(const char *text, size_t size)
{
    struct arena a = { 0 };
    struct chat_request req;
    struct api_error e = { 0 };
    struct str json = { 0 };

    arena_init(&a, 16 << 20);
    const bool ok = chat_request_parse(&req, text, size, &a, &e);
    assert(ok != e.set);
    if (ok) assert(req.model && req.messages->u.list.n > 0);
    if (!ok) api_error_json(&e, &json);
    assert(utf8_valid(str_cstr(&json), json.len));
    str_fini(&json);
    arena_fini(&a);
}

/* In two chunkings, which must give the same amount of text. */
static size_t parse_answer(const char *text, size_t size, size_t piece)
{
    static const char *const stops[] = { "\n\n", "</s>", "stop" };
    size_t total = 0;
    const struct text_sink sink = { &total, ignore_content, ignore_call, ignore_arguments };
    struct tool_parser tools;
    struct stop_matcher stop;
    struct str sure = { 0 };
    bool stopped = false;

    tool_parser_init(&tools, &sink, NULL);
    stop_matcher_init(&stop, stops, COUNT(stops));
    for (size_t at = 0; at < size && !stopped; at += piece) {
        str_clear(&sure);
        stopped = stop_matcher_push(&stop, text + at, piece < size - at ? piece : size - at, &sure);
        tool_parser_push(&tools, str_cstr(&sure), sure.len);
    }
    str_clear(&sure);
    if (!stopped) stop_matcher_finish(&stop, &sure);
    tool_parser_push(&tools, str_cstr(&sure), sure.len);
    tool_parser_finish(&tools);
    tool_parser_fini(&tools);
    stop_matcher_fini(&stop);
    str_fini(&sure);
    return total;
}

static void parse_target(const char *text, size_t size)
{
    struct arena a = { 0 };
    struct url u;
    char *copy = mem_strndup(text, size);

    if (copy) (void)url_parse(&u, copy, &a, NULL);
    mem_free(copy);
    arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;

    parse_request(text, size);
    const size_t one = parse_answer(text, size, 1), more = parse_answer(text, size, 7);
    assert(one == more);
    parse_target(text, size);
    return 0;
}
