/* SPDX-License-Identifier: MIT */
/* The table of pre-tokenizers. A new kind is one row here and one load function beside its run
 * function. */
#include "tokenizer/tok_internal.h"
#include <string.h>

static const struct {
    const char *type;
    pre_load_fn *load[2]; /* some kinds are two stages */
} kinds[] = {
    { "Split", { pre_load_split } },
    { "ByteLevel", { pre_load_byte_level } },
    { "Metaspace", { pre_load_metaspace } },
    { "Whitespace", { pre_load_whitespace } },
    { "WhitespaceSplit", { pre_load_class } },
    { "BertPreTokenizer", { pre_load_class, pre_load_bert_punctuation } },
    { "Punctuation", { pre_load_class } },
    { "Digits", { pre_load_class } },
    { "CharDelimiterSplit", { pre_load_delimiter } },
    { "UnicodeScripts", { pre_load_scripts } },
    { "FixedLength", { pre_load_fixed } },
};

struct pre_stage *pre_list_add(struct arena *a, struct pre_list *list, struct err *err)
{
    if (list->n == list->cap) {
        if (list->n >= TOK_STAGES_MAX) {
            FAIL(err, ST_LIMIT, "pre_tokenizer: more than %d in sequence", TOK_STAGES_MAX);
            return NULL;
        }
        void *items = arena_grow(a, list->items, &list->cap, list->n + 1, sizeof *list->items);
        if (!items) {
            FAIL(err, ST_NOMEM, "pre_tokenizer: no memory");
            return NULL;
        }
        list->items = items;
    }
    struct pre_stage *item = &list->items[list->n++]; /* a half-made one is freed with the list */
    memset(item, 0, sizeof *item);
    return item;
}

static status load_stage(struct arena *a, const struct jvalue *json, pre_load_fn *fn,
                         struct pre_list *out, struct err *err)
{
    struct pre_stage *item = pre_list_add(a, out, err);

    if (!item) return err ? err->code : ST_NOMEM;
    return fn(a, json, item, err);
}

static status load_one(struct arena *a, const struct jvalue *json, struct pre_list *out,
                       struct err *err)
{
    const struct jvalue *type = jvalue_get(json, "type");

    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (!jvalue_is_text(type, kinds[i].type)) continue;
        TRY(load_stage(a, json, kinds[i].load[0], out, err));
        return kinds[i].load[1] ? load_stage(a, json, kinds[i].load[1], out, err) : ST_OK;
    }
    if (!type || type->type != JVALUE_STRING)
        return FAIL(err, ST_FORMAT, "pre_tokenizer: expected an object with a type");
    return FAIL(err, ST_UNSUPPORTED, "pre_tokenizer: type \"%.60s\" is not known",
                type->u.string.text);
}

static status load(struct arena *a, const struct jvalue *json, unsigned depth, struct pre_list *out,
                   struct err *err)
{
    if (!json || json->type == JVALUE_NONE) return ST_OK;
    if (depth > 16) return FAIL(err, ST_LIMIT, "pre_tokenizer: nested too deeply");
    if (!jvalue_is_text(jvalue_get(json, "type"), "Sequence")) return load_one(a, json, out, err);
    const struct jvalue *list = jvalue_get(json, "pretokenizers");
    if (!list || list->type != JVALUE_LIST)
        return FAIL(err, ST_FORMAT, "pre_tokenizer: pretokenizers: expected a list");
    for (size_t i = 0; i < list->u.list.n; i++)
        TRY(load(a, list->u.list.items[i], depth + 1, out, err));
    return ST_OK;
}

status pre_tokenizers_load(struct arena *a, const struct jvalue *json, struct pre_list *out,
                           struct err *err)
{
    return load(a, json, 0, out, err);
}

void pre_tokenizers_fini(struct pre_list *list)
{
    for (size_t i = 0; i < list->n; i++) regex_destroy(list->items[i].regex);
    list->n = 0;
}

status pre_emit(struct enc *e, size_t index, struct piece in, struct err *err)
{
    if (in.n == 0) return ST_OK;
    if (index >= e->n_stages) return e->sink(e, in, err);
    return e->stages[index].run(&e->stages[index], e, index, in, err);
}
