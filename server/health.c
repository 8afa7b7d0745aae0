/* SPDX-License-Identifier: MIT */
/* Health in one word. */
#include "server/health.h"
#include "server/server_internal.h"

static void answer(struct exchange *ex, int code, const char *word)
{
    struct str out = { 0 };

    str_printf(&out, "{\"status\":\"%s\"}", word);
    reply_json(ex, &out);
    if (ex->reply.code == 200) ex->reply.code = code;
}

void health_alive(struct exchange *ex) { answer(ex, 200, "ok"); }

void health_ready(struct exchange *ex)
{
    const struct server *s = ex->server;

    if (atomic_load(&s->draining))
        answer(ex, 503, "stopping");
    else if (!atomic_load(&s->ready))
        answer(ex, 503, "loading");
    else
        answer(ex, 200, "ready");
    if (ex->reply.code == 503) ex->reply.retry_after_s = 1;
}
