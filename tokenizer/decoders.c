/* SPDX-License-Identifier: MIT */
/* The table of decoders, as they are named in tokenizer.json. What each does is in decoding.c. */
#include "tokenizer/tok_internal.h"
#include <string.h>

static status want_text(const struct jvalue *json, const char *key, const char **text, size_t *n,
                        struct err *err)
{
    const struct jvalue *v = NULL;

    TRY(jvalue_want_str(json, "decoder", key, &v, err));
    if (!v) return ST_OK;
    *text = v->u.string.text;
    *n = v->u.string.n;
    return ST_OK;
}

static status load_replace(const struct jvalue *json, struct decoder *out, struct err *err)
{
    const struct jvalue *pattern = jvalue_get(json, "pattern"), *v = NULL;

    TRY(want_text(json, "content", &out->with, &out->with_n, err));
    if (!pattern || pattern->type != JVALUE_DICT || !out->with)
        return FAIL(err, ST_FORMAT, "decoder: Replace: expected pattern and content");
    TRY(want_text(pattern, "String", &out->text, &out->text_n, err));
    if (out->text) return ST_OK;
    TRY(jvalue_want_str(pattern, "decoder", "Regex", &v, err));
    if (!v) return FAIL(err, ST_FORMAT, "decoder: Replace: pattern: expected String or Regex");
    return regex_create(&out->regex, v->u.string.text, v->u.string.n, REGEX_NO_SCANNER, err);
}

static status load_strip(const struct jvalue *json, struct decoder *out, struct err *err)
{
    int64_t start = 0, stop = 0;

    TRY(want_text(json, "content", &out->text, &out->text_n, err));
    if (!out->text || out->text_n == 0)
        return FAIL(err, ST_FORMAT, "decoder: Strip: content: expected a character");
    TRY(jvalue_want_int(json, "decoder", "start", (struct int_range){ 0, 1 << 20 }, &start, err));
    TRY(jvalue_want_int(json, "decoder", "stop", (struct int_range){ 0, 1 << 20 }, &stop, err));
    out->start = (size_t)start;
    out->stop = (size_t)stop;
    return ST_OK;
}

static status load_metaspace(const struct jvalue *json, struct decoder *out, struct err *err)
{
    out->text = "\xE2\x96\x81";
    out->text_n = 3;
    TRY(want_text(json, "replacement", &out->text, &out->text_n, err));
    return metaspace_scheme(json, &out->prepend, err);
}

static status load_wordpiece(const struct jvalue *json, struct decoder *out, struct err *err)
{
    out->text = "##";
    out->text_n = 2;
    out->cleanup = true;
    TRY(want_text(json, "prefix", &out->text, &out->text_n, err));
    return jvalue_want_bool(json, "decoder", "cleanup", &out->cleanup, err);
}

static status load_bpe(const struct jvalue *json, struct decoder *out, struct err *err)
{
    out->text = "</w>";
    out->text_n = 4;
    return want_text(json, "suffix", &out->text, &out->text_n, err);
}

static status load_ctc(const struct jvalue *json, struct decoder *out, struct err *err)
{
    out->text = "<pad>";
    out->text_n = 5;
    out->with = "|";
    out->with_n = 1;
    out->cleanup = true;
    TRY(want_text(json, "pad_token", &out->text, &out->text_n, err));
    TRY(want_text(json, "word_delimiter_token", &out->with, &out->with_n, err));
    return jvalue_want_bool(json, "decoder", "cleanup", &out->cleanup, err);
}

static status load_plain(const struct jvalue *json, struct decoder *out, struct err *err)
{
    (void)json;
    (void)out;
    (void)err;
    return ST_OK;
}

static const struct {
    const char *type;
    enum decoder_type decoder;
    status (*load)(const struct jvalue *json, struct decoder *out, struct err *err);
} kinds[] = {
    { "ByteLevel", DEC_BYTE_LEVEL, load_plain },
    { "Replace", DEC_REPLACE, load_replace },
    { "ByteFallback", DEC_BYTE_FALLBACK, load_plain },
    { "Fuse", DEC_FUSE, load_plain },
    { "Strip", DEC_STRIP, load_strip },
    { "Metaspace", DEC_METASPACE, load_metaspace },
    { "WordPiece", DEC_WORDPIECE, load_wordpiece },
    { "BPEDecoder", DEC_BPE, load_bpe },
    { "CTC", DEC_CTC, load_ctc },
};

static status load_one(struct arena *a, const struct jvalue *json, struct decoder_list *out,
                       struct err *err)
{
    const struct jvalue *type = jvalue_get(json, "type");

    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (!jvalue_is_text(type, kinds[i].type)) continue;
        if (out->n == out->cap) {
            if (out->n >= TOK_STAGES_MAX)
                return FAIL(err, ST_LIMIT, "decoder: more than %d in sequence", TOK_STAGES_MAX);
            void *items = arena_grow(a, out->items, &out->cap, out->n + 1, sizeof *out->items);
            if (!items) return FAIL(err, ST_NOMEM, "decoder: no memory");
            out->items = items;
        }
        struct decoder *item = &out->items[out->n++];
        memset(item, 0, sizeof *item);
        item->type = kinds[i].decoder;
        return kinds[i].load(json, item, err);
    }
    return FAIL(err, ST_UNSUPPORTED, "decoder: type \"%.60s\" is not known",
                type && type->type == JVALUE_STRING ? type->u.string.text : "?");
}

static status load(struct arena *a, const struct jvalue *json, unsigned depth,
                   struct decoder_list *out, struct err *err)
{
    if (depth > 16) return FAIL(err, ST_LIMIT, "decoder: nested too deeply");
    if (!jvalue_is_text(jvalue_get(json, "type"), "Sequence")) return load_one(a, json, out, err);
    const struct jvalue *list = jvalue_get(json, "decoders");
    if (!list || list->type != JVALUE_LIST)
        return FAIL(err, ST_FORMAT, "decoder: decoders: expected a list");
    for (size_t i = 0; i < list->u.list.n; i++)
        TRY(load(a, list->u.list.items[i], depth + 1, out, err));
    return ST_OK;
}

status decoders_add(struct arena *a, struct decoder_list *out, enum decoder_type type,
                    struct err *err)
{
    void *items = arena_grow(a, out->items, &out->cap, out->n + 1, sizeof *out->items);

    if (!items) return FAIL(err, ST_NOMEM, "decoder: no memory");
    out->items = items;
    out->items[out->n++] = (struct decoder){ .type = type };
    return ST_OK;
}

status decoders_load(struct arena *a, const struct jvalue *json, struct decoder_list *out,
                     struct err *err)
{
    if (!json || json->type == JVALUE_NONE) return decoders_add(a, out, DEC_JOIN_SPACE, err);
    return load(a, json, 0, out, err);
}

void decoders_fini(struct decoder_list *list)
{
    for (size_t i = 0; i < list->n; i++) regex_destroy(list->items[i].regex);
    list->n = 0;
}
