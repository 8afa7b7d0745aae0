/* SPDX-License-Identifier: MIT */
/* The table of models. A new kind is one row here and one file. */
#include "tokenizer/tok_internal.h"
#include <string.h>

static const struct model_kind *const kinds[] = {
    &model_bpe,
    &model_unigram,
    &model_wordpiece,
    &model_wordlevel,
};

const struct model_kind *model_kind_find(const char *name)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (str_equal(kinds[i]->name, name)) return kinds[i];
    return NULL;
}

/* "vocab" as an object of pieces and ids, which three of the models have. */
status vocab_load_object(struct tokenizer *tok, const char *vocab, size_t n, struct err *err)
{
    struct json_reader r;
    struct json_number num;
    const char *key;
    size_t key_n;
    bool first = true;
    status st = ST_OK;

    if (!vocab) return FAIL(err, ST_FORMAT, "model.vocab: expected an object");
    TRY(vocab_reserve(&tok->vocab, n / 24, err));
    json_reader_init(&r, vocab, n, err);
    json_reader_enter(&r, '{');
    while (st == ST_OK && json_reader_member(&r, &first, &key, &key_n)) {
        char *copy = arena_strndup(&tok->arena, key, key_n);

        if (!copy)
            st = FAIL(err, ST_NOMEM, "model.vocab: no memory");
        else if (!json_reader_number(&r, &num))
            st = r.st;
        else if (num.is_double || num.is_big)
            st = FAIL(err, ST_FORMAT, "model.vocab: \"%.60s\": expected an id", copy);
        else
            st = vocab_add_borrowed(&tok->vocab, copy, key_n, num.integer, err);
    }
    if (st == ST_OK) st = r.st;
    json_reader_fini(&r);
    return st;
}
