/* SPDX-License-Identifier: MIT */
/* SentencePiece's model of whole words: what lies between two U+2581 is a piece, or unknown. Also
 * what it shares with BPE by text: the types of pieces, and what becomes of unknown text. */
#include "tokenizer/model_bpe.h"
#include "tokenizer/spm_models.h"
#include <stdlib.h>
#include <string.h>

/* ---- pieces and their characters ---- */

static int by_code_point(const void *x, const void *y)
{
    const int32_t a = *(const int32_t *)x, b = *(const int32_t *)y;

    return (a > b) - (a < b);
}

/* Characters of pieces that are in no vocabulary; returns how many, with repetitions. */
static size_t gather_chars(const struct tokenizer *tok, const struct spm_model *m, int32_t *out)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_pieces; i++) {
        const struct spm_piece *p = &m->pieces[i];

        if (p->type != SPM_NORMAL && p->type != SPM_UNUSED) continue;
        for (size_t at = 0; at < p->n;) {
            int32_t cp;
            const size_t used = uni_next(p->text + at, p->n - at, &cp);

            if (vocab_find(&tok->vocab, p->text + at, used) < 0) {
                if (out) out[n] = cp;
                n++;
            }
            at += used;
        }
    }
    return n;
}

static size_t unique(int32_t *chars, size_t n)
{
    size_t kept = 0;

    if (n) qsort(chars, n, sizeof *chars, by_code_point);
    for (size_t i = 0; i < n; i++)
        if (!kept || chars[kept - 1] != chars[i]) chars[kept++] = chars[i];
    return kept;
}

status spm_extra_create(struct tokenizer *tok, const struct spm_model *m, struct err *err)
{
    struct spm_extra *x = ARENA_NEW(&tok->arena, struct spm_extra);
    const size_t n = gather_chars(tok, m, NULL);
    int32_t *chars = ARENA_ARRAY(&tok->arena, n + 1, int32_t);
    uint8_t *types = ARENA_ARRAY(&tok->arena, m->n_pieces, uint8_t);

    if (!x || !chars || !types) return FAIL(err, ST_NOMEM, "pieces: no memory");
    gather_chars(tok, m, chars);
    for (size_t i = 0; i < m->n_pieces; i++) types[i] = (uint8_t)m->pieces[i].type;
    *x = (struct spm_extra){ types, m->n_pieces, chars, unique(chars, n) };
    tok->spm = x;
    return ST_OK;
}

int32_t spm_extra_char(const struct tokenizer *tok, const char *p, size_t n, int32_t cp)
{
    const struct spm_extra *x = tok->spm;
    const int32_t id = vocab_find(&tok->vocab, p, n);

    if (id >= 0) return id;
    const int32_t *at =
        x->n_chars ? bsearch(&cp, x->chars, x->n_chars, sizeof cp, by_code_point) : NULL;
    return (int32_t)(x->n_types + (at ? (size_t)(at - x->chars) : x->n_chars));
}

status spm_put_unknown(const struct tokenizer *tok, struct enc *e, struct piece in,
                       bool *after_unknown, struct err *err)
{
    const struct bpe *bpe = tok->bpe;
    bool bytes = bpe->byte_fallback;

    for (size_t i = 0; bytes && i < in.n; i++)
        bytes = bpe->fallback_ids[(unsigned char)in.p[i]] >= 0;
    if (bytes) {
        for (size_t i = 0; i < in.n; i++)
            TRY(enc_put(e, bpe->fallback_ids[(unsigned char)in.p[i]], err));
        return ST_OK;
    }
    if (*after_unknown) return ST_OK;
    *after_unknown = true;
    if (bpe->unk_id < 0) return FAIL(err, ST_INVALID, "SentencePiece: no piece is the unknown one");
    return enc_put(e, bpe->unk_id, err);
}

/* ---- words ---- */

/* Each U+2581 begins a word. */
static size_t word_end(struct piece in, size_t start)
{
    for (size_t i = start + 1; i < in.n; i++) {
        const char *at = memchr(in.p + i, METASPACE[0], in.n - i);

        if (!at) break;
        i = (size_t)(at - in.p);
        if (in.n - i >= METASPACE_N && memcmp(at, METASPACE, METASPACE_N) == 0) return i;
    }
    return in.n;
}

static status encode(const struct tokenizer *tok, struct enc *e, struct piece in, struct err *err)
{
    bool after_unknown = false;

    for (size_t start = 0, end; start < in.n; start = end) {
        end = word_end(in, start);
        const struct piece word = { in.p + start, end - start, false };
        const int32_t id = vocab_find(&tok->vocab, word.p, word.n);

        if (!spm_is_found(tok->spm, id)) {
            TRY(spm_put_unknown(tok, e, word, &after_unknown, err));
            continue;
        }
        after_unknown = false;
        TRY(enc_put(e, id, err));
    }
    return ST_OK;
}

const struct model_kind model_spm_word = { "SentencePiece words", NULL, encode, NULL };
