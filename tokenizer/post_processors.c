/* SPDX-License-Identifier: MIT */
/* Post-processors. Each takes a list of encodings and gives another, and what follows in a Sequence
 * takes those: a template makes an encoding of each of its pieces, BertProcessing and
 * RobertaProcessing put their tokens round each. For one text that all comes to ids before and
 * behind it. A new kind is one row and one function. */
#include "tokenizer/tok_internal.h"
#include <string.h>

enum { TEXT = -1, BORDER = -2, ITEMS_MAX = 8192 };

/* Encodings one after the other: ids, TEXT for the ids of the text, BORDER between two of them. */
struct line {
    struct arena *a;
    int32_t *items; /* [n] */
    size_t n, cap;
};

typedef status post_load_fn(const struct jvalue *json, struct line *line, struct err *err);

static status line_put(struct line *line, int32_t item, struct err *err)
{
    if (line->n >= ITEMS_MAX)
        return FAIL(err, ST_LIMIT, "post_processor: more than %d special tokens", ITEMS_MAX);
    void *items = arena_grow(line->a, line->items, &line->cap, line->n + 1, sizeof *line->items);
    if (!items) return FAIL(err, ST_NOMEM, "post_processor: no memory");
    line->items = items;
    line->items[line->n++] = item;
    return ST_OK;
}

static size_t line_encodings(const struct line *line)
{
    size_t n = 1;

    for (size_t i = 0; i < line->n; i++) n += line->items[i] == BORDER;
    return n;
}

/* Appends encoding `index` of another line. */
static status line_put_encoding(struct line *line, const struct line *from, size_t index,
                                struct err *err)
{
    for (size_t i = 0, at = 0; i < from->n; i++) {
        if (from->items[i] == BORDER)
            at++;
        else if (at == index)
            TRY(line_put(line, from->items[i], err));
    }
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

/* cls, the first encoding, sep; then each other one and sep, RobertaProcessing's with sep before
 * it, too. */
static status load_cls_sep(const struct jvalue *json, struct line *line, struct err *err)
{
    const bool roberta = jvalue_is_text(jvalue_get(json, "type"), "RobertaProcessing");
    struct line next = { .a = line->a };
    int32_t cls, sep;

    TRY(pair_id(json, "cls", &cls, err));
    TRY(pair_id(json, "sep", &sep, err));
    for (size_t i = 0; i < line_encodings(line); i++) {
        if (i) TRY(line_put(&next, BORDER, err));
        if (i == 0 || roberta) TRY(line_put(&next, i ? sep : cls, err));
        TRY(line_put_encoding(&next, line, i, err));
        TRY(line_put(&next, sep, err));
    }
    *line = next;
    return ST_OK;
}

static status load_nothing(const struct jvalue *json, struct line *line, struct err *err)
{
    (void)json; /* ByteLevel trims offsets only */
    (void)line;
    (void)err;
    return ST_OK;
}

/* All ids of one special token of a template. */
static status put_special(const struct jvalue *specials, const struct jvalue *name,
                          struct line *line, struct err *err)
{
    if (!name || name->type != JVALUE_STRING)
        return FAIL(err, ST_FORMAT, "post_processor: SpecialToken: id: expected a string");
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
        TRY(line_put(line, (int32_t)id->u.integer, err));
    }
    return ST_OK;
}

/* One piece of a template: a special token, or encoding A (0) or B (1). */
static status put_template_piece(const struct jvalue *json, const struct jvalue *piece,
                                 const struct line *line, struct line *next, struct err *err)
{
    const struct jvalue *special = jvalue_get(piece, "SpecialToken");
    const struct jvalue *sequence = jvalue_get(piece, "Sequence");

    if (special)
        return put_special(jvalue_get(json, "special_tokens"), jvalue_get(special, "id"), next,
                           err);
    if (!sequence) return FAIL(err, ST_FORMAT, "post_processor: expected SpecialToken or Sequence");
    return line_put_encoding(next, line, jvalue_is_text(jvalue_get(sequence, "id"), "B"), err);
}

static status load_template(const struct jvalue *json, struct line *line, struct err *err)
{
    const size_t n = line_encodings(line);
    const char *name = n == 1 ? "single" : "pair";
    const struct jvalue *pieces = jvalue_get(json, name);
    struct line next = { .a = line->a };
    size_t texts = 0;

    if (n > 2)
        return FAIL(err, ST_UNSUPPORTED,
                    "post_processor: TemplateProcessing of %zu encodings, expected 1 or 2", n);
    if (!pieces || pieces->type != JVALUE_LIST)
        return FAIL(err, ST_FORMAT, "post_processor: %s: expected a list", name);
    for (size_t i = 0; i < pieces->u.list.n; i++) {
        if (i) TRY(line_put(&next, BORDER, err));
        TRY(put_template_piece(json, pieces->u.list.items[i], line, &next, err));
    }
    for (size_t i = 0; i < next.n; i++) texts += next.items[i] == TEXT;
    if (texts != 1)
        return FAIL(err, ST_UNSUPPORTED, "post_processor: %s: names the text %zu times", name,
                    texts);
    *line = next;
    return ST_OK;
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

static status load(const struct jvalue *json, unsigned depth, struct line *line, struct err *err)
{
    const struct jvalue *type = jvalue_get(json, "type");

    if (!json || json->type == JVALUE_NONE) return ST_OK;
    if (depth > 16) return FAIL(err, ST_LIMIT, "post_processor: nested too deeply");
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (jvalue_is_text(type, kinds[i].type)) return kinds[i].load(json, line, err);
    if (!jvalue_is_text(type, "Sequence"))
        return FAIL(err, ST_UNSUPPORTED, "post_processor: type \"%.60s\" is not known",
                    type && type->type == JVALUE_STRING ? type->u.string.text : "?");
    const struct jvalue *list = jvalue_get(json, "processors");
    if (!list || list->type != JVALUE_LIST)
        return FAIL(err, ST_FORMAT, "post_processor: processors: expected a list");
    for (size_t i = 0; i < list->u.list.n; i++)
        TRY(load(list->u.list.items[i], depth + 1, line, err));
    return ST_OK;
}

static status put(struct arena *a, bool after, int32_t id, struct post *out, struct err *err)
{
    int32_t **ids = after ? &out->after : &out->before;
    size_t *n = after ? &out->n_after : &out->n_before, cap = *n;

    if (*n >= ITEMS_MAX) return FAIL(err, ST_LIMIT, "post_processor: too many special tokens");
    void *grown = arena_grow(a, *ids, &cap, *n + 1, sizeof **ids);
    if (!grown) return FAIL(err, ST_NOMEM, "post_processor: no memory");
    *ids = grown;
    (*ids)[(*n)++] = id;
    return ST_OK;
}

status post_load(struct arena *a, const struct jvalue *json, struct post *out, struct err *err)
{
    struct line line = { .a = a };
    bool after = false;

    TRY(line_put(&line, TEXT, err));
    TRY(load(json, 0, &line, err));
    for (size_t i = 0; i < line.n; i++) {
        if (line.items[i] == TEXT)
            after = true;
        else if (line.items[i] >= 0)
            TRY(put(a, after, line.items[i], out, err));
    }
    return ST_OK;
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
    const char *bar = strrchr(names, '|'); /* tokens have such bars in them, too */

    for (const char *at = names; *at;) {
        const bool before = bar && at <= bar;
        const char *blank = strchr(at, ' '), *end = blank ? blank : at + strlen(at);

        if (before && end > bar) end = bar;
        if (end > at) TRY(put_named(tok, at, (size_t)(end - at), lang, before, err));
        at = *end ? end + 1 : end;
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
