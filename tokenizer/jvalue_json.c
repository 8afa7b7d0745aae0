/* SPDX-License-Identifier: MIT */
#include "tokenizer/jvalue_json.h"
#include <string.h>

static struct jvalue *no_memory(struct json_reader *r)
{
    if (r->st == ST_OK)
        r->st = FAIL(r->err, ST_NOMEM, "JSON: no memory, or larger than its budget");
    return NULL;
}

static struct jvalue *read_number(struct arena *a, struct json_reader *r)
{
    struct json_number num;

    if (!json_reader_number(r, &num)) return NULL;
    if (num.is_big) return jvalue_big(a, num.text, num.n);
    return num.is_double ? jvalue_double(a, num.number) : jvalue_int(a, num.integer);
}

static struct jvalue *read_literal(struct arena *a, struct json_reader *r)
{
    enum json_literal lit;

    if (!json_reader_literal(r, &lit)) return NULL;
    return lit == JSON_NULL ? jvalue_none(a) : jvalue_bool(a, lit == JSON_TRUE);
}

static struct jvalue *read_string(struct arena *a, struct json_reader *r)
{
    const char *text;
    size_t n;
    struct jvalue *v;

    if (!json_reader_string(r, &text, &n)) return NULL;
    if (!(v = ARENA_NEW(a, struct jvalue))) return NULL;
    v->type = JVALUE_STRING;
    v->u.string.text = arena_strndup(a, text, n);
    v->u.string.n = n;
    return v->u.string.text ? v : NULL;
}

static struct jvalue *read_list(struct arena *a, struct json_reader *r)
{
    struct jvalue *list = jvalue_list(a), *item;
    bool first = true;

    if (!list || !json_reader_enter(r, '[')) return NULL;
    while (json_reader_item(r, &first)) {
        if (!(item = jvalue_read(a, r))) return NULL;
        if (!jvalue_append(a, list, item)) return no_memory(r);
    }
    return list;
}

static struct jvalue *read_dict(struct arena *a, struct json_reader *r)
{
    struct jvalue *dict = jvalue_dict(a), *item;
    bool first = true;
    const char *key;
    size_t n;

    if (!dict || !json_reader_enter(r, '{')) return NULL;
    while (json_reader_member(r, &first, &key, &n)) {
        const char *copy = arena_strndup(a, key, n);

        if (!copy) return no_memory(r);
        if (!(item = jvalue_read(a, r))) return NULL;
        if (!jvalue_set_n(a, dict, copy, n, item)) return no_memory(r);
    }
    return dict;
}

struct jvalue *jvalue_read(struct arena *a, struct json_reader *r)
{
    struct jvalue *v;

    switch (json_reader_peek(r)) {
    case 0: return NULL;
    case '{': v = read_dict(a, r); break;
    case '[': v = read_list(a, r); break;
    case '"': v = read_string(a, r); break;
    case 't':
    case 'f':
    case 'n': v = read_literal(a, r); break;
    default: v = read_number(a, r); break;
    }
    if (r->st != ST_OK) return NULL;
    return v ? v : no_memory(r);
}

status jvalue_parse(struct arena *a, const char *text, size_t n, struct jvalue **out,
                    struct err *err)
{
    struct json_reader r;

    json_reader_init(&r, text, n, err);
    *out = jvalue_read(a, &r);
    if (*out) json_reader_end(&r);
    const status st = r.st;
    json_reader_fini(&r);
    return st;
}

status jvalue_want_str(const struct jvalue *dict, const char *where, const char *key,
                       const struct jvalue **out, struct err *err)
{
    const struct jvalue *v = jvalue_get(dict, key);

    if (!v || v->type == JVALUE_NONE) return ST_OK;
    if (v->type != JVALUE_STRING)
        return FAIL(err, ST_FORMAT, "%s: %s: expected a string", where, key);
    *out = v;
    return ST_OK;
}

status jvalue_want_bool(const struct jvalue *dict, const char *where, const char *key, bool *out,
                        struct err *err)
{
    const struct jvalue *v = jvalue_get(dict, key);

    if (!v || v->type == JVALUE_NONE) return ST_OK;
    if (v->type != JVALUE_BOOL)
        return FAIL(err, ST_FORMAT, "%s: %s: expected true or false", where, key);
    *out = v->u.boolean;
    return ST_OK;
}

status jvalue_want_int(const struct jvalue *dict, const char *where, const char *key,
                       struct int_range range, int64_t *out, struct err *err)
{
    const struct jvalue *v = jvalue_get(dict, key);

    if (!v || v->type == JVALUE_NONE) return ST_OK;
    if (v->type != JVALUE_INT || v->u.integer < range.min || v->u.integer > range.max)
        return FAIL(err, ST_FORMAT, "%s: %s: expected an integer from %lld to %lld", where, key,
                    (long long)range.min, (long long)range.max);
    *out = v->u.integer;
    return ST_OK;
}

bool jvalue_is_text(const struct jvalue *v, const char *text)
{
    return v && v->type == JVALUE_STRING && v->u.string.n == strlen(text) &&
           memcmp(v->u.string.text, text, v->u.string.n) == 0;
}
