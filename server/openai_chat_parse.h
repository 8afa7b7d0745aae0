/* SPDX-License-Identifier: MIT */
/* The body of POST /v1/chat/completions as native values: past this line there is no JSON. Every
 * parameter is checked here, against one table of ranges; an error names it the way OpenAI does
 * ("messages[0].role"). */
#pragma once
#include "engine/engine.h"
#include "server/http_error.h"
#include "server/stop_strings.h"
#include "tokenizer/tokenizer.h"

enum {
    CHAT_MESSAGES_MAX = 4096,
    CHAT_PARTS_MAX = 4096,
    CHAT_TOOLS_MAX = 128,
    CHAT_N_MAX = 16,
    CHAT_BIAS_MAX = 1024,
    CHAT_DEPTH_MAX = 64,
    CHAT_NODES_MAX = 1000000,
    CHAT_NAME_BYTES_MAX = 256,
};

/*  X(name, JSON key, type, min, max): every number and flag a request may hold; null counts as
 * absent. */
#define CHAT_NUMBER_LIST(X)                                                                        \
    X(CHAT_TEMPERATURE, "temperature", NUMBER_REAL, 0, 2)                                          \
    X(CHAT_TOP_P, "top_p", NUMBER_REAL, 0, 1)                                                      \
    X(CHAT_MIN_P, "min_p", NUMBER_REAL, 0, 1)                                                      \
    X(CHAT_TOP_K, "top_k", NUMBER_INT, -1, 16777216)                                               \
    X(CHAT_PRESENCE, "presence_penalty", NUMBER_REAL, -2, 2)                                       \
    X(CHAT_FREQUENCY, "frequency_penalty", NUMBER_REAL, -2, 2)                                     \
    X(CHAT_REPETITION, "repetition_penalty", NUMBER_REAL, 0.01, 100)                               \
    X(CHAT_MAX_COMPLETION_TOKENS, "max_completion_tokens", NUMBER_INT, 1, INT32_MAX)               \
    X(CHAT_MAX_COMPLETION_TOKEN, "max_completion_token", NUMBER_INT, 1, INT32_MAX)                 \
    X(CHAT_MAX_TOKENS, "max_tokens", NUMBER_INT, 1, INT32_MAX)                                     \
    X(CHAT_MIN_TOKENS, "min_tokens", NUMBER_INT, 0, INT32_MAX)                                     \
    X(CHAT_N, "n", NUMBER_INT, 1, CHAT_N_MAX)                                                      \
    X(CHAT_SEED, "seed", NUMBER_INT, -9223372036854775807.0, 9223372036854775807.0)                \
    X(CHAT_RANDOM_SEED, "random_seed", NUMBER_INT, -9223372036854775807.0, 9223372036854775807.0)  \
    X(CHAT_TTL, "ttl", NUMBER_INT, 0, INT32_MAX)                                                   \
    X(CHAT_TOP_LOGPROBS, "top_logprobs", NUMBER_INT, 0, 20)                                        \
    X(CHAT_STREAM, "stream", NUMBER_BOOL, 0, 1)                                                    \
    X(CHAT_LOGPROBS, "logprobs", NUMBER_BOOL, 0, 1)                                                \
    X(CHAT_PARALLEL_TOOLS, "parallel_tool_calls", NUMBER_BOOL, 0, 1)                               \
    X(CHAT_STORE, "store", NUMBER_BOOL, 0, 1)

enum chat_number_name {
#define X(name, key, type, min, max) name,
    CHAT_NUMBER_LIST(X)
#undef X
        CHAT_NUMBER_COUNT
};

struct chat_number {
    bool given;
    int64_t integer; /* NUMBER_INT, NUMBER_BOOL */
    double real;     /* always */
};

enum tool_choice { TOOL_CHOICE_AUTO, TOOL_CHOICE_NONE, TOOL_CHOICE_REQUIRED, TOOL_CHOICE_NAMED };

struct chat_request {
    const char *model;
    struct jvalue *messages; /* list of dicts as templates expect them: content is a string or none,
                                arguments a dict */
    struct jvalue *tools;    /* list, NULL = none */
    struct jvalue *kwargs;   /* chat_template_kwargs, NULL = none */
    struct chat_number num[CHAT_NUMBER_COUNT];
    const char *stops[STOP_STRINGS_MAX];
    size_t n_stops;
    struct logit_bias *bias; /* [n_bias] */
    size_t n_bias;
    bool include_usage;
    enum tool_choice tool_choice;
    const char *tool_name; /* TOOL_CHOICE_NAMED */
    bool legacy_functions; /* asked with `functions`: answered with `function_call` */
};

/* Parses body[0..n). Everything lives in the arena (whose limit is the budget) or in static memory.
 * False: *e is filled. */
bool chat_request_parse(struct chat_request *out, const char *body, size_t n, struct arena *a,
                        struct api_error *e);
/* "temperature", …: the key of a number, for errors found later. */
const char *chat_number_key(enum chat_number_name name);
