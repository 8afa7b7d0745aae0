/* SPDX-License-Identifier: MIT */
/* A server on a free port with a fake engine and a model folder made on the spot (one token a
 * byte), and a small HTTP client that speaks raw bytes. Every function fails the running test where
 * it cannot do its work. */
#pragma once
#include "server/server.h"
#include "tests/unit/fake_engine.h"

enum { FIXTURE_FIRST_BYTE_ID = 8 }; /* id of byte 0; ids below are special tokens */

struct fixture {
    struct server *server;
    char dir[64]; /* removed by fixture_stop; holds models/tiny and models/other */
    int port;
};

/* Starts it with models/tiny loaded and models/other known. cfg may be NULL; its models are
 * replaced. */
void fixture_start(struct fixture *f, const struct server_config *cfg);
void fixture_stop(struct fixture *f);

/* The fake engine answers with these bytes, one a token. */
void fixture_script(const char *text);
/* Generations that the engine has been given so far. To wait for one, count these: on a busy
 * machine one that runs may have ended before it is looked at. */
int fixture_submitted(void);
/* Waits until there are n of them; fails the test where they do not come. */
void fixture_wait_submitted(int n);
/* Waits until no generation runs, at most so long; the milliseconds it took, or -1. */
int fixture_wait_idle(int ms_max);

struct answer {
    int code;
    char *head;    /* status line and headers */
    char *body;    /* dechunked */
    bool complete; /* by its framing */
};
void answer_free(struct answer *a);
/* Value of a header (until the line's end), NULL if absent; valid until the next call. */
const char *answer_header(const struct answer *a, const char *name);

/* Receive buffer of sockets made from now on; 0 = the system's. */
extern int client_receive_bytes;
int client_connect(int port);
void client_send(int fd, const char *bytes, size_t n);
/* Reads until the peer closes. */
struct answer client_read(int fd);
/* Sends raw bytes on a new connection and reads until it is closed. */
struct answer client_raw(int port, const char *bytes);
/* GET and POST with Connection: close. extra: more header lines, each with \r\n, or "". */
struct answer client_get(int port, const char *target, const char *extra);
struct answer client_post(int port, const char *target, const char *extra, const char *body);
/* POST /v1/chat/completions with the model "tiny", one user message, and further members
 * ("\"n\":2"), or "". */
struct answer client_chat(int port, const char *members);
/* Begins such a request and leaves it open. */
int client_chat_begin(int port, const char *members);

/* The texts of all delta.content of one choice, joined; the caller frees (mem_free). */
char *stream_content(const char *body, int choice);
