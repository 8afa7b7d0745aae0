/* SPDX-License-Identifier: MIT */
/* Framing of server-sent events: "data: TEXT\n\n". */
#pragma once
#include "base/base.h"

/* Between these two the caller appends one line of JSON. */
void sse_begin(struct str *out);
void sse_end(struct str *out);
/* data: {"error":…}; nothing follows it, not even [DONE]. */
struct api_error;
void sse_error(struct str *out, const struct api_error *e);
/* data: [DONE] */
void sse_done(struct str *out);
