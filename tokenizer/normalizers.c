/* SPDX-License-Identifier: MIT */
/* The table of normalizers. A new kind is one row here and one load function beside its run
 * function. */
#include "tokenizer/tok_internal.h"
#include <string.h>

static const struct {
    const char *type;
    norm_load_fn *load;
} kinds[] = {
    { "NFC", norm_load_form },
    { "NFD", norm_load_form },
    { "NFKC", norm_load_form },
    { "NFKD", norm_load_form },
    { "Lowercase", norm_load_simple },
    { "StripAccents", norm_load_simple },
    { "Strip", norm_load_simple },
    { "Nmt", norm_load_simple },
    { "BertNormalizer", norm_load_bert },
    { "Replace", norm_load_replace },
    { "Prepend", norm_load_prepend },
    { "Precompiled", norm_load_precompiled },
    { "ByteLevel", norm_load_byte_level },
};

struct normalizer *norm_list_add(struct arena *a, struct norm_list *list, struct err *err)
{
    if (list->n == list->cap) {
        if (list->n >= TOK_STAGES_MAX) {
            FAIL(err, ST_LIMIT, "normalizer: more than %d in sequence", TOK_STAGES_MAX);
            return NULL;
        }
        void *items = arena_grow(a, list->items, &list->cap, list->n + 1, sizeof *list->items);
        if (!items) {
            FAIL(err, ST_NOMEM, "normalizer: no memory");
            return NULL;
        }
        list->items = items;
    }
    struct normalizer *item = &list->items[list->n++]; /* a half-made one is freed with the list */
    memset(item, 0, sizeof *item);
    return item;
}

static status load_one(struct arena *a, const struct jvalue *json, struct norm_list *out,
                       struct err *err)
{
    const struct jvalue *type = jvalue_get(json, "type");

    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (!jvalue_is_text(type, kinds[i].type)) continue;
        struct normalizer *item = norm_list_add(a, out, err);
        if (!item) return err ? err->code : ST_NOMEM;
        return kinds[i].load(a, json, item, err);
    }
    if (!type || type->type != JVALUE_STRING)
        return FAIL(err, ST_FORMAT, "normalizer: expected an object with a type");
    return FAIL(err, ST_UNSUPPORTED, "normalizer: type \"%.60s\" is not known",
                type->u.string.text);
}

static status load(struct arena *a, const struct jvalue *json, unsigned depth,
                   struct norm_list *out, struct err *err)
{
    if (!json || json->type == JVALUE_NONE) return ST_OK;
    if (depth > 16) return FAIL(err, ST_LIMIT, "normalizer: nested too deeply");
    if (!jvalue_is_text(jvalue_get(json, "type"), "Sequence")) return load_one(a, json, out, err);
    const struct jvalue *list = jvalue_get(json, "normalizers");
    if (!list || list->type != JVALUE_LIST)
        return FAIL(err, ST_FORMAT, "normalizer: normalizers: expected a list");
    for (size_t i = 0; i < list->u.list.n; i++)
        TRY(load(a, list->u.list.items[i], depth + 1, out, err));
    return ST_OK;
}

status normalizers_load(struct arena *a, const struct jvalue *json, struct norm_list *out,
                        struct err *err)
{
    return load(a, json, 0, out, err);
}

void normalizers_fini(struct norm_list *list)
{
    for (size_t i = 0; i < list->n; i++) regex_destroy(list->items[i].regex);
    list->n = 0;
}

status normalizers_run(const struct norm_list *list, struct str bufs[2], struct piece *text,
                       struct err *err)
{
    unsigned next = 0;

    for (size_t i = 0; i < list->n; i++) {
        struct norm_io io = { text->p, text->n, &bufs[next], false };
        bool same = false;

        str_clear(io.out);
        TRY(list->items[i].run(&list->items[i], &io, &same, err));
        if (same) continue;
        if (io.out->failed) return FAIL(err, ST_NOMEM, "normalizer: no memory");
        *text = (struct piece){ str_cstr(io.out), io.out->len, text->first && !io.start_lost };
        next = !next;
    }
    return ST_OK;
}
