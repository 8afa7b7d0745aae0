/* SPDX-License-Identifier: MIT */
/* tokenizer.model, SentencePiece's own protobuf file: pieces with scores and types, the kind of
 * model, the normalizer. It is taken to the same pipeline as the reference's converter makes:
 * Precompiled, blanks to U+2581 with a dummy prefix, then BPE with merges ranked by score, or
 * Unigram. */
#include "tokenizer/model_bpe.h"
#include "tokenizer/spm_wire.h"
#include <stdlib.h>
#include <string.h>

/* ---- the pipeline round the model ---- */

static bool put_text(struct arena *a, struct jvalue *to, const char *key, const char *text)
{
    return jvalue_set(a, to, key, jvalue_string(a, text));
}

static bool put_pattern(struct arena *a, struct jvalue *to, const char *kind, const char *text)
{
    struct jvalue *pattern = jvalue_dict(a);

    return pattern && put_text(a, pattern, kind, text) && jvalue_set(a, to, "pattern", pattern);
}

static struct jvalue *replace(struct arena *a, const char *kind, const char *from, const char *to)
{
    struct jvalue *v = jvalue_dict(a);

    return v && put_text(a, v, "type", "Replace") && put_pattern(a, v, kind, from) &&
                   put_text(a, v, "content", to)
               ? v
               : NULL;
}

static status add_charsmap(struct tokenizer *tok, const struct spm_model *m, struct err *err)
{
    if (m->charsmap_n == 0) return ST_OK;
    void *items = arena_grow(&tok->arena, tok->norms.items, &tok->norms.cap, tok->norms.n + 1,
                             sizeof *tok->norms.items);
    if (!items) return FAIL(err, ST_NOMEM, "tokenizer.model: no memory");
    tok->norms.items = items;
    memset(&tok->norms.items[tok->norms.n], 0, sizeof *tok->norms.items);
    TRY(charsmap_load(&tok->arena, m->charsmap, m->charsmap_n, &tok->norms.items[tok->norms.n],
                      err));
    tok->norms.n++;
    return ST_OK;
}

static status add_normalizer(struct tokenizer *tok, struct jvalue *json, struct err *err)
{
    if (!json) return FAIL(err, ST_NOMEM, "tokenizer.model: no memory");
    return normalizers_load(&tok->arena, json, &tok->norms, err);
}

static struct jvalue *strip_ends(struct arena *a)
{
    struct jvalue *v = jvalue_dict(a);

    return v && put_text(a, v, "type", "Strip") &&
                   jvalue_set(a, v, "strip_left", jvalue_bool(a, true)) &&
                   jvalue_set(a, v, "strip_right", jvalue_bool(a, true))
               ? v
               : NULL;
}

static status load_normalizers(struct tokenizer *tok, const struct spm_model *m, struct err *err)
{
    struct arena *a = &tok->arena;
    struct jvalue *prepend = jvalue_dict(a);

    TRY(add_charsmap(tok, m, err));
    if (m->remove_extra_whitespaces) {
        TRY(add_normalizer(tok, strip_ends(a), err));
        TRY(add_normalizer(tok, replace(a, "Regex", " {2,}", " "), err));
    }
    if (m->add_dummy_prefix) {
        if (!prepend || !put_text(a, prepend, "type", "Prepend") ||
            !put_text(a, prepend, "prepend", "\xE2\x96\x81"))
            return FAIL(err, ST_NOMEM, "tokenizer.model: no memory");
        TRY(add_normalizer(tok, prepend, err));
    }
    return add_normalizer(tok, replace(a, "String", " ", "\xE2\x96\x81"), err);
}

static status load_decoders(struct tokenizer *tok, const struct spm_model *m, struct err *err)
{
    static const char with_strip[] = "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
                                     "\"pattern\":{\"String\":\"\xE2\x96\x81\"},\"content\":\" \"},"
                                     "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":"
                                     "\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]}";
    static const char without[] = "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
                                  "\"pattern\":{\"String\":\"\xE2\x96\x81\"},\"content\":\" \"},"
                                  "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}]}";
    const char *text = m->add_dummy_prefix ? with_strip : without;
    struct jvalue *json;

    TRY(jvalue_parse(&tok->arena, text, strlen(text), &json, err));
    return decoders_load(&tok->arena, json, &tok->decoders, err);
}

/* ---- BPE: all pairs that make a piece, best score first ---- */

struct candidate {
    float score;
    uint32_t left_n, right_n; /* characters */
    int32_t left, right, id;
};

/* Among equal scores the longer left side comes first, as the reference's converter has it. */
static int by_score(const void *x, const void *y)
{
    const struct candidate *a = x, *b = y;

    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    if (a->left_n != b->left_n) return a->left_n < b->left_n ? 1 : -1;
    if (a->right_n != b->right_n) return a->right_n < b->right_n ? 1 : -1;
    if (a->id != b->id) return a->id < b->id ? -1 : 1;
    if (a->left != b->left) return a->left < b->left ? -1 : 1;
    return (a->right > b->right) - (a->right < b->right);
}

static uint32_t characters(const char *p, size_t n)
{
    uint32_t chars = 0;

    for (size_t i = 0; i < n; i++) chars += ((unsigned char)p[i] & 0xC0) != 0x80;
    return chars;
}

struct candidates {
    struct candidate *items;
    size_t n, cap;
};

static status find_pairs(struct tokenizer *tok, const struct spm_model *m, size_t id,
                         struct candidates *c, struct err *err)
{
    const struct spm_piece *p = &m->pieces[id];

    for (size_t cut = 1; cut < p->n; cut++) {
        if (((unsigned char)p->text[cut] & 0xC0) == 0x80) continue;
        const int32_t left = vocab_find(&tok->vocab, p->text, cut);
        if (left < 0) continue;
        const int32_t right = vocab_find(&tok->vocab, p->text + cut, p->n - cut);
        if (right < 0) continue;
        if (c->n == c->cap) {
            const size_t cap = c->cap ? c->cap * 2 : 4096;
            struct candidate *items = mem_realloc_array(c->items, cap, sizeof *items);
            if (!items) return FAIL(err, ST_NOMEM, "tokenizer.model: no memory");
            c->items = items;
            c->cap = cap;
        }
        c->items[c->n++] = (struct candidate){ p->score,
                                               characters(p->text, cut),
                                               characters(p->text + cut, p->n - cut),
                                               left,
                                               right,
                                               (int32_t)id };
    }
    return ST_OK;
}

static status load_merges(struct tokenizer *tok, const struct spm_model *m, struct err *err)
{
    struct candidates c = { 0 };
    status st = ST_OK;

    for (size_t id = 0; st == ST_OK && id < m->n_pieces; id++) st = find_pairs(tok, m, id, &c, err);
    if (st == ST_OK) st = bpe_reserve(tok, c.n, err);
    if (st == ST_OK && c.n) qsort(c.items, c.n, sizeof *c.items, by_score);
    for (size_t i = 0; st == ST_OK && i < c.n; i++)
        st = bpe_put(tok, c.items[i].left, c.items[i].right, (uint32_t)i, c.items[i].id, err);
    mem_free(c.items);
    return st;
}

static status load_bpe(struct tokenizer *tok, const struct spm_model *m, struct err *err)
{
    TRY(bpe_create(tok, err));
    TRY(vocab_reserve(&tok->vocab, m->n_pieces, err));
    for (size_t i = 0; i < m->n_pieces; i++)
        TRY(vocab_add(&tok->vocab, m->pieces[i].text, m->pieces[i].n, (int64_t)i, err));
    TRY(load_merges(tok, m, err));
    tok->bpe->fuse_unk = true;
    tok->bpe->byte_fallback = m->byte_fallback;
    tok->bpe->has_unk_name = m->unk_id >= 0;
    tok->bpe->unk_id = m->unk_id;
    bpe_find_fallbacks(tok);
    return ST_OK;
}

static status load_unigram(struct tokenizer *tok, const struct spm_model *m, struct err *err)
{
    TRY(unigram_create(tok, m->n_pieces, err));
    for (size_t i = 0; i < m->n_pieces; i++)
        TRY(unigram_put(tok, m->pieces[i].text, m->pieces[i].n, (int32_t)i,
                        (double)m->pieces[i].score, err));
    return unigram_finish(tok, m->unk_id, m->byte_fallback, err);
}

/* ---- control and user-defined pieces ---- */

static status load_added(struct tokenizer *tok, const struct spm_model *m, struct err *err)
{
    for (size_t i = 0; i < m->n_pieces; i++) {
        const struct spm_piece *p = &m->pieces[i];
        const bool special = p->type == SPM_CONTROL || p->type == SPM_UNKNOWN;

        if (!special && p->type != SPM_USER_DEFINED) continue;
        const struct added_token t = {
            .text = tok->vocab.pieces[i].text, .n = p->n, .id = (int32_t)i, .special = special
        };
        TRY(added_put(tok, &t, err));
    }
    return ST_OK;
}

static status add_end(struct tokenizer *tok, bool wanted, int32_t id, int32_t **ids, size_t *n,
                      struct err *err)
{
    if (!wanted || id < 0) return ST_OK;
    if (!(*ids = ARENA_ARRAY(&tok->arena, 1, int32_t)))
        return FAIL(err, ST_NOMEM, "tokenizer.model: no memory");
    (*ids)[0] = id;
    *n = 1;
    return ST_OK;
}

static status load_ends(struct tokenizer *tok, const struct spm_model *m, struct err *err)
{
    bool bos = m->kind == SPM_BPE, eos = m->kind == SPM_UNIGRAM;

    TRY(jvalue_want_bool(tok->config, "tokenizer_config.json", "add_bos_token", &bos, err));
    TRY(jvalue_want_bool(tok->config, "tokenizer_config.json", "add_eos_token", &eos, err));
    TRY(add_end(tok, bos, m->bos_id, &tok->post.before, &tok->post.n_before, err));
    return add_end(tok, eos, m->eos_id, &tok->post.after, &tok->post.n_after, err);
}

static status load_model(struct tokenizer *tok, const struct spm_model *m, struct err *err)
{
    if (m->kind == SPM_BPE)
        TRY(load_bpe(tok, m, err));
    else if (m->kind == SPM_UNIGRAM)
        TRY(load_unigram(tok, m, err));
    else
        return FAIL(err, ST_UNSUPPORTED,
                    "trainer_spec.model_type %d: only unigram and bpe are known", m->kind);
    tok->size = tok->vocab.size;
    TRY(load_normalizers(tok, m, err));
    TRY(load_decoders(tok, m, err));
    TRY(load_added(tok, m, err));
    return load_ends(tok, m, err);
}

status tok_load_spm(struct tokenizer *tok, const char *dir, bool *found, struct err *err)
{
    char *text;
    size_t n = 0;
    struct spm_model m;

    TRY(tok_read_file(dir, "tokenizer.model", &text, &n, err));
    if (!text) return ST_OK;
    *found = true;
    status st = tok_read_config(tok, dir, err);
    if (st == ST_OK) st = spm_read(&tok->arena, text, n, &m, err);
    if (st == ST_OK) st = load_model(tok, &m, err);
    mem_free(text);
    if (st != ST_OK) err_prefix(err, "tokenizer.model");
    return st;
}
