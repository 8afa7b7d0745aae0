/* SPDX-License-Identifier: MIT */
/* Stop strings: whatever the pieces, the text ends before the stop string that is complete first.
 */
#include "server/stop_strings.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static uint64_t rng_state = 88172645463325252u;

static unsigned draw(unsigned below)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return (unsigned)(rng_state % below);
}

/* The definition, by exhaustive search: the length of the text before the stop, or n. */
static size_t expected(const char *text, size_t n, const char *const *stops, size_t n_stops,
                       bool *found)
{
    *found = false;
    for (size_t end = 1; end <= n; end++) {
        size_t best = 0;
        for (size_t i = 0; i < n_stops; i++) {
            const size_t len = strlen(stops[i]);
            if (len <= end && len > best && !memcmp(text + end - len, stops[i], len)) best = len;
        }
        if (best == 0) continue;
        *found = true;
        return end - best;
    }
    return n;
}

static void run(const char *text, size_t n, const char *const *stops, size_t n_stops)
{
    struct stop_matcher m;
    struct str out = { 0 };
    bool want_found = false, found = false;
    const size_t want = expected(text, n, stops, n_stops, &want_found);

    stop_matcher_init(&m, stops, n_stops);
    for (size_t at = 0; at < n && !found;) {
        const size_t piece = 1 + draw(5);
        const size_t len = piece < n - at ? piece : n - at;
        found = stop_matcher_push(&m, text + at, len, &out);
        at += len;
        /* Nothing beyond the answer is ever given out, and no more is held than may become a stop.
         */
        assert_true(out.len <= want);
        if (!found && out.len + STOP_STRING_BYTES_MAX < at) fail_msg("held too much");
    }
    if (!found) stop_matcher_finish(&m, &out);
    assert_int_equal(found, want_found);
    assert_int_equal(out.len, want);
    if (want > 0) assert_memory_equal(out.data, text, want);
    stop_matcher_fini(&m);
    str_fini(&out);
}

static void any_chunking_gives_the_same_text(void **state)
{
    enum { ROUNDS = 20000, TEXT_MAX = 40, STOP_MAX = 5 };

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        char text[TEXT_MAX], stops[STOP_STRINGS_MAX][STOP_MAX + 1];
        const char *list[STOP_STRINGS_MAX];
        const size_t n = draw(TEXT_MAX), n_stops = draw(STOP_STRINGS_MAX + 1);
        for (size_t i = 0; i < n; i++) text[i] = (char)('a' + draw(3));
        for (size_t s = 0; s < n_stops; s++) {
            const size_t len = 1 + draw(STOP_MAX);
            for (size_t i = 0; i < len; i++) stops[s][i] = (char)('a' + draw(3));
            stops[s][len] = '\0';
            list[s] = stops[s];
        }
        run(text, n, list, n_stops);
    }
}

static void holds_back_only_what_may_become_a_stop(void **state)
{
    const char *const stops[] = { "</s>", "\n\n" };
    struct stop_matcher m;
    struct str out = { 0 };

    (void)state;
    stop_matcher_init(&m, stops, COUNT(stops));
    assert_false(stop_matcher_push(&m, "hello</", 7, &out));
    assert_string_equal(str_cstr(&out), "hello");
    assert_false(stop_matcher_push(&m, "b>\n", 3, &out));
    assert_string_equal(str_cstr(&out), "hello</b>");
    assert_false(stop_matcher_push(&m, "x", 1, &out));
    assert_string_equal(str_cstr(&out), "hello</b>\nx");
    assert_true(stop_matcher_push(&m, "y</s>z", 6, &out));
    assert_string_equal(str_cstr(&out), "hello</b>\nxy");
    assert_true(stop_matcher_push(&m, "more", 4, &out));
    assert_string_equal(str_cstr(&out), "hello</b>\nxy");
    stop_matcher_fini(&m);
    str_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_chunking_gives_the_same_text),
        cmocka_unit_test(holds_back_only_what_may_become_a_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
