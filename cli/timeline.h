/* SPDX-License-Identifier: MIT */
/* A token history on a session: feeds by ids (looked up in a table for models that take
 * embeddings), and starts over where the long rotary tables begin. */
#pragma once
#include "engine/engine.h"

struct timeline {
    struct session *session;
    const struct engine_info *info;
    const float *embed_table; /* [vocab, hidden] for models that take embeddings, else NULL */
    size_t embed_rows;
    int32_t *ids; /* everything fed so far */
    size_t n, cap;
    size_t width; /* floats of an output row */
};

status timeline_open(struct timeline *t, struct engine *e, struct err *err);
void timeline_close(struct timeline *t);
/* Forgets everything. */
status timeline_reset(struct timeline *t, struct err *err);
/* Appends ids; feed->embeds is NULL, the table gives them where the model takes them. */
status timeline_feed(struct timeline *t, const struct token_feed *feed, struct err *err);
/* Appends one generated id; out [width]. */
status timeline_decode(struct timeline *t, int32_t id, float *out, struct err *err);
/* Index of the first largest value; *gap = largest minus second largest. */
int32_t timeline_argmax(const float *row, size_t width, float *gap);
