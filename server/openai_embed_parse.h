/* SPDX-License-Identifier: MIT */
/* The body of POST /v1/embeddings as native values. */
#pragma once
#include "server/http_error.h"

enum { EMBED_INPUTS_MAX = 2048, EMBED_NODES_MAX = 2 << 20, EMBED_NAME_BYTES_MAX = 512 };

/* One input: a text, or token ids. */
struct embed_input {
    const char *text; /* NULL: ids */
    size_t n_text;
    const int32_t *ids;
    size_t n_ids;
};

struct embed_body {
    const char *model;
    const char *prompt_name;    /* NULL: the model's default */
    struct embed_input *inputs; /* [n_inputs] */
    size_t n_inputs;
    int64_t dimensions; /* 0: all */
    int64_t ttl;        /* seconds; 0: not given */
    bool base64;
    bool truncate; /* cut what is too long instead of refusing it */
};

/* Parses body[0..n); all in the arena. False: *e is filled. */
bool embed_body_parse(struct embed_body *out, const char *body, size_t n, struct arena *a,
                      struct api_error *e);
