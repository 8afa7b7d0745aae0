/* SPDX-License-Identifier: MIT */
/* Encoding with BPE: a piece's symbols (bytes or characters), then the merges. */
#include "tokenizer/model_bpe.h"
#include "tokenizer/bpe_merge.h"
#include "tokenizer/word_cache.h"
#include <string.h>

static int32_t *scratch_for(struct enc *e, size_t n, void **merge_scratch, struct err *err)
{
    const size_t more = bpe_merge_scratch(e->tok->bpe, n);
    size_t bytes;

    *merge_scratch = NULL;
    if (more == SIZE_MAX || !checked_mul(n, sizeof(int32_t), &bytes) ||
        !checked_add(bytes, 16, &bytes)) {
        FAIL(err, ST_LIMIT, "BPE: a piece of %zu symbols is too long", n);
        return NULL;
    }
    bytes &= ~(size_t)15;
    char *p = enc_scratch(e, bytes + more);
    if (!p) {
        FAIL(err, ST_NOMEM, "BPE: no memory");
        return NULL;
    }
    *merge_scratch = p + bytes;
    return (int32_t *)(void *)p;
}

static status put_all(struct enc *e, const int32_t *ids, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) TRY(enc_put(e, ids[i], err));
    return ST_OK;
}

/* Does the piece with this id encode to itself alone? Found out once per id; threads that race
 * write the same answer. */
static bool is_whole(const struct bpe *bpe, int32_t id, const char *p, size_t n)
{
    enum { TRY_MAX = 32 };
    int32_t ids[TRY_MAX];
    const uint8_t known = bpe->whole[id];

    if (known) return known == 1;
    if (n > TRY_MAX) return false;
    for (size_t i = 0; i < n; i++)
        if ((ids[i] = bpe->byte_ids[(unsigned char)p[i]]) < 0) return false;
    const bool whole = bpe_merge(bpe, ids, n, NULL) == 1 && ids[0] == id;
    bpe->whole[id] = whole ? 1 : 2;
    return whole;
}

static status encode_raw(const struct bpe *bpe, struct enc *e, struct piece in, struct err *err)
{
    enum { STACK_MAX = 32 };
    int32_t few[STACK_MAX], *ids = few;
    void *merge_scratch = NULL;
    size_t n = 0;

    const int32_t id = vocab_find(&bpe->raw_vocab, in.p, in.n);
    if (id >= 0 && (bpe->ignore_merges || is_whole(bpe, id, in.p, in.n)))
        return enc_put(e, id, err);
    if (in.n > STACK_MAX && !(ids = scratch_for(e, in.n, &merge_scratch, err)))
        return err ? err->code : ST_NOMEM;
    for (size_t i = 0; i < in.n; i++) {
        const int32_t b = bpe->byte_ids[(unsigned char)in.p[i]];

        if (b >= 0)
            ids[n++] = b;
        else if (bpe->has_unk_name && bpe->unk_id >= 0 &&
                 !(bpe->fuse_unk && n && ids[n - 1] == bpe->unk_id))
            ids[n++] = bpe->unk_id;
    }
    n = bpe_merge(bpe, ids, n, merge_scratch);
    return put_all(e, ids, n, err);
}

/* The symbols of a piece as it is read. */
struct symbols {
    int32_t *ids;
    size_t n;
    bool unk_pending;
};

/* The character with the prefix and suffix of its place: `in` itself, or a text that lives until
 * the next call. */
static struct piece decorated(const struct bpe *bpe, struct enc *e, struct piece in, bool last)
{
    struct str *buf = &e->symbol_text;

    if ((in.first || !bpe->prefix) && (!last || !bpe->suffix)) return in;
    str_clear(buf);
    if (!in.first && bpe->prefix) str_put_n(buf, bpe->prefix, bpe->prefix_n);
    str_put_n(buf, in.p, in.n);
    if (last && bpe->suffix) str_put_n(buf, bpe->suffix, bpe->suffix_n);
    return (struct piece){ str_cstr(buf), buf->len, in.first };
}

static bool put_fallback(const struct bpe *bpe, struct symbols *s, const char *p, size_t n)
{
    if (!bpe->byte_fallback) return false;
    for (size_t i = 0; i < n; i++)
        if (bpe->fallback_ids[(unsigned char)p[i]] < 0) return false;
    for (size_t i = 0; i < n; i++) s->ids[s->n++] = bpe->fallback_ids[(unsigned char)p[i]];
    return true;
}

/* An unknown character waits, so that the next ones may be fused with it; byte tokens do not flush
 * it. That is the reference's order, odd as it is. */
static status put_unknown(const struct bpe *bpe, struct symbols *s, struct err *err)
{
    if (!bpe->has_unk_name) return ST_OK;
    if (bpe->unk_id < 0)
        return FAIL(err, ST_INVALID, "BPE: the unknown token is not in the vocabulary");
    if (s->unk_pending && !bpe->fuse_unk) s->ids[s->n++] = bpe->unk_id;
    s->unk_pending = true;
    return ST_OK;
}

static status read_symbols(const struct tokenizer *tok, struct enc *e, struct piece in,
                           struct symbols *s, struct err *err)
{
    const struct bpe *bpe = tok->bpe;

    for (size_t i = 0; i < in.n;) {
        int32_t cp;
        const size_t used = uni_next(in.p + i, in.n - i, &cp);
        struct piece symbol = { in.p + i, used, i == 0 };
        int32_t id;

        if (bpe->char_ids && cp < BPE_CHARS) {
            id = bpe->char_ids[cp];
        } else {
            symbol = decorated(bpe, e, symbol, i + used == in.n);
            if (e->symbol_text.failed) return FAIL(err, ST_NOMEM, "BPE: no memory");
            id = vocab_find(&tok->vocab, symbol.p, symbol.n);
        }
        if (id >= 0) {
            if (s->unk_pending) s->ids[s->n++] = bpe->unk_id;
            s->unk_pending = false;
            s->ids[s->n++] = id;
        } else if (!put_fallback(bpe, s, symbol.p, symbol.n)) {
            TRY(put_unknown(bpe, s, err));
        }
        i += used;
    }
    if (s->unk_pending) s->ids[s->n++] = bpe->unk_id;
    return ST_OK;
}

/* Symbols that n bytes may become; SIZE_MAX if too many. Byte tokens are made of a character's
 * prefix and suffix, too, as the reference does it. */
static size_t symbols_max(const struct bpe *bpe, size_t n)
{
    size_t max = n;

    if (!bpe->byte_fallback) return n + 1;
    if (bpe->prefix && (!checked_mul(n, bpe->prefix_n, &max) || !checked_add(max, n, &max)))
        return SIZE_MAX;
    if (bpe->suffix && !checked_add(max, bpe->suffix_n, &max)) return SIZE_MAX;
    return max < SIZE_MAX ? max + 1 : max;
}

/* One independent stretch of characters. */
static status encode_chars(const struct tokenizer *tok, struct enc *e, struct piece in,
                           struct err *err)
{
    enum { STACK_MAX = 32 };
    int32_t few[STACK_MAX];
    struct symbols s = { few, 0, false };
    void *merge_scratch = NULL;
    const size_t max = symbols_max(tok->bpe, in.n);

    if (max > STACK_MAX && !(s.ids = scratch_for(e, max, &merge_scratch, err)))
        return err ? err->code : ST_NOMEM;
    TRY(read_symbols(tok, e, in, &s, err));
    return put_all(e, s.ids, bpe_merge(tok->bpe, s.ids, s.n, merge_scratch), err);
}

/* Where the next word begins: at a metaspace that follows another character. */
static size_t word_end(struct piece in, size_t start)
{
    size_t i = start;

    while (in.n - i >= METASPACE_N && memcmp(in.p + i, METASPACE, METASPACE_N) == 0)
        i += METASPACE_N;
    while (i < in.n) {
        const char *at = memchr(in.p + i, METASPACE[0], in.n - i);

        if (!at) return in.n;
        i = (size_t)(at - in.p);
        if (in.n - i >= METASPACE_N && memcmp(at, METASPACE, METASPACE_N) == 0) return i;
        i++;
    }
    return in.n;
}

static status encode(const struct tokenizer *tok, struct enc *e, struct piece in, struct err *err)
{
    const struct bpe *bpe = tok->bpe;

    if (bpe->raw) return encode_raw(bpe, e, in, err);
    if (bpe->ignore_merges) {
        const int32_t id = vocab_find(&tok->vocab, in.p, in.n);
        if (id >= 0) return enc_put(e, id, err);
    }
    if (!bpe->cut_at_metaspace) return encode_chars(tok, e, in, err);
    for (size_t start = 0; start < in.n;) {
        const size_t end = word_end(in, start);

        TRY(word_cache_encode(e, (struct piece){ in.p + start, end - start, false }, encode_chars,
                              err));
        start = end;
    }
    return ST_OK;
}

const struct model_kind model_bpe = { "BPE", bpe_load, encode, NULL };
