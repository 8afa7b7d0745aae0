/* SPDX-License-Identifier: MIT */
/* The search behind token_heal.h: once through the vocabulary, as only a request that forces a tool
 * call needs it. */
#include "server/token_heal.h"
#include <string.h>

/* The longest end of text[0..n) with which the piece begins that then goes on with a byte of
 * `next`; `least` if that is longer. */
static size_t open_end(const struct str *piece, const char *text, size_t n, const char *next,
                       size_t least)
{
    for (size_t k = piece->len > n ? n : piece->len - 1; k > least; k--) {
        const char byte = piece->data[k];
        if (byte != '\0' && strchr(next, byte) && memcmp(text + n - k, piece->data, k) == 0)
            return k;
    }
    return least;
}

/* Bytes at the end of the text that may be the beginning of a token. */
static status open_bytes(const struct tokenizer *tok, const char *text, size_t n, const char *next,
                         size_t *out)
{
    const size_t size = tokenizer_vocab_size(tok);
    struct str piece = { 0 };
    status st = ST_OK;

    *out = 0;
    for (size_t id = 0; st == ST_OK && id < size; id++) {
        str_clear(&piece);
        st = tokenizer_piece_bytes(tok, (int32_t)id, &piece, NULL);
        if (piece.len == 0 || tokenizer_is_special(tok, (int32_t)id)) continue;
        *out = open_end(&piece, text, n, next, *out);
    }
    str_fini(&piece);
    return st;
}

status token_heal(const struct tokenizer *tok, struct token_ids *ids, const char *text, size_t n,
                  const char *next, size_t *kept)
{
    struct str piece = { 0 };
    size_t open, left = n, n_ids = ids->n;

    *kept = n;
    status st = open_bytes(tok, text, n, next, &open);
    while (st == ST_OK && n - left < open) {
        str_clear(&piece);
        if (n_ids > 0) st = tokenizer_piece_bytes(tok, ids->ids[--n_ids], &piece, NULL);
        if (piece.len == 0 || piece.len > left ||
            memcmp(text + left - piece.len, piece.data, piece.len) != 0)
            break;
        left -= piece.len;
    }
    if (st == ST_OK && n - left >= open) {
        ids->n = n_ids;
        *kept = left;
    }
    str_fini(&piece);
    return st;
}
