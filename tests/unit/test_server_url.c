/* SPDX-License-Identifier: MIT */
/* Request targets: what is decoded, and what is refused. */
#include "server/url.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static status parse(const char *target, struct url *u, struct arena *a)
{
    arena_reset(a);
    return url_parse(u, target, a, NULL);
}

static void decodes_segments_and_parameters(void **state)
{
    struct arena a = { 0 };
    struct url u;

    (void)state;
    assert_int_equal(parse("/openai/load/x%3A4?ttl=600&ep=&unload&a=1+2%2B3", &u, &a), ST_OK);
    assert_int_equal(u.n_segments, 3);
    assert_string_equal(u.segments[2], "x:4");
    assert_string_equal(url_param(&u, "ttl"), "600");
    assert_string_equal(url_param(&u, "ep"), "");
    assert_string_equal(url_param(&u, "unload"), "");
    assert_string_equal(url_param(&u, "a"), "1 2+3");
    assert_null(url_param(&u, "none"));
    arena_fini(&a);
}

static void keeps_an_encoded_slash_inside_its_segment(void **state)
{
    struct arena a = { 0 };
    struct url u;

    (void)state;
    assert_int_equal(parse("/v1/models/a%2Fb", &u, &a), ST_OK);
    assert_int_equal(u.n_segments, 3);
    assert_string_equal(u.segments[2], "a/b");
    arena_fini(&a);
}

static void takes_root_raw_colons_and_a_trailing_slash(void **state)
{
    struct arena a = { 0 };
    struct url u;

    (void)state;
    assert_int_equal(parse("/", &u, &a), ST_OK);
    assert_int_equal(u.n_segments, 0);
    assert_int_equal(parse("/v1/models/", &u, &a), ST_OK);
    assert_int_equal(u.n_segments, 2);
    assert_int_equal(parse("/v1/models/phi:3", &u, &a), ST_OK);
    assert_string_equal(u.segments[2], "phi:3");
    assert_int_equal(parse("/v1/models/%C3%A9", &u, &a), ST_OK);
    assert_string_equal(u.segments[2], "\xc3\xa9");
    arena_fini(&a);
}

static void refuses_what_is_no_clean_path(void **state)
{
    static const char *const bad[] = {
        "",          "*",          "http://evil/",
        "v1",        "/%00",       "/a%00b",
        "/%0d%0a",   "/%7f",       "/%zz",
        "/%4",       "/%",         "//evil",
        "/a//b",     "/.",         "/a/../b",
        "/%2e%2e/a", "/a b",       "/a\tb",
        "/a\x01",    "/%ff",       "/%c0%af",
        "/a?b=%00",  "/a?%0a=1",   "/a?b=%g0",
        "/\xff\xfe", "/%ed%a0%80", "/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/h",
    };
    struct arena a = { 0 };
    struct url u;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (parse(bad[i], &u, &a) == ST_OK) fail_msg("accepted: %s", bad[i]);
    arena_fini(&a);
}

static void limits_length_and_parameters(void **state)
{
    struct arena a = { 0 };
    struct url u;
    char text[URL_BYTES_MAX + 3];

    (void)state;
    memset(text, 'a', sizeof text);
    text[0] = '/';
    text[URL_BYTES_MAX] = '\0';
    assert_int_equal(parse(text, &u, &a), ST_OK);
    text[URL_BYTES_MAX] = 'a';
    text[URL_BYTES_MAX + 1] = '\0';
    assert_int_equal(parse(text, &u, &a), ST_LIMIT);

    char query[8 + 4 * (URL_PARAMS_MAX + 1)] = "/?";
    for (int i = 0; i < URL_PARAMS_MAX; i++) strcat(query, "a=1&");
    assert_int_equal(parse(query, &u, &a), ST_OK);
    strcat(query, "a=1");
    assert_int_equal(parse(query, &u, &a), ST_INVALID);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_segments_and_parameters),
        cmocka_unit_test(keeps_an_encoded_slash_inside_its_segment),
        cmocka_unit_test(takes_root_raw_colons_and_a_trailing_slash),
        cmocka_unit_test(refuses_what_is_no_clean_path),
        cmocka_unit_test(limits_length_and_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
