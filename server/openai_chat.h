/* SPDX-License-Identifier: MIT */
/* POST /v1/chat/completions, and POST /v1/chat/completions/tokenizer/encode/count. */
#pragma once
struct exchange;
struct model;
struct server;

void openai_chat(struct exchange *ex);
/* {"tokenCount":n}: the prompt's tokens, as usage.prompt_tokens of the same request. */
void openai_chat_count(struct exchange *ex);
/* Breaks off every answer of this model (a forced unload). */
void openai_chat_abort_model(struct server *s, const struct model *model);
