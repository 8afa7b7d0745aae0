/* SPDX-License-Identifier: MIT */
/* Token states of a decoder: a session per text, which pages and chunks as any other. */
#include "engine/runtime/embed.h"

status embed_decoder_run(struct engine *e, const struct embed_text *text, const int32_t *rows,
                         size_t n_rows, float *out, struct err *err)
{
    struct session *s = NULL;

    TRY(session_create(&s, e, err));
    const status st = session_feed(s,
                                   &(struct token_feed){ .ids = text->ids,
                                                         .n = text->n,
                                                         .total = (int64_t)text->n,
                                                         .rows = rows,
                                                         .n_rows = n_rows,
                                                         .out = out },
                                   err);
    session_destroy(s);
    return st;
}
