/* SPDX-License-Identifier: MIT */
/* One-line escaping for errors and logs. */
#include "base/escape.h"
#include "base/utf8.h"
#include <stdbool.h>
#include <string.h>

/* Writes one escaped byte, at most 4 characters; returns their number. */
static size_t escape_byte(unsigned char c, char out[4])
{
    static const char hex[] = "0123456789abcdef";
    static const char from[] = "\n\r\t", to[] = "nrt";
    const char *short_form = c ? strchr(from, c) : NULL;

    out[0] = '\\';
    if (short_form) {
        out[1] = to[short_form - from];
        return 2;
    }
    out[1] = 'x';
    out[2] = hex[c >> 4];
    out[3] = hex[c & 15];
    return 4;
}

void escape_line(char *out, size_t size, const char *text)
{
    size_t n = strlen(text), at = 0;

    while (n > 0) {
        int32_t cp;
        const size_t len = utf8_decode(text, n, &cp);
        const bool plain = cp >= 0x20 && cp != 0x7F && !(cp >= 0x80 && cp < 0xA0);
        if (plain) {
            if (at + len >= size) break;
            memcpy(out + at, text, len);
            at += len;
        }
        for (size_t i = 0; !plain && i < len; i++) {
            char code[4];
            const size_t n_code = escape_byte((unsigned char)text[i], code);
            if (at + n_code >= size) {
                out[at] = '\0';
                return;
            }
            memcpy(out + at, code, n_code);
            at += n_code;
        }
        text += len;
        n -= len;
    }
    out[at] = '\0';
}
