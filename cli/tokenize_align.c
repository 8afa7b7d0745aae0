/* SPDX-License-Identifier: MIT */
#include "cli/tokenize_show.h"
#include <string.h>

enum { AHEAD = 512 };

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Do the bytes stand at `at`? Letters may have lost their case. */
static bool stands(const struct str *text, size_t at, const char *p, size_t n)
{
    if (n > text->len - at) return false;
    for (size_t i = 0; i < n; i++)
        if (lower(text->data[at + i]) != lower(p[i])) return false;
    return true;
}

/* A place from `at` on, over blanks that were dropped, and without a blank that was added. */
static bool find_here(const struct str *text, size_t at, const char *p, size_t n, size_t *end)
{
    const size_t added = n > 1 && p[0] == ' ';
    size_t behind = at;

    while (behind < text->len && is_blank(text->data[behind])) behind++;
    if (stands(text, at, p, n))
        *end = at + n;
    else if (added && stands(text, at, p + 1, n - 1))
        *end = at + n - 1;
    else if (behind > at && n && stands(text, behind, p + added, n - added))
        *end = behind + n - added;
    else
        return false;
    return true;
}

/* The next place of a piece that lost its neighbour. */
static bool find_ahead(const struct str *text, size_t at, const char *p, size_t n, size_t *start)
{
    const size_t skip = n > 1 && p[0] == ' ';

    if (n == 0) return false;
    for (size_t i = at; i < text->len && i - at < AHEAD; i++) {
        if (!stands(text, i, p + skip, n - skip)) continue;
        *start = i;
        return true;
    }
    return false;
}

/* What was lost since token `first` shares [at, end). */
static void close_lost(struct placed_tokens *p, size_t first, size_t last, size_t at, size_t end)
{
    for (size_t i = first; i < last; i++) {
        p->items[i].start = i == first ? at : end;
        p->items[i].end = end;
        p->items[i].is_cut = i + 1 == last;
    }
}

static void place(const struct tokenizer *tok, const struct str *text, struct placed_tokens *p)
{
    const int32_t unk = tokenizer_unk_id(tok);
    size_t at = 0, lost = SIZE_MAX;

    for (size_t i = 0; i < p->n; i++) {
        struct placed_token *t = &p->items[i];
        const char *piece = str_cstr(&p->pieces) + t->piece;
        size_t end = at, start = at;

        const bool added = tokenizer_is_special(tok, t->id) && t->id != unk;
        const bool here =
            lost == SIZE_MAX && t->id != unk && find_here(text, at, piece, t->piece_n, &end);
        if (!here && lost != SIZE_MAX && t->id != unk &&
            find_ahead(text, at, piece, t->piece_n, &start)) {
            close_lost(p, lost, i, at, start);
            lost = SIZE_MAX;
            at = start;
            if (!find_here(text, at, piece, t->piece_n, &end)) end = at;
        } else if (!here && !(added && lost == SIZE_MAX)) {
            if (lost == SIZE_MAX) lost = i;
            continue;
        }
        t->start = at;
        t->end = at = end;
        t->is_cut = true;
    }
    if (lost != SIZE_MAX) close_lost(p, lost, p->n, at, text->len);
}

status place_tokens(const struct tokenizer *tok, const struct str *text, struct placed_tokens *out,
                    struct err *err)
{
    struct token_ids ids = { 0 };
    status st = tokenizer_encode(tok, str_cstr(text), text->len,
                                 TOK_ADD_SPECIAL | TOK_PARSE_SPECIAL, &ids, err);

    *out = (struct placed_tokens){ .n = ids.n };
    if (st == ST_OK && !(out->items = mem_calloc(ids.n + 1, sizeof *out->items)))
        st = FAIL(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; st == ST_OK && i < ids.n; i++) {
        out->items[i].id = ids.ids[i];
        out->items[i].piece = out->pieces.len;
        st = tokenizer_piece_bytes(tok, ids.ids[i], &out->pieces, err);
        out->items[i].piece_n = out->pieces.len - out->items[i].piece;
    }
    if (st == ST_OK) place(tok, text, out);
    token_ids_fini(&ids);
    return st;
}

void placed_tokens_fini(struct placed_tokens *p)
{
    mem_free(p->items);
    str_fini(&p->pieces);
}
