/* SPDX-License-Identifier: MIT */
/* UTF-8 after Unicode 15, table 3-7 (well-formed sequences) and the maximal-subpart rule of
 * section 3.9. */
#include "base/utf8.h"
#include <string.h>

/* What a lead byte promises: length, and the range of the second byte (the later ones are 80..BF).
 */
struct lead {
    unsigned len; /* 0 = never a lead byte */
    unsigned char min, max;
};

static struct lead utf8_lead(unsigned char c)
{
    if (c < 0x80) return (struct lead){ 1, 0, 0 };
    if (c < 0xC2) return (struct lead){ 0, 0, 0 };
    if (c < 0xE0) return (struct lead){ 2, 0x80, 0xBF };
    if (c == 0xE0) return (struct lead){ 3, 0xA0, 0xBF };
    if (c == 0xED) return (struct lead){ 3, 0x80, 0x9F };
    if (c < 0xF0) return (struct lead){ 3, 0x80, 0xBF };
    if (c == 0xF0) return (struct lead){ 4, 0x90, 0xBF };
    if (c < 0xF4) return (struct lead){ 4, 0x80, 0xBF };
    if (c == 0xF4) return (struct lead){ 4, 0x80, 0x8F };
    return (struct lead){ 0, 0, 0 };
}

/* Length of the well-formed prefix of the sequence at s, and whether it is whole. */
static size_t utf8_prefix(const unsigned char *s, size_t n, struct lead lead, bool *whole)
{
    size_t len = 1;

    *whole = false;
    if (lead.len == 0) return 1;
    while (len < lead.len) {
        const unsigned char min = len == 1 ? lead.min : 0x80, max = len == 1 ? lead.max : 0xBF;
        if (len == n || s[len] < min || s[len] > max) return len;
        len++;
    }
    *whole = true;
    return len;
}

size_t utf8_decode(const char *s, size_t n, int32_t *cp)
{
    static const unsigned char lead_mask[5] = { 0, 0x7F, 0x1F, 0x0F, 0x07 };
    const unsigned char *u = (const unsigned char *)s;
    const struct lead lead = utf8_lead(u[0]);
    bool whole;
    const size_t len = utf8_prefix(u, n, lead, &whole);

    *cp = -1;
    if (!whole) return len;
    int32_t value = u[0] & lead_mask[len];
    for (size_t i = 1; i < len; i++) value = (value << 6) | (u[i] & 0x3F);
    *cp = value;
    return len;
}

size_t utf8_encode(int32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    const size_t len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    static const unsigned char mark[5] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (cp & 0x3F));
        cp >>= 6;
    }
    out[0] = (char)(mark[len] | cp);
    return len;
}

bool utf8_valid(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n) {
        uint64_t word;
        if (n - i >= 8 && (memcpy(&word, s + i, 8), (word & 0x8080808080808080u) == 0)) {
            i += 8;
            continue;
        }
        int32_t cp;
        i += utf8_decode(s + i, n - i, &cp);
        if (cp < 0) return false;
    }
    return true;
}

size_t utf8_incomplete_tail(const char *s, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        const unsigned char *u = (const unsigned char *)s + n - back;
        if ((*u & 0xC0) == 0x80) continue;
        const struct lead lead = utf8_lead(*u);
        bool whole;
        const size_t len = utf8_prefix(u, back, lead, &whole);
        return lead.len > back && len == back ? back : 0;
    }
    return 0;
}
