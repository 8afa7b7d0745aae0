/* SPDX-License-Identifier: MIT */
/* Added tokens: found in the text before (or, where they ask for it, behind) normalization,
 * leftmost and longest first. */
#include "tokenizer/matcher.h"
#include "tokenizer/tok_internal.h"
#include <string.h>

/* A token may be looked for from every byte of a text, so its length is bounded. */
enum { ADDED_MAX = 1 << 20, ADDED_BYTES_MAX = 1024 };

/* ---- loading ---- */

const struct added_token *added_by_id(const struct added *added, int32_t id)
{
    uint64_t index;

    return map_get(&added->by_id, &id, sizeof id, &index) ? &added->tokens[index] : NULL;
}

static status index_token(struct added *added, size_t i, struct err *err)
{
    struct added_token *t = &added->tokens[i];
    int32_t *key = added->id_keys + i;

    *key = t->id;
    if (!map_set(&added->by_text, t->text, t->n, i) || !map_set(&added->by_id, key, sizeof *key, i))
        return FAIL(err, ST_NOMEM, "added tokens: no memory");
    return ST_OK;
}

/* Map keys are borrowed, so the storage of ids is fixed before the first one. */
static status reserve_keys(struct tokenizer *tok, size_t n, struct err *err)
{
    if (tok->added.id_keys) return ST_OK;
    if (n > ADDED_MAX) return FAIL(err, ST_LIMIT, "added_tokens: more than %d", ADDED_MAX);
    tok->added.id_keys = ARENA_ARRAY(&tok->arena, n + 4096, int32_t);
    tok->added.cap_keys = n + 4096;
    return tok->added.id_keys ? ST_OK : FAIL(err, ST_NOMEM, "added tokens: no memory");
}

status added_put(struct tokenizer *tok, const struct added_token *token, struct err *err)
{
    struct added *added = &tok->added;
    uint64_t index;

    if (token->n == 0) return ST_OK;
    if (token->n > ADDED_BYTES_MAX)
        return FAIL(err, ST_LIMIT, "added_tokens: a token of %zu bytes (at most %d)", token->n,
                    ADDED_BYTES_MAX);
    TRY(reserve_keys(tok, 0, err));
    if (map_get(&added->by_text, token->text, token->n,
                &index)) { /* the later one's settings hold */
        const int32_t id = added->tokens[index].id;
        added->tokens[index] = *token;
        added->tokens[index].id = id;
        return index_token(added, index, err);
    }
    if (added->n >= added->cap_keys)
        return FAIL(err, ST_LIMIT, "added_tokens: more than %zu", added->cap_keys);
    if (added->n == added->cap) {
        void *tokens = arena_grow(&tok->arena, added->tokens, &added->cap, added->n + 1,
                                  sizeof *added->tokens);
        if (!tokens) return FAIL(err, ST_NOMEM, "added tokens: no memory");
        added->tokens = tokens;
    }
    added->tokens[added->n++] = *token;
    if (token->id >= 0 && (size_t)token->id >= tok->size) tok->size = (size_t)token->id + 1;
    return index_token(added, added->n - 1, err);
}

/* A list as it is read. */
struct added_list {
    bool count; /* see added_load */
    size_t quarrels;
};

/* The id behind the vocabulary and the tokens before. */
static int64_t next_id(const struct tokenizer *tok)
{
    return (int64_t)(tok->added.ids_end > tok->n_model ? tok->added.ids_end : tok->n_model);
}

/* The vocabulary's id where it has the piece; else the next one or the file's. */
static status give_id(struct tokenizer *tok, struct added_token *t, int64_t said,
                      struct added_list *list, struct err *err)
{
    enum { TOLD_MAX = 3 };
    uint64_t index;

    t->id = vocab_find(&tok->vocab, t->text, t->n);
    if (t->id < 0 && said < 0)
        return FAIL(err, ST_FORMAT, "added_tokens: \"%.60s\": expected an id", t->text);
    if (t->id < 0 && map_get(&tok->added.by_text, t->text, t->n, &index))
        t->id = tok->added.tokens[index].id;
    if (t->id < 0) {
        const int64_t id = list->count ? next_id(tok) : said;

        if (id >= VOCAB_IDS_MAX) return FAIL(err, ST_LIMIT, "added_tokens: too many");
        t->id = (int32_t)id;
    }
    if ((size_t)t->id >= tok->added.ids_end) tok->added.ids_end = (size_t)t->id + 1;
    if (said >= 0 && said != t->id && list->quarrels++ < TOLD_MAX)
        LOG(LOG_WARN,
            "event=tokenizer_disagreement field=added_tokens token=%.60s used_id=%d said_id=%lld",
            t->text, t->id, (long long)said);
    return ST_OK;
}

static status load_token(struct tokenizer *tok, const struct jvalue *json, struct added_list *list,
                         struct err *err)
{
    struct added_token t = { 0 };
    const struct jvalue *text = NULL;
    int64_t id = -1;

    TRY(jvalue_want_str(json, "added_tokens", "content", &text, err));
    if (!text) return FAIL(err, ST_FORMAT, "added_tokens: content: expected a string");
    t.text = text->u.string.text;
    t.n = text->u.string.n;
    if (t.n > VOCAB_PIECE_MAX) return FAIL(err, ST_LIMIT, "added_tokens: content is too long");
    TRY(jvalue_want_int(json, "added_tokens", "id", (struct int_range){ 0, VOCAB_IDS_MAX - 1 }, &id,
                        err));
    TRY(jvalue_want_bool(json, "added_tokens", "special", &t.special, err));
    t.normalized = !t.special;
    TRY(jvalue_want_bool(json, "added_tokens", "single_word", &t.single_word, err));
    TRY(jvalue_want_bool(json, "added_tokens", "lstrip", &t.lstrip, err));
    TRY(jvalue_want_bool(json, "added_tokens", "rstrip", &t.rstrip, err));
    TRY(jvalue_want_bool(json, "added_tokens", "normalized", &t.normalized, err));
    if (t.n == 0) return ST_OK;
    TRY(give_id(tok, &t, id, list, err));
    return added_put(tok, &t, err);
}

status added_load(struct tokenizer *tok, const struct jvalue *list, bool count, struct err *err)
{
    if (!list || list->type == JVALUE_NONE) return ST_OK;
    if (list->type != JVALUE_LIST) return FAIL(err, ST_FORMAT, "added_tokens: expected a list");
    struct added_list state = { count, 0 };

    TRY(reserve_keys(tok, list->u.list.n, err));
    for (size_t i = 0; i < list->u.list.n; i++) {
        if (list->u.list.items[i]->type != JVALUE_DICT)
            return FAIL(err, ST_FORMAT, "added_tokens[%zu]: expected an object", i);
        TRY(load_token(tok, list->u.list.items[i], &state, err));
    }
    return ST_OK;
}

/* ---- matchers, once the normalizers are known ---- */

static status normalize_token(struct tokenizer *tok, struct added_token *t, struct err *err)
{
    struct str bufs[2] = { 0 };

    t->shown = t->text;
    t->shown_n = t->n;
    if (!t->normalized) return ST_OK;
    struct piece shown = { t->text, t->n, true };
    status st = normalizers_run(&tok->norms, bufs, &shown, err);
    if (st == ST_OK && !(t->shown = arena_strndup(&tok->arena, shown.p, shown.n)))
        st = FAIL(err, ST_NOMEM, "added tokens: no memory");
    t->shown_n = shown.n;
    str_fini(&bufs[0]);
    str_fini(&bufs[1]);
    return st;
}

static status build(struct tokenizer *tok, bool normalized, struct matcher **out, size_t **index,
                    struct err *err)
{
    const struct added *added = &tok->added;
    const char **texts = ARENA_ARRAY(&tok->arena, added->n + 1, const char *);
    size_t *lens = ARENA_ARRAY(&tok->arena, added->n + 1, size_t), n = 0;

    *index = ARENA_ARRAY(&tok->arena, added->n + 1, size_t);
    if (!texts || !lens || !*index) return FAIL(err, ST_NOMEM, "added tokens: no memory");
    for (int special = 1; special >= 0;
         special--) { /* special tokens come first, as in the reference */
        for (size_t i = 0; i < added->n; i++) {
            const struct added_token *t = &added->tokens[i];

            if (t->normalized != normalized || t->special != (special == 1)) continue;
            texts[n] = t->shown;
            lens[n] = t->shown_n;
            (*index)[n++] = i;
        }
    }
    return n ? matcher_create(out, &tok->arena, texts, lens, n, err) : ST_OK;
}

status added_finish(struct tokenizer *tok, struct err *err)
{
    struct added *added = &tok->added;

    for (size_t i = 0; i < added->n; i++) {
        struct added_token *t = &added->tokens[i];
        uint64_t same;

        TRY(normalize_token(tok, t, err));
        t->skipped =
            map_get(&added->by_text, t->shown, t->shown_n, &same) && added->tokens[same].special;
    }
    TRY(build(tok, false, &added->plain, &added->plain_index, err));
    return build(tok, true, &added->normalized, &added->normalized_index, err);
}

void added_fini(struct added *added)
{
    map_fini(&added->by_text);
    map_fini(&added->by_id);
}

/* ---- splitting ---- */

static bool word_before(const char *text, size_t at)
{
    size_t start = at;
    int32_t cp;

    if (at == 0) return false;
    do start--;
    while (start > 0 && ((unsigned char)text[start] & 0xC0) == 0x80);
    uni_next(text + start, at - start, &cp);
    return uni_is_word(cp);
}

static bool word_after(const char *text, size_t n, size_t at)
{
    int32_t cp;

    if (at >= n) return false;
    uni_next(text + at, n - at, &cp);
    return uni_is_word(cp);
}

static size_t spaces_before(const char *text, size_t at, size_t floor)
{
    while (at > floor) {
        size_t start = at;
        int32_t cp;

        do start--;
        while (start > 0 && ((unsigned char)text[start] & 0xC0) == 0x80);
        uni_next(text + start, at - start, &cp);
        if (!uni_is_space(cp)) break;
        at = start;
    }
    return at < floor ? floor : at;
}

static size_t spaces_after(const char *text, size_t n, size_t at)
{
    while (at < n) {
        int32_t cp;
        const size_t used = uni_next(text + at, n - at, &cp);

        if (!uni_is_space(cp)) break;
        at += used;
    }
    return at;
}

/* One match: what is between goes first. *told moves on. A match that lies in the blanks which the
 * last one took with it, and would take blanks itself, is empty: nothing. */
static status tell_match(const struct added_cut *cut, const struct added_token *t, struct piece in,
                         const struct match *m, size_t *told, struct err *err)
{
    size_t start = m->start, end = m->end;

    if (t->lstrip) start = *told < start ? spaces_before(in.p, start, *told) : *told;
    if (t->rstrip) end = spaces_after(in.p, in.n, end);
    if (*told < start)
        TRY(cut->fn(cut->user,
                    (struct piece){ in.p + *told, start - *told, in.first && *told == 0 }, -1,
                    err));
    *told = end;
    if (start >= end) return ST_OK;
    return cut->fn(cut->user, (struct piece){ in.p + start, end - start, in.first && start == 0 },
                   t->id, err);
}

/* The text up to the last match. */
static status split_matches(const struct added_cut *cut, struct match_scan *scan, struct piece in,
                            size_t *told, struct err *err)
{
    const struct added *added = &cut->tok->added;
    const size_t *index = cut->normalized ? added->normalized_index : added->plain_index;
    struct match m = { 0 };
    bool found;

    for (;;) {
        TRY(match_scan_next(scan, m.end, &found, &m, err));
        if (!found) return ST_OK;
        const struct added_token *t = &added->tokens[index[m.pattern]];
        if (t->special && !cut->parse_special) continue;
        if (t->single_word && (word_before(in.p, m.start) || word_after(in.p, in.n, m.end)))
            continue;
        TRY(tell_match(cut, t, in, &m, told, err));
    }
}

status added_split(const struct added_cut *cut, struct piece in, struct err *err)
{
    const struct added *added = &cut->tok->added;
    const struct matcher *m = cut->normalized ? added->normalized : added->plain;
    struct match_scan scan;
    size_t told = 0;
    status st = ST_OK;

    if (m) {
        match_scan_init(&scan, m, in.p, in.n);
        st = split_matches(cut, &scan, in, &told, err);
        match_scan_fini(&scan);
    }
    if (st != ST_OK || told >= in.n) return st;
    return cut->fn(cut->user, (struct piece){ in.p + told, in.n - told, in.first && told == 0 }, -1,
                   err);
}
