/* SPDX-License-Identifier: MIT */
/* GPT-2's byte-level alphabet: printable Latin-1 stands for itself, the other 68 bytes for U+0100
 * and up, in order. */
#include "tokenizer/tok_internal.h"
#include <pthread.h>

static uint16_t byte_level_chars[256];
static int16_t bytes_of[0x144];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool is_printable(unsigned b)
{
    return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
}

static void fill(void)
{
    uint16_t next = 0x100;

    for (size_t i = 0; i < COUNT(bytes_of); i++) bytes_of[i] = -1;
    for (unsigned b = 0; b < 256; b++) {
        byte_level_chars[b] = is_printable(b) ? (uint16_t)b : next++;
        bytes_of[byte_level_chars[b]] = (int16_t)b;
    }
}

int byte_level_byte(int32_t cp)
{
    pthread_once(&once, fill);
    return cp >= 0 && cp < (int32_t)COUNT(bytes_of) ? bytes_of[cp] : -1;
}

void byte_level_put(struct str *out, const char *p, size_t n)
{
    pthread_once(&once, fill);
    for (size_t i = 0; i < n; i++) {
        const uint16_t c = byte_level_chars[(unsigned char)p[i]];

        if (c < 0x80)
            str_put_char(out, (char)c);
        else
            uni_put(out, c);
    }
}

bool byte_level_unmap(struct str *out, const char *p, size_t n)
{
    const size_t before = out->len;

    for (size_t i = 0; i < n;) {
        int32_t cp;

        i += uni_next(p + i, n - i, &cp);
        const int b = byte_level_byte(cp);
        if (b < 0) {
            out->len = before;
            if (out->data) out->data[before] = 0;
            return false;
        }
        str_put_char(out, (char)b);
    }
    return true;
}
