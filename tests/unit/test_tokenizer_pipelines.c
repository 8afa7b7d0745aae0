/* SPDX-License-Identifier: MIT */
/* Small tokenizer.json files in which parts meet that seldom do, and what
 * clean_up_tokenization_spaces makes of their text, against the reference libraries
 * (tests/fixtures/pipelines). One argument runs one of them. */
#include "base/base.h"
#include "tokenizer/jvalue_json.h"
#include "tokenizer/tokenizer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char *only;
static size_t n_checks, n_failed;

static void expect(bool ok, const char *name, const char *what, const struct str *got)
{
    n_checks++;
    if (ok) return;
    n_failed++;
    fprintf(stderr, "  %s: %s: got \"%s\"\n", name, what, str_cstr(got));
}

static bool same(const struct jvalue *want, const struct str *got)
{
    return want->u.string.n == got->len &&
           memcmp(want->u.string.text, str_cstr(got), got->len) == 0;
}

static void check_text(const struct tokenizer *tok, const char *name, const struct jvalue *row)
{
    const struct jvalue *text = jvalue_get(row, "text"), *want = jvalue_get(row, "ids");
    struct token_ids ids = { 0 };
    struct str shown = { 0 };
    const status st = tokenizer_encode(tok, text->u.string.text, text->u.string.n,
                                       TOK_ADD_SPECIAL | TOK_PARSE_SPECIAL, &ids, NULL);
    bool ok = want ? st == ST_OK && want->u.list.n == ids.n : st == ST_INVALID;

    for (size_t i = 0; ok && want && i < ids.n; i++)
        ok = want->u.list.items[i]->u.integer == ids.ids[i];
    for (size_t i = 0; i < ids.n; i++) str_printf(&shown, "%d ", ids.ids[i]);
    expect(ok, name, text->u.string.text, &shown);
    str_fini(&shown);
    token_ids_fini(&ids);
}

static void check_stream(const struct tokenizer *tok, const char *name, const struct token_ids *ids,
                         bool clean, const struct jvalue *want)
{
    struct token_stream *s;
    struct str out = { 0 };

    assert_int_equal(token_stream_create(&s, tok, true, NULL), ST_OK);
    if (clean) token_stream_clean_up(s);
    for (size_t i = 0; i < ids->n; i++)
        assert_int_equal(token_stream_push(s, ids->ids[i], &out, NULL), ST_OK);
    assert_int_equal(token_stream_finish(s, &out, NULL), ST_OK);
    expect(same(want, &out), name, clean ? "stream, cleaned up" : "stream", &out);
    token_stream_destroy(s);
    str_fini(&out);
}

/* A run of byte tokens that has become text is sent, even if it is then spoilt (README). */
static bool streams_as_decoded(const struct jvalue *decoded)
{
    return !strstr(decoded->u.string.text, "\xEF\xBF\xBD");
}

static void check_decode(const struct tokenizer *tok, const char *name, const struct jvalue *row)
{
    const struct jvalue *list = jvalue_get(row, "ids");
    struct token_ids ids = { 0 };
    struct str plain = { 0 }, skip = { 0 }, clean = { 0 };

    ids.ids = mem_calloc(list->u.list.n + 1, sizeof *ids.ids);
    while (ids.n < list->u.list.n) {
        ids.ids[ids.n] = (int32_t)list->u.list.items[ids.n]->u.integer;
        ids.n++;
    }
    assert_int_equal(tokenizer_decode(tok, ids.ids, ids.n, false, &plain, NULL), ST_OK);
    expect(same(jvalue_get(row, "plain"), &plain), name, "decode", &plain);
    assert_int_equal(tokenizer_decode(tok, ids.ids, ids.n, true, &skip, NULL), ST_OK);
    expect(same(jvalue_get(row, "skip"), &skip), name, "decode without special tokens", &skip);
    assert_int_equal(tokenizer_clean_up(tok, str_cstr(&skip), skip.len, &clean, NULL), ST_OK);
    expect(same(jvalue_get(row, "clean"), &clean), name, "decode, cleaned up", &clean);
    if (streams_as_decoded(jvalue_get(row, "skip"))) {
        check_stream(tok, name, &ids, false, jvalue_get(row, "skip"));
        check_stream(tok, name, &ids, true, jvalue_get(row, "clean"));
    }
    str_fini(&plain);
    str_fini(&skip);
    str_fini(&clean);
    token_ids_fini(&ids);
}

static void write_file(const char *dir, const char *name, const struct jvalue *text)
{
    char *path = os_path_join(dir, name);

    if (text) {
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(text->u.string.text, 1, text->u.string.n, f), text->u.string.n);
        fclose(f);
    } else {
        unlink(path);
    }
    mem_free(path);
}

static void check_row(const char *dir, const struct jvalue *row)
{
    const char *name = jvalue_get(row, "name")->u.string.text;
    const struct jvalue *texts = jvalue_get(row, "texts"), *decodes = jvalue_get(row, "decodes");
    struct tokenizer *tok;
    struct err err = { 0 };

    if (only && !str_equal(only, name)) return;
    write_file(dir, "tokenizer.json", jvalue_get(row, "tokenizer"));
    write_file(dir, "tokenizer_config.json", jvalue_get(row, "config"));
    if (tokenizer_open(&tok, dir, &err) != ST_OK) fail_msg("%s: %s", name, err.text);
    for (size_t i = 0; i < texts->u.list.n; i++) check_text(tok, name, texts->u.list.items[i]);
    for (size_t i = 0; i < decodes->u.list.n; i++)
        check_decode(tok, name, decodes->u.list.items[i]);
    tokenizer_close(tok);
}

static void odd_pipelines_equal_the_reference(void **state)
{
    char dir[] = "/tmp/cupola-pipelines-XXXXXX";
    char *text;
    size_t n;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(os_read_file(CUPOLA_SOURCE_DIR "/tests/fixtures/pipelines/pipelines.jsonl", 0,
                                  &text, &n, NULL),
                     ST_OK);
    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        const size_t stop = end ? (size_t)(end - text) : n;
        struct arena a = { 0 };
        struct jvalue *row;

        assert_int_equal(jvalue_parse(&a, text + at, stop - at, &row, NULL), ST_OK);
        check_row(dir, row);
        arena_fini(&a);
        at = stop + 1;
    }
    mem_free(text);
    write_file(dir, "tokenizer.json", NULL);
    write_file(dir, "tokenizer_config.json", NULL);
    rmdir(dir);
    fprintf(stderr, "%zu checks, %zu failed\n", n_checks, n_failed);
    assert_int_equal(n_failed, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(odd_pipelines_equal_the_reference) };

    if (argc > 1) only = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
