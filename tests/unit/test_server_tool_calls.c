/* SPDX-License-Identifier: MIT */
/* Tool calls in text: the same events for every chunking, and content that is no call comes through
 * byte for byte. */
#include "server/tool_calls.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* Events as one line: text, [name|arguments]. */
struct log {
    struct str text;
    bool open;
};

static void close_call(struct log *l)
{
    if (l->open) str_put_char(&l->text, ']');
    l->open = false;
}

static void on_content(void *user, const char *text, size_t n)
{
    close_call(user);
    str_put_n(&((struct log *)user)->text, text, n);
}

static void on_call(void *user, int index, const char *name, size_t n)
{
    struct log *l = user;

    close_call(l);
    str_printf(&l->text, "[%d:%.*s|", index, (int)n, name);
    l->open = true;
}

static void on_arguments(void *user, int index, const char *text, size_t n)
{
    (void)index;
    str_put_n(&((struct log *)user)->text, text, n);
}

/* Feeds text in pieces of `piece` bytes. */
static char *events_of(const char *forced, const char *text, size_t piece, const char *const *names)
{
    struct log l = { 0 };
    const struct text_sink sink = { &l, on_content, on_call, on_arguments };
    struct tool_parser p;
    const size_t n = strlen(text);

    tool_parser_init(&p, &sink, names);
    if (forced) tool_parser_force(&p, forced);
    for (size_t at = 0; at < n; at += piece)
        tool_parser_push(&p, text + at, piece < n - at ? piece : n - at);
    tool_parser_finish(&p);
    assert_false(tool_parser_failed(&p));
    close_call(&l);
    tool_parser_fini(&p);
    return str_take(&l.text);
}

static char *events(const char *text, size_t piece) { return events_of(NULL, text, piece, NULL); }

static const struct {
    const char *text, *events;
} cases[] = {
    { "plain text", "plain text" },
    { "a < b and <tool> </tool_call>\n", "a < b and <tool> </tool_call>\n" },
    { "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>",
      "[0:weather|{\"city\": \"Oslo\"}]" },
    { "Let me look.\n\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n",
      "Let me look.[0:f|{}]" },
    { "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":[1,{\"b\":\"}]\\\"</tool_call>\"}]}}</"
      "tool_call>",
      "[0:f|{\"a\":[1,{\"b\":\"}]\\\"</tool_call>\"}]}]" },
    { "<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":1}}</tool_call>\n<tool_call>{\"name\":\"g\","
      "\"arguments\":{\"y\":2}}</tool_call>",
      "[0:f|{\"x\":1}][1:g|{\"y\":2}]" },
    { "<tool_call>{\"arguments\":{\"x\":1},\"name\":\"f\"}</tool_call>", "[0:f|{\"x\":1}]" },
    { "<tool_call>{\"name\":\"f\",\"parameters\":{\"x\":1}}</tool_call>", "[0:f|{\"x\":1}]" },
    { "<tool_call>{\"name\":\"f\"}</tool_call>", "[0:f|{}]" },
    { "<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"x\\\": 1}\"}</tool_call>",
      "[0:f|{\"x\": 1}]" },
    { "<tool_call>{\"id\":\"q\",\"name\":\"f\\u00e9\",\"arguments\":{},\"n\":[1]}</tool_call>",
      "[0:f\xc3\xa9|{}]" },
    /* the end of the text closes a complete call, and cuts an open one */
    { "<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":1}}", "[0:f|{\"x\":1}]" },
    { "<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":", "[0:f|{\"x\":]" },
    { "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool", "[0:f|{}]" },
    /* a closing tag left out */
    { "<tool_call>{\"name\":\"f\",\"arguments\":{}}<tool_call>{\"name\":\"g\",\"arguments\":{}}",
      "[0:f|{}][1:g|{}]" },
    { "<tool_call>{\"name\":\"f\",\"arguments\":{}} and text", "[0:f|{}]and text" },
    /* a call that goes wrong once it was told of ends there */
    { "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":<x>}}", "[0:f|{\"a\":]<x>}}" },
    /* what the model leaves out before the closing tag */
    { "<tool_call>{\"name\":\"x\",\"arguments\":{\"a\":{}}\n</tool_call>", "[0:x|{\"a\":{}}]" },
    { "<tool_call>{\"arguments\":{\"a\":1},\"name\":\"x\"</tool_call>", "[0:x|{\"a\":1}]" },
    { "<tool_call>{\"name\":\"x\",\"arguments\":\"{}\"</tool_call> y", "[0:x|{}] y" },
    { "<tool_call>{\"name\":\"x\",\"arguments\":{\"a\":[1</tool_call>", "[0:x|{\"a\":[1]" },
    { "<tool_call>{\"name\":\"x\",\"arguments\":{},</tool_call>", "[0:x|{}]" },
    { "<tool_call>{\"name\":\"x\"</tool_call>", "<tool_call>{\"name\":\"x\"</tool_call>" },
    { "<tool_call>{\"name\":\"x\",\"arguments\":{\"a\":1}", "[0:x|{\"a\":1}]" },
    { "<tool_call>{\"arguments\":{\"a\":1},\"name\":\"f\"<", "[0:f|{\"a\":1}]" },
    /* not a call: comes through as it is */
    { "x <tool_call>oops</tool_call> y", "x <tool_call>oops</tool_call> y" },
    { "<tool_call>{\"nam\":1}</tool_call>", "<tool_call>{\"nam\":1}</tool_call>" },
    { "<tool_call>{\"name\":5}</tool_call>", "<tool_call>{\"name\":5}</tool_call>" },
    { "<tool_call>{\"name\":\"\",\"arguments\":{}}</tool_call>",
      "<tool_call>{\"name\":\"\",\"arguments\":{}}</tool_call>" },
    { "<tool_call>{\"name\"</tool_call>", "<tool_call>{\"name\"</tool_call>" },
    { "a <tool_ca", "a <tool_ca" },
    { "<tool_call>", "<tool_call>" },
    { "   \n", "   \n" },
};

static void every_chunking_gives_the_same_events(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t piece = 1; piece <= 80; piece++) {
            char *got = events(cases[i].text, piece);
            if (!got || strcmp(got, cases[i].events) != 0)
                fail_msg("%s\n in pieces of %zu:\n got  %s\n want %s", cases[i].text, piece,
                         got ? got : "(null)", cases[i].events);
            mem_free(got);
        }
}

#define BEGUN "<tool_call>\n{\"name\": \""

/* With the tools f and gg, a call begun by the prompt. */
static const struct {
    const char *forced, *text, *events;
} forced_cases[] = {
    { BEGUN, "f\", \"arguments\": {}}\n</tool_call>", "[0:f|{}]" },
    { BEGUN "f\", \"arguments", "\": {\"a\": 1}}</tool_call>", "[0:f|{\"a\": 1}]" },
    { BEGUN "f\", \"arguments", "\": {\"a", "[0:f|{\"a]" },
    /* what nobody wrote is no content */
    { BEGUN, "", "" },
    { BEGUN "f\", \"arguments", "\"", "\"" },
    { BEGUN, "f", "f" },
    /* another name is no call, and what follows is parsed as ever */
    { BEGUN, "h\", \"arguments\": {}}</tool_call>", "h\", \"arguments\": {}}</tool_call>" },
    { BEGUN, "h\"}<tool_call>{\"name\":\"g", "h\"}<tool_call>{\"name\":\"g" },
    { BEGUN, "h\"}<tool_call>{\"name\":\"gg\"}", "h\"}[0:gg|{}]" },
    { NULL, "<tool_call>{\"name\":\"h\",\"arguments\":{}}</tool_call>",
      "<tool_call>{\"name\":\"h\",\"arguments\":{}}</tool_call>" },
    { NULL, "<tool_call>{\"arguments\":{},\"name\":\"h\"}</tool_call>",
      "<tool_call>{\"arguments\":{},\"name\":\"h\"}</tool_call>" },
    { NULL, "<tool_call>{\"name\":\"gg\",\"arguments\":{}}</tool_call>", "[0:gg|{}]" },
};

static void gives_only_what_was_written_and_offered(void **state)
{
    static const char *const names[] = { "f", "gg", NULL };

    (void)state;
    for (size_t i = 0; i < COUNT(forced_cases); i++)
        for (size_t piece = 1; piece <= 80; piece++) {
            char *got = events_of(forced_cases[i].forced, forced_cases[i].text, piece, names);
            if (strcmp(got ? got : "", forced_cases[i].events) != 0)
                fail_msg("%s\n in pieces of %zu:\n got  %s\n want %s", forced_cases[i].text, piece,
                         got ? got : "(null)", forced_cases[i].events);
            mem_free(got);
        }
}

static void streams_arguments_as_they_arrive(void **state)
{
    struct log l = { 0 };
    const struct text_sink sink = { &l, on_content, on_call, on_arguments };
    struct tool_parser p;
    const char *head = "<tool_call>{\"name\": \"f\", \"arguments\": {\"city\": \"Os";

    (void)state;
    tool_parser_init(&p, &sink, NULL);
    tool_parser_push(&p, head, strlen(head));
    assert_string_equal(str_cstr(&l.text), "[0:f|{\"city\": \"Os");
    tool_parser_push(&p, "lo\"", 3);
    assert_string_equal(str_cstr(&l.text), "[0:f|{\"city\": \"Oslo\"");
    tool_parser_fini(&p);
    str_fini(&l.text);
}

/* A closing tag that is a token ends a call whatever it stands in; what is no call keeps it. */
static void a_closing_token_ends_the_call(void **state)
{
    static const struct {
        const char *before, *after, *events;
    } tokens[] = {
        { "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":\"b", " c", "[0:f|{\"a\":\"b] c" },
        { "<tool_call>{\"name\":\"f\",\"arguments\":{}}\n", "", "[0:f|{}]" },
        { "<tool_call>{\"name\":\"f\",\"arguments\":{}", "", "[0:f|{}]" },
        { "<tool_call>{\"na", " c", "<tool_call>{\"na</tool_call> c" },
        { "text", " c", "text</tool_call> c" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(tokens); i++) {
        struct log l = { 0 };
        const struct text_sink sink = { &l, on_content, on_call, on_arguments };
        struct tool_parser p;

        tool_parser_init(&p, &sink, NULL);
        tool_parser_push(&p, tokens[i].before, strlen(tokens[i].before));
        tool_parser_close(&p);
        tool_parser_push(&p, tokens[i].after, strlen(tokens[i].after));
        tool_parser_finish(&p);
        assert_false(p.cut);
        close_call(&l);
        assert_string_equal(str_cstr(&l.text), tokens[i].events);
        tool_parser_fini(&p);
        str_fini(&l.text);
    }
}

static void refuses_endless_nesting(void **state)
{
    struct str text = { 0 };

    (void)state;
    str_put(&text, "<tool_call>{\"name\":\"f\",\"x\":");
    for (int i = 0; i < 100000; i++) str_put_char(&text, '[');
    char *got = events(str_cstr(&text), 1000);
    assert_string_equal(got, str_cstr(&text));
    mem_free(got);
    str_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_chunking_gives_the_same_events),
        cmocka_unit_test(gives_only_what_was_written_and_offered),
        cmocka_unit_test(streams_arguments_as_they_arrive),
        cmocka_unit_test(a_closing_token_ends_the_call),
        cmocka_unit_test(refuses_endless_nesting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
