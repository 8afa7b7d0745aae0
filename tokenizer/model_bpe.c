/* SPDX-License-Identifier: MIT */
#include "tokenizer/model_bpe.h"
#include "tokenizer/bpe_merge.h"
#include <stdio.h>
#include <string.h>

/* U+2581, SentencePiece's space. */
#define METASPACE "\xE2\x96\x81"

enum { METASPACE_N = 3 };

/* ---- loading ---- */

status bpe_create(struct tokenizer *tok, struct err *err)
{
    struct bpe *bpe = ARENA_NEW(&tok->arena, struct bpe);

    if (!bpe) return FAIL(err, ST_NOMEM, "BPE: no memory");
    bpe->seed = hash_process_seed() | 1;
    bpe->unk_id = -1;
    for (size_t i = 0; i < 256; i++) bpe->fallback_ids[i] = bpe->byte_ids[i] = -1;
    bpe->raw_vocab.arena = &tok->arena;
    tok->bpe = bpe;
    tok->kind = &model_bpe;
    return ST_OK;
}

status bpe_reserve(struct tokenizer *tok, size_t n, struct err *err)
{
    struct bpe *bpe = tok->bpe;
    size_t slots = 64;

    if (n > VOCAB_IDS_MAX) return FAIL(err, ST_LIMIT, "BPE: more than %d merges", VOCAB_IDS_MAX);
    while (slots < n * 2) slots *= 2;
    if (slots <= bpe->n_slots) return ST_OK;
    struct bpe_merge *merges = ARENA_ARRAY(&tok->arena, slots, struct bpe_merge),
                     *old = bpe->merges;
    if (!merges) return FAIL(err, ST_NOMEM, "BPE: no memory");
    const size_t n_old = bpe->n_slots;
    bpe->merges = merges;
    bpe->n_slots = slots;
    bpe->n_merges = 0;
    for (size_t i = 0; i < n_old; i++)
        if (old[i].key)
            TRY(bpe_put(tok, (int32_t)((old[i].key - 1) >> 32), (int32_t)(uint32_t)(old[i].key - 1),
                        old[i].rank, old[i].id, err));
    return ST_OK;
}

status bpe_put(struct tokenizer *tok, int32_t left, int32_t right, uint32_t rank, int32_t id,
               struct err *err)
{
    struct bpe *bpe = tok->bpe;

    if ((bpe->n_merges + 1) * 2 > bpe->n_slots) TRY(bpe_reserve(tok, (bpe->n_merges + 1) * 2, err));
    const uint64_t key = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) + 1;
    uint64_t h = key * bpe->seed;
    h ^= h >> 29;
    h *= 0x9E3779B97F4A7C15u;
    size_t at = (size_t)(h >> 32) & (bpe->n_slots - 1);
    while (bpe->merges[at].key && bpe->merges[at].key != key) at = (at + 1) & (bpe->n_slots - 1);
    if (!bpe->merges[at].key) bpe->n_merges++;
    bpe->merges[at] = (struct bpe_merge){ key, rank, id };
    return ST_OK;
}

/* One merge given as its two pieces. */
static status put_pieces(struct tokenizer *tok, const char *a, size_t a_n, const char *b,
                         size_t b_n, uint32_t rank, struct str *joined, struct err *err)
{
    const struct bpe *bpe = tok->bpe;
    const int32_t left = vocab_find(&tok->vocab, a, a_n), right = vocab_find(&tok->vocab, b, b_n);

    if (left < 0 || right < 0)
        return FAIL(err, ST_FORMAT, "model.merges[%u]: \"%.*s\" is not in the vocabulary", rank,
                    (int)(left < 0 ? a_n : b_n) > 100 ? 100 : (int)(left < 0 ? a_n : b_n),
                    left < 0 ? a : b);
    const size_t skip = bpe->prefix && b_n >= bpe->prefix_n ? bpe->prefix_n : 0;
    str_clear(joined);
    str_put_n(joined, a, a_n);
    str_put_n(joined, b + skip, b_n - skip);
    if (joined->failed) return FAIL(err, ST_NOMEM, "BPE: no memory");
    /* merges mostly stand in the order of the ids they make */
    const int64_t guess = (int64_t)bpe->last_id + 1;
    const int32_t id = vocab_is(&tok->vocab, guess, joined->data, joined->len)
                           ? (int32_t)guess
                           : vocab_find(&tok->vocab, joined->data, joined->len);
    if (id < 0)
        return FAIL(err, ST_FORMAT, "model.merges[%u]: the merged piece is not in the vocabulary",
                    rank);
    tok->bpe->last_id = id;
    return bpe_put(tok, left, right, rank, id, err);
}

/* "a b": the blank that parts the two. */
static status put_line(struct tokenizer *tok, const char *line, size_t n, uint32_t rank,
                       struct str *joined, struct err *err)
{
    const char *blank = memchr(line, ' ', n);

    if (!blank || memchr(blank + 1, ' ', n - (size_t)(blank + 1 - line)))
        return FAIL(err, ST_FORMAT, "model.merges[%u]: expected two pieces with a blank between",
                    rank);
    const size_t a_n = (size_t)(blank - line);
    return put_pieces(tok, line, a_n, blank + 1, n - a_n - 1, rank, joined, err);
}

/* ["a", "b"]; the first piece is copied, since reading the second may overwrite it. */
static status put_pair(struct tokenizer *tok, struct json_reader *r, uint32_t rank,
                       struct str bufs[2], struct err *err)
{
    const char *text;
    size_t n;
    bool first = true;

    if (!json_reader_enter(r, '[')) return r->st;
    if (!json_reader_item(r, &first) || !json_reader_string(r, &text, &n))
        return r->st != ST_OK ? r->st
                              : FAIL(err, ST_FORMAT, "model.merges[%u]: expected two pieces", rank);
    str_clear(&bufs[0]);
    str_put_n(&bufs[0], text, n);
    if (!json_reader_item(r, &first) || !json_reader_string(r, &text, &n))
        return r->st != ST_OK ? r->st
                              : FAIL(err, ST_FORMAT, "model.merges[%u]: expected two pieces", rank);
    TRY(put_pieces(tok, str_cstr(&bufs[0]), bufs[0].len, text, n, rank, &bufs[1], err));
    if (json_reader_item(r, &first))
        return FAIL(err, ST_FORMAT, "model.merges[%u]: expected two pieces", rank);
    return r->st;
}

static status read_merges(struct tokenizer *tok, struct json_reader *r, struct str bufs[2],
                          struct err *err)
{
    bool first = true;
    uint32_t rank = 0;

    if (!json_reader_enter(r, '[')) return r->st;
    while (json_reader_item(r, &first)) {
        const char *text;
        size_t n;

        if (json_reader_peek(r) == '[') {
            TRY(put_pair(tok, r, rank, bufs, err));
        } else {
            if (!json_reader_string(r, &text, &n)) return r->st;
            if (!(rank == 0 && n >= 8 && memcmp(text, "#version", 8) == 0))
                TRY(put_line(tok, text, n, rank, &bufs[1], err));
        }
        rank++;
    }
    return r->st;
}

static status load_merges(struct tokenizer *tok, const char *merges, size_t n, struct err *err)
{
    struct json_reader r;
    struct str bufs[2] = { 0 };

    if (!merges) return ST_OK;
    TRY(bpe_reserve(tok, tok->vocab.count, err));
    json_reader_init(&r, merges, n, err);
    const status st = read_merges(tok, &r, bufs, err);
    json_reader_fini(&r);
    str_fini(&bufs[0]);
    str_fini(&bufs[1]);
    return st;
}

static status load_affix(const struct jvalue *settings, const char *key, const char **text,
                         size_t *n, struct err *err)
{
    const struct jvalue *v = NULL;

    TRY(jvalue_want_str(settings, "model", key, &v, err));
    if (v && v->u.string.n) {
        *text = v->u.string.text;
        *n = v->u.string.n;
    }
    return ST_OK;
}

void bpe_find_fallbacks(struct tokenizer *tok)
{
    for (unsigned b = 0; b < 256; b++) {
        char name[8];

        snprintf(name, sizeof name, "<0x%02X>", b);
        tok->bpe->fallback_ids[b] = vocab_find(&tok->vocab, name, 6);
    }
}

static status load(struct tokenizer *tok, const struct jvalue *settings, const char *vocab,
                   size_t vocab_n, const char *merges, size_t merges_n, struct err *err)
{
    const struct jvalue *unk = NULL;

    TRY(bpe_create(tok, err));
    struct bpe *bpe = tok->bpe;
    TRY(jvalue_want_str(settings, "model", "unk_token", &unk, err));
    TRY(jvalue_want_bool(settings, "model", "fuse_unk", &bpe->fuse_unk, err));
    TRY(jvalue_want_bool(settings, "model", "byte_fallback", &bpe->byte_fallback, err));
    TRY(jvalue_want_bool(settings, "model", "ignore_merges", &bpe->ignore_merges, err));
    TRY(load_affix(settings, "continuing_subword_prefix", &bpe->prefix, &bpe->prefix_n, err));
    TRY(load_affix(settings, "end_of_word_suffix", &bpe->suffix, &bpe->suffix_n, err));
    TRY(vocab_load_object(tok, vocab, vocab_n, err));
    TRY(load_merges(tok, merges, merges_n, err));
    bpe->has_unk_name = unk != NULL;
    if (unk) bpe->unk_id = vocab_find(&tok->vocab, unk->u.string.text, unk->u.string.n);
    bpe_find_fallbacks(tok);
    return ST_OK;
}

/* Every piece that is the concatenation of two others is a merge whose rank is its id. */
status bpe_merges_from_ranks(struct tokenizer *tok, struct err *err)
{
    TRY(bpe_reserve(tok, tok->vocab.count * 2, err));
    for (size_t id = 0; id < tok->vocab.size; id++) {
        const struct vocab_piece *p = vocab_piece_of(&tok->vocab, (int64_t)id);

        if (!p) continue;
        for (size_t cut = 1; cut < p->n; cut++) {
            const int32_t a = vocab_find(&tok->vocab, p->text, cut);
            if (a < 0) continue;
            const int32_t b = vocab_find(&tok->vocab, p->text + cut, p->n - cut);
            if (b >= 0) TRY(bpe_put(tok, a, b, (uint32_t)id, (int32_t)id, err));
        }
    }
    return ST_OK;
}

status bpe_use_raw(struct tokenizer *tok, bool mapped, struct err *err)
{
    struct bpe *bpe = tok->bpe;
    struct str bytes = { 0 };
    status st = vocab_reserve(&bpe->raw_vocab, tok->vocab.count, err);
    size_t n_pieces = 0;

    for (size_t id = 0; id < tok->vocab.size; id++)
        n_pieces += vocab_piece_of(&tok->vocab, (int64_t)id) != NULL;
    const bool twins = n_pieces != tok->vocab.count; /* one piece under two ids: the last counts */
    bpe->raw = true;
    for (size_t id = 0; st == ST_OK && id < tok->vocab.size; id++) {
        const struct vocab_piece *p = vocab_piece_of(&tok->vocab, (int64_t)id);

        if (!p || (twins && vocab_find(&tok->vocab, p->text, p->n) != (int32_t)id)) continue;
        if (!mapped) {
            st = vocab_add_borrowed(&bpe->raw_vocab, p->text, p->n, (int64_t)id, err);
            continue;
        }
        str_clear(&bytes);
        if (byte_level_unmap(&bytes, p->text, p->n))
            st = vocab_add(&bpe->raw_vocab, str_cstr(&bytes), bytes.len, (int64_t)id, err);
    }
    str_fini(&bytes);
    for (unsigned b = 0; b < 256; b++) {
        const char byte = (char)b;
        bpe->byte_ids[b] = vocab_find(&bpe->raw_vocab, &byte, 1);
    }
    return st;
}

/* No merge may join something to a following metaspace, except metaspaces to each other. */
static bool merges_keep_words(const struct tokenizer *tok)
{
    for (size_t i = 0; i < tok->bpe->n_slots; i++) {
        const struct bpe_merge *m = &tok->bpe->merges[i];

        if (!m->key) continue;
        const struct vocab_piece *a = vocab_piece_of(&tok->vocab, (int64_t)((m->key - 1) >> 32));
        const struct vocab_piece *b = vocab_piece_of(&tok->vocab, (int64_t)(uint32_t)(m->key - 1));
        if (!a || !b) return false;
        const bool a_ends = a->n >= METASPACE_N &&
                            memcmp(a->text + a->n - METASPACE_N, METASPACE, METASPACE_N) == 0;
        if (b->n >= METASPACE_N && memcmp(b->text, METASPACE, METASPACE_N) == 0 && !a_ends)
            return false;
    }
    return true;
}

status bpe_finish(struct tokenizer *tok, struct err *err)
{
    struct bpe *bpe = tok->bpe;

    if (!bpe->n_slots) TRY(bpe_reserve(tok, 1, err));
    bpe->n_whole = tok->vocab.size;
    bpe->whole = arena_alloc(&tok->arena, bpe->n_whole + 1);
    if (!bpe->whole) return FAIL(err, ST_NOMEM, "BPE: no memory");
    bpe->cut_at_metaspace = !bpe->raw && !bpe->prefix && !bpe->suffix && !bpe->fuse_unk &&
                            !bpe->has_unk_name && merges_keep_words(tok);
    if (!bpe->raw && !bpe->prefix && !bpe->suffix && bpe->byte_fallback && merges_keep_words(tok)) {
        /* with all byte tokens there nothing is ever unknown, so words are independent */
        bpe->cut_at_metaspace = true;
        for (unsigned b = 0; b < 256; b++)
            if (bpe->fallback_ids[b] < 0) bpe->cut_at_metaspace = false;
    }
    return ST_OK;
}

/* ---- encoding ---- */

static int32_t *scratch_for(struct enc *e, size_t n, void **merge_scratch, struct err *err)
{
    const size_t more = bpe_merge_scratch(n);
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

static int32_t symbol_of(const struct tokenizer *tok, struct enc *e, const char *p, size_t n,
                         bool first, bool last)
{
    const struct bpe *bpe = tok->bpe;
    struct str *buf = &e->symbol_text;
    const size_t before = buf->len;

    if ((first || !bpe->prefix) && (!last || !bpe->suffix)) return vocab_find(&tok->vocab, p, n);
    if (!first && bpe->prefix) str_put_n(buf, bpe->prefix, bpe->prefix_n);
    str_put_n(buf, p, n);
    if (last && bpe->suffix) str_put_n(buf, bpe->suffix, bpe->suffix_n);
    const int32_t id = vocab_find(&tok->vocab, buf->data + before, buf->len - before);
    buf->len = before;
    return id;
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
        const int32_t id = symbol_of(tok, e, in.p + i, used, i == 0, i + used == in.n);

        if (id >= 0) {
            if (s->unk_pending) s->ids[s->n++] = bpe->unk_id;
            s->unk_pending = false;
            s->ids[s->n++] = id;
        } else if (!put_fallback(bpe, s, in.p + i, used)) {
            TRY(put_unknown(bpe, s, err));
        }
        i += used;
    }
    if (s->unk_pending) s->ids[s->n++] = bpe->unk_id;
    return ST_OK;
}

/* One independent stretch of characters. A character gives at most 4 symbols, one per byte. */
static status encode_chars(const struct tokenizer *tok, struct enc *e, struct piece in,
                           struct err *err)
{
    enum { STACK_MAX = 32 };
    int32_t few[STACK_MAX + 1];
    struct symbols s = { few, 0, false };
    void *merge_scratch = NULL;

    if (in.n > STACK_MAX && !(s.ids = scratch_for(e, in.n + 1, &merge_scratch, err)))
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

        TRY(encode_chars(tok, e, (struct piece){ in.p + start, end - start, false }, err));
        start = end;
    }
    return ST_OK;
}

const struct model_kind model_bpe = { "BPE", load, encode, NULL };
