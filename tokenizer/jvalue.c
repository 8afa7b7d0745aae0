/* SPDX-License-Identifier: MIT */
#include "tokenizer/jvalue.h"
#include "base/base.h"
#include "tokenizer/uni.h"
#include <string.h>

enum { INDEX_FROM = 12 };

static struct jvalue *new_value(struct arena *a, enum jvalue_type type)
{
    struct jvalue *v = ARENA_NEW(a, struct jvalue);

    if (v) v->type = type;
    return v;
}

struct jvalue *jvalue_none(struct arena *a) { return new_value(a, JVALUE_NONE); }

struct jvalue *jvalue_bool(struct arena *a, bool b)
{
    struct jvalue *v = new_value(a, JVALUE_BOOL);

    if (v) v->u.boolean = b;
    return v;
}

struct jvalue *jvalue_int(struct arena *a, int64_t i)
{
    struct jvalue *v = new_value(a, JVALUE_INT);

    if (v) v->u.integer = i;
    return v;
}

struct jvalue *jvalue_big(struct arena *a, const char *digits, size_t n)
{
    struct jvalue *v = new_value(a, JVALUE_BIG);

    if (!v) return NULL;
    v->u.string.text = arena_strndup(a, digits, n);
    v->u.string.n = n;
    return v->u.string.text ? v : NULL;
}

struct jvalue *jvalue_double(struct arena *a, double d)
{
    struct jvalue *v = new_value(a, JVALUE_DOUBLE);

    if (v) v->u.number = d;
    return v;
}

struct jvalue *jvalue_string(struct arena *a, const char *text)
{
    return jvalue_string_n(a, text, strlen(text));
}

struct jvalue *jvalue_string_n(struct arena *a, const char *text, size_t n)
{
    struct jvalue *v = new_value(a, JVALUE_STRING);

    if (!v) return NULL;
    if (utf8_valid(text, n)) {
        v->u.string.text = arena_strndup(a, text, n);
        v->u.string.n = n;
        return v->u.string.text ? v : NULL;
    }
    struct str fixed = { 0 };
    uni_put_repaired(&fixed, text, n);
    v->u.string.text = fixed.failed ? NULL : arena_strndup(a, fixed.data, fixed.len);
    v->u.string.n = fixed.len;
    str_fini(&fixed);
    return v->u.string.text ? v : NULL;
}

struct jvalue *jvalue_list(struct arena *a) { return new_value(a, JVALUE_LIST); }

struct jvalue *jvalue_dict(struct arena *a) { return new_value(a, JVALUE_DICT); }

bool jvalue_append(struct arena *a, struct jvalue *list, struct jvalue *item)
{
    if (!list || !item || list->type != JVALUE_LIST) return false;
    if (list->u.list.n == list->u.list.cap) {
        void *items = arena_grow(a, list->u.list.items, &list->u.list.cap, list->u.list.n + 1,
                                 sizeof *list->u.list.items);
        if (!items) return false;
        list->u.list.items = items;
    }
    list->u.list.items[list->u.list.n++] = item;
    return true;
}

static size_t slot_of(const struct jvalue *dict, const char *key, size_t n)
{
    return (size_t)hash_bytes(key, n, hash_process_seed()) & (dict->u.dict.index_cap - 1);
}

static void index_put(struct jvalue *dict, size_t pos)
{
    const struct jvalue_pair *p = &dict->u.dict.pairs[pos];
    size_t at = slot_of(dict, p->key, p->key_n);

    while (dict->u.dict.index[at]) at = (at + 1) & (dict->u.dict.index_cap - 1);
    dict->u.dict.index[at] = (uint32_t)pos + 1;
}

/* Keeps the index at most half full. */
static bool index_grow(struct arena *a, struct jvalue *dict)
{
    const size_t n = dict->u.dict.n;

    if (n < INDEX_FROM) return true;
    if (dict->u.dict.index && n * 2 <= dict->u.dict.index_cap) return true;
    size_t cap = 32;
    while (cap < n * 4) cap *= 2;
    uint32_t *index = ARENA_ARRAY(a, cap, uint32_t);
    if (!index) return false;
    dict->u.dict.index = index;
    dict->u.dict.index_cap = cap;
    for (size_t i = 0; i < n; i++) index_put(dict, i);
    return true;
}

static struct jvalue_pair *find(const struct jvalue *dict, const char *key, size_t n)
{
    struct jvalue_pair *pairs = dict->u.dict.pairs;

    if (!dict->u.dict.index) {
        for (size_t i = 0; i < dict->u.dict.n; i++)
            if (pairs[i].key_n == n && memcmp(pairs[i].key, key, n) == 0) return &pairs[i];
        return NULL;
    }
    for (size_t at = slot_of(dict, key, n); dict->u.dict.index[at];
         at = (at + 1) & (dict->u.dict.index_cap - 1)) {
        struct jvalue_pair *p = &pairs[dict->u.dict.index[at] - 1];

        if (p->key_n == n && memcmp(p->key, key, n) == 0) return p;
    }
    return NULL;
}

bool jvalue_set_n(struct arena *a, struct jvalue *dict, const char *key, size_t n,
                  struct jvalue *value)
{
    if (!dict || !value || dict->type != JVALUE_DICT) return false;
    struct jvalue_pair *p = find(dict, key, n);
    if (p) {
        p->value = value;
        return true;
    }
    if (dict->u.dict.n >= UINT32_MAX / 8) return false;
    if (dict->u.dict.n == dict->u.dict.cap) {
        void *pairs = arena_grow(a, dict->u.dict.pairs, &dict->u.dict.cap, dict->u.dict.n + 1,
                                 sizeof *dict->u.dict.pairs);
        if (!pairs) return false;
        dict->u.dict.pairs = pairs;
    }
    const char *copy = arena_strndup(a, key, n);
    if (!copy) return false;
    dict->u.dict.pairs[dict->u.dict.n++] = (struct jvalue_pair){ copy, n, value };
    if (dict->u.dict.index && dict->u.dict.n * 2 <= dict->u.dict.index_cap) {
        index_put(dict, dict->u.dict.n - 1);
        return true;
    }
    return index_grow(a, dict);
}

bool jvalue_set(struct arena *a, struct jvalue *dict, const char *key, struct jvalue *value)
{
    return jvalue_set_n(a, dict, key, strlen(key), value);
}

struct jvalue *jvalue_get_n(const struct jvalue *dict, const char *key, size_t n)
{
    if (!dict || dict->type != JVALUE_DICT) return NULL;
    const struct jvalue_pair *p = find(dict, key, n);
    return p ? p->value : NULL;
}

struct jvalue *jvalue_get(const struct jvalue *dict, const char *key)
{
    return jvalue_get_n(dict, key, strlen(key));
}
