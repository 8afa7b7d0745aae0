/* SPDX-License-Identifier: MIT */
/* SentencePiece's BPE where pieces are unused or made of characters outside the vocabulary. It
 * merges texts and not ids: characters that are no pieces merge, too, and so do unused pieces,
 * which are taken apart again at the end - into the two parts that were last seen side by side
 * anywhere in the text. (All other files run as model_bpe.c, which gives the same for them.) */
#include "tokenizer/bpe_merge.h"
#include "tokenizer/spm_models.h"

/* One text under way. */
struct text {
    const struct tokenizer *tok;
    struct enc *e;
    int32_t *ids;            /* [chars], then [left] */
    int32_t *stack;          /* [chars] */
    struct bpe_parts *parts; /* [n_types] */
    const char *at;          /* what the next id stands for */
    size_t rest;             /* bytes from there on */
    bool after_unknown;
};

static size_t aligned(size_t n) { return (n + 15) & ~(size_t)15; }

/* Room for n characters; *merge_scratch behind it. */
static status make_room(struct text *t, size_t n, void **merge_scratch, struct err *err)
{
    const size_t pieces = t->tok->spm->n_types;

    if (n >= UINT32_MAX / 4)
        return FAIL(err, ST_LIMIT, "BPE: a text of %zu characters is too long", n);
    const size_t ids = aligned(n * sizeof *t->ids), parts = aligned(pieces * sizeof *t->parts);
    char *p = enc_scratch(t->e, 2 * ids + parts + bpe_heap_scratch(n));
    if (!p) return FAIL(err, ST_NOMEM, "BPE: no memory");
    t->ids = (int32_t *)(void *)p;
    t->stack = (int32_t *)(void *)(p + ids);
    t->parts = (struct bpe_parts *)(void *)(p + 2 * ids);
    *merge_scratch = p + 2 * ids + parts;
    return ST_OK;
}

static size_t bytes_of(const struct text *t, int32_t id)
{
    const struct vocab_piece *p =
        (size_t)id < t->tok->spm->n_types ? vocab_piece_of(&t->tok->vocab, id) : NULL;
    int32_t cp;

    return p && p->n <= t->rest ? p->n : uni_next(t->at, t->rest, &cp);
}

static status put_one(struct text *t, int32_t id, struct err *err)
{
    const struct piece in = { t->at, bytes_of(t, id), false };

    t->at += in.n;
    t->rest -= in.n;
    if (!spm_is_found(t->tok->spm, id))
        return spm_put_unknown(t->tok, t->e, in, &t->after_unknown, err);
    t->after_unknown = false;
    return enc_put(t->e, id, err);
}

/* Was the piece made of two others, and is it to be taken apart? */
static bool comes_apart(const struct text *t, int32_t id)
{
    const struct spm_extra *x = t->tok->spm;
    int32_t cp;

    if ((size_t)id >= x->n_types || x->types[id] != SPM_UNUSED) return false;
    const struct vocab_piece *p = vocab_piece_of(&t->tok->vocab, id);
    return p && p->n && uni_next(p->text, p->n, &cp) < p->n;
}

/* Each part is shorter than what it is a part of, so the stack never holds more than the characters
 * of one piece. */
static status put_parts(struct text *t, int32_t whole, struct err *err)
{
    size_t n = 0;

    t->stack[n++] = whole;
    while (n) {
        const int32_t id = t->stack[--n];

        if (comes_apart(t, id)) {
            t->stack[n++] = t->parts[id].right;
            t->stack[n++] = t->parts[id].left;
        } else {
            TRY(put_one(t, id, err));
        }
    }
    return ST_OK;
}

static status encode(const struct tokenizer *tok, struct enc *e, struct piece in, struct err *err)
{
    struct text t = { .tok = tok, .e = e, .at = in.p, .rest = in.n };
    void *merge_scratch = NULL;
    size_t n = 0;

    TRY(make_room(&t, in.n, &merge_scratch, err));
    for (size_t i = 0; i < in.n;) {
        int32_t cp;
        const size_t used = uni_next(in.p + i, in.n - i, &cp);

        t.ids[n++] = spm_extra_char(tok, in.p + i, used, cp);
        i += used;
    }
    n = bpe_merge_recorded(tok->bpe, t.ids, n, merge_scratch, t.parts);
    for (size_t i = 0; i < n; i++) TRY(put_parts(&t, t.ids[i], err));
    return ST_OK;
}

const struct model_kind model_spm_bpe = { "SentencePiece BPE", NULL, encode, NULL };
