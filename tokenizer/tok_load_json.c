/* SPDX-License-Identifier: MIT */
/* tokenizer.json: the small parts become value trees, vocabulary and merges are read straight from
 * the text. */
#include "tokenizer/tok_internal.h"
#include <string.h>

/* What one pass over the file finds. */
struct parts {
    struct jvalue *added, *normalizer, *pre_tokenizer, *post_processor, *decoder;
    struct jvalue *settings; /* model without vocab and merges */
    struct json_span vocab, merges;
};

static bool key_is(const char *key, size_t n, const char *name)
{
    return strlen(name) == n && memcmp(key, name, n) == 0;
}

static status read_model(struct arena *a, struct json_reader *r, struct parts *out, struct err *err)
{
    bool first = true;
    const char *key;
    size_t n;

    out->settings = jvalue_dict(a);
    if (!out->settings) return FAIL(err, ST_NOMEM, "model: no memory");
    json_reader_enter(r, '{');
    while (json_reader_member(r, &first, &key, &n)) {
        if (key_is(key, n, "vocab")) {
            json_reader_span(r, &out->vocab);
        } else if (key_is(key, n, "merges")) {
            json_reader_span(r, &out->merges);
        } else {
            const char *copy = arena_strndup(a, key, n);
            struct jvalue *v = copy ? jvalue_read(a, r) : NULL;

            if (r->st == ST_OK && !jvalue_set_n(a, out->settings, copy ? copy : "", n, v))
                return FAIL(err, ST_NOMEM, "model: no memory");
        }
        if (r->st != ST_OK) break;
    }
    return r->st;
}

static status read_parts(struct arena *a, struct json_reader *r, struct parts *out, struct err *err)
{
    const struct {
        const char *name;
        struct jvalue **to;
    } trees[] = {
        { "added_tokens", &out->added },
        { "normalizer", &out->normalizer },
        { "pre_tokenizer", &out->pre_tokenizer },
        { "post_processor", &out->post_processor },
        { "decoder", &out->decoder },
    };
    bool first = true;
    const char *key;
    size_t n;

    json_reader_enter(r, '{');
    while (json_reader_member(r, &first, &key, &n)) {
        size_t i = 0;

        while (i < COUNT(trees) && !key_is(key, n, trees[i].name)) i++;
        if (i < COUNT(trees))
            *trees[i].to = jvalue_read(a, r);
        else if (key_is(key, n, "model"))
            TRY(read_model(a, r, out, err));
        else
            json_reader_skip(r);
        if (r->st != ST_OK) return r->st;
    }
    json_reader_end(r);
    return r->st;
}

/* Old files do not name their model. */
static const char *guess_model(const struct parts *parts)
{
    if (parts->merges.p) return "BPE";
    if (parts->vocab.p && parts->vocab.p[0] == '[') return "Unigram";
    return jvalue_get(parts->settings, "max_input_chars_per_word") ? "WordPiece" : "WordLevel";
}

/* What nobody reads must be JSON all the same. */
static status check_span(const struct json_span *span, struct err *err)
{
    struct json_reader r;

    if (!span->p) return ST_OK;
    json_reader_init(&r, span->p, span->n, err);
    (void)(json_reader_skip(&r) && json_reader_end(&r));
    json_reader_fini(&r);
    return r.st;
}

static status load_model(struct tokenizer *tok, const struct parts *parts, struct err *err)
{
    const struct jvalue *type = NULL;

    if (!parts->settings) return FAIL(err, ST_FORMAT, "model: expected an object");
    TRY(jvalue_want_str(parts->settings, "model", "type", &type, err));
    const char *name = type ? type->u.string.text : guess_model(parts);
    const struct model_kind *kind = model_kind_find(name);
    if (!kind) return FAIL(err, ST_UNSUPPORTED, "model.type: \"%.60s\" is not known", name);
    tok->kind = kind;
    TRY(kind->load(tok, parts->settings, &parts->vocab, &parts->merges, err));
    tok->size = tok->vocab.size;
    tok->n_model = kind == &model_unigram ? tok->vocab.size : vocab_count(&tok->vocab);
    return kind == &model_bpe ? ST_OK : check_span(&parts->merges, err);
}

status tok_load_json(struct tokenizer *tok, const char *text, size_t n, struct err *err)
{
    struct parts parts = { 0 };
    struct json_reader r;

    json_reader_init(&r, text, n, err);
    const status st = read_parts(&tok->arena, &r, &parts, err);
    json_reader_fini(&r);
    if (st != ST_OK) return st;
    TRY(normalizers_load(&tok->arena, parts.normalizer, &tok->norms, err));
    TRY(pre_tokenizers_load(&tok->arena, parts.pre_tokenizer, &tok->pres, err));
    TRY(load_model(tok, &parts, err)); /* how it reads pieces depends on who cuts them */
    TRY(post_load(&tok->arena, parts.post_processor, &tok->post, err));
    TRY(decoders_load(&tok->arena, parts.decoder, &tok->decoders, err));
    return added_load(tok, parts.added, true, err);
}
