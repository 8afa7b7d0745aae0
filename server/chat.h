/* SPDX-License-Identifier: MIT */
/* The state of one chat request, shared by the files chat_*.c and openai_chat.c. */
#pragma once
#include "server/chat_choice.h"
#include "server/job.h"
#include "server/model_manager.h"
#include "server/openai_chat_parse.h"

struct chat;

/* A choice with the place its text goes to. */
struct chat_answer {
    struct chat_choice choice;
    struct text_sink sink;
    struct chat *chat;
    int index;
    bool begun; /* the choice was initialised */
    /* chat_message.c: the whole message */
    struct str content, calls; /* calls: JSON of finished and open calls */
    bool in_call;              /* the last call's arguments string is open */
    struct str arguments;
};

struct chat {
    struct job job; /* first: the job is the chat */
    struct arena arena;
    struct str body; /* gone once parsed */
    size_t body_charged;
    bool count_only;

    /* set by the workers before JOB_RUNNING or JOB_FAILED, then only read */
    struct chat_request req;
    struct model *model; /* pinned, NULL before */
    struct model_waiter waiter;
    struct choice_rules rules;
    struct str head; /* "id":…,"created":…,"model":…,"system_fingerprint":… of every object of the
                        answer */
    int64_t prompt_tokens;
    int n_choices;
    bool stream;

    /* the event loop's */
    bool begun;                  /* the first chunks are written */
    struct chat_answer *answers; /* [n_choices] */
    int n_open;
    int32_t n_prompt, n_cached;
    int64_t n_completion;
    uint64_t first_token_ns;
    struct str out; /* chunks not yet sent */
    size_t out_sent;
    bool closed; /* [DONE] or an error event is in `out` */
    bool broken; /* the engine gave up, or memory ran out */
};

/* ---- chat_prompt.c: on a worker ---- */

/* Renders, tokenises and submits (or counts: sets prompt_tokens). False with *e filled. */
bool chat_start(struct chat *chat, struct api_error *e);

/* ---- chat_stream.c, chat_message.c: on the event loop ---- */

/* Makes the answers and, for a stream, the first chunk of each. False: no memory. */
bool chat_begin_answers(struct chat *chat);
void chat_stream_sink(struct chat_answer *a);
void chat_message_sink(struct chat_answer *a);
/* A stream: the choice has ended; all have ended. */
void chat_stream_first(struct chat_answer *a);
void chat_stream_last(struct chat_answer *a);
void chat_stream_close(struct chat *chat);
/* The whole chat.completion object. */
void chat_message_json(struct chat *chat, struct str *out);
/* Appends "usage":{…}. */
void chat_put_usage(const struct chat *chat, struct str *out);
/* Appends a new tool call id, "call_" and 24 hex digits, quoted. */
void chat_put_call_id(struct str *out);
