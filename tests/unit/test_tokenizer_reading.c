/* SPDX-License-Identifier: MIT */
/* What a vocabulary is read with: strings, small integers and spans of JSON eight bytes at a time,
 * and the byte-level alphabet. Whatever stands where, they give what reading byte by byte gives. */
#include "base/base.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/json_reader.h"
#include "tokenizer/tok_internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint32_t state = 1;

static uint32_t draw(uint32_t n)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

/* Characters next to every border that the reader's words of eight bytes look for. */
static int32_t any_character(void)
{
    static const int32_t few[] = { 0x20,  0x21,  '"',    0x23,   '[',    '\\',    ']',      '{',
                                   '}',   0x7E,  0x7F,   0x80,   0xA0,   0xA1,    0xAC,     0xAD,
                                   0xAE,  0xC0,  0xFF,   0x100,  0x120,  0x121,   0x143,    0x144,
                                   0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF, ',',
                                   ':',   '0',   0x1F,   0x0A };

    return draw(3) ? 'a' + (int32_t)draw(26) : few[draw(COUNT(few))];
}

static void fill_text(struct str *out, uint32_t chars)
{
    str_clear(out);
    while (chars--) uni_put(out, any_character());
}

/* A string as it may stand in a file: some characters escaped that need not be. */
static void put_string(struct str *out, const struct str *text)
{
    if (draw(2)) {
        str_put_json(out, str_cstr(text), text->len);
        return;
    }
    str_put_char(out, '"');
    for (size_t i = 0; i < text->len;) {
        int32_t cp;
        const size_t n = utf8_decode(text->data + i, text->len - i, &cp);

        if (cp < 0x10000 && (cp < 0x20 || cp == '"' || cp == '\\' || draw(9) == 0))
            str_printf(out, "\\u%04x", (unsigned)cp);
        else
            str_put_n(out, text->data + i, n);
        i += n;
    }
    str_put_char(out, '"');
}

static void strings_are_what_was_written(void **unused)
{
    struct str text = { 0 }, json = { 0 };

    (void)unused;
    for (int round = 0; round < 20000; round++) {
        struct json_reader r;
        const char *got;
        size_t n;

        fill_text(&text, draw(30));
        str_clear(&json);
        str_put_n(&json, "         ", draw(9)); /* at every place of a word */
        put_string(&json, &text);
        str_put_n(&json, "         ", draw(9));
        char *exact = mem_alloc(json.len); /* nothing behind the end may be looked at */
        memcpy(exact, json.data, json.len);
        json_reader_init(&r, exact, json.len, NULL);
        assert_true(json_reader_string(&r, &got, &n) && json_reader_end(&r));
        assert_int_equal(n, text.len);
        assert_memory_equal(got, str_cstr(&text), n);
        json_reader_fini(&r);
        mem_free(exact);
    }
    str_fini(&text);
    str_fini(&json);
}

static bool reads(const char *json, size_t n)
{
    struct json_reader r;
    const char *got;
    size_t got_n;

    json_reader_init(&r, json, n, NULL);
    const bool ok = json_reader_string(&r, &got, &got_n) && json_reader_end(&r);
    json_reader_fini(&r);
    return ok;
}

/* A bad byte is found wherever it stands. */
static void bad_strings_are_refused(void **unused)
{
    static const char *const bad[] = { "\x01", "\x1F",     "\n",           "\x80",
                                       "\xC3", "\xC0\xAF", "\xED\xA0\x80", "\xF5\x80\x80\x80",
                                       "\\q",  "\\u12G4" };

    (void)unused;
    for (size_t b = 0; b < COUNT(bad); b++)
        for (size_t before = 0; before < 20; before++)
            for (size_t after = 0; after < 12; after++) {
                struct str json = { 0 };

                str_put_char(&json, '"');
                for (size_t i = 0; i < before; i++) str_put(&json, i % 5 ? "a" : "\xC4\xA0");
                const size_t good = json.len;
                str_put(&json, bad[b]);
                for (size_t i = 0; i < after; i++) str_put_char(&json, 'b');
                str_put_char(&json, '"');
                assert_false(reads(json.data, json.len));
                json.data[good] = '"';
                assert_true(reads(json.data, good + 1));
                assert_false(reads(json.data, good));
                str_fini(&json);
            }
}

static void integers_are_read_or_left(void **unused)
{
    static const char *const ends[] = { ",", "}", " ", "\n", ".5", "e3", "E1", "x", ":", "/" };

    (void)unused;
    for (int round = 0; round < 20000; round++) {
        const uint64_t value = draw(1u << 24) >> draw(24);
        const char *end = ends[draw(COUNT(ends))];
        struct str json = { 0 };
        struct json_reader r;
        int64_t got = -1;

        str_printf(&json, "%s%s%llu%s        ", draw(4) ? "" : " ", draw(9) ? "" : "0",
                   (unsigned long long)value, end);
        json_reader_init(&r, json.data, json.len, NULL);
        const char *digits = str_cstr(&json) + (json.data[0] == ' ');
        const size_t n = strspn(digits, "0123456789");
        const bool plain = (digits[0] != '0' || n == 1) && n < 8 && !strchr(".eE", *end);
        assert_int_equal(json_reader_index(&r, &got), plain);
        if (plain) assert_int_equal(got, strtoll(digits, NULL, 10));
        json_reader_fini(&r);
        str_fini(&json);
    }
}

/* The end of a span and the number of its items, brackets and commas in strings among them. */
static void spans_end_where_they_do(void **unused)
{
    struct str json = { 0 }, text = { 0 };

    (void)unused;
    for (int round = 0; round < 5000; round++) {
        const uint32_t items = draw(6), kind = draw(3);
        struct json_reader r;
        struct json_span span;

        str_clear(&json);
        str_put(&json, kind ? "[" : "{");
        for (uint32_t i = 0; i < items; i++) {
            str_put(&json, i ? (draw(2) ? ", " : ",") : "");
            fill_text(&text, draw(12));
            if (kind == 2) str_put(&json, "[");
            put_string(&json, &text);
            if (kind == 0) str_printf(&json, ": %u", draw(1000000));
            if (kind == 2) str_printf(&json, ",-%u.5]", draw(100));
        }
        str_put(&json, kind ? "]" : "}");
        const size_t n = json.len;
        str_put(&json, draw(2) ? ",1" : " ]");
        json_reader_init(&r, json.data, json.len, NULL);
        assert_true(json_reader_span(&r, &span));
        assert_int_equal(span.n, n);
        assert_int_equal(span.items, items);
        json_reader_fini(&r);
        json_reader_init(&r, json.data, n - 1, NULL);
        assert_false(json_reader_span(&r, &span));
        json_reader_fini(&r);
    }
    str_fini(&json);
    str_fini(&text);
}

static void the_alphabet_gives_the_bytes_back(void **unused)
{
    (void)unused;
    for (int round = 0; round < 20000; round++) {
        char bytes[64], got[128];
        const size_t n = draw(40);
        struct str text = { 0 };
        size_t got_n, stop;

        for (size_t i = 0; i < n; i++) bytes[i] = (char)(draw(2) ? 'a' + draw(26) : draw(256));
        byte_level_put(&text, bytes, n);
        assert_true(byte_level_unmap_to(got, str_cstr(&text), text.len, &got_n));
        assert_int_equal(got_n, n);
        assert_memory_equal(got, bytes, n);
        /* one character of another kind, and it is no text of the alphabet */
        const size_t before = text.len;
        uni_put(&text, !draw(3)  ? 0x7F + (int32_t)draw(0xA1 - 0x7F)
                       : draw(2) ? 0x144 + (int32_t)draw(0x1000)
                                 : (int32_t)draw(0x21));
        str_put_n(&text, "abcdefgh", draw(9));
        assert_false(byte_level_unmap_to(got, text.data, text.len, &got_n));
        stop = byte_level_unmap_prefix(got, text.data, text.len, &got_n);
        assert_true(stop <= before);
        assert_true(stop == before || text.data[stop] == '"' || text.data[stop] == '\\');
        str_fini(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_what_was_written),
        cmocka_unit_test(bad_strings_are_refused),
        cmocka_unit_test(integers_are_read_or_left),
        cmocka_unit_test(spans_end_where_they_do),
        cmocka_unit_test(the_alphabet_gives_the_bytes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
