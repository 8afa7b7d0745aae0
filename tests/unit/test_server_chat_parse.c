/* SPDX-License-Identifier: MIT */
/* The parser of chat requests: every refusal names its parameter, what is right arrives as native
 * values. */
#include "server/openai_chat_parse.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static bool parse(const char *body, struct chat_request *req, struct arena *a, struct api_error *e)
{
    memset(e, 0, sizeof *e);
    arena_fini(a);
    arena_init(a, 64 << 20);
    return chat_request_parse(req, body, strlen(body), a, e);
}

#define MSG "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
/* A request that is right but for `extra`. */
#define WITH(extra) "{\"model\":\"m\"," MSG "," extra "}"
#define MESSAGE(m)  "{\"model\":\"m\",\"messages\":[" m "]}"
#define TOOL(t)     WITH("\"tools\":[" t "]")

static const struct {
    const char *body, *param, *code;
} bad[] = {
    { "", "", "invalid_json" },
    { "   ", "", "invalid_json" },
    { "\xEF\xBB\xBF" WITH("\"n\":1"), "", "invalid_json" },
    { "nonsense", "", "invalid_json" },
    { "{\"model\":\"m\"", "", "invalid_json" },
    { "{\"model\":\"m\"," MSG "} trailing", "", "invalid_json" },
    { "{\"model\":\"m\",\"model\":\"m\"," MSG "}", "", "invalid_json" },
    { "{\"model\":\"\\ud800\"," MSG "}", "", "invalid_json" },
    { "{\"model\":\"a\xff\"," MSG "}", "", "invalid_json" },
    { WITH("\"temperature\":1e400"), "", "invalid_json" },
    { WITH("\"temperature\":NaN"), "", "invalid_json" },
    { WITH("\"temperature\":01"), "", "invalid_json" },
    { WITH("\"x\":\"\\u0000\""), "", "invalid_json" },
    { "[]", "", "invalid_type" },
    { "\"text\"", "", "invalid_type" },
    { "null", "", "invalid_type" },
    /* model */
    { "{" MSG "}", "model", "missing_required_parameter" },
    { "{\"model\":null," MSG "}", "model", "missing_required_parameter" },
    { "{\"model\":5," MSG "}", "model", "invalid_type" },
    { "{\"model\":\"\"," MSG "}", "model", "invalid_value" },
    /* messages */
    { "{\"model\":\"m\"}", "messages", "missing_required_parameter" },
    { "{\"model\":\"m\",\"messages\":null}", "messages", "missing_required_parameter" },
    { "{\"model\":\"m\",\"messages\":\"hi\"}", "messages", "invalid_type" },
    { "{\"model\":\"m\",\"messages\":{}}", "messages", "invalid_type" },
    { "{\"model\":\"m\",\"messages\":[]}", "messages", "invalid_value" },
    { MESSAGE("\"hi\""), "messages[0]", "invalid_type" },
    { MESSAGE("null"), "messages[0]", "invalid_type" },
    { MESSAGE("{}"), "messages[0].role", "missing_required_parameter" },
    { MESSAGE("{\"role\":5}"), "messages[0].role", "invalid_type" },
    { MESSAGE("{\"role\":\"robot\",\"content\":\"x\"}"), "messages[0].role", "invalid_value" },
    { MESSAGE("{\"role\":\"user\"}"), "messages[0].content", "missing_required_parameter" },
    { MESSAGE("{\"role\":\"user\",\"content\":null}"), "messages[0].content", "invalid_type" },
    { MESSAGE("{\"role\":\"user\",\"content\":5}"), "messages[0].content", "invalid_type" },
    { MESSAGE("{\"role\":\"user\",\"content\":{}}"), "messages[0].content", "invalid_type" },
    { MESSAGE("{\"role\":\"user\",\"content\":[]}"), "messages[0].content", "invalid_value" },
    { MESSAGE("{\"role\":\"user\",\"content\":[\"x\"]}"), "messages[0].content[0]",
      "invalid_type" },
    { MESSAGE("{\"role\":\"user\",\"content\":[{\"text\":\"x\"}]}"), "messages[0].content[0].type",
      "invalid_type" },
    { MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}"),
      "messages[0].content[0].text", "invalid_type" },
    { MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
              "\"image_url\","
              "\"image_url\":{\"url\":\"x\"}}]}"),
      "messages[0].content[1].type", "unsupported_value" },
    { MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\"}]}"),
      "messages[0].content[0].type", "unsupported_value" },
    { MESSAGE("{\"role\":\"user\",\"content\":\"x\",\"name\":5}"), "messages[0].name",
      "invalid_type" },
    { MESSAGE("{\"role\":\"tool\",\"content\":\"x\"}"), "messages[0].tool_call_id",
      "missing_required_parameter" },
    { MESSAGE("{\"role\":\"tool\",\"tool_call_id\":\"x\"}"), "messages[0].content",
      "missing_required_parameter" },
    { MESSAGE("{\"role\":\"function\",\"content\":\"x\"}"), "messages[0].name",
      "missing_required_parameter" },
    { MESSAGE("{\"role\":\"assistant\"}"), "messages[0].content", "missing_required_parameter" },
    { MESSAGE("{\"role\":\"assistant\",\"content\":null}"), "messages[0].content",
      "missing_required_parameter" },
    { MESSAGE("{\"role\":\"assistant\",\"tool_calls\":{}}"), "messages[0].tool_calls",
      "invalid_type" },
    { MESSAGE("{\"role\":\"assistant\",\"tool_calls\":[5]}"), "messages[0].tool_calls[0]",
      "invalid_type" },
    { MESSAGE("{\"role\":\"assistant\",\"tool_calls\":[{\"type\":\"custom\"}]}"),
      "messages[0].tool_calls[0].type", "unsupported_value" },
    { MESSAGE("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":5}]}"),
      "messages[0].tool_calls[0].id", "invalid_type" },
    { MESSAGE("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\"}]}"),
      "messages[0].tool_calls[0].function", "invalid_type" },
    { MESSAGE("{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"arguments\":\"{}\"}}]}"),
      "messages[0].tool_calls[0].function.name", "invalid_type" },
    { MESSAGE("{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":"
              "5}}]}"),
      "messages[0].tool_calls[0].function.arguments", "invalid_type" },
    { MESSAGE("{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":[1]}"),
      "messages[1].content[0]", "invalid_type" },
    /* numbers: type, below, above */
    { WITH("\"temperature\":\"1\""), "temperature", "invalid_type" },
    { WITH("\"temperature\":true"), "temperature", "invalid_type" },
    { WITH("\"temperature\":[]"), "temperature", "invalid_type" },
    { WITH("\"temperature\":-0.01"), "temperature", "invalid_value" },
    { WITH("\"temperature\":2.01"), "temperature", "invalid_value" },
    { WITH("\"top_p\":-1"), "top_p", "invalid_value" },
    { WITH("\"top_p\":1.0001"), "top_p", "invalid_value" },
    { WITH("\"top_p\":{}"), "top_p", "invalid_type" },
    { WITH("\"min_p\":2"), "min_p", "invalid_value" },
    { WITH("\"top_k\":1.5"), "top_k", "invalid_type" },
    { WITH("\"top_k\":-2"), "top_k", "invalid_value" },
    { WITH("\"top_k\":1e12"), "top_k", "invalid_value" },
    { WITH("\"presence_penalty\":-2.1"), "presence_penalty", "invalid_value" },
    { WITH("\"frequency_penalty\":2.1"), "frequency_penalty", "invalid_value" },
    { WITH("\"frequency_penalty\":\"a\""), "frequency_penalty", "invalid_type" },
    { WITH("\"repetition_penalty\":0"), "repetition_penalty", "invalid_value" },
    { WITH("\"max_tokens\":0"), "max_tokens", "invalid_value" },
    { WITH("\"max_tokens\":-1"), "max_tokens", "invalid_value" },
    { WITH("\"max_tokens\":2147483648"), "max_tokens", "invalid_value" },
    { WITH("\"max_tokens\":\"10\""), "max_tokens", "invalid_type" },
    { WITH("\"max_tokens\":10.5"), "max_tokens", "invalid_type" },
    { WITH("\"max_tokens\":9223372036854775808"), "max_tokens", "invalid_type" },
    { WITH("\"max_completion_tokens\":0"), "max_completion_tokens", "invalid_value" },
    { WITH("\"max_completion_token\":0"), "max_completion_token", "invalid_value" },
    { WITH("\"n\":0"), "n", "invalid_value" },
    { WITH("\"n\":17"), "n", "invalid_value" },
    { WITH("\"n\":1000000"), "n", "invalid_value" },
    { WITH("\"n\":\"1\""), "n", "invalid_type" },
    { WITH("\"seed\":1.5"), "seed", "invalid_type" },
    { WITH("\"seed\":1e30"), "seed", "invalid_type" },
    { WITH("\"random_seed\":\"x\""), "random_seed", "invalid_type" },
    { WITH("\"ttl\":-1"), "ttl", "invalid_value" },
    { WITH("\"stream\":\"true\""), "stream", "invalid_type" },
    { WITH("\"stream\":1"), "stream", "invalid_type" },
    { WITH("\"logprobs\":5"), "logprobs", "invalid_type" },
    { WITH("\"top_logprobs\":21"), "top_logprobs", "invalid_value" },
    { WITH("\"top_logprobs\":5"), "top_logprobs", "invalid_value" },
    { WITH("\"logprobs\":true,\"top_logprobs\":5"), "top_logprobs", "unsupported_value" },
    { WITH("\"parallel_tool_calls\":\"no\""), "parallel_tool_calls", "invalid_type" },
    { WITH("\"metadata\":[]"), "metadata", "invalid_type" },
    { WITH("\"metadata\":{\"top_k\":\"many\"}"), "metadata.top_k", "invalid_type" },
    { WITH("\"metadata\":{\"top_k\":\"-5\"}"), "metadata.top_k", "invalid_value" },
    { WITH("\"metadata\":{\"random_seed\":true}"), "metadata.random_seed", "invalid_type" },
    /* stop */
    { WITH("\"stop\":5"), "stop", "invalid_type" },
    { WITH("\"stop\":{}"), "stop", "invalid_type" },
    { WITH("\"stop\":\"\""), "stop", "invalid_value" },
    { WITH("\"stop\":[\"a\",\"\"]"), "stop[1]", "invalid_value" },
    { WITH("\"stop\":[\"a\",5]"), "stop[1]", "invalid_type" },
    { WITH("\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]"), "stop", "invalid_value" },
    /* logit_bias */
    { WITH("\"logit_bias\":[]"), "logit_bias", "invalid_type" },
    { WITH("\"logit_bias\":{\"a\":1}"), "logit_bias.a", "invalid_value" },
    { WITH("\"logit_bias\":{\"-1\":1}"), "logit_bias.-1", "invalid_value" },
    { WITH("\"logit_bias\":{\"4294967296\":1}"), "logit_bias.4294967296", "invalid_value" },
    { WITH("\"logit_bias\":{\"5\":\"1\"}"), "logit_bias.5", "invalid_type" },
    { WITH("\"logit_bias\":{\"5\":100.5}"), "logit_bias.5", "invalid_value" },
    { WITH("\"logit_bias\":{\"5\":-101}"), "logit_bias.5", "invalid_value" },
    /* stream_options, formats */
    { WITH("\"stream_options\":{\"include_usage\":true}"), "stream_options", "invalid_value" },
    { WITH("\"stream\":true,\"stream_options\":5"), "stream_options", "invalid_type" },
    { WITH("\"stream\":true,\"stream_options\":{\"include_usage\":1}"),
      "stream_options.include_usage", "invalid_type" },
    { WITH("\"response_format\":\"text\""), "response_format", "invalid_type" },
    { WITH("\"response_format\":{}"), "response_format.type", "invalid_type" },
    { WITH("\"response_format\":{\"type\":\"json_object\"}"), "response_format",
      "unsupported_value" },
    { WITH("\"modalities\":[\"audio\"]"), "modalities", "unsupported_value" },
    { WITH("\"modalities\":\"text\""), "modalities", "invalid_type" },
    { WITH("\"audio\":{}"), "audio", "unsupported_value" },
    { WITH("\"ep\":\"cuda\""), "ep", "unsupported_value" },
    { WITH("\"ep\":5"), "ep", "invalid_type" },
    { WITH("\"user\":5"), "user", "invalid_type" },
    { WITH("\"chat_template_kwargs\":[]"), "chat_template_kwargs", "invalid_type" },
    /* tools */
    { WITH("\"tools\":{}"), "tools", "invalid_type" },
    { TOOL("5"), "tools[0]", "invalid_type" },
    { TOOL("{}"), "tools[0].type", "missing_required_parameter" },
    { TOOL("{\"type\":\"retrieval\"}"), "tools[0].type", "unsupported_value" },
    { TOOL("{\"type\":\"function\"}"), "tools[0].function", "invalid_type" },
    { TOOL("{\"type\":\"function\",\"function\":{}}"), "tools[0].function.name",
      "missing_required_parameter" },
    { TOOL("{\"type\":\"function\",\"function\":{\"name\":\"a b\"}}"), "tools[0].function.name",
      "invalid_value" },
    { TOOL("{\"type\":\"function\",\"function\":{\"name\":\"\"}}"), "tools[0].function.name",
      "invalid_value" },
    { TOOL("{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":5}}"),
      "tools[0].function.description", "invalid_type" },
    { TOOL("{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":[]}}"),
      "tools[0].function.parameters", "invalid_type" },
    { WITH("\"tool_choice\":5"), "tool_choice", "invalid_type" },
    { WITH("\"tool_choice\":\"maybe\""), "tool_choice", "invalid_value" },
    { WITH("\"tool_choice\":\"required\""), "tool_choice", "invalid_value" },
    { WITH("\"tool_choice\":{}"), "tool_choice.type", "invalid_type" },
    { WITH("\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"),
      "tool_choice.function.name", "invalid_value" },
    { WITH("\"functions\":[{}]"), "functions[0].name", "missing_required_parameter" },
    { WITH("\"functions\":5"), "functions", "invalid_type" },
    { WITH("\"function_call\":\"f\""), "function_call", "invalid_value" },
    { WITH("\"function_call\":{\"name\":\"f\"}"), "function_call.name", "invalid_value" },
};

static void names_the_parameter(void **state)
{
    struct arena a = { 0 };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct chat_request req;
        struct api_error e;
        struct str json = { 0 };
        char code[64];
        if (parse(bad[i].body, &req, &a, &e)) fail_msg("accepted: %s", bad[i].body);
        api_error_json(&e, &json);
        snprintf(code, sizeof code, "\"code\":\"%s\"", bad[i].code);
        if (strcmp(e.param, bad[i].param) != 0 || !strstr(str_cstr(&json), code) ||
            fault_http_code(e.fault) != 400)
            fail_msg("%s\n  got %s", bad[i].body, str_cstr(&json));
        str_fini(&json);
    }
    arena_fini(&a);
}

static void takes_what_is_right(void **state)
{
    static const char *const good[] = {
        WITH("\"temperature\":0"),
        WITH("\"temperature\":2.0,\"top_p\":0,\"top_k\":-1"),
        WITH("\"max_tokens\":1e3"),
        WITH("\"seed\":-9223372036854775807"),
        WITH("\"stop\":null,\"logit_bias\":{},\"functions\":[],\"function_call\":null,\"metadata\":"
             "{}"),
        WITH(
            "\"reasoning_effort\":\"low\",\"cache_prompt\":true,\"unheard_of\":[1,2,{\"a\":null}]"),
        WITH("\"response_format\":{\"type\":\"text\"},\"modalities\":[\"text\"],\"ep\":\"\""),
        WITH("\"stream\":true,\"stream_options\":{\"include_usage\":true}"),
        WITH("\"stream\":false,\"stream_options\":null,\"tools\":[],\"tool_choice\":\"auto\""),
        MESSAGE(
            "{\"role\":\"developer\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":null,"
            "\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\","
            "\"arguments\":\"not json\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c\","
            "\"content\":[{\"type\":\"text\",\"text\":\"5\"}]}"),
    };
    struct arena a = { 0 };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct chat_request req;
        struct api_error e;
        if (!parse(good[i], &req, &a, &e)) fail_msg("%s\n  refused: %s", good[i], e.text);
    }
    arena_fini(&a);
}

static void makes_native_values(void **state)
{
    static const char body[] = WITH(
        "\"temperature\":0.5,\"stop\":[\"a\",\"b\"],\"logit_bias\":{\"7\":-100,\"9\":2.5},\"seed\":"
        "9007199254740993,\"metadata\":{\"top_k\":\"40\",\"random_seed\":\"7\"},\"n\":3");
    struct arena a = { 0 };
    struct chat_request req;
    struct api_error e;

    (void)state;
    assert_true(parse(body, &req, &a, &e));
    assert_string_equal(req.model, "m");
    assert_true(req.num[CHAT_TEMPERATURE].given);
    assert_true(req.num[CHAT_TEMPERATURE].real == 0.5);
    assert_true(req.num[CHAT_SEED].integer == 9007199254740993);
    assert_int_equal(req.num[CHAT_TOP_K].integer, 40);
    assert_int_equal(req.num[CHAT_RANDOM_SEED].integer, 7);
    assert_int_equal(req.num[CHAT_N].integer, 3);
    assert_false(req.num[CHAT_MAX_TOKENS].given);
    assert_int_equal(req.n_stops, 2);
    assert_string_equal(req.stops[1], "b");
    assert_int_equal(req.n_bias, 2);
    assert_int_equal(req.bias[0].id, 7);
    assert_true(req.bias[0].bias == -100);
    arena_fini(&a);
}

static void shapes_messages_for_templates(void **state)
{
    static const char body[] = MESSAGE(
        "{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
        "\"input_text\",\"text\":\"b\"}]},{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\","
        "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\": 1, \\\"y\\\": 1.0}\"}}]},"
        "{\"role\":\"function\",\"name\":\"f\",\"content\":\"5\"}");
    struct arena a = { 0 };
    struct chat_request req;
    struct api_error e;

    (void)state;
    assert_true(parse(body, &req, &a, &e));
    struct jvalue **m = req.messages->u.list.items;
    assert_string_equal(jvalue_get(m[0], "role")->u.string.text, "system");
    assert_string_equal(jvalue_get(m[0], "content")->u.string.text, "ab");
    assert_int_equal(jvalue_get(m[1], "content")->type, JVALUE_NONE);
    const struct jvalue *call = jvalue_get(m[1], "tool_calls")->u.list.items[0];
    assert_string_equal(jvalue_get(call, "type")->u.string.text, "function");
    const struct jvalue *args = jvalue_get(jvalue_get(call, "function"), "arguments");
    assert_int_equal(args->type, JVALUE_DICT);
    assert_int_equal(jvalue_get(args, "x")->type, JVALUE_INT);
    assert_int_equal(jvalue_get(args, "y")->type, JVALUE_DOUBLE);
    assert_string_equal(jvalue_get(m[2], "role")->u.string.text, "tool");
    assert_string_equal(jvalue_get(m[2], "name")->u.string.text, "f");
    arena_fini(&a);
}

static void limits_memory_and_counts(void **state)
{
    struct arena a = { 0 };
    struct chat_request req;
    struct api_error e = { 0 };
    struct str body = { 0 };

    (void)state;
    str_put(&body, "{\"model\":\"m\",\"messages\":[");
    for (int i = 0; i <= CHAT_MESSAGES_MAX; i++)
        str_printf(&body, "%s{\"role\":\"user\",\"content\":\"x\"}", i ? "," : "");
    str_put(&body, "]}");
    assert_false(parse(str_cstr(&body), &req, &a, &e));
    assert_string_equal(e.param, "messages");

    arena_fini(&a);
    arena_init(&a, 100000);
    memset(&e, 0, sizeof e);
    assert_false(chat_request_parse(&req, str_cstr(&body), body.len, &a, &e));
    assert_int_equal(e.fault, FAULT_MEMORY);
    str_fini(&body);

    str_put(&body, "{\"model\":\"m\",\"messages\":");
    for (int i = 0; i < 100000; i++) str_put_char(&body, '[');
    assert_false(parse(str_cstr(&body), &req, &a, &e));
    assert_int_equal(e.fault, FAULT_JSON);
    str_fini(&body);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_parameter),      cmocka_unit_test(takes_what_is_right),
        cmocka_unit_test(makes_native_values),      cmocka_unit_test(shapes_messages_for_templates),
        cmocka_unit_test(limits_memory_and_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
