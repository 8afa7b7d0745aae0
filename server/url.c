/* SPDX-License-Identifier: MIT */
/* The decoder behind url.h. */
#include "server/url.h"
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* One byte of s[*i..n), decoded; *i moves on. -1: a bad escape or a byte that may not stand there.
 */
static int decode_byte(const char *s, size_t n, size_t *i, bool plus_is_space)
{
    const unsigned char c = (unsigned char)s[*i];

    *i += 1;
    if (c == '+' && plus_is_space) return ' ';
    if (c != '%') return c <= ' ' || c == 0x7f ? -1 : c;
    if (n - *i < 2) return -1;
    const int hi = hex_digit(s[*i]), lo = hex_digit(s[*i + 1]);
    if (hi < 0 || lo < 0) return -1;
    *i += 2;
    const int byte = hi * 16 + lo;
    return byte < ' ' || byte == 0x7f ? -1 : byte;
}

static status decode(const char **out, const char *s, size_t n, bool plus_is_space, struct arena *a,
                     struct err *err)
{
    char *text = arena_alloc(a, n + 1);
    size_t len = 0;

    if (!text) return FAIL(err, ST_NOMEM, "request target");
    for (size_t i = 0; i < n;) {
        const int byte = decode_byte(s, n, &i, plus_is_space);
        if (byte < 0)
            return FAIL(err, ST_INVALID, "request target: bad escape or control byte near \"%.*s\"",
                        (int)(n < 40 ? n : 40), s);
        text[len++] = (char)byte;
    }
    text[len] = '\0';
    if (!utf8_valid(text, len)) return FAIL(err, ST_INVALID, "request target: not UTF-8");
    *out = text;
    return ST_OK;
}

static status add_segment(struct url *u, const char *s, size_t n, struct arena *a, struct err *err)
{
    if (u->n_segments == URL_SEGMENTS_MAX)
        return FAIL(err, ST_INVALID, "request target: more than %d path segments",
                    URL_SEGMENTS_MAX);
    const char *text = NULL;
    TRY(decode(&text, s, n, false, a, err));
    if (str_equal(text, ".") || str_equal(text, ".."))
        return FAIL(err, ST_INVALID, "request target: relative path segment");
    u->segments[u->n_segments++] = text;
    return ST_OK;
}

/* path[0..n) begins with '/'; one trailing slash is ignored. */
static status parse_path(struct url *u, const char *path, size_t n, struct arena *a,
                         struct err *err)
{
    size_t start = 1;

    while (start < n) {
        const char *slash = memchr(path + start, '/', n - start);
        const size_t end = slash ? (size_t)(slash - path) : n;
        if (end == start) return FAIL(err, ST_INVALID, "request target: empty path segment");
        TRY(add_segment(u, path + start, end - start, a, err));
        start = end + 1;
    }
    return ST_OK;
}

static status parse_query(struct url *u, const char *q, size_t n, struct arena *a, struct err *err)
{
    for (size_t start = 0; start < n;) {
        const char *amp = memchr(q + start, '&', n - start);
        const size_t end = amp ? (size_t)(amp - q) : n;
        const char *eq = memchr(q + start, '=', end - start);
        const size_t key_end = eq ? (size_t)(eq - q) : end;
        const size_t value = eq ? key_end + 1 : end;

        if (end > start) {
            if (u->n_params == URL_PARAMS_MAX)
                return FAIL(err, ST_INVALID, "request target: more than %d query parameters",
                            URL_PARAMS_MAX);
            struct url_param *p = &u->params[u->n_params++];
            TRY(decode(&p->key, q + start, key_end - start, true, a, err));
            TRY(decode(&p->value, q + value, end - value, true, a, err));
        }
        start = end + 1;
    }
    return ST_OK;
}

status url_parse(struct url *out, const char *target, struct arena *a, struct err *err)
{
    const size_t n = strlen(target);

    memset(out, 0, sizeof *out);
    if (n > URL_BYTES_MAX)
        return FAIL(err, ST_LIMIT, "request target: %zu bytes, at most %d", n, URL_BYTES_MAX);
    if (target[0] != '/') return FAIL(err, ST_INVALID, "request target: must begin with '/'");
    const char *mark = strchr(target, '?');
    const size_t path_n = mark ? (size_t)(mark - target) : n;
    TRY(parse_path(out, target, path_n, a, err));
    return mark ? parse_query(out, mark + 1, n - path_n - 1, a, err) : ST_OK;
}

const char *url_param(const struct url *u, const char *key)
{
    for (size_t i = 0; i < u->n_params; i++)
        if (str_equal(u->params[i].key, key)) return u->params[i].value;
    return NULL;
}
