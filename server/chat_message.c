/* SPDX-License-Identifier: MIT */
/* A whole answer: the text of each choice is collected, then written as one chat.completion object.
 */
#include "server/chat.h"
#include <string.h>

/* ---- text_sink ---- */

static void close_call(struct chat_answer *a)
{
    if (!a->in_call) return;
    str_put_json(&a->calls, str_cstr(&a->arguments), a->arguments.len);
    str_put(&a->calls, a->chat->req.legacy_functions ? "}" : "}}");
    str_clear(&a->arguments);
    a->in_call = false;
}

static void on_content(void *user, const char *text, size_t n)
{
    struct chat_answer *a = user;

    str_put_n(&a->content, text, n);
}

static void on_call(void *user, int index, const char *name, size_t name_n)
{
    struct chat_answer *a = user;

    close_call(a);
    if (a->chat->req.legacy_functions) {
        str_put(&a->calls, "{\"name\":");
    } else {
        str_printf(&a->calls, "%s{\"id\":", index > 0 ? "," : "");
        chat_put_call_id(&a->calls);
        str_put(&a->calls, ",\"type\":\"function\",\"function\":{\"name\":");
    }
    str_put_json(&a->calls, name, name_n);
    str_put(&a->calls, ",\"arguments\":");
    a->in_call = true;
}

static void on_arguments(void *user, int index, const char *text, size_t n)
{
    struct chat_answer *a = user;

    (void)index;
    str_put_n(&a->arguments, text, n);
}

void chat_message_sink(struct chat_answer *a)
{
    a->sink = (struct text_sink){
        .user = a, .content = on_content, .call = on_call, .arguments = on_arguments
    };
}

/* ---- the object ---- */

static void put_message(struct chat_answer *a, struct str *out)
{
    close_call(a);
    str_put(out, "{\"role\":\"assistant\",\"content\":");
    if (a->content.len > 0 || a->calls.len == 0)
        str_put_json(out, str_cstr(&a->content), a->content.len);
    else
        str_put(out, "null");
    str_put(out, ",\"refusal\":null");
    if (a->calls.len > 0 && a->chat->req.legacy_functions)
        str_printf(out, ",\"function_call\":%s", str_cstr(&a->calls));
    else if (a->calls.len > 0)
        str_printf(out, ",\"tool_calls\":[%s]", str_cstr(&a->calls));
    str_put_char(out, '}');
    if (a->content.failed || a->calls.failed || a->arguments.failed) out->failed = true;
}

static void put_choice(struct chat_answer *a, struct str *out)
{
    str_printf(out, "%s{\"index\":%d,\"message\":", a->index > 0 ? "," : "", a->index);
    put_message(a, out);
    str_put(out, ",\"logprobs\":");
    if (a->choice.rules->logprobs) {
        str_put(out, "{\"content\":[");
        str_put_n(out, str_cstr(&a->choice.logprobs), a->choice.logprobs.len);
        str_put(out, "],\"refusal\":null}");
    } else {
        str_put(out, "null");
    }
    str_printf(out, ",\"finish_reason\":\"%s\"}",
               choice_finish_name(&a->choice, a->chat->req.legacy_functions));
}

void chat_message_json(struct chat *chat, struct str *out)
{
    str_put_char(out, '{');
    str_put_n(out, str_cstr(&chat->head), chat->head.len);
    str_put(out, ",\"choices\":[");
    for (int i = 0; i < chat->n_choices; i++) put_choice(&chat->answers[i], out);
    str_put(out, "],");
    chat_put_usage(chat, out);
    str_put_char(out, '}');
}

void chat_put_usage(const struct chat *chat, struct str *out)
{
    const long long prompt = (long long)chat->prompt_tokens;
    const long long completion = (long long)chat->n_completion;

    str_printf(out,
               "\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,"
               "\"total_tokens\":%lld,\"prompt_tokens_details\":{\"cached_tokens\":%d},"
               "\"completion_tokens_details\":{\"reasoning_tokens\":0}}",
               prompt, completion, prompt + completion, chat->n_cached);
}

void chat_put_call_id(struct str *out)
{
    uint64_t random[2];

    os_random(random, sizeof random);
    str_printf(out, "\"call_%016llx%08llx\"", (unsigned long long)random[0],
               (unsigned long long)(random[1] & 0xffffffff));
}
