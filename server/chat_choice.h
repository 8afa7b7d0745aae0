/* SPDX-License-Identifier: MIT */
/* One choice of an answer: from token ids to text, past stop strings and tool calls, to a
 * text_sink. */
#pragma once
#include "engine/engine.h"
#include "server/stop_strings.h"
#include "server/tool_calls.h"
#include "tokenizer/tokenizer.h"

/* What all choices of a request share. */
struct choice_rules {
    const struct tokenizer *tokenizer;
    const char *const *stops;
    size_t n_stops;
    bool tools;                    /* look for tool calls */
    const char *const *tool_names; /* NULL-terminated: the only ones that are calls */
    bool one_call;                 /* the answer ends with the first one */
    const char *forced; /* the prompt's end that already belongs to the answer ("<tool_call>…"), as
                           far as token_heal left it there; NULL = none */
    bool logprobs;
};

struct chat_choice {
    const struct choice_rules *rules;
    const struct text_sink *sink;
    struct token_stream *stream;
    struct stop_matcher stop;
    struct tool_parser tools;
    struct str text, sure; /* scratch */
    struct str logprobs;   /* JSON entries not yet given out, comma-separated */
    int64_t n_tokens;
    bool ended; /* no more text comes */
    enum finish_reason reason;
};

/* rules and sink must outlive the choice. */
status choice_init(struct chat_choice *c, const struct choice_rules *rules,
                   const struct text_sink *sink, struct err *err);
void choice_fini(struct chat_choice *c);
/* One token. True when the choice ends with it (a stop string, or its one tool call): reason is
 * set. */
bool choice_token(struct chat_choice *c, const struct gen_event *ev);
/* The engine has finished it. */
void choice_finish(struct chat_choice *c, enum finish_reason reason);
/* Memory ran out: the text is incomplete. */
bool choice_failed(const struct chat_choice *c);
/* "stop", "length", "tool_calls" (of whole ones: arguments that were cut cannot be used). */
const char *choice_finish_name(const struct chat_choice *c, bool legacy_functions);
