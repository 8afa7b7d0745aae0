/* SPDX-License-Identifier: MIT */
/* Handing out the chat page. */
#include "server/page.h"
#include "server/exchange.h"

void page_chat(struct exchange *ex)
{
    struct str out = { 0 };

    str_put_n(&out, page_chat_html, page_chat_html_bytes);
    reply_json(ex, &out);
    if (ex->reply.code != 200) return;
    ex->reply.type = "text/html; charset=utf-8";
    ex->reply.html = true;
}
