/* SPDX-License-Identifier: MIT */
/* Every tokenizer of the fixtures against the reference libraries' answers: ids in three ways,
 * decoded text in two, and the byte length of each streamed chunk. $CUPOLA_FIXTURES names the
 * folder that holds fixtures/; tests/fixtures is the core set. One argument runs one tokenizer. */
#include "base/base.h"
#include "tokenizer/jvalue_json.h"
#include "tokenizer/tokenizer.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

struct tally {
    const char *name;
    size_t n, failed, told;
};

static char root[4096];

static void find_root(void)
{
    const char *given = getenv("CUPOLA_FIXTURES");

    if (given)
        snprintf(root, sizeof root, "%s/fixtures/tokenizers", given);
    else
        snprintf(root, sizeof root, "%s/tests/fixtures/tokenizers", CUPOLA_SOURCE_DIR);
}

static void tell(struct tally *t, const char *id, const char *what, const char *got, size_t n)
{
    if (t->told++ < 12)
        fprintf(stderr, "  %s %s: %s: got \"%.*s\"\n", t->name, id, what, (int)(n > 300 ? 300 : n),
                got ? got : "");
}

/* ---- comparing ---- */

static bool same_ids(const struct jvalue *want, const struct token_ids *got)
{
    if (want->u.list.n != got->n) return false;
    for (size_t i = 0; i < got->n; i++)
        if (want->u.list.items[i]->u.integer != got->ids[i]) return false;
    return true;
}

static bool check_encode(struct tally *t, const struct tokenizer *tok, const char *id,
                         const struct jvalue *text, const struct jvalue *want, unsigned flags)
{
    struct token_ids ids = { 0 };
    struct err err = { 0 };
    struct str shown = { 0 };
    const status st =
        tokenizer_encode(tok, text->u.string.text, text->u.string.n, flags, &ids, &err);
    const bool ok = st == ST_OK && same_ids(want, &ids);

    if (!ok) {
        str_printf(&shown, "%s", err.text);
        for (size_t i = 0; i < ids.n; i++) str_printf(&shown, " %d", ids.ids[i]);
        str_put(&shown, " want");
        for (size_t i = 0; i < want->u.list.n; i++)
            str_printf(&shown, " %d", (int)want->u.list.items[i]->u.integer);
        tell(t, id,
             flags == 0                ? "literal"
             : flags & TOK_ADD_SPECIAL ? "encode"
                                       : "plain",
             str_cstr(&shown), shown.len);
    }
    str_fini(&shown);
    token_ids_fini(&ids);
    return ok;
}

static int32_t *to_array(const struct jvalue *list)
{
    int32_t *ids = mem_calloc(list->u.list.n + 1, sizeof *ids);

    for (size_t i = 0; i < list->u.list.n; i++) ids[i] = (int32_t)list->u.list.items[i]->u.integer;
    return ids;
}

static bool check_decode(struct tally *t, const struct tokenizer *tok, const char *id,
                         const struct jvalue *list, const struct jvalue *want, bool skip)
{
    int32_t *ids = to_array(list);
    struct str out = { 0 };
    struct err err = { 0 };
    const status st = tokenizer_decode(tok, ids, list->u.list.n, skip, &out, &err);
    const bool ok = st == ST_OK && out.len == want->u.string.n &&
                    memcmp(str_cstr(&out), want->u.string.text, out.len) == 0;

    if (!ok)
        tell(t, id, skip ? "decode" : "decode raw", st == ST_OK ? str_cstr(&out) : err.text, 300);
    str_fini(&out);
    mem_free(ids);
    return ok;
}

/* Chunk lengths as recorded; the chunks and the finish joined are the whole decode, unless the
 * reference's own stream says otherwise (`streamed` that is no prefix of the decode). */
static bool check_stream(struct tally *t, const struct tokenizer *tok, const char *id,
                         const struct jvalue *list, const struct jvalue *row,
                         const struct jvalue *want)
{
    const struct jvalue *steps = jvalue_get(row, "steps"), *streamed = jvalue_get(row, "streamed");
    struct token_stream *s;
    struct str out = { 0 };
    bool ok = true;

    assert_int_equal(token_stream_create(&s, tok, true, NULL), ST_OK);
    for (size_t i = 0; i < list->u.list.n; i++) {
        const size_t before = out.len;

        if (token_stream_push(s, (int32_t)list->u.list.items[i]->u.integer, &out, NULL) != ST_OK)
            ok = false;
        if ((int64_t)(out.len - before) != steps->u.list.items[i]->u.integer) ok = false;
        if (!utf8_valid(str_cstr(&out) + before, out.len - before)) ok = false;
    }
    if (!ok) tell(t, id, "steps", str_cstr(&out), out.len);
    const bool odd = streamed && (streamed->u.string.n > want->u.string.n ||
                                  memcmp(streamed->u.string.text, want->u.string.text,
                                         streamed->u.string.n) != 0);
    token_stream_finish(s, &out, NULL);
    if (!odd && (out.len != want->u.string.n ||
                 memcmp(str_cstr(&out), want->u.string.text, out.len) != 0)) {
        ok = false;
        tell(t, id, "stream", str_cstr(&out), out.len);
    }
    str_fini(&out);
    token_stream_destroy(s);
    return ok;
}

/* ---- rows ---- */

static bool check_case(struct tally *t, const struct tokenizer *tok, const struct jvalue *row)
{
    const char *id = jvalue_get(row, "id")->u.string.text;
    const struct jvalue *text = jvalue_get(row, "text"), *ids = jvalue_get(row, "ids");
    const struct jvalue *plain = jvalue_get(row, "ids_plain"),
                        *literal = jvalue_get(row, "ids_literal");
    const struct jvalue *decoded = jvalue_get(row, "decoded"),
                        *raw = jvalue_get(row, "decoded_raw");
    bool ok = true;

    if (!plain) plain = ids;
    if (!literal) literal = plain;
    if (!decoded) decoded = text;
    if (!raw) raw = decoded;
    ok &= check_encode(t, tok, id, text, ids, TOK_ADD_SPECIAL | TOK_PARSE_SPECIAL);
    ok &= check_encode(t, tok, id, text, plain, TOK_PARSE_SPECIAL);
    ok &= check_encode(t, tok, id, text, literal, 0);
    ok &= check_decode(t, tok, id, ids, decoded, true);
    ok &= check_decode(t, tok, id, ids, raw, false);
    ok &= check_stream(t, tok, id, ids, row, decoded);
    return ok;
}

static bool check_decode_row(struct tally *t, const struct tokenizer *tok, const struct jvalue *row)
{
    const char *id = jvalue_get(row, "id")->u.string.text;
    const struct jvalue *ids = jvalue_get(row, "ids"), *decoded = jvalue_get(row, "decoded");
    const struct jvalue *raw = jvalue_get(row, "decoded_raw");
    bool ok = check_decode(t, tok, id, ids, decoded, true);

    ok &= check_decode(t, tok, id, ids, raw ? raw : decoded, false);
    ok &= check_stream(t, tok, id, ids, row, decoded);
    return ok;
}

static bool same_hash(const struct jvalue *row, const char *key, const void *data, size_t n)
{
    char hex[65];

    return hash_sha256(data, n, hex, NULL) == ST_OK && jvalue_is_text(jvalue_get(row, key), hex);
}

static bool check_long(struct tally *t, const struct tokenizer *tok, const struct jvalue *row)
{
    char path[8192];
    char *text;
    size_t n;
    struct token_ids ids = { 0 };
    struct str out = { 0 };
    bool ok = true;

    snprintf(path, sizeof path, "%s/%s", root, jvalue_get(row, "text_file")->u.string.text);
    assert_int_equal(os_read_file(path, 0, &text, &n, NULL), ST_OK);
    ok &= tokenizer_encode(tok, text, n, TOK_ADD_SPECIAL | TOK_PARSE_SPECIAL, &ids, NULL) == ST_OK;
    ok &= same_hash(row, "ids_sha256", ids.ids, ids.n * sizeof *ids.ids);
    tokenizer_decode(tok, ids.ids, ids.n, true, &out, NULL);
    ok &= same_hash(row, "decoded_sha256", str_cstr(&out), out.len);
    str_clear(&out);
    tokenizer_decode(tok, ids.ids, ids.n, false, &out, NULL);
    ok &= same_hash(row, "decoded_raw_sha256", str_cstr(&out), out.len);
    ids.n = 0;
    ok &= tokenizer_encode(tok, text, n, TOK_PARSE_SPECIAL, &ids, NULL) == ST_OK;
    ok &= same_hash(row, "ids_plain_sha256", ids.ids, ids.n * sizeof *ids.ids);
    if (!ok) tell(t, "long", "hash", "", 0);
    str_fini(&out);
    token_ids_fini(&ids);
    mem_free(text);
    return ok;
}

/* All ids of all rows as one text: a long decode joins ready-made texts, a stream goes through the
 * decoders, and both must say the same. */
static bool check_joined(struct tally *t, const struct tokenizer *tok, const struct token_ids *all,
                         bool skip)
{
    struct token_stream *s;
    struct str whole = { 0 }, streamed = { 0 };
    bool ok = tokenizer_decode(tok, all->ids, all->n, skip, &whole, NULL) == ST_OK;

    assert_int_equal(token_stream_create(&s, tok, skip, NULL), ST_OK);
    for (size_t i = 0; i < all->n; i++)
        assert_int_equal(token_stream_push(s, all->ids[i], &streamed, NULL), ST_OK);
    assert_int_equal(token_stream_finish(s, &streamed, NULL), ST_OK);
    ok = ok && whole.len == streamed.len &&
         memcmp(str_cstr(&whole), str_cstr(&streamed), whole.len) == 0;
    if (!ok) tell(t, "joined", skip ? "decode" : "decode raw", "", 0);
    token_stream_destroy(s);
    str_fini(&whole);
    str_fini(&streamed);
    return ok;
}

static void gather(struct token_ids *all, const struct jvalue *ids)
{
    const size_t n = ids->u.list.n;

    if (all->n + n > all->cap) {
        all->cap = 2 * (all->n + n);
        all->ids = mem_realloc_array(all->ids, all->cap, sizeof *all->ids);
    }
    for (size_t i = 0; i < n; i++) all->ids[all->n++] = (int32_t)ids->u.list.items[i]->u.integer;
}

static void run_file(struct tally *t, const struct tokenizer *tok, const char *dir,
                     const char *name)
{
    char path[8192];
    char *text;
    size_t n;
    struct token_ids all = { 0 };

    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(os_read_file(path, 0, &text, &n, NULL), ST_OK);
    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        const size_t stop = end ? (size_t)(end - text) : n;
        struct arena a = { 0 };
        struct jvalue *row;
        bool ok;

        assert_int_equal(jvalue_parse(&a, text + at, stop - at, &row, NULL), ST_OK);
        if (jvalue_get(row, "text_file"))
            ok = check_long(t, tok, row);
        else
            ok = jvalue_get(row, "text") ? check_case(t, tok, row) : check_decode_row(t, tok, row);
        t->n++;
        t->failed += !ok;
        if (jvalue_get(row, "ids")) gather(&all, jvalue_get(row, "ids"));
        arena_fini(&a);
        at = stop + 1;
    }
    t->failed += !check_joined(t, tok, &all, true);
    t->failed += !check_joined(t, tok, &all, false);
    token_ids_fini(&all);
    mem_free(text);
}

static size_t run_folder(const char *name)
{
    char dir[4200];
    struct tokenizer *tok;
    struct err err = { 0 };
    struct tally t = { .name = name };

    snprintf(dir, sizeof dir, "%s/%s", root, name);
    const uint64_t start = os_now_ns();
    if (tokenizer_open(&tok, dir, &err) != ST_OK) {
        fprintf(stderr, "%s: does not open: %s\n", name, err.text);
        return 1;
    }
    const double ms = (double)(os_now_ns() - start) / 1e6;
    run_file(&t, tok, dir, "cases.jsonl");
    run_file(&t, tok, dir, "decode.jsonl");
    fprintf(stderr, "%-28s %5zu cases, %zu failed (open %.1f ms)\n", name, t.n, t.failed, ms);
    tokenizer_close(tok);
    return t.failed;
}

static const char *only;

static void all_tokenizers_equal_the_reference(void **state)
{
    char **names;
    size_t n, failed = 0, run = 0;

    (void)state;
    assert_int_equal(os_list_dir(root, &names, &n, NULL), ST_OK);
    for (size_t i = 0; i < n; i++) {
        char path[8192];

        if (names[i][0] == '_' || (only && !str_equal(only, names[i]))) continue;
        snprintf(path, sizeof path, "%s/%s/cases.jsonl", root, names[i]);
        if (!os_is_file(path)) continue;
        failed += run_folder(names[i]);
        run++;
    }
    os_free_list(names, n);
    assert_true(run > 0);
    assert_int_equal(failed, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(all_tokenizers_equal_the_reference) };

    if (argc > 1) only = argv[1];
    find_root();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
