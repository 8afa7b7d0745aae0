/* SPDX-License-Identifier: MIT */
/* Receiving a body: into memory up to the route's limit and the server's budget; what is over is
 * swallowed for a while, so that the client gets to read its 413, then the connection is cut. */
#pragma once
#include "server/exchange.h"

/* Limit of this exchange's body in bytes. */
size_t body_limit(const struct exchange *ex);
/* Takes one piece. False: cut the connection. */
bool body_take(struct exchange *ex, const char *data, size_t n);
/* Gives the budget back; the text may already have been taken out of ex->body. */
void body_release(struct exchange *ex);
/* json_parse for bodies: a byte order mark, which files may have, is refused (RFC 8259,
 * section 8.1: none may be sent). */
status body_json(const char *body, size_t n, const struct json_limits *limits, cJSON **out,
                 struct err *err);
