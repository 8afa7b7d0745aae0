/* SPDX-License-Identifier: MIT */
/* Encoding with an upper bound: what is too long loses the end of its text, never the special
 * tokens round it. */
#include "tokenizer/tokenizer.h"
#include <string.h>

/* Where plain[0..n) stands within all[0..n_all); n_all when it does not. */
static size_t find_plain(const int32_t *all, size_t n_all, const int32_t *plain, size_t n)
{
    for (size_t at = 0; at + n <= n_all; at++)
        if (memcmp(all + at, plain, n * sizeof *plain) == 0) return at;
    return n_all;
}

/* Cuts `too_many` ids off the end of the text in ids[0..n): the text's own ids are plain. */
static size_t cut_text(int32_t *ids, size_t n, const struct token_ids *plain, size_t too_many)
{
    const size_t at = find_plain(ids, n, plain->ids, plain->n);

    if (at == n || too_many > plain->n) return n - too_many; /* nothing round the text is known */
    const size_t end = at + plain->n;
    memmove(ids + end - too_many, ids + end, (n - end) * sizeof *ids);
    return n - too_many;
}

status tokenizer_encode_within(const struct tokenizer *tok, const char *text, size_t n,
                               struct token_limit *limit, struct token_ids *out, struct err *err)
{
    struct token_ids plain = { 0 };
    const size_t before = out->n, max = limit->max;

    TRY(tokenizer_encode(tok, text, n, TOK_ADD_SPECIAL | TOK_PARSE_SPECIAL, out, err));
    const size_t got = limit->whole = out->n - before;
    if (max == 0 || got <= max) return ST_OK;
    const status st = tokenizer_encode(tok, text, n, TOK_PARSE_SPECIAL, &plain, err);
    out->n = before + (st == ST_OK ? cut_text(out->ids + before, got, &plain, got - max) : 0);
    token_ids_fini(&plain);
    return st;
}
