/* SPDX-License-Identifier: MIT */
/* Merging and matching: every way gives what the plain definition gives, and the steps grow with
 * the text, whatever it is. Steps are counted, since time on a busy machine is no test. */
#include "tokenizer/bpe_merge.h"
#include "tokenizer/matcher.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

static uint32_t state = 1;

static uint32_t draw(uint32_t n)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

static struct tokenizer *new_bpe(void)
{
    struct tokenizer *tok = tokenizer_new();

    assert_non_null(tok);
    assert_int_equal(bpe_create(tok, NULL), ST_OK);
    assert_int_equal(bpe_reserve(tok, 1, NULL), ST_OK);
    return tok;
}

/* ---- merging ---- */

/* The definition: the lowest rank, the leftmost of those, again and again. */
static size_t merge_plainly(const struct bpe *bpe, int32_t *ids, size_t n)
{
    for (;;) {
        const struct bpe_merge *best = NULL;
        size_t at = 0;

        for (size_t i = 0; i + 1 < n; i++) {
            const struct bpe_merge *m = bpe_find(bpe, ids[i], ids[i + 1]);
            if (m && (!best || m->rank < best->rank)) {
                best = m;
                at = i;
            }
        }
        if (!best) return n;
        ids[at] = best->id;
        memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof *ids);
        n--;
    }
}

static void assert_all_ways_equal(const struct bpe *bpe, const int32_t *ids, size_t n)
{
    int32_t want[300], got[300];
    void *scratch = mem_alloc(bpe_ranked_scratch(bpe, n) + bpe_heap_scratch(n));

    memcpy(want, ids, n * sizeof *ids);
    const size_t left = merge_plainly(bpe, want, n);
    for (int way = 0; way < 3; way++) {
        size_t got_n;

        if (way == 0 && n > BPE_SHORT_MAX) continue;
        memcpy(got, ids, n * sizeof *ids);
        if (way == 0)
            got_n = bpe_merge_short(bpe, got, n);
        else
            got_n = way == 1 ? bpe_merge_heap(bpe, got, n, scratch)
                             : bpe_merge_ranked(bpe, got, n, scratch, NULL);
        assert_int_equal(got_n, left);
        assert_memory_equal(got, want, left * sizeof *want);
    }
    mem_free(scratch);
}

/* Any table at all: ranks that are shared, merges that come before what they are made of. */
static void all_ways_to_merge_agree(void **unused)
{
    (void)unused;
    for (int round = 0; round < 2000; round++) {
        struct tokenizer *tok = new_bpe();
        const uint32_t letters = 1 + draw(4), ids_max = letters + 1 + draw(30);
        const uint32_t merges = 1 + draw(60);
        int32_t ids[300];

        for (uint32_t i = 0; i < merges; i++)
            assert_int_equal(bpe_put(tok, (int32_t)draw(ids_max), (int32_t)draw(ids_max),
                                     draw(merges), (int32_t)(letters + draw(ids_max - letters)),
                                     NULL),
                             ST_OK);
        const size_t n = 2 + draw(round % 2 ? 30 : 250);
        for (size_t i = 0; i < n; i++) ids[i] = (int32_t)draw(letters);
        assert_all_ways_equal(tok->bpe, ids, n);
        tokenizer_close(tok);
    }
}

/* Doubling merges of each of two letters, and of both: the longest words that BPE can make. */
static struct tokenizer *doubling(void)
{
    struct tokenizer *tok = new_bpe();
    uint32_t rank = 0;
    int32_t next = 2;

    for (int32_t letter = 0; letter < 3; letter++) {
        int32_t id = letter;

        if (letter == 2) assert_int_equal(bpe_put(tok, 0, 1, rank++, id = next++, NULL), ST_OK);
        for (int k = 0; k < 12; k++, id = next++)
            assert_int_equal(bpe_put(tok, id, id, rank++, next, NULL), ST_OK);
    }
    return tok;
}

static uint64_t steps_for(const struct tokenizer *tok, int kind, size_t n)
{
    int32_t *ids = mem_calloc(n, sizeof *ids);
    void *scratch = mem_alloc(bpe_ranked_scratch(tok->bpe, n));
    uint64_t steps;

    for (size_t i = 0; i < n; i++)
        ids[i] = kind == 0 ? 0 : kind == 1 ? (int32_t)(i & 1) : (int32_t)draw(2);
    bpe_merge_ranked(tok->bpe, ids, n, scratch, &steps);
    mem_free(ids);
    mem_free(scratch);
    return steps;
}

static void merging_takes_steps_in_proportion(void **unused)
{
    struct tokenizer *tok = doubling();

    (void)unused;
    for (int kind = 0; kind < 3; kind++) {
        const uint64_t one = steps_for(tok, kind, 1 << 17), two = steps_for(tok, kind, 1 << 18);

        assert_true(one <= 12u << 17);
        assert_true(two * 10 <= one * 21);
    }
    tokenizer_close(tok);
}

/* ---- matching ---- */

struct patterns {
    const char *const *texts;
    const size_t *lens;
    size_t n;
};

static bool match_plainly(const struct patterns *all, const char *text, size_t n, size_t from,
                          struct match *out)
{
    for (size_t i = from; i < n; i++) {
        bool found = false;

        for (size_t p = 0; p < all->n; p++) {
            const size_t len = all->lens[p];
            if (!len || len > n - i || memcmp(text + i, all->texts[p], len) != 0) continue;
            if (found && i + len <= out->end) continue;
            *out = (struct match){ i, i + len, p };
            found = true;
        }
        if (found) return true;
    }
    return false;
}

static void fill_letters(char *out, size_t n, uint32_t letters)
{
    for (size_t i = 0; i < n; i++) out[i] = (char)('a' + draw(letters));
}

static void matches_are_leftmost_and_longest(void **unused)
{
    (void)unused;
    for (int round = 0; round < 2000; round++) {
        char store[8][16], *text = mem_alloc(60000);
        const char *patterns[8];
        /* now and then over several blocks of the scan */
        size_t lens[8], n_patterns = 1 + draw(8), n = draw(round % 100 ? 400 : 60000), from = 0;
        const uint32_t letters = 1 + draw(3);
        const struct patterns all = { patterns, lens, n_patterns };
        struct arena a = { 0 };
        struct matcher *m;
        struct match_scan scan;

        for (size_t i = 0; i < n_patterns; i++) {
            lens[i] = draw(9);
            fill_letters(store[i], lens[i], letters);
            patterns[i] = store[i];
        }
        fill_letters(text, n, letters);
        assert_int_equal(matcher_create(&m, &a, patterns, lens, n_patterns, NULL), ST_OK);
        match_scan_init(&scan, m, text, n);
        for (bool found = true; found;) {
            struct match got, want;

            assert_int_equal(match_scan_next(&scan, from, &found, &got, NULL), ST_OK);
            assert_int_equal(match_plainly(&all, text, n, from, &want), found);
            if (!found) break;
            assert_int_equal(got.start, want.start);
            assert_int_equal(got.end, want.end);
            assert_int_equal(got.pattern, want.pattern);
            from = got.end;
        }
        match_scan_fini(&scan);
        arena_fini(&a);
        mem_free(text);
    }
}

/* Texts in which long patterns nearly match at every place, and blocks end inside matches. */
static void matching_takes_steps_in_proportion(void **unused)
{
    enum { LONG = 40000, N = 300000 };
    char *pattern = mem_alloc(LONG + 1), *text = mem_alloc(N);
    const char *patterns[] = { pattern, "aa", "b" };
    const size_t lens[] = { LONG, 2, 1 };
    struct arena a = { 0 };
    struct matcher *m;

    (void)unused;
    memset(pattern, 'a', LONG);
    for (int kind = 0; kind < 2; kind++) {
        struct match_scan scan;
        struct match got = { 0 };
        bool found = true;
        size_t n_found = 0;

        pattern[kind ? LONG - 1 : 0] = 'c'; /* aaa…ac, caaa…a */
        pattern[kind ? 0 : LONG - 1] = 'a';
        memset(text, 'a', N);
        assert_int_equal(matcher_create(&m, &a, patterns, lens, COUNT(patterns), NULL), ST_OK);
        match_scan_init(&scan, m, text, N);
        for (; found; n_found++)
            assert_int_equal(match_scan_next(&scan, got.end, &found, &got, NULL), ST_OK);
        assert_int_equal(n_found - 1, N / 2);
        assert_true(scan.steps <= 5u * N);
        match_scan_fini(&scan);
    }
    arena_fini(&a);
    mem_free(pattern);
    mem_free(text);
}

/* ---- WordPiece ---- */

enum { WORDS = 24 };

static void fill_word(struct str *out, size_t chars)
{
    static const char *const letters[] = { "a", "b", "\xC3\xA9" };

    str_clear(out);
    while (chars--) str_put(out, letters[draw(COUNT(letters))]);
}

/* The definition: at each place the longest piece by trial, or the whole word is unknown (id 0). */
static size_t cut_plainly(const struct str *pieces, const char *prefix, const char *text,
                          int32_t *ids)
{
    size_t n = 0;

    for (size_t start = 0, end = 0, len = strlen(text); start < len; start = end) {
        int32_t best = -1;

        for (int32_t i = 1; i < WORDS; i++) {
            const char *p = str_cstr(&pieces[i]);
            const size_t skip = start ? strlen(prefix) : 0, k = strlen(p);

            if (k <= skip || strncmp(p, prefix, skip) != 0) continue;
            if (strncmp(text + start, p + skip, k - skip) != 0) continue;
            if (best >= 0 && start + k - skip <= end) continue;
            best = i;
            end = start + k - skip;
        }
        if (best < 0) {
            ids[0] = 0;
            return 1;
        }
        ids[n++] = best;
    }
    return n;
}

static struct tokenizer *word_pieces(const struct str *pieces, const char *prefix)
{
    struct tokenizer *tok = tokenizer_new();
    struct str json = { 0 };

    assert_non_null(tok);
    str_printf(&json,
               "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","
               "\"continuing_subword_prefix\":\"%s\",\"max_input_chars_per_word\":2147483647,"
               "\"vocab\":{\"[UNK]\":0",
               prefix);
    for (int i = 1; i < WORDS; i++) str_printf(&json, ",\"%s\":%d", str_cstr(&pieces[i]), i);
    str_put(&json, "}}}");
    assert_int_equal(tok_load_json(tok, str_cstr(&json), json.len, NULL), ST_OK);
    assert_int_equal(tok_finish(tok, NULL), ST_OK);
    str_fini(&json);
    return tok;
}

static void word_pieces_are_the_longest(void **unused)
{
    struct str pieces[WORDS] = { 0 }, text = { 0 };
    size_t known = 0;

    (void)unused;
    for (int round = 0; round < 600; round++) {
        const char *prefix = round % 3 == 0 ? "" : round % 3 == 1 ? "##" : "a";

        for (int i = 1; i < WORDS; i++) {
            fill_word(&text, 1 + draw(i < 8 ? 1 : 5));
            str_clear(&pieces[i]);
            str_printf(&pieces[i], "%s%s", i % 4 ? prefix : "", str_cstr(&text));
            for (int k = 1; k < i; k++)
                if (str_equal(str_cstr(&pieces[k]), str_cstr(&pieces[i])))
                    str_printf(&pieces[i], "-%d", i);
        }
        struct tokenizer *tok = word_pieces(pieces, prefix);
        for (int k = 0; k < 20; k++) {
            struct token_ids ids = { 0 };
            int32_t want[100];

            fill_word(&text, 1 + draw(40));
            const size_t n = cut_plainly(pieces, prefix, str_cstr(&text), want);
            assert_int_equal(tokenizer_encode(tok, str_cstr(&text), text.len, 0, &ids, NULL),
                             ST_OK);
            assert_int_equal(ids.n, n);
            assert_memory_equal(ids.ids, want, n * sizeof *want);
            known += want[0] != 0;
            token_ids_fini(&ids);
        }
        tokenizer_close(tok);
    }
    assert_true(known > 3000);
    for (int i = 1; i < WORDS; i++) str_fini(&pieces[i]);
    str_fini(&text);
}

/* A word of one letter, the pieces of which are that letter and one that nearly goes on for ever.
 */
static uint64_t word_steps(const struct tokenizer *tok, size_t n)
{
    char *word = mem_alloc(n);
    struct token_ids ids = { 0 };
    struct enc e = { .tok = tok, .out = &ids };

    memset(word, 'a', n);
    assert_int_equal(model_wordpiece.encode(tok, &e, (struct piece){ word, n, true }, NULL), ST_OK);
    assert_int_equal(ids.n, n);
    mem_free(word);
    token_ids_fini(&ids);
    enc_fini(&e);
    return e.steps;
}

static void cutting_words_takes_steps_in_proportion(void **unused)
{
    enum { LONG = 1000, N = 1 << 15 };
    struct str pieces[WORDS] = { 0 };

    (void)unused;
    str_put(&pieces[1], "a");
    str_put(&pieces[2], "##a");
    str_put(&pieces[3], "##");
    for (int i = 0; i < LONG; i++) str_put_char(&pieces[3], 'a');
    str_put_char(&pieces[3], 'b');
    for (int i = 4; i < WORDS; i++) str_printf(&pieces[i], "-%d", i);
    struct tokenizer *tok = word_pieces(pieces, "##");
    const uint64_t one = word_steps(tok, N), two = word_steps(tok, 2 * N);
    assert_true(one <= (LONG + 2) * (uint64_t)N);
    assert_true(two * 10 <= one * 21);
    tokenizer_close(tok);
    for (int i = 1; i < WORDS; i++) str_fini(&pieces[i]);
}

/* A piece so long that looking for it would cost more than its word is refused. */
static void a_very_long_word_piece_is_refused(void **unused)
{
    struct str json = { 0 };
    struct tokenizer *tok = tokenizer_new();

    (void)unused;
    str_put(&json, "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"b\",\"vocab\":{\"b\":0,\"");
    for (int i = 0; i < 1025; i++) str_put_char(&json, 'a');
    str_put(&json, "\":1}}}");
    assert_int_equal(tok_load_json(tok, str_cstr(&json), json.len, NULL), ST_LIMIT);
    tokenizer_close(tok);
    str_fini(&json);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_ways_to_merge_agree),
        cmocka_unit_test(merging_takes_steps_in_proportion),
        cmocka_unit_test(matches_are_leftmost_and_longest),
        cmocka_unit_test(matching_takes_steps_in_proportion),
        cmocka_unit_test(word_pieces_are_the_longest),
        cmocka_unit_test(cutting_words_takes_steps_in_proportion),
        cmocka_unit_test(a_very_long_word_piece_is_refused),
    };

    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
