/* SPDX-License-Identifier: MIT */
/* GET /: the chat page, one self-contained file (page/chat.html) that is embedded when the program
 * is built. */
#pragma once
#include <stddef.h>

struct exchange;

/* Generated from page/chat.html. */
extern const char page_chat_html[];
extern const size_t page_chat_html_bytes;

void page_chat(struct exchange *ex);
