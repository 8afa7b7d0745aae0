/* SPDX-License-Identifier: MIT */
/* Tool calls in a model's text, in the form that Hermes and Qwen templates teach:
 *
 *     <tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>
 *
 * The parser turns a stream of text into content and calls while it arrives: arguments are given
 * out piece by piece as soon as the name is known. What is not such a call stays content, byte for
 * byte. */
#pragma once
#include "base/base.h"
#include "server/text_sink.h"

#define TOOL_CALL_OPEN  "<tool_call>"
#define TOOL_CALL_CLOSE "</tool_call>"

enum { TOOL_NAME_BYTES_MAX = 256, TOOL_DEPTH_MAX = 64 };

enum tool_state {
    TOOL_TEXT,  /* outside of a call */
    TOOL_START, /* before the object's { */
    TOOL_KEY,   /* before a key or the object's } */
    TOOL_IN_KEY,
    TOOL_COLON,
    TOOL_VALUE, /* before a value */
    TOOL_IN_VALUE,
    TOOL_COMMA, /* after a value */
    TOOL_END,   /* after the object, before the closing tag */
};

enum tool_field { TOOL_FIELD_OTHER, TOOL_FIELD_NAME, TOOL_FIELD_ARGUMENTS };

struct tool_parser {
    const struct text_sink *sink;
    const char *const *names; /* NULL-terminated, borrowed; NULL: any name is a tool's */
    enum tool_state state;
    struct str held; /* TEXT: white space and the beginning of an opening tag */
    struct str
        raw; /* the call so far with its opening tag: content, should it turn out not to be one */
    size_t n_forced; /* bytes at the start of raw that nobody wrote: never content */
    struct str key, name, arguments;
    enum tool_field field;
    int depth; /* of the value being read; in_string and escaped hold inside it */
    bool in_string, escaped;
    bool has_name, has_arguments;
    bool quoted_arguments; /* the arguments are a JSON string that holds JSON */
    bool announced;        /* the sink knows of this call */
    size_t n_sent;         /* bytes of arguments given out */
    size_t n_close;        /* bytes of the closing tag seen */
    int n_calls;
    bool cut; /* the text ended inside a call's arguments */
};

/* The sink and the names must outlive the parser. A call of another name is content. */
void tool_parser_init(struct tool_parser *p, const struct text_sink *sink,
                      const char *const *names);
void tool_parser_fini(struct tool_parser *p);
/* The beginning of a call that the prompt has made for the model: before any text. */
void tool_parser_force(struct tool_parser *p, const char *text);
void tool_parser_push(struct tool_parser *p, const char *text, size_t n);
/* The closing tag came as a token of its own: whatever the call's state, it ends here. */
void tool_parser_close(struct tool_parser *p);
/* The text is over: what is complete becomes a call, what is not becomes content. */
void tool_parser_finish(struct tool_parser *p);
/* Memory ran out: the answer is incomplete. */
bool tool_parser_failed(const struct tool_parser *p);
