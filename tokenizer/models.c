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
status vocab_each(const struct json_span *vocab, struct json_scan *scan, vocab_each_fn *fn,
                  void *user, struct err *err)
{
    struct json_reader r;
    struct json_number num;
    const char *key;
    size_t n;
    bool first = true;
    status st = ST_OK;

    if (!vocab->p) return FAIL(err, ST_FORMAT, "model.vocab: expected an object");
    json_reader_init(&r, vocab->p, vocab->n, err);
    json_reader_enter(&r, '{');
    while (st == ST_OK && json_reader_member_by(&r, &first, scan, &key, &n)) {
        int64_t id;

        if (json_reader_index(&r, &id))
            st = fn(user, key, n, id, err);
        else if (!json_reader_number(&r, &num))
            st = r.st;
        else if (num.is_double || num.is_big)
            st = FAIL(err, ST_FORMAT, "model.vocab: \"%.*s\": expected an id",
                      (int)(n < 60 ? n : 60), key);
        else
            st = fn(user, key, n, num.integer, err);
    }
    if (st == ST_OK) st = r.st;
    json_reader_fini(&r);
    return st;
}

static status put_piece(void *user, const char *piece, size_t n, int64_t id, struct err *err)
{
    return vocab_batch_add(user, piece, n, id, err);
}

status vocab_load_object(struct tokenizer *tok, const struct json_span *vocab, struct err *err)
{
    struct vocab_batch batch = { .vocab = &tok->vocab };

    TRY(vocab_reserve(&tok->vocab, vocab->items, err));
    TRY(vocab_each(vocab, NULL, put_piece, &batch, err));
    return vocab_batch_finish(&batch, err);
}
