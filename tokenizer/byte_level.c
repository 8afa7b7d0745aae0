/* SPDX-License-Identifier: MIT */
/* GPT-2's byte-level alphabet: printable Latin-1 stands for itself, the other 68 bytes for U+0100
 * and up, in order. */
#include "tokenizer/byte_level.h"
#include "tokenizer/tok_internal.h"
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static uint16_t byte_level_chars[256];
static int16_t bytes_of_one[256]; /* -1: none, or a quote or backslash */
static int16_t bytes_of_two[256]; /* by the low bits of two bytes, of which the first is C2 to C5 */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_bool filled; /* a look that costs less than pthread_once */

static bool is_printable(unsigned b)
{
    return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
}

/* The byte that a character stands for, -1 for none. From U+0100 on come those that are not
 * printable: 0 to 0x20, 0x7F to 0xA0, 0xAD. */
static int byte_of(unsigned cp)
{
    if (cp < 0x100) return is_printable(cp) ? (int)cp : -1;
    const unsigned k = cp - 0x100;
    if (k <= 0x20) return (int)k;
    return k < 0x43 ? (int)(k - 0x21 + 0x7F) : k == 0x43 ? 0xAD : -1;
}

static void fill(void)
{
    uint16_t next = 0x100;

    for (unsigned b = 0; b < 256; b++) {
        byte_level_chars[b] = is_printable(b) ? (uint16_t)b : next;
        if (!is_printable(b)) next++;
    }
    for (unsigned c = 0; c < 256; c++) {
        const bool plain = c < 0x80 && is_printable(c) && c != '"' && c != '\\';
        bytes_of_one[c] = plain ? (int16_t)c : -1;
    }
    for (unsigned cp = 0x80; cp < 0x180; cp++) bytes_of_two[cp & 0xFF] = (int16_t)byte_of(cp);
    atomic_store_explicit(&filled, true, memory_order_release);
}

static inline void need_tables(void)
{
    if (!atomic_load_explicit(&filled, memory_order_acquire)) pthread_once(&once, fill);
}

int byte_level_byte(int32_t cp) { return cp < 0 ? -1 : byte_of((unsigned)cp); }

void byte_level_put(struct str *out, const char *p, size_t n)
{
    need_tables();
    for (size_t i = 0; i < n; i++) {
        const uint16_t c = byte_level_chars[(unsigned char)p[i]];

        if (c < 0x80)
            str_put_char(out, (char)c);
        else
            uni_put(out, c);
    }
}

/* Copies printable ASCII without quotes and backslashes, which most of a text is. Eight bytes at a
 * time: the lowest mark is where it ends. */
static size_t copy_plain(char *out, const char *p, size_t n)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    size_t i = 0;

    for (; n - i >= 8; i += 8) {
        uint64_t word;

        memcpy(&word, p + i, sizeof word);
        memcpy(out + i, &word, sizeof word);
        if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) word = __builtin_bswap64(word);
        const uint64_t quote = (word ^ each * '"') - each, backslash = (word ^ each * '\\') - each;
        const uint64_t marks =
            ((word - each * 0x21) | (word + each) | quote | backslash | word) & each * 0x80;
        if (marks) return i + (size_t)__builtin_ctzll(marks) / 8;
    }
    for (; i < n && bytes_of_one[(unsigned char)p[i]] >= 0; i++) out[i] = p[i];
    return i;
}

/* Characters of two bytes, U+00A1 to U+0143; how many. */
static size_t unmap_two(char *out, const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;
    size_t k = 0;

    for (; n - 2 * k >= 2; k++) {
        const unsigned first = u[2 * k], second = u[2 * k + 1];

        if (first - 0xC2 > 0xC5 - 0xC2 || (second & 0xC0) != 0x80) break;
        const int byte = bytes_of_two[(first & 3) << 6 | (second & 0x3F)];
        if (byte < 0) break;
        out[k] = (char)byte;
    }
    return k;
}

size_t byte_level_unmap_prefix(char *out, const char *p, size_t n, size_t *out_n)
{
    size_t used = 0, i = 0;

    need_tables();
    for (;;) {
        const size_t two = unmap_two(out + used, p + i, n - i);
        const size_t at = i + 2 * two, plain = copy_plain(out + used + two, p + at, n - at);

        used += two + plain;
        i = at + plain;
        if (!plain || i == n || (unsigned char)p[i] < 0x80) break;
    }
    *out_n = used;
    return i;
}

bool byte_level_unmap_to(char *out, const char *p, size_t n, size_t *out_n)
{
    size_t used = 0, more;

    *out_n = 0;
    for (;; used++) {
        used += byte_level_unmap_prefix(out + *out_n, p + used, n - used, &more);
        *out_n += more;
        if (used == n || (p[used] != '"' && p[used] != '\\')) return used == n;
        out[(*out_n)++] = p[used];
    }
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
