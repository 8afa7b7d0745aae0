/* SPDX-License-Identifier: MIT */
#include "tokenizer/json_reader.h"
#include "base/base.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 256, DIGITS_MAX = 4300 };

static bool fail(struct json_reader *r, const char *expected)
{
    if (r->st == ST_OK)
        r->st = FAIL(r->err, ST_FORMAT, "JSON: byte %zu: expected %s", r->pos, expected);
    return false;
}

void json_reader_init(struct json_reader *r, const char *text, size_t n, struct err *err)
{
    memset(r, 0, sizeof *r);
    r->text = text;
    r->n = n;
    r->err = err;
}

void json_reader_fini(struct json_reader *r) { str_fini(&r->scratch); }

static void skip_space(struct json_reader *r)
{
    while (r->pos < r->n) {
        const char c = r->text[r->pos];

        if (c != ' ' && c != '\n' && c != '\t' && c != '\r') return;
        r->pos++;
    }
}

char json_reader_peek(struct json_reader *r)
{
    if (r->st != ST_OK) return 0;
    skip_space(r);
    if (r->pos >= r->n || r->text[r->pos] == 0) {
        fail(r, "a value");
        return 0;
    }
    return r->text[r->pos];
}

bool json_reader_enter(struct json_reader *r, char open)
{
    if (json_reader_peek(r) != open) return fail(r, open == '{' ? "an object" : "an array");
    if (++r->depth > DEPTH_MAX) return fail(r, "at most 256 levels");
    r->pos++;
    return true;
}

/* Comma or end of the container; true when another entry follows. */
static bool next_entry(struct json_reader *r, bool *first, char close)
{
    if (r->st != ST_OK) return false;
    skip_space(r);
    if (r->pos < r->n && r->text[r->pos] == close) {
        r->pos++;
        r->depth--;
        return false;
    }
    if (!*first) {
        if (r->pos >= r->n || r->text[r->pos] != ',')
            return fail(r, close == '}' ? "',' or '}'" : "',' or ']'");
        r->pos++;
    }
    *first = false;
    return true;
}

bool json_reader_member(struct json_reader *r, bool *first, const char **key, size_t *n)
{
    if (!next_entry(r, first, '}')) return false;
    if (!json_reader_string(r, key, n)) return false;
    skip_space(r);
    if (r->pos >= r->n || r->text[r->pos] != ':') return fail(r, "':'");
    r->pos++;
    return true;
}

bool json_reader_item(struct json_reader *r, bool *first) { return next_entry(r, first, ']'); }

static bool hex4(struct json_reader *r, int32_t *out)
{
    int32_t v = 0;

    if (r->n - r->pos < 4) return fail(r, "four hex digits");
    for (int i = 0; i < 4; i++) {
        const char c = r->text[r->pos + (size_t)i];
        int32_t d;

        if (c >= '0' && c <= '9')
            d = c - '0';
        else if (c >= 'a' && c <= 'f')
            d = c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
            d = c - 'A' + 10;
        else
            return fail(r, "four hex digits");
        v = v * 16 + d;
    }
    r->pos += 4;
    *out = v;
    return true;
}

static bool unicode_escape(struct json_reader *r)
{
    int32_t cp, low;
    char b[4];

    if (!hex4(r, &cp)) return false;
    if (cp >= 0xDC00 && cp <= 0xDFFF) return fail(r, "no lone surrogate");
    if (cp >= 0xD800 && cp <= 0xDBFF) {
        if (r->n - r->pos < 2 || r->text[r->pos] != '\\' || r->text[r->pos + 1] != 'u')
            return fail(r, "no lone surrogate");
        r->pos += 2;
        if (!hex4(r, &low)) return false;
        if (low < 0xDC00 || low > 0xDFFF) return fail(r, "no lone surrogate");
        cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
    }
    str_put_n(&r->scratch, b, utf8_encode(cp, b));
    return true;
}

/* Behind a backslash. */
static bool escape(struct json_reader *r)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

    if (r->pos >= r->n) return fail(r, "an escape");
    const char c = r->text[r->pos++];
    if (c == 'u') return unicode_escape(r);
    const char *at = c ? strchr(from, c) : NULL;
    if (!at) return fail(r, "a known escape");
    str_put_char(&r->scratch, to[at - from]);
    return true;
}

/* From the first escape on: copies into scratch. */
static bool string_with_escapes(struct json_reader *r, size_t start, const char **text, size_t *n)
{
    str_clear(&r->scratch);
    str_put_n(&r->scratch, r->text + start, r->pos - start);
    while (r->pos < r->n) {
        const unsigned char c = (unsigned char)r->text[r->pos];

        if (c == '"') {
            r->pos++;
            if (r->scratch.failed) {
                r->st = FAIL(r->err, ST_NOMEM, "JSON: no memory for a string");
                return false;
            }
            *text = str_cstr(&r->scratch);
            *n = r->scratch.len;
            return true;
        }
        if (c == '\\') {
            r->pos++;
            if (!escape(r)) return false;
            continue;
        }
        if (c < 0x20) return fail(r, "no control character in a string");
        int32_t cp;
        const size_t used = utf8_decode(r->text + r->pos, r->n - r->pos, &cp);
        if (cp < 0) return fail(r, "UTF-8");
        str_put_n(&r->scratch, r->text + r->pos, used);
        r->pos += used;
    }
    return fail(r, "the end of a string");
}

/* Bytes of the well-formed characters of two and three bytes that need no closer look at p[0..n), 0
 * for what does. */
static size_t easy_char(const unsigned char *p, size_t n)
{
    if (n < 4) return 0;
    if (p[0] >= 0xC2 && p[0] < 0xE0 && (p[1] & 0xC0) == 0x80) return 2;
    if (p[0] > 0xE0 && p[0] < 0xF0 && p[0] != 0xED && (p[1] & 0xC0) == 0x80 &&
        (p[2] & 0xC0) == 0x80)
        return 3;
    return 0;
}

bool json_reader_string(struct json_reader *r, const char **text, size_t *n)
{
    if (json_reader_peek(r) != '"') return fail(r, "a string");
    const size_t start = ++r->pos;

    while (r->pos < r->n) {
        const unsigned char c = (unsigned char)r->text[r->pos];

        if (c == '"') {
            *text = r->text + start;
            *n = r->pos++ - start;
            return true;
        }
        if (c == '\\') return string_with_escapes(r, start, text, n);
        if (c < 0x20) return fail(r, "no control character in a string");
        if (c < 0x80) {
            r->pos++;
            continue;
        }
        int32_t cp;
        size_t used = easy_char((const unsigned char *)r->text + r->pos, r->n - r->pos);
        if (!used) {
            used = utf8_decode(r->text + r->pos, r->n - r->pos, &cp);
            if (cp < 0) return fail(r, "UTF-8");
        }
        r->pos += used;
    }
    return fail(r, "the end of a string");
}

static size_t digits(struct json_reader *r)
{
    const size_t start = r->pos;

    while (r->pos < r->n && r->text[r->pos] >= '0' && r->text[r->pos] <= '9') r->pos++;
    return r->pos - start;
}

static bool to_double(struct json_reader *r, struct json_number *out)
{
    char small[64];
    char *text = out->n < sizeof small ? small : mem_alloc(out->n + 1);

    if (!text) {
        if (r->st == ST_OK) r->st = FAIL(r->err, ST_NOMEM, "JSON: no memory");
        return false;
    }
    memcpy(text, out->text, out->n);
    text[out->n] = 0;
    out->number = strtod(text, NULL);
    if (text != small) mem_free(text);
    return true;
}

static bool parse_number(struct json_reader *r, struct json_number *out)
{
    char buf[24];
    const size_t sign = *out->text == '-';

    if (out->is_double)
        return to_double(r, out) &&
               (!isinf(out->number) || fail(r, "a number within double's range"));
    if (out->n - sign > DIGITS_MAX) return fail(r, "an integer of at most 4300 digits");
    out->is_big = out->n >= sizeof buf;
    if (!out->is_big) {
        memcpy(buf, out->text, out->n);
        buf[out->n] = 0;
        errno = 0;
        out->integer = strtoll(buf, NULL, 10);
        out->is_big = errno == ERANGE;
        out->number = (double)out->integer;
    }
    return !out->is_big || to_double(r, out);
}

/* Ids: up to nine digits and no more to the number. */
static bool small_number(struct json_reader *r, struct json_number *out)
{
    const char *p = r->text + r->pos;
    const size_t left = r->n - r->pos;
    size_t n = 0;
    int64_t v = 0;

    while (n < left && n < 10 && p[n] >= '0' && p[n] <= '9') v = v * 10 + (p[n++] - '0');
    if (n == 0 || n == 10 || n == left || (n > 1 && p[0] == '0')) return false;
    if (p[n] == '.' || p[n] == 'e' || p[n] == 'E') return false;
    *out = (struct json_number){ .integer = v, .number = (double)v, .text = p, .n = n };
    r->pos += n;
    return true;
}

bool json_reader_number(struct json_reader *r, struct json_number *out)
{
    json_reader_peek(r);
    if (r->st != ST_OK) return false;
    if (small_number(r, out)) return true;
    const size_t start = r->pos;

    memset(out, 0, sizeof *out);
    if (r->text[r->pos] == '-') r->pos++;
    const size_t int_start = r->pos;
    const size_t int_n = digits(r);
    if (int_n == 0 || (int_n > 1 && r->text[int_start] == '0')) return fail(r, "a number");
    if (r->pos < r->n && r->text[r->pos] == '.') {
        out->is_double = true;
        r->pos++;
        if (digits(r) == 0) return fail(r, "digits after '.'");
    }
    if (r->pos < r->n && (r->text[r->pos] == 'e' || r->text[r->pos] == 'E')) {
        out->is_double = true;
        r->pos++;
        if (r->pos < r->n && (r->text[r->pos] == '+' || r->text[r->pos] == '-')) r->pos++;
        if (digits(r) == 0) return fail(r, "digits of an exponent");
    }
    out->text = r->text + start;
    out->n = r->pos - start;
    return parse_number(r, out);
}

bool json_reader_literal(struct json_reader *r, enum json_literal *out)
{
    static const struct {
        const char *name;
        size_t n;
    } names[] = {
        [JSON_FALSE] = { "false", 5 }, [JSON_TRUE] = { "true", 4 }, [JSON_NULL] = { "null", 4 }
    };

    json_reader_peek(r);
    if (r->st != ST_OK) return false;
    for (size_t i = 0; i < COUNT(names); i++) {
        if (r->n - r->pos < names[i].n) continue;
        if (memcmp(r->text + r->pos, names[i].name, names[i].n) != 0) continue;
        r->pos += names[i].n;
        *out = (enum json_literal)i;
        return true;
    }
    return fail(r, "a value");
}

bool json_reader_skip(struct json_reader *r)
{
    const char *s;
    size_t n;
    bool first = true;
    struct json_number num;
    enum json_literal lit;

    switch (json_reader_peek(r)) {
    case 0: return false;
    case '{':
        if (!json_reader_enter(r, '{')) return false;
        while (json_reader_member(r, &first, &s, &n))
            if (!json_reader_skip(r)) return false;
        return r->st == ST_OK;
    case '[':
        if (!json_reader_enter(r, '[')) return false;
        while (json_reader_item(r, &first))
            if (!json_reader_skip(r)) return false;
        return r->st == ST_OK;
    case '"': return json_reader_string(r, &s, &n);
    case 't':
    case 'f':
    case 'n': return json_reader_literal(r, &lit);
    default: return json_reader_number(r, &num);
    }
}

/* High bits mark the bytes of a word that equal one; the lowest mark is always right. */
static uint64_t marks_of(uint64_t word, unsigned char byte)
{
    const uint64_t x = word ^ (0x0101010101010101u * byte);

    return (x - 0x0101010101010101u) & ~x & 0x8080808080808080u;
}

/* Behind a quote: past the one that ends the string. */
static bool pass_string(struct json_reader *r)
{
    uint64_t word;

    while (r->n - r->pos >= 8) { /* eight bytes without quote and backslash at a time */
        memcpy(&word, r->text + r->pos, 8);
        if (marks_of(word, '"') | marks_of(word, '\\')) break;
        r->pos += 8;
    }
    for (; r->pos < r->n; r->pos++) {
        if (r->text[r->pos] == '"') {
            r->pos++;
            return true;
        }
        if (r->text[r->pos] == '\\') r->pos++;
    }
    r->pos = r->n;
    return fail(r, "the end of a string");
}

bool json_reader_span(struct json_reader *r, struct json_span *out)
{
    const char open = json_reader_peek(r);
    const size_t start = r->pos;
    size_t depth = 1;

    *out = (struct json_span){ .p = r->text + start, .items = 1 };
    if (!open) return false;
    if (open != '{' && open != '[') {
        if (!json_reader_skip(r)) return false;
        out->n = r->pos - start;
        return true;
    }
    r->pos++;
    skip_space(r);
    if (r->pos < r->n && (r->text[r->pos] == '}' || r->text[r->pos] == ']')) out->items = 0;
    while (r->pos < r->n) {
        const char c = r->text[r->pos++];

        if (c == '"') {
            if (!pass_string(r)) return false;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == ',') {
            out->items += depth == 1;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            out->n = r->pos - start;
            return true;
        }
    }
    return fail(r, "the end of an object or array");
}

bool json_reader_end(struct json_reader *r)
{
    if (r->st != ST_OK) return false;
    skip_space(r);
    if (r->pos != r->n) return fail(r, "the end of the text");
    return true;
}
