/* SPDX-License-Identifier: MIT */
/* The two models that look whole words up: WordLevel (the word or the unknown token), and WordPiece
 * (greedy longest pieces from the left, or the unknown token for the whole word). */
#include "tokenizer/tok_internal.h"
#include "tokenizer/trie.h"
#include <string.h>

struct wordpiece {
    int32_t unk_id; /* -1: the unknown token is not in the vocabulary */
    const char *prefix;
    size_t prefix_n;
    size_t chars_max;
    /* WordPiece's pieces, so that looking for the longest one reads no byte twice: a word costs at
     * most its bytes times the longest piece, whatever max_input_chars_per_word allows. */
    struct trie trie;
    uint32_t tail; /* where the prefix leads to: 0 nowhere, unless it is empty */
};

enum { WORDPIECE_MAX = 1024 };

/* The vocabulary as it is read. */
struct words {
    struct wordpiece *w;
    struct vocab_batch batch;
    bool in_trie;
};

static status put_word(void *user, const char *piece, size_t n, int64_t id, struct err *err)
{
    struct words *words = user;

    if (words->in_trie && n > WORDPIECE_MAX)
        return FAIL(err, ST_LIMIT, "model.vocab: \"%.40s…\": a piece of %zu bytes (at most %d)",
                    piece, n, WORDPIECE_MAX);
    TRY(vocab_batch_add(&words->batch, piece, n, id, err));
    return words->in_trie ? trie_put(&words->w->trie, piece, n, (int32_t)id, true, err) : ST_OK;
}

static status load_words(struct tokenizer *tok, const struct json_span *vocab, bool in_trie,
                         struct err *err)
{
    struct words words = { tok->wordpiece, { .vocab = &tok->vocab }, in_trie };

    TRY(vocab_reserve(&tok->vocab, vocab->items, err));
    if (in_trie) TRY(trie_reserve(&tok->wordpiece->trie, vocab->items * 4, err));
    TRY(vocab_each(vocab, NULL, put_word, &words, err));
    return vocab_batch_finish(&words.batch, err);
}

static status load_common(struct tokenizer *tok, const struct jvalue *settings,
                          const struct json_span *vocab, const char *unk_default, bool in_trie,
                          struct err *err)
{
    const struct jvalue *unk = NULL;
    struct wordpiece *w = ARENA_NEW(&tok->arena, struct wordpiece);

    if (!w) return FAIL(err, ST_NOMEM, "model: no memory");
    tok->wordpiece = w;
    w->trie.arena = &tok->arena;
    TRY(load_words(tok, vocab, in_trie, err));
    TRY(jvalue_want_str(settings, "model", "unk_token", &unk, err));
    w->unk_id = unk ? vocab_find(&tok->vocab, unk->u.string.text, unk->u.string.n)
                    : vocab_find(&tok->vocab, unk_default, strlen(unk_default));
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
    return load_common(tok, settings, vocab, "<unk>", false, err);
}

static status encode_wordlevel(const struct tokenizer *tok, struct enc *e, struct piece in,
                               struct err *err)
{
    const int32_t id = vocab_find(&tok->vocab, in.p, in.n);

    return id >= 0 ? enc_put(e, id, err) : put_unknown(tok, e, err);
}

const struct model_kind model_wordlevel = { "WordLevel", load_wordlevel, encode_wordlevel, NULL };

/* ---- WordPiece ---- */

/* Where the prefix of later pieces leads to. */
static uint32_t find_tail(const struct wordpiece *w)
{
    uint32_t node = 0;

    for (size_t i = 0; i < w->prefix_n; i++) {
        node = trie_step(&w->trie, node, (unsigned char)w->prefix[i]);
        if (!node) break;
    }
    return node;
}

static status load_wordpiece(struct tokenizer *tok, const struct jvalue *settings,
                             const struct json_span *vocab, const struct json_span *merges,
                             struct err *err)
{
    const struct jvalue *prefix = NULL;
    int64_t chars_max = 100;

    (void)merges;
    tok->kind = &model_wordpiece;
    TRY(load_common(tok, settings, vocab, "[UNK]", true, err));
    TRY(jvalue_want_str(settings, "model", "continuing_subword_prefix", &prefix, err));
    TRY(jvalue_want_int(settings, "model", "max_input_chars_per_word",
                        (struct int_range){ 0, INT32_MAX }, &chars_max, err));
    tok->wordpiece->prefix = prefix ? prefix->u.string.text : "##";
    tok->wordpiece->prefix_n = prefix ? prefix->u.string.n : 2;
    tok->wordpiece->chars_max = (size_t)chars_max;
    tok->wordpiece->tail = find_tail(tok->wordpiece);
    return ST_OK;
}

/* The longest piece at `start`; its end in *end, -1 if there is none. */
static int32_t longest(const struct wordpiece *w, struct enc *e, struct piece in, size_t start,
                       size_t *end)
{
    uint32_t node = start ? w->tail : 0;
    int32_t id = -1;
    size_t i = start;

    if (start && w->prefix_n && !node) return -1;
    for (; i < in.n && (node = trie_step(&w->trie, node, (unsigned char)in.p[i])) != 0; i++) {
        if (w->trie.values[node] < 0) continue;
        if (i + 1 < in.n && ((unsigned char)in.p[i + 1] & 0xC0) == 0x80) continue;
        id = w->trie.values[node];
        *end = i + 1;
    }
    e->steps += i - start + 1;
    return id;
}

static status encode_wordpiece(const struct tokenizer *tok, struct enc *e, struct piece in,
                               struct err *err)
{
    const struct wordpiece *w = tok->wordpiece;
    const size_t before = e->out->n;
    size_t chars = 0;

    for (size_t i = 0; i < in.n; i++) chars += ((unsigned char)in.p[i] & 0xC0) != 0x80;
    if (chars > w->chars_max) return put_unknown(tok, e, err);
    /* most words are one piece, which takes one look-up */
    const int32_t whole = in.n <= WORDPIECE_MAX ? vocab_find(&tok->vocab, in.p, in.n) : -1;
    if (whole >= 0) return enc_put(e, whole, err);
    for (size_t start = 0, end = 0; start < in.n; start = end) {
        const int32_t id = longest(w, e, in, start, &end);
        if (id < 0) {
            e->out->n = before;
            return put_unknown(tok, e, err);
        }
        TRY(enc_put(e, id, err));
    }
    return ST_OK;
}

const struct model_kind model_wordpiece = { "WordPiece", load_wordpiece, encode_wordpiece, NULL };
