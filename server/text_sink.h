/* SPDX-License-Identifier: MIT */
/* What becomes of an answer's text: one interface with two users, the streamed chunks
 * (chat_stream.c) and the collected message (chat_message.c). */
#pragma once
#include <stddef.h>

struct text_sink {
    void *user;
    /* Text of the answer, valid UTF-8. */
    void (*content)(void *user, const char *text, size_t n);
    /* A tool call begins; its arguments' JSON text follows in pieces. index counts from 0. */
    void (*call)(void *user, int index, const char *name, size_t name_n);
    void (*arguments)(void *user, int index, const char *text, size_t n);
};
