/* SPDX-License-Identifier: MIT */
/* Single pipeline parts against the reference: normalizers, pre-tokenizers, decoders, repair of
 * what is not UTF-8; and the scanners of well-known patterns against PCRE2 on the same texts. */
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

static char root[4096];
static struct arena keep;
static struct jvalue *texts; /* list of strings */

static struct jvalue *read_json(const char *name)
{
    char path[8192];
    char *text;
    size_t n;
    struct jvalue *v;

    snprintf(path, sizeof path, "%s/%s", root, name);
    assert_int_equal(os_read_file(path, 0, &text, &n, NULL), ST_OK);
    assert_int_equal(jvalue_parse(&keep, text, n, &v, NULL), ST_OK);
    mem_free(text);
    return v;
}

typedef bool row_fn(const struct jvalue *defs, const struct jvalue *row);

/* Rows of a file; how many fn found wrong. */
static size_t failures(const char *name, const struct jvalue *defs, row_fn *fn)
{
    char path[8192];
    char *text;
    size_t n, failed = 0, rows = 0;

    snprintf(path, sizeof path, "%s/%s", root, name);
    assert_int_equal(os_read_file(path, 0, &text, &n, NULL), ST_OK);
    for (size_t at = 0; at < n; rows++) {
        const char *end = memchr(text + at, '\n', n - at);
        const size_t stop = end ? (size_t)(end - text) : n;
        struct arena a = { 0 };
        struct jvalue *row;

        assert_int_equal(jvalue_parse(&a, text + at, stop - at, &row, NULL), ST_OK);
        if (!fn(defs, row)) {
            if (failed++ < 20)
                fprintf(stderr, "  %s: %s\n", name, jvalue_get(row, "id")->u.string.text);
        }
        arena_fini(&a);
        at = stop + 1;
    }
    mem_free(text);
    fprintf(stderr, "%s: %zu rows, %zu failed\n", name, rows, failed);
    assert_true(rows > 0);
    return failed;
}

/* The definition that a row's id names. */
static const struct jvalue *def_of(const struct jvalue *defs, const struct jvalue *row)
{
    const struct jvalue *id = jvalue_get(row, "id");
    const char *slash = strrchr(id->u.string.text, '/');
    const struct jvalue *def =
        jvalue_get_n(defs, id->u.string.text, (size_t)(slash - id->u.string.text));

    assert_non_null(def);
    return def;
}

static bool same(const struct jvalue *want, const char *p, size_t n)
{
    return want->u.string.n == n && memcmp(want->u.string.text, p, n) == 0;
}

/* ---- normalizers ---- */

static bool normalizer_row(const struct jvalue *defs, const struct jvalue *row)
{
    struct arena a = { 0 };
    struct norm_list list = { 0 };
    struct str bufs[2] = { 0 };
    const struct jvalue *in = jvalue_get(row, "text");
    struct piece text = { in->u.string.text, in->u.string.n, true };

    assert_int_equal(normalizers_load(&a, def_of(defs, row), &list, NULL), ST_OK);
    const bool ok = normalizers_run(&list, bufs, &text, NULL) == ST_OK &&
                    same(jvalue_get(row, "out"), text.p, text.n);
    normalizers_fini(&list);
    str_fini(&bufs[0]);
    str_fini(&bufs[1]);
    arena_fini(&a);
    return ok;
}

static void normalizers_equal_the_reference(void **state)
{
    (void)state;
    assert_int_equal(
        failures("normalizers.jsonl", read_json("normalizers.defs.json"), normalizer_row), 0);
}

/* ---- pre-tokenizers ---- */

struct expected {
    const struct jvalue *out, *len;
    size_t next;
    bool ok;
};

static status compare_piece(struct enc *e, struct piece in, struct err *err)
{
    struct expected *x = e->sink_user;
    const struct jvalue *list = x->out ? x->out : x->len;

    (void)err;
    if (x->next >= list->u.list.n)
        x->ok = false;
    else if (x->out)
        x->ok = x->ok && same(list->u.list.items[x->next], in.p, in.n);
    else
        x->ok = x->ok && list->u.list.items[x->next]->u.integer == (int64_t)in.n;
    x->next++;
    return ST_OK;
}

static bool pre_tokenizer_row(const struct jvalue *defs, const struct jvalue *row)
{
    struct arena a = { 0 };
    struct pre_list list = { 0 };
    struct expected x = { jvalue_get(row, "out"), jvalue_get(row, "len"), 0, true };
    const struct jvalue *text = texts->u.list.items[jvalue_get(row, "text")->u.integer];
    struct enc e = { .sink = compare_piece, .sink_user = &x };

    assert_int_equal(pre_tokenizers_load(&a, def_of(defs, row), &list, NULL), ST_OK);
    e.stages = list.items;
    e.n_stages = list.n;
    const struct piece all = { text->u.string.text, text->u.string.n, true };
    x.ok =
        pre_emit(&e, 0, all, NULL) == ST_OK && x.ok && x.next == (x.out ? x.out : x.len)->u.list.n;
    enc_fini(&e);
    pre_tokenizers_fini(&list);
    arena_fini(&a);
    return x.ok;
}

static void pre_tokenizers_equal_the_reference(void **state)
{
    (void)state;
    assert_int_equal(
        failures("pre_tokenizers.jsonl", read_json("pre_tokenizers.defs.json"), pre_tokenizer_row),
        0);
}

/* ---- decoders ---- */

static bool decoder_row(const struct jvalue *defs, const struct jvalue *row)
{
    struct arena a = { 0 };
    struct decoder_list list = { 0 };
    struct decoding *d;
    const struct jvalue *tokens = jvalue_get(row, "tokens");

    assert_int_equal(decoders_load(&a, def_of(defs, row), &list, NULL), ST_OK);
    assert_int_equal(decoding_create(&d, &list, NULL), ST_OK);
    for (size_t i = 0; i < tokens->u.list.n; i++)
        decoding_push(d, tokens->u.list.items[i]->u.string.text,
                      tokens->u.list.items[i]->u.string.n, NULL);
    decoding_finish(d, NULL);
    const bool ok = same(jvalue_get(row, "out"), str_cstr(decoding_text(d)), decoding_text(d)->len);
    decoding_destroy(d);
    decoders_fini(&list);
    arena_fini(&a);
    return ok;
}

static void decoders_equal_the_reference(void **state)
{
    (void)state;
    assert_int_equal(failures("decoders.jsonl", read_json("decoders.defs.json"), decoder_row), 0);
}

/* ---- what is not UTF-8 ---- */

static bool repair_row(const struct jvalue *defs, const struct jvalue *row)
{
    const struct jvalue *hex = jvalue_get(row, "bytes_hex");
    struct str bytes = { 0 }, out = { 0 };

    (void)defs;
    for (size_t i = 0; i + 1 < hex->u.string.n; i += 2) {
        const char two[3] = { hex->u.string.text[i], hex->u.string.text[i + 1], 0 };
        str_put_char(&bytes, (char)strtol(two, NULL, 16));
    }
    uni_put_repaired(&out, str_cstr(&bytes), bytes.len);
    const bool ok = same(jvalue_get(row, "repaired"), str_cstr(&out), out.len);
    str_fini(&bytes);
    str_fini(&out);
    return ok;
}

static void bad_bytes_become_replacement_characters(void **state)
{
    (void)state;
    assert_int_equal(failures("invalid-utf8.jsonl", NULL, repair_row), 0);
}

/* ---- scanners against PCRE2 ---- */

static void compare_scanner(const struct regex *own, const struct regex *pcre, const char *p,
                            size_t n)
{
    struct regex_scratch s = { 0 };

    for (size_t at = 0; at < n;) {
        struct regex_match a = { .from = at }, b = { .from = at };

        assert_int_equal(regex_next(pcre, &s, p, n, &a, NULL), ST_OK);
        assert_int_equal(regex_next(own, &s, p, n, &b, NULL), ST_OK);
        if (!a.found && !b.found) break;
        if (!a.found || !b.found || a.start != b.start || a.end != b.end) {
            fprintf(stderr, "at byte %zu of \"%.*s\": PCRE2 [%zu, %zu), scanner [%zu, %zu)\n", at,
                    (int)n, p, a.start, a.end, b.start, b.end);
            fail();
        }
        at = a.end;
    }
    regex_scratch_fini(&s);
}

/* PCRE2 may know an older Unicode than the scanners: texts with characters that it takes for
 * unassigned say nothing. */
static bool pcre_knows(const char *p, size_t n)
{
    static const char unassigned[] = "\\p{Cn}";
    struct regex_scratch s = { 0 };
    struct regex *re;
    struct regex_match m = { 0 };

    assert_int_equal(regex_create(&re, unassigned, strlen(unassigned), REGEX_NO_SCANNER, NULL),
                     ST_OK);
    assert_int_equal(regex_next(re, &s, p, n, &m, NULL), ST_OK);
    regex_scratch_fini(&s);
    regex_destroy(re);
    return !m.found;
}

/* Strings of characters that the patterns tell apart. */
static void random_text(uint64_t *seed, struct str *out)
{
    static const char *const parts[] = {
        " ", "  ",       "\n",           "\r",           "\t", "a", "B", "1",  "23",
        "'", "s",        "'S",           "'ll",          "re", "é", "É", "中", "ǅ",
        "ʰ", "\xCC\x81", "\xC2\xA0",     "\xE3\x80\x80", "ſ",  "!", "/", "-",  "٣",
        "Ⅷ", "😀",        "\xE2\x80\x8D", "\xC2\x85"
    };

    str_clear(out);
    for (unsigned i = 0; i < 24; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        str_put(out, parts[(*seed >> 33) % COUNT(parts)]);
    }
}

static void scanners_split_like_pcre2(void **state)
{
    static const char *const names[] = { "split-gpt2",           "split-cl100k", "split-qwen2",
                                         "split-qwen3.5",        "split-o200k",  "split-tekken",
                                         "split-deepseek3-words" };
    const struct jvalue *defs = read_json("pre_tokenizers.defs.json");
    uint64_t seed = 7;
    struct str text = { 0 };

    (void)state;
    for (size_t k = 0; k < COUNT(names); k++) {
        const struct jvalue *pattern =
            jvalue_get(jvalue_get(jvalue_get(defs, names[k]), "pattern"), "Regex");
        struct regex *own, *pcre;

        assert_non_null(scan_find(pattern->u.string.text, pattern->u.string.n));
        assert_int_equal(regex_create(&own, pattern->u.string.text, pattern->u.string.n, 0, NULL),
                         ST_OK);
        assert_int_equal(regex_create(&pcre, pattern->u.string.text, pattern->u.string.n,
                                      REGEX_NO_SCANNER, NULL),
                         ST_OK);
        for (size_t i = 0; i < texts->u.list.n; i++) {
            const struct jvalue *t = texts->u.list.items[i];
            if (pcre_knows(t->u.string.text, t->u.string.n))
                compare_scanner(own, pcre, t->u.string.text, t->u.string.n);
        }
        for (unsigned i = 0; i < 3000; i++) {
            random_text(&seed, &text);
            compare_scanner(own, pcre, text.data, text.len);
        }
        regex_destroy(own);
        regex_destroy(pcre);
    }
    str_fini(&text);
}

static bool keep_text(const struct jvalue *defs, const struct jvalue *row)
{
    const struct jvalue *s = jvalue_get(row, "s");

    (void)defs;
    return jvalue_append(&keep, texts, jvalue_string_n(&keep, s->u.string.text, s->u.string.n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normalizers_equal_the_reference),
        cmocka_unit_test(pre_tokenizers_equal_the_reference),
        cmocka_unit_test(decoders_equal_the_reference),
        cmocka_unit_test(bad_bytes_become_replacement_characters),
        cmocka_unit_test(scanners_split_like_pcre2),
    };
    const char *given = getenv("CUPOLA_FIXTURES");

    if (given)
        snprintf(root, sizeof root, "%s/fixtures/tokenizers/_parts", given);
    else
        snprintf(root, sizeof root, "%s/tests/fixtures/tokenizers/_parts", CUPOLA_SOURCE_DIR);
    texts = jvalue_list(&keep);
    failures("texts.jsonl", NULL, keep_text);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&keep);
    return failed;
}
