/* SPDX-License-Identifier: MIT */
/* The pipeline of chat_choice.h. */
#include "server/chat_choice.h"
#include <string.h>

status choice_init(struct chat_choice *c, const struct choice_rules *rules,
                   const struct text_sink *sink, struct err *err)
{
    memset(c, 0, sizeof *c);
    c->rules = rules;
    c->sink = sink;
    stop_matcher_init(&c->stop, rules->stops, rules->n_stops);
    tool_parser_init(&c->tools, sink, rules->tool_names);
    TRY(token_stream_create(&c->stream, rules->tokenizer, true, err));
    token_stream_clean_up(c->stream);
    if (rules->forced) tool_parser_force(&c->tools, rules->forced);
    return ST_OK;
}

void choice_fini(struct chat_choice *c)
{
    token_stream_destroy(c->stream);
    stop_matcher_fini(&c->stop);
    tool_parser_fini(&c->tools);
    str_fini(&c->text);
    str_fini(&c->sure);
    str_fini(&c->logprobs);
}

bool choice_failed(const struct chat_choice *c)
{
    return c->text.failed || c->sure.failed || c->stop.held.failed || c->logprobs.failed ||
           tool_parser_failed(&c->tools);
}

/* ---- log probabilities ---- */

/* "bytes" are the token's own, so that a character spread over tokens can be put together again;
 * "token" shows U+FFFD for what is no character by itself. */
static void put_logprob(struct chat_choice *c, const struct gen_event *ev)
{
    struct str text = { 0 };
    struct str *out = &c->logprobs;

    if (tokenizer_piece_bytes(c->rules->tokenizer, ev->id, &text, NULL) != ST_OK)
        out->failed = true;
    str_printf(out, "%s{\"token\":", out->len ? "," : "");
    str_put_json(out, str_cstr(&text), text.len);
    str_put(out, ",\"logprob\":");
    str_put_json_double(out, (double)ev->logprob);
    str_put(out, ",\"bytes\":[");
    for (size_t i = 0; i < text.len; i++)
        str_printf(out, "%s%u", i ? "," : "", (unsigned)(unsigned char)text.data[i]);
    str_put(out, "],\"top_logprobs\":[]}");
    if (text.failed) out->failed = true;
    str_fini(&text);
}

/* ---- text ---- */

/* Tags that are special tokens would be left out of the text. */
static const char *special_tag(const struct chat_choice *c, int32_t id)
{
    if (!c->rules->tools || !tokenizer_is_special(c->rules->tokenizer, id)) return NULL;
    const char *piece = tokenizer_id_to_piece(c->rules->tokenizer, id, NULL);
    if (!piece) return NULL;
    return str_equal(piece, TOOL_CALL_OPEN) || str_equal(piece, TOOL_CALL_CLOSE) ? piece : NULL;
}

static void detokenise(struct chat_choice *c, int32_t id, const char *tag)
{
    status st;

    if (tag) {
        st = token_stream_finish(c->stream, &c->text, NULL);
        str_put(&c->text, tag);
    } else {
        st = token_stream_push(c->stream, id, &c->text, NULL);
    }
    if (st != ST_OK) c->text.failed = true;
}

/* Hands on what is certain. */
static void deliver(struct chat_choice *c)
{
    if (c->sure.len == 0) return;
    if (c->rules->tools)
        tool_parser_push(&c->tools, c->sure.data, c->sure.len);
    else
        c->sink->content(c->sink->user, c->sure.data, c->sure.len);
}

static void end(struct chat_choice *c, enum finish_reason reason)
{
    if (c->rules->tools) tool_parser_finish(&c->tools);
    c->ended = true;
    c->reason = reason;
}

/* Runs c->text through the stop strings and beyond; closes: it ends with a closing tag that is a
 * token. True: the choice has ended. */
static bool flow(struct chat_choice *c, bool closes)
{
    str_clear(&c->sure);
    const bool stopped = stop_matcher_push(&c->stop, str_cstr(&c->text), c->text.len, &c->sure);
    str_clear(&c->text);
    /* Else the tag is (or may become) a stop string's text. */
    closes = closes && !stopped && c->stop.held.len == 0 && !c->sure.failed;
    if (closes) c->sure.len -= strlen(TOOL_CALL_CLOSE);
    deliver(c);
    if (closes) tool_parser_close(&c->tools);
    if (stopped || (c->rules->one_call && c->tools.n_calls > 0)) end(c, FINISH_STOP);
    return c->ended;
}

bool choice_token(struct chat_choice *c, const struct gen_event *ev)
{
    c->n_tokens++;
    if (c->rules->logprobs) put_logprob(c, ev);
    if (choice_failed(c)) return false;
    const char *tag = special_tag(c, ev->id);
    detokenise(c, ev->id, tag);
    if (c->text.failed) return false;
    return c->text.len > 0 && flow(c, tag && str_equal(tag, TOOL_CALL_CLOSE));
}

void choice_finish(struct chat_choice *c, enum finish_reason reason)
{
    if (token_stream_finish(c->stream, &c->text, NULL) != ST_OK) c->text.failed = true;
    if (c->text.failed || flow(c, false)) return;
    str_clear(&c->sure);
    stop_matcher_finish(&c->stop, &c->sure);
    deliver(c);
    end(c, reason);
}

const char *choice_finish_name(const struct chat_choice *c, bool legacy_functions)
{
    if (c->reason == FINISH_LENGTH) return "length";
    if (c->tools.n_calls > 0 && !c->tools.cut)
        return legacy_functions ? "function_call" : "tool_calls";
    return "stop";
}
