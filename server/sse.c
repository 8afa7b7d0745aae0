/* SPDX-License-Identifier: MIT */
/* Server-sent events, as OpenAI's clients read them. */
#include "server/sse.h"
#include "server/http_error.h"

void sse_begin(struct str *out) { str_put(out, "data: "); }

void sse_end(struct str *out) { str_put(out, "\n\n"); }

void sse_error(struct str *out, const struct api_error *e)
{
    sse_begin(out);
    api_error_json(e, out);
    sse_end(out);
}

void sse_done(struct str *out) { str_put(out, "data: [DONE]\n\n"); }
