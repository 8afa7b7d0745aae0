/* SPDX-License-Identifier: MIT */
/* One-line escaping for errors and logs: foreign text must not forge a line or move a terminal's
 * cursor. */
#pragma once
#include <stddef.h>

/* Copies `text` into out[0..size) (size > 0, always NUL-terminated), cut to fit. \n, \r, \t are
 * written so; other C0 controls, DEL, the C1 controls (U+0080..U+009F) and bytes that are not UTF-8
 * become \xNN. */
void escape_line(char *out, size_t size, const char *text);
