/* SPDX-License-Identifier: MIT */
#include "tokenizer/word_cache.h"
#include <string.h>

enum { BYTES_MAX = 30, IDS_MAX = 8, TEXT_MIN = 2048, WORDS_MIN = 64, WORDS_MAX = 4096 };

/* A cache line. */
struct word {
    uint8_t n, n_ids; /* n 0: empty */
    char bytes[BYTES_MAX];
    int32_t ids[IDS_MAX];
};

void word_cache_init(struct enc *e, size_t n)
{
    size_t words = WORDS_MIN;

    if (n < TEXT_MIN) return;
    while (words < WORDS_MAX && words < n / 32) words *= 2;
    e->words = mem_calloc(words, sizeof *e->words);
    e->n_words = e->words ? words : 0;
}

void word_cache_fini(struct enc *e) { mem_free(e->words); }

static status put(struct enc *e, const struct word *w, struct err *err)
{
    for (size_t i = 0; i < w->n_ids; i++) TRY(enc_put(e, w->ids[i], err));
    return ST_OK;
}

status word_cache_encode(struct enc *e, struct piece in,
                         status (*encode)(const struct tokenizer *tok, struct enc *e,
                                          struct piece in, struct err *err),
                         struct err *err)
{
    const size_t before = e->out->n;

    if (in.n > BYTES_MAX || in.n == 0 || !e->n_words) return encode(e->tok, e, in, err);
    const uint64_t h = hash_bytes(in.p, in.n, e->tok->vocab.seed);
    struct word *w = &e->words[(h ^ h >> 32) & (e->n_words - 1)];
    if (w->n == in.n && memcmp(w->bytes, in.p, in.n) == 0) return put(e, w, err);
    TRY(encode(e->tok, e, in, err));
    const size_t n_ids = e->out->n - before;
    if (n_ids > IDS_MAX) return ST_OK;
    w->n = (uint8_t)in.n;
    w->n_ids = (uint8_t)n_ids;
    memcpy(w->bytes, in.p, in.n);
    memcpy(w->ids, e->out->ids + before, n_ids * sizeof *w->ids);
    return ST_OK;
}
