/* SPDX-License-Identifier: MIT */
/* Shared by the files that parse a chat request; nobody else includes it. */
#pragma once
#include "server/openai_chat_parse.h"

/* One parse: where values go and where the first error goes. */
struct chat_parse {
    struct chat_request *out;
    struct arena *arena;
    struct api_error *error;
};

/* "a string", "an array", … for messages. */
const char *jvalue_kind(const struct jvalue *v);
/* Member that is there and not null, else NULL. */
const struct jvalue *chat_member(const struct jvalue *dict, const char *key);
/* Fails with FAULT_TYPE: "param: expected X, got Y". Returns false. */
bool chat_fail_type(struct chat_parse *p, const char *param, const char *expected,
                    const struct jvalue *got);
bool chat_fail_memory(struct chat_parse *p);
/* The text of a string value; NULL (and *p's error) when it is none or holds a NUL. */
const char *chat_text(struct chat_parse *p, const char *param, const struct jvalue *v);

/* openai_messages.c */
bool chat_parse_messages(struct chat_parse *p, const struct jvalue *body);
/* openai_tools.c: tools, functions, tool_choice, function_call */
bool chat_parse_tools(struct chat_parse *p, const struct jvalue *body);
