/* SPDX-License-Identifier: MIT */
/* Random texts through every tokenizer of the fixtures: valid UTF-8 of many scripts, bytes that are
 * none, control characters, long runs, pieces of special tokens. No crash; what comes back is
 * UTF-8; bytes that are not UTF-8 stand for U+FFFD as the README says; and where the pipeline
 * loses nothing (byte-level, no normalizer) the text comes back as it was. $CUPOLA_FIXTURES names
 * the folder that holds fixtures/ and asks for 10,000 texts each; one argument runs one tokenizer.
 */
#include "base/base.h"
#include "tokenizer/tok_internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Of a run with sanitizers a text in twenty is enough: they cost as many times as much, and what
 * they find hangs on the kind of text, of which there are few. */
enum { TEXTS_FEW = 150, TEXTS_ALL = 10000, TEXTS_SANITIZED = 500 };

static char root[4096];
static const char *only;
static size_t n_texts;

/* ---- texts ---- */

static uint64_t seed;

static uint32_t below(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 11) % n);
}

static int32_t any_character(void)
{
    static const int32_t ranges[][2] = {
        { 0x20, 0x7E },       { 0x20, 0x7E },        { 0x0, 0x1F },        { 0x7F, 0xFF },
        { 0x100, 0x24F },     { 0x300, 0x36F },      { 0x400, 0x4FF },     { 0x5D0, 0x6FF },
        { 0x900, 0x97F },     { 0xE00, 0xE7F },      { 0x1100, 0x11FF },   { 0x2000, 0x206F },
        { 0x2580, 0x2590 },   { 0x3000, 0x30FF },    { 0x4E00, 0x9FFF },   { 0xAC00, 0xD7A3 },
        { 0xFB00, 0xFB4F },   { 0xFF00, 0xFFEF },    { 0x1D400, 0x1D7FF }, { 0x1F300, 0x1FAFF },
        { 0xE0000, 0xE01EF }, { 0x10FFF0, 0x10FFFF }
    };
    const int32_t *r = ranges[below(COUNT(ranges))];

    return r[0] + (int32_t)below((uint32_t)(r[1] - r[0] + 1));
}

static void put_part(struct str *out)
{
    static const char *const pieces[] = {
        "<|",    "|>",     "<s>",    "</s>", "<|endoftext|>", "[MASK]",        "'s",
        "'LL",   "  ",     "\n\n",   "\t",   "\r\n",          " \xE2\x96\x81", "0123456789",
        "hello", " World", "<0x41>", "##a",  "  \n"
    };
    const uint32_t kind = below(8), n = 1 + below(12);

    switch (kind) {
    case 0: /* bytes */
        for (uint32_t i = 0; i < n; i++) str_put_char(out, (char)(uint8_t)below(256));
        break;
    case 1: /* a run */
        for (int32_t cp = any_character(), left = (int32_t)(1 + below(below(40) ? 40 : 3000));
             left > 0; left--)
            uni_put(out, cp);
        break;
    case 2: str_put(out, pieces[below(COUNT(pieces))]); break;
    case 3: /* a word of one script */
        for (int32_t cp = any_character() & ~0x1F, i = 0; i < (int32_t)n; i++)
            uni_put(out, cp + (int32_t)below(26));
        break;
    default:
        for (uint32_t i = 0; i < n; i++)
            uni_put(out, kind < 6 ? 0x20 + (int32_t)below(95) : any_character());
        break;
    }
}

static void make_text(struct str *out)
{
    str_clear(out);
    for (uint32_t parts = below(12); parts > 0; parts--) put_part(out);
}

/* ---- what holds ---- */

/* Nothing is lost on the way: bytes through a byte-level vocabulary that has them all. */
static bool keeps_text(const struct tokenizer *tok)
{
    const struct decoder_list *decoders = &tok->decoders;

    if (tok->norms.n || decoders->n != 1) return false;
    if (decoders->items[0].type != DEC_BYTE_LEVEL && decoders->items[0].type != DEC_RAW_BYTES)
        return false;
    for (size_t i = 0; i < tok->pres.n; i++)
        if (tok->pres.items[i].add_prefix) return false;
    for (size_t i = 0; i < tok->added.n; i++)
        if (tok->added.tokens[i].lstrip || tok->added.tokens[i].rstrip) return false;
    for (unsigned b = 0; b < 256; b++) {
        const char byte = (char)b;
        struct str piece = { 0 };

        if (decoders->items[0].type == DEC_BYTE_LEVEL)
            byte_level_put(&piece, &byte, 1);
        else
            str_put_char(&piece, byte);
        const int32_t id = tokenizer_token_to_id(tok, piece.data, piece.len);
        str_fini(&piece);
        if (id < 0) return false;
    }
    return true;
}

static bool same_ids(const struct token_ids *a, const struct token_ids *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->ids, b->ids, a->n * sizeof *a->ids) == 0);
}

static bool same_text(const struct str *a, const struct str *b)
{
    return a->len == b->len && memcmp(str_cstr(a), str_cstr(b), a->len) == 0;
}

/* The stream gives the whole decode, but for a run of byte tokens that was valid text for a while:
 * see the README. */
static void check_stream(const struct tokenizer *tok, const struct token_ids *ids,
                         const struct str *whole)
{
    struct token_stream *s;
    struct str out = { 0 };
    bool fallback = false;

    for (size_t i = 0; i < tok->decoders.n; i++)
        fallback |= tok->decoders.items[i].type == DEC_BYTE_FALLBACK;
    assert_int_equal(token_stream_create(&s, tok, false, NULL), ST_OK);
    for (size_t i = 0; i < ids->n; i++) {
        const size_t before = out.len;

        assert_int_equal(token_stream_push(s, ids->ids[i], &out, NULL), ST_OK);
        assert_true(utf8_valid(str_cstr(&out) + before, out.len - before));
    }
    assert_int_equal(token_stream_finish(s, &out, NULL), ST_OK);
    assert_true(utf8_valid(str_cstr(&out), out.len));
    if (!fallback) assert_true(same_text(&out, whole));
    str_fini(&out);
    token_stream_destroy(s);
}

static void check_text(const struct tokenizer *tok, const struct str *text, bool keeps)
{
    struct str repaired = { 0 };

    uni_put_repaired(&repaired, str_cstr(text), text->len);
    for (unsigned flags = 0; flags < 4; flags++) {
        struct token_ids ids = { 0 }, again = { 0 };
        struct str back = { 0 };
        const status st = tokenizer_encode(tok, str_cstr(text), text->len, flags, &ids, NULL);

        assert_true(st == ST_OK || st == ST_INVALID);
        assert_int_equal(
            tokenizer_encode(tok, str_cstr(&repaired), repaired.len, flags, &again, NULL), st);
        assert_true(same_ids(&ids, &again));
        assert_int_equal(tokenizer_decode(tok, ids.ids, ids.n, false, &back, NULL), ST_OK);
        assert_true(utf8_valid(str_cstr(&back), back.len));
        if (keeps && (flags & TOK_ADD_SPECIAL) == 0) assert_true(same_text(&back, &repaired));
        if (flags == TOK_PARSE_SPECIAL) check_stream(tok, &ids, &back);
        str_fini(&back);
        token_ids_fini(&ids);
        token_ids_fini(&again);
    }
    str_fini(&repaired);
}

/* ---- every tokenizer ---- */

static bool run_folder(const char *name)
{
    char dir[8192];
    struct tokenizer *tok;
    struct str text = { 0 };

    snprintf(dir, sizeof dir, "%s/%s", root, name);
    assert_int_equal(tokenizer_open(&tok, dir, NULL), ST_OK);
    const bool keeps = keeps_text(tok);
    seed = 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < n_texts; i++) {
        make_text(&text);
        check_text(tok, &text, keeps);
    }
    fprintf(stderr, "%-28s %zu texts%s\n", name, n_texts, keeps ? ", all came back" : "");
    str_fini(&text);
    tokenizer_close(tok);
    return keeps;
}

static void random_texts_do_no_harm(void **state)
{
    char **names;
    size_t n, keep = 0;

    (void)state;
    assert_int_equal(os_list_dir(root, &names, &n, NULL), ST_OK);
    for (size_t i = 0; i < n; i++) {
        char path[8192];

        if (names[i][0] == '_' || (only && !str_equal(only, names[i]))) continue;
        snprintf(path, sizeof path, "%s/%s/cases.jsonl", root, names[i]);
        if (os_is_file(path)) keep += run_folder(names[i]);
    }
    os_free_list(names, n);
    if (!only) assert_true(keep >= 3);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_texts_do_no_harm) };
    const char *given = getenv("CUPOLA_FIXTURES");

    if (argc > 1) only = argv[1];
    n_texts = !given ? TEXTS_FEW : CUPOLA_SANITIZED ? TEXTS_SANITIZED : TEXTS_ALL;
    if (given)
        snprintf(root, sizeof root, "%s/fixtures/tokenizers", given);
    else
        snprintf(root, sizeof root, "%s/tests/fixtures/tokenizers", CUPOLA_SOURCE_DIR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
