/* SPDX-License-Identifier: MIT */
/* Precompiled: SentencePiece's character map, a double-array trie from UTF-8 byte strings to
 * replacement texts. As the reference does: a grapheme of fewer than 6 bytes is looked up whole,
 * else each of its characters. Every offset in the trie is checked where it is used, so a hostile
 * map can at worst replace wrongly. */
#include "tokenizer/tok_internal.h"
#include <string.h>
#include <utf8proc.h>

struct charsmap {
    const uint8_t *trie; /* [n_units] little-endian u32 */
    size_t n_units;
    const char *texts; /* NUL-terminated replacements */
    size_t texts_n;
};

/* KEY_MAX: a hostile map might lead in circles, so a key's length is bounded. */
enum { GRAPHEME_MAX = 6, KEY_MAX = 256 };

static uint32_t unit_at(const struct charsmap *m, size_t i)
{
    if (i >= m->n_units) return 0;
    const uint8_t *p = m->trie + 4 * i;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t unit_offset(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }

/* Value of the shortest prefix of key that the trie holds, -1 if none: the reference takes the
 * first one it finds. */
static int64_t trie_first(const struct charsmap *m, const char *key, size_t n)
{
    size_t at = unit_offset(unit_at(m, 0));

    for (size_t i = 0; i < n; i++) {
        const uint8_t c = (uint8_t)key[i];

        if (c == 0) break;
        at ^= c;
        const uint32_t unit = unit_at(m, at);
        if ((unit & ((1u << 31) | 0xFF)) != c) return -1;
        at ^= unit_offset(unit);
        if ((unit >> 8) & 1) return (int64_t)(unit_at(m, at) & ((1u << 31) - 1));
    }
    return -1;
}

size_t charsmap_longest(const struct charsmap *m, const char *key, size_t n, const char **text,
                        size_t *text_n)
{
    size_t at = unit_offset(unit_at(m, 0)), used = 0;

    if (n > KEY_MAX) n = KEY_MAX;
    for (size_t i = 0; i < n && key[i]; i++) {
        const uint8_t c = (uint8_t)key[i];

        at ^= c;
        const uint32_t unit = unit_at(m, at);
        if ((unit & ((1u << 31) | 0xFF)) != c) break;
        at ^= unit_offset(unit);
        if (!((unit >> 8) & 1)) continue;
        const size_t value = unit_at(m, at) & ((1u << 31) - 1);
        if (value >= m->texts_n) continue;
        const char *end = memchr(m->texts + value, 0, m->texts_n - value);
        *text = m->texts + value;
        *text_n = end ? (size_t)(end - *text) : m->texts_n - value;
        used = i + 1;
    }
    return used;
}

static bool put_mapped(const struct charsmap *m, const char *key, size_t n, struct str *out)
{
    const int64_t value = trie_first(m, key, n);

    if (value < 0 || (size_t)value >= m->texts_n) return false;
    const char *text = m->texts + value;
    const char *end = memchr(text, 0, m->texts_n - (size_t)value);
    str_put_n(out, text, end ? (size_t)(end - text) : m->texts_n - (size_t)value);
    return true;
}

static void put_grapheme(const struct charsmap *m, const char *p, size_t n, struct str *out)
{
    if (n < GRAPHEME_MAX && put_mapped(m, p, n, out)) return;
    for (size_t i = 0; i < n;) {
        int32_t cp;
        const size_t used = uni_next(p + i, n - i, &cp);

        if (!put_mapped(m, p + i, used, out)) str_put_n(out, p + i, used);
        i += used;
    }
}

static status run_precompiled(const struct normalizer *self, struct norm_io *io, bool *same,
                              struct err *err)
{
    utf8proc_int32_t state = 0;
    size_t start = 0, i = 0;
    int32_t before = 0;

    (void)same;
    (void)err;
    while (i < io->n) {
        int32_t cp;
        const size_t used = uni_next(io->in + i, io->n - i, &cp);

        if (i > 0 && utf8proc_grapheme_break_stateful(before, cp, &state)) {
            put_grapheme(self->charsmap, io->in + start, i - start, io->out);
            start = i;
        }
        before = cp;
        i += used;
    }
    if (i > start) put_grapheme(self->charsmap, io->in + start, i - start, io->out);
    return ST_OK;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* False on anything that is not base64. */
bool base64_decode(const char *p, size_t n, struct str *out)
{
    uint32_t bits = 0;
    unsigned n_bits = 0;

    while (n > 0 && p[n - 1] == '=') n--;
    for (size_t i = 0; i < n; i++) {
        const int d = base64_digit(p[i]);

        if (d < 0) return false;
        bits = bits << 6 | (uint32_t)d;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            str_put_char(out, (char)(uint8_t)(bits >> n_bits));
        }
    }
    return !out->failed;
}

status charsmap_load(struct arena *a, const char *blob, size_t n, struct normalizer *out,
                     struct err *err)
{
    struct charsmap *m = ARENA_NEW(a, struct charsmap);
    const uint8_t *u = arena_memdup(a, blob, n);

    if (!m || !u) return FAIL(err, ST_NOMEM, "normalizer: no memory");
    if (n < 4) return FAIL(err, ST_FORMAT, "precompiled_charsmap: too short");
    const size_t trie_n =
        (size_t)u[0] | (size_t)u[1] << 8 | (size_t)u[2] << 16 | (size_t)u[3] << 24;
    if (trie_n > n - 4 || trie_n % 4 || trie_n == 0)
        return FAIL(err, ST_FORMAT, "precompiled_charsmap: the trie of %zu bytes does not fit",
                    trie_n);
    m->trie = u + 4;
    m->n_units = trie_n / 4;
    m->texts = (const char *)u + 4 + trie_n;
    m->texts_n = n - 4 - trie_n;
    if (!utf8_valid(m->texts, m->texts_n))
        return FAIL(err, ST_FORMAT, "precompiled_charsmap: replacements are not UTF-8");
    out->charsmap = m;
    out->run = run_precompiled;
    return ST_OK;
}

status norm_load_precompiled(struct arena *a, const struct jvalue *json, struct normalizer *out,
                             struct err *err)
{
    const struct jvalue *text = NULL;
    struct str blob = { 0 };
    status st;

    TRY(jvalue_want_str(json, "normalizer", "precompiled_charsmap", &text, err));
    if (!text) return FAIL(err, ST_FORMAT, "normalizer: precompiled_charsmap: expected a string");
    if (!base64_decode(text->u.string.text, text->u.string.n, &blob))
        st = FAIL(err, ST_FORMAT, "normalizer: precompiled_charsmap: not base64");
    else
        st = charsmap_load(a, str_cstr(&blob), blob.len, out, err);
    str_fini(&blob);
    return st;
}
