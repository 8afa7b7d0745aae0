/* SPDX-License-Identifier: MIT */
/* GPT-2's byte-level alphabet: printable Latin-1 stands for itself, the other 68 bytes for U+0100
 * and up, in order. */
#include "tokenizer/byte_level.h"
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

bool byte_level_unmap_to(char *out, const char *p, size_t n, size_t *out_n)
{
    const unsigned char *u = (const unsigned char *)p;
    size_t used = 0;

    pthread_once(&once, fill);
    for (size_t i = 0; i < n;) {
        unsigned cp = u[i++];

        if (cp >= 0x80) {
            /* the alphabet ends at U+0143: one or two bytes */
            if (cp > 0xC5 || i >= n) return false;
            cp = (cp & 0x1F) << 6 | (u[i++] & 0x3F);
        }
        if (cp >= COUNT(bytes_of) || bytes_of[cp] < 0) return false;
        out[used++] = (char)bytes_of[cp];
    }
    *out_n = used;
    return true;
}

bool byte_level_unmap(struct str *out, const char *p, size_t n)
{
    const size_t before = out->len;
    size_t used;

    str_put_n(out, p, n); /* as much room as the bytes may need */
    if (out->failed) return false;
    const bool known = byte_level_unmap_to(out->data + before, p, n, &used);
    out->len = known ? before + used : before;
    out->data[out->len] = 0;
    return known;
}
