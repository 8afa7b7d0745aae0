/* SPDX-License-Identifier: MIT */
/* A streamed answer: chat.completion.chunk objects as server-sent events, written as the text
 * becomes certain. */
#include "server/chat.h"
#include "server/sse.h"
#include <string.h>

/* ---- one chunk: begin, a delta's members, end ---- */

static void chunk_begin(struct chat_answer *a)
{
    struct str *out = &a->chat->out;

    sse_begin(out);
    str_put_char(out, '{');
    str_put_n(out, str_cstr(&a->chat->head), a->chat->head.len);
    str_printf(out, ",\"choices\":[{\"index\":%d,\"delta\":{", a->index);
}

/* finish: NULL = null. */
static void chunk_end(struct chat_answer *a, const char *finish)
{
    struct str *out = &a->chat->out;
    struct str *logprobs = &a->choice.logprobs;

    str_put(out, "},\"logprobs\":");
    if (logprobs->len > 0) {
        str_put(out, "{\"content\":[");
        str_put_n(out, logprobs->data, logprobs->len);
        str_put(out, "],\"refusal\":null}");
        str_clear(logprobs);
    } else {
        str_put(out, "null");
    }
    if (finish)
        str_printf(out, ",\"finish_reason\":\"%s\"}]", finish);
    else
        str_put(out, ",\"finish_reason\":null}]");
    if (a->chat->req.include_usage) str_put(out, ",\"usage\":null");
    str_put_char(out, '}');
    sse_end(out);
}

/* ---- text_sink ---- */

static void on_content(void *user, const char *text, size_t n)
{
    struct chat_answer *a = user;

    chunk_begin(a);
    str_put(&a->chat->out, "\"content\":");
    str_put_json(&a->chat->out, text, n);
    chunk_end(a, NULL);
}

static void on_call(void *user, int index, const char *name, size_t name_n)
{
    struct chat_answer *a = user;
    struct str *out = &a->chat->out;

    chunk_begin(a);
    if (a->chat->req.legacy_functions) {
        str_put(out, "\"function_call\":{\"name\":");
        str_put_json(out, name, name_n);
        str_put(out, ",\"arguments\":\"\"}");
    } else {
        str_printf(out, "\"tool_calls\":[{\"index\":%d,\"id\":", index);
        chat_put_call_id(out);
        str_put(out, ",\"type\":\"function\",\"function\":{\"name\":");
        str_put_json(out, name, name_n);
        str_put(out, ",\"arguments\":\"\"}}]");
    }
    chunk_end(a, NULL);
}

static void on_arguments(void *user, int index, const char *text, size_t n)
{
    struct chat_answer *a = user;
    struct str *out = &a->chat->out;

    chunk_begin(a);
    if (a->chat->req.legacy_functions) {
        str_put(out, "\"function_call\":{\"arguments\":");
        str_put_json(out, text, n);
        str_put_char(out, '}');
    } else {
        str_printf(out, "\"tool_calls\":[{\"index\":%d,\"function\":{\"arguments\":", index);
        str_put_json(out, text, n);
        str_put(out, "}}]");
    }
    chunk_end(a, NULL);
}

void chat_stream_sink(struct chat_answer *a)
{
    a->sink = (struct text_sink){
        .user = a, .content = on_content, .call = on_call, .arguments = on_arguments
    };
}

/* ---- first, last, close ---- */

void chat_stream_first(struct chat_answer *a)
{
    chunk_begin(a);
    str_put(&a->chat->out, "\"role\":\"assistant\",\"content\":\"\"");
    chunk_end(a, NULL);
}

void chat_stream_last(struct chat_answer *a)
{
    chunk_begin(a);
    chunk_end(a, choice_finish_name(&a->choice, a->chat->req.legacy_functions));
}

void chat_stream_close(struct chat *chat)
{
    struct str *out = &chat->out;

    if (chat->broken) {
        struct api_error e;
        job_error(&chat->job, &e);
        sse_error(out, &e);
    } else {
        if (chat->req.include_usage) {
            sse_begin(out);
            str_put_char(out, '{');
            str_put_n(out, str_cstr(&chat->head), chat->head.len);
            str_put(out, ",\"choices\":[],");
            chat_put_usage(chat, out);
            str_put_char(out, '}');
            sse_end(out);
        }
        sse_done(out);
    }
    chat->closed = true;
}
