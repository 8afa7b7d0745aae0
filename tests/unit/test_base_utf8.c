/* SPDX-License-Identifier: MIT */
/* UTF-8 against the Unicode standard's tables and against counting. */
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static bool is_scalar(int32_t cp) { return cp < 0xD800 || cp >= 0xE000; }

static void every_scalar_value_round_trips(void **state)
{
    (void)state;
    for (int32_t cp = 0; cp < 0x110000; cp++) {
        char bytes[4];
        int32_t back;
        if (!is_scalar(cp)) continue;
        const size_t n = utf8_encode(cp, bytes);
        assert_int_equal(n, cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4);
        assert_int_equal(utf8_decode(bytes, n, &back), n);
        assert_int_equal(back, cp);
        assert_true(utf8_valid(bytes, n));
        for (size_t cut = 1; cut < n; cut++) {
            assert_false(utf8_valid(bytes, cut));
            assert_int_equal(utf8_incomplete_tail(bytes, cut), cut);
        }
        assert_int_equal(utf8_incomplete_tail(bytes, n), 0);
    }
}

/* Of all 2^24 strings of three bytes exactly these many are UTF-8: three of one byte, one and two,
 * two and one, one of three (2^16 - 2^11 - 2048 surrogates). */
static void counts_of_valid_strings_are_right(void **state)
{
    size_t valid = 0;

    (void)state;
    for (uint32_t i = 0; i < 1u << 24; i++) {
        const char s[3] = { (char)(i >> 16), (char)(i >> 8), (char)i };
        valid += utf8_valid(s, 3);
    }
    assert_int_equal(valid, 128 * 128 * 128 + 2 * 128 * 1920 + 61440);
    valid = 0;
    for (uint32_t i = 0; i < 1u << 24; i++) { /* four bytes, the last one 80 */
        const char s[4] = { (char)(i >> 16), (char)(i >> 8), (char)i, (char)0x80 };
        int32_t cp;
        valid += utf8_decode(s, 4, &cp) == 4 && cp >= 0x10000;
    }
    assert_int_equal(valid, 0x100000 / 64);
}

struct table_row {
    const char *bytes, *decoded; /* '?' = one ill-formed part */
};

static void ill_formed_text_splits_as_the_standard_says(void **state)
{
    /* Unicode 15, tables 3-8 to 3-11. */
    static const struct table_row rows[] = {
        { "\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", "????????A" },
        { "\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", "????????A" },
        { "\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", "?????A??B" },
        { "\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "????A" },
        { "\xF5\x80\x80\x80z", "????z" },
        { "\xE2\x82", "?" },
        { "\xF0\x9F\x98", "?" },
    };

    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++) {
        char decoded[16] = "";
        size_t n = strlen(rows[r].bytes), at = 0;
        for (const char *s = rows[r].bytes; n > 0;) {
            int32_t cp;
            const size_t len = utf8_decode(s, n, &cp);
            assert_in_range(len, 1, n);
            decoded[at++] = cp < 0 ? '?' : (char)cp;
            s += len;
            n -= len;
        }
        assert_string_equal(decoded, rows[r].decoded);
        assert_false(utf8_valid(rows[r].bytes, strlen(rows[r].bytes)));
    }
}

static void incomplete_tail_is_what_may_still_become_whole(void **state)
{
    (void)state;
    assert_int_equal(utf8_incomplete_tail("", 0), 0);
    assert_int_equal(utf8_incomplete_tail("abc", 3), 0);
    assert_int_equal(utf8_incomplete_tail("a\xE2\x82", 3), 2);
    assert_int_equal(utf8_incomplete_tail("a\xF0\x9F\x98", 4), 3);
    assert_int_equal(utf8_incomplete_tail("\xE2\x82\xAC", 3), 0);
    assert_int_equal(utf8_incomplete_tail("\xED\xA0", 2), 0); /* a surrogate never becomes whole */
    assert_int_equal(utf8_incomplete_tail("\xF4\x90", 2), 0);
    assert_int_equal(utf8_incomplete_tail("\x80\x80", 2), 0);
    assert_int_equal(utf8_incomplete_tail("\xFF", 1), 0);
}

static void validity_holds_across_the_word_at_a_time_path(void **state)
{
    char s[40];

    (void)state;
    for (size_t at = 0; at < sizeof s; at++) {
        memset(s, 'a', sizeof s);
        assert_true(utf8_valid(s, sizeof s));
        s[at] = (char)0x80;
        assert_false(utf8_valid(s, sizeof s));
        if (at + 1 < sizeof s) {
            s[at] = (char)0xC3;
            s[at + 1] = (char)0xA9;
            assert_true(utf8_valid(s, sizeof s));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scalar_value_round_trips),
        cmocka_unit_test(counts_of_valid_strings_are_right),
        cmocka_unit_test(ill_formed_text_splits_as_the_standard_says),
        cmocka_unit_test(incomplete_tail_is_what_may_still_become_whole),
        cmocka_unit_test(validity_holds_across_the_word_at_a_time_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
