/* SPDX-License-Identifier: MIT */
/* The two models that look whole words up: WordLevel (the word or the unknown token), and WordPiece
 * (greedy longest pieces from the left, or the unknown token for the whole word). */
#include "tokenizer/tok_internal.h"
#include <string.h>

struct wordpiece {
    int32_t unk_id; /* -1: the unknown token is not in the vocabulary */
    const char *prefix;
    size_t prefix_n;
    size_t chars_max;
    size_t piece_max; /* bytes of the longest piece */
};

static status load_common(struct tokenizer *tok, const struct jvalue *settings,
                          const struct json_span *vocab, const char *unk_default, struct err *err)
{
    const struct jvalue *unk = NULL;
    struct wordpiece *w = ARENA_NEW(&tok->arena, struct wordpiece);

    if (!w) return FAIL(err, ST_NOMEM, "model: no memory");
    tok->wordpiece = w;
    TRY(vocab_load_object(tok, vocab, err));
    TRY(jvalue_want_str(settings, "model", "unk_token", &unk, err));
    w->unk_id = unk ? vocab_find(&tok->vocab, unk->u.string.text, unk->u.string.n)
                    : vocab_find(&tok->vocab, unk_default, strlen(unk_default));
    for (size_t i = 0; i < tok->vocab.size; i++)
        if (tok->vocab.pieces[i].text && tok->vocab.pieces[i].n > w->piece_max)
            w->piece_max = tok->vocab.pieces[i].n;
    return ST_OK;
}

static status put_unknown(const struct tokenizer *tok, struct enc *e, struct err *err)
{
    if (tok->wordpiece->unk_id < 0)
        return FAIL(err, ST_INVALID, "%s: the unknown token is not in the vocabulary",
                    tok->kind->name);
    return enc_put(e, tok->wordpiece->unk_id, err);
}

/* ---- WordLevel ---- */

static status load_wordlevel(struct tokenizer *tok, const struct jvalue *settings,
                             const struct json_span *vocab, const struct json_span *merges,
                             struct err *err)
{
    (void)merges;
    tok->kind = &model_wordlevel;
    return load_common(tok, settings, vocab, "<unk>", err);
}

static status encode_wordlevel(const struct tokenizer *tok, struct enc *e, struct piece in,
                               struct err *err)
{
    const int32_t id = vocab_find(&tok->vocab, in.p, in.n);

    return id >= 0 ? enc_put(e, id, err) : put_unknown(tok, e, err);
}

const struct model_kind model_wordlevel = { "WordLevel", load_wordlevel, encode_wordlevel, NULL };

/* ---- WordPiece ---- */

static status load_wordpiece(struct tokenizer *tok, const struct jvalue *settings,
                             const struct json_span *vocab, const struct json_span *merges,
                             struct err *err)
{
    const struct jvalue *prefix = NULL;
    int64_t chars_max = 100;

    (void)merges;
    tok->kind = &model_wordpiece;
    TRY(load_common(tok, settings, vocab, "[UNK]", err));
    TRY(jvalue_want_str(settings, "model", "continuing_subword_prefix", &prefix, err));
    TRY(jvalue_want_int(settings, "model", "max_input_chars_per_word", 0, INT32_MAX, &chars_max,
                        err));
    tok->wordpiece->prefix = prefix ? prefix->u.string.text : "##";
    tok->wordpiece->prefix_n = prefix ? prefix->u.string.n : 2;
    tok->wordpiece->chars_max = (size_t)chars_max;
    return ST_OK;
}

/* The longest piece at `start`; its end in *end, -1 if there is none. buf holds prefix and word. */
static int32_t longest(const struct tokenizer *tok, const char *buf, size_t n, size_t start,
                       size_t *end)
{
    const struct wordpiece *w = tok->wordpiece;
    const size_t lead = start ? w->prefix_n : 0;
    size_t stop = n;

    if (stop - start > w->piece_max) stop = start + w->piece_max;
    for (; stop > start; stop--) {
        if (stop < n && ((unsigned char)buf[w->prefix_n + stop] & 0xC0) == 0x80) continue;
        const int32_t id =
            vocab_find(&tok->vocab, buf + w->prefix_n + start - lead, stop - start + lead);
        if (id >= 0) {
            *end = stop;
            return id;
        }
    }
    return -1;
}

/* The prefix is written over what stands before `start`, so that each trial is one look-up without
 * copying. */
static status encode_wordpiece(const struct tokenizer *tok, struct enc *e, struct piece in,
                               struct err *err)
{
    const struct wordpiece *w = tok->wordpiece;
    const size_t before = e->out->n;
    size_t chars = 0;

    for (size_t i = 0; i < in.n; i++) chars += ((unsigned char)in.p[i] & 0xC0) != 0x80;
    if (chars > w->chars_max) return put_unknown(tok, e, err);
    char *buf = enc_scratch(e, in.n + w->prefix_n + 1);
    if (!buf) return FAIL(err, ST_NOMEM, "WordPiece: no memory");
    memcpy(buf + w->prefix_n, in.p, in.n);
    for (size_t start = 0, end; start < in.n; start = end) {
        if (start) memcpy(buf + start, w->prefix, w->prefix_n);
        const int32_t id = longest(tok, buf, in.n, start, &end);
        if (id < 0) {
            e->out->n = before;
            return put_unknown(tok, e, err);
        }
        TRY(enc_put(e, id, err));
    }
    return ST_OK;
}

const struct model_kind model_wordpiece = { "WordPiece", load_wordpiece, encode_wordpiece, NULL };
