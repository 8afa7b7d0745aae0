/* SPDX-License-Identifier: MIT */
/* Post-processors: for one text they all come to ids before and behind it. A new kind is one row
 * and one function. */
#include "tokenizer/tok_internal.h"
#include <string.h>

typedef status post_load_fn(struct arena *a, const struct jvalue *json, struct post *out,
                            struct err *err);

static status put(struct arena *a, bool after, int32_t id, struct post *out, struct err *err)
{
    int32_t **ids = after ? &out->after : &out->before;
    size_t *n = after ? &out->n_after : &out->n_before, cap = *n;

    if (*n >= 4096) return FAIL(err, ST_LIMIT, "post_processor: more than 4096 special tokens");
    void *grown = arena_grow(a, *ids, &cap, *n + 1, sizeof **ids);
    if (!grown) return FAIL(err, ST_NOMEM, "post_processor: no memory");
    *ids = grown;
    (*ids)[(*n)++] = id;
    return ST_OK;
}

/* Ids go behind all that is there already, or before it. */
static status wrap(struct arena *a, const struct post *inner, struct post *out, struct err *err)
{
    struct post all = { 0 };

    for (size_t i = 0; i < inner->n_before; i++) TRY(put(a, false, inner->before[i], &all, err));
    for (size_t i = 0; i < out->n_before; i++) TRY(put(a, false, out->before[i], &all, err));
    for (size_t i = 0; i < out->n_after; i++) TRY(put(a, true, out->after[i], &all, err));
    for (size_t i = 0; i < inner->n_after; i++) TRY(put(a, true, inner->after[i], &all, err));
    *out = all;
    return ST_OK;
}

/* ["</s>", 2] */
static status pair_id(const struct jvalue *json, const char *key, int32_t *id, struct err *err)
{
    const struct jvalue *v = jvalue_get(json, key);

    if (!v || v->type != JVALUE_LIST || v->u.list.n != 2 ||
        v->u.list.items[1]->type != JVALUE_INT || v->u.list.items[1]->u.integer < 0 ||
        v->u.list.items[1]->u.integer >= VOCAB_IDS_MAX)
        return FAIL(err, ST_FORMAT, "post_processor: %s: expected [token, id]", key);
    *id = (int32_t)v->u.list.items[1]->u.integer;
    return ST_OK;
}

/* BertProcessing and RobertaProcessing: cls, text, sep. */
static status load_cls_sep(struct arena *a, const struct jvalue *json, struct post *out,
                           struct err *err)
{
    struct post own = { 0 };
    int32_t cls, sep;

    TRY(pair_id(json, "cls", &cls, err));
    TRY(pair_id(json, "sep", &sep, err));
    TRY(put(a, false, cls, &own, err));
    TRY(put(a, true, sep, &own, err));
    return wrap(a, &own, out, err);
}

static status load_nothing(struct arena *a, const struct jvalue *json, struct post *out,
                           struct err *err)
{
    (void)a; /* ByteLevel trims offsets only */
    (void)json;
    (void)out;
    (void)err;
    return ST_OK;
}

/* All ids of one special token of a template. */
static status put_special(struct arena *a, const struct jvalue *specials, const struct jvalue *name,
                          bool after, struct post *own, struct err *err)
{
    if (!name || name->type != JVALUE_STRING)
        return FAIL(err, ST_FORMAT, "post_processor: single: SpecialToken: id: expected a string");
    const struct jvalue *entry = jvalue_get_n(specials, name->u.string.text, name->u.string.n);
    const struct jvalue *ids = jvalue_get(entry, "ids");
    if (!ids || ids->type != JVALUE_LIST)
        return FAIL(err, ST_FORMAT, "post_processor: special_tokens: \"%.60s\": expected ids",
                    name->u.string.text);
    for (size_t i = 0; i < ids->u.list.n; i++) {
        const struct jvalue *id = ids->u.list.items[i];

        if (id->type != JVALUE_INT || id->u.integer < 0 || id->u.integer >= VOCAB_IDS_MAX)
            return FAIL(err, ST_FORMAT, "post_processor: special_tokens: \"%.60s\": bad id",
                        name->u.string.text);
        TRY(put(a, after, (int32_t)id->u.integer, own, err));
    }
    return ST_OK;
}

static status load_template(struct arena *a, const struct jvalue *json, struct post *out,
                            struct err *err)
{
    const struct jvalue *single = jvalue_get(json, "single");
    const struct jvalue *specials = jvalue_get(json, "special_tokens");
    struct post own = { 0 };
    unsigned texts = 0;

    if (!single || single->type != JVALUE_LIST)
        return FAIL(err, ST_FORMAT, "post_processor: single: expected a list");
    for (size_t i = 0; i < single->u.list.n; i++) {
        const struct jvalue *special = jvalue_get(single->u.list.items[i], "SpecialToken");

        if (special)
            TRY(put_special(a, specials, jvalue_get(special, "id"), texts > 0, &own, err));
        else if (jvalue_get(single->u.list.items[i], "Sequence"))
            texts++;
        else
            return FAIL(err, ST_FORMAT,
                        "post_processor: single: expected SpecialToken or Sequence");
    }
    if (texts != 1)
        return FAIL(err, ST_UNSUPPORTED, "post_processor: single: names the text %u times", texts);
    return wrap(a, &own, out, err);
}

static const struct {
    const char *type;
    post_load_fn *load;
} kinds[] = {
    { "TemplateProcessing", load_template },
    { "BertProcessing", load_cls_sep },
    { "RobertaProcessing", load_cls_sep },
    { "ByteLevel", load_nothing },
};

static status load(struct arena *a, const struct jvalue *json, unsigned depth, struct post *out,
                   struct err *err)
{
    const struct jvalue *type = jvalue_get(json, "type");

    if (!json || json->type == JVALUE_NONE) return ST_OK;
    if (depth > 16) return FAIL(err, ST_LIMIT, "post_processor: nested too deeply");
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (jvalue_is_text(type, kinds[i].type)) return kinds[i].load(a, json, out, err);
    if (!jvalue_is_text(type, "Sequence"))
        return FAIL(err, ST_UNSUPPORTED, "post_processor: type \"%.60s\" is not known",
                    type && type->type == JVALUE_STRING ? type->u.string.text : "?");
    const struct jvalue *list = jvalue_get(json, "processors");
    if (!list || list->type != JVALUE_LIST)
        return FAIL(err, ST_FORMAT, "post_processor: processors: expected a list");
    for (size_t i = 0; i < list->u.list.n; i++)
        TRY(load(a, list->u.list.items[i], depth + 1, out, err));
    return ST_OK;
}

status post_load(struct arena *a, const struct jvalue *json, struct post *out, struct err *err)
{
    return load(a, json, 0, out, err);
}

/* ---- folders whose settings say what goes round a text ---- */

status post_put_token(struct tokenizer *tok, const char *text, bool before, struct err *err)
{
    const int32_t id = text ? tokenizer_token_to_id(tok, text, strlen(text)) : -1;

    return id < 0 ? ST_OK : put(&tok->arena, !before, id, &tok->post, err);
}

static status put_named(struct tokenizer *tok, const char *name, size_t n, const char *lang,
                        bool before, struct err *err)
{
    char text[64];

    if (n == 4 && memcmp(name, "lang", 4) == 0) return post_put_token(tok, lang, before, err);
    for (size_t i = 0; i < TOK_SPECIALS; i++)
        if (strlen(tok_special_name(i)) == n && memcmp(tok_special_name(i), name, n) == 0)
            return post_put_token(tok, tok_config_token(tok, i), before, err);
    if (n >= sizeof text) return ST_OK;
    memcpy(text, name, n);
    text[n] = 0;
    return post_put_token(tok, text, before, err);
}

status post_put_named(struct tokenizer *tok, const char *names, const char *lang, struct err *err)
{
    bool before = true;

    for (const char *at = names; *at;) {
        const size_t n = strcspn(at, " |");

        if (n) TRY(put_named(tok, at, n, lang, before, err));
        at += n;
        if (*at == '|') before = false;
        at += *at != 0;
    }
    return ST_OK;
}

status post_put_switched(struct tokenizer *tok, bool add_bos, const char *bos, const char *eos,
                         struct err *err)
{
    if (tok_config_flag(tok, "add_bos_token", add_bos)) TRY(post_put_token(tok, bos, true, err));
    return tok_config_flag(tok, "add_eos_token", false) ? post_put_token(tok, eos, false, err)
                                                        : ST_OK;
}
