/* SPDX-License-Identifier: MIT */
/* The JSON gate: what RFC 8259 allows passes with its value, everything else is refused with a byte
 * offset. */
#include "base/base.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* A byte string with its length, NULs included. */
// clang-format off
#define TEXT(s) { (s), sizeof(s) - 1 }
// clang-format on

struct text {
    const char *bytes;
    size_t n;
};

/* Parses a copy that ends exactly where the text does, so that ASan sees a byte read too far. */
static status parse(struct text t, const struct json_limits *limits, cJSON **out, struct err *err)
{
    char *copy = mem_alloc(t.n);
    if (t.n) memcpy(copy, t.bytes, t.n);
    const status st = json_parse(copy, t.n, limits, out, err);
    mem_free(copy);
    return st;
}

static void accepts_what_the_rfc_allows(void **state)
{
    // clang-format off
    static const struct text good[] = {
        TEXT("null"), TEXT(" true "), TEXT("\t\n\r false"), TEXT("0"), TEXT("-0"), TEXT("1E+2"), TEXT("1e-2"),
        TEXT("123.456e78"), TEXT("\"\""), TEXT("[]"), TEXT("[ ]"), TEXT("{}"), TEXT("{ }"), TEXT("[[]   ]"),
        TEXT("[1,null,true,\"a\",{},[]]"), TEXT("{\"\":0}"), TEXT("{\"a\":[{\"b\":{}}]}"),
        TEXT("[\"\\u0060\\u012a\\u12AB\"]"), TEXT("[\"\\uD801\\udc37\"]"), TEXT("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"),
        TEXT("[\"\xf4\x8f\xbf\xbf\"]"), TEXT("[\"\x7f\"]"), TEXT("[\"\xe2\x80\xa8\"]"), TEXT("[\"a/*b*/c\"]"),
        TEXT("\xef\xbb\xbf{}"), TEXT("[-0.0000000000000000000000000000000000000000000000000000000000000000000000001]"),
        TEXT("[100000000000000000000000000000000000000000000000000000000000000000000000000]"), TEXT("1e-400"),
        TEXT("{\"a\":1,\"A\":2}"),
    };
    // clang-format on

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct err err = { 0 };
        cJSON *json = NULL;
        if (parse(good[i], NULL, &json, &err) != ST_OK) fail_msg("%s: %s", good[i].bytes, err.text);
        assert_non_null(json);
        json_free(json);
    }
}

static void refuses_what_it_forbids(void **state)
{
    // clang-format off
    static const struct text bad[] = {
        TEXT(""), TEXT(" "), TEXT("\xef\xbb\xbf"), TEXT("nul"), TEXT("nulll"), TEXT("True"), TEXT("NaN"), TEXT("[Infinity]"),
        TEXT("-"), TEXT("+1"), TEXT("01"), TEXT("-01"), TEXT("1."), TEXT(".5"), TEXT("1e"), TEXT("1e+"), TEXT("0x1"),
        TEXT("1 2"), TEXT("1,"), TEXT("[1,]"), TEXT("[,1]"), TEXT("[1 2]"), TEXT("["), TEXT("]"), TEXT("[1"), TEXT("[1}"),
        TEXT("{"), TEXT("{\"a\"}"), TEXT("{\"a\":}"), TEXT("{\"a\":1,}"), TEXT("{a:1}"), TEXT("{1:1}"), TEXT("{'a':1}"),
        TEXT("{\"a\" 1}"), TEXT("{\"a\":1"), TEXT("{\"a\":1]"), TEXT("{,}"), TEXT("[1]x"), TEXT("{}{}"), TEXT("/**/1"),
        TEXT("1//"), TEXT("1\0"), TEXT("[1]\0"), TEXT("[\0]"), TEXT("{\"a\":1}\0{"), TEXT("\"a"), TEXT("\"\\"),
        TEXT("\"\\\""), TEXT("\"\\x41\""), TEXT("\"\\u12\""), TEXT("\"\\u12G4\""), TEXT("\"\\u\""), TEXT("\"a\nb\""),
        TEXT("\"\t\""), TEXT("\"a\0b\""), TEXT("\"\\u0000\""), TEXT("{\"\\u0000a\":1}"), TEXT("\"\\ud800\""),
        TEXT("\"\\udc00\""), TEXT("\"\\ud800\\ud800\""), TEXT("\"\\ud800x\""), TEXT("\"\\ud800\\n\""),
        TEXT("\"\\udc00\\ud800\""), TEXT("\"\xff\""), TEXT("\"\xc0\x80\""), TEXT("\"\xed\xa0\x80\""), TEXT("\"\xe2\x82\""),
        TEXT("\"\xf4\x90\x80\x80\""), TEXT("\xff"), TEXT("1e400"), TEXT("-1e400"), TEXT("[1e309]"),
        TEXT("{\"a\":1,\"a\":2}"), TEXT("{\"a\":1,\"\\u0061\":2}"), TEXT("{\"x\":{\"b\":0,\"c\":0,\"b\":0}}"), TEXT("[\f1]"),
        TEXT("\xc2\xa0 1"), TEXT("1e5\xe2\x80\x8b"), TEXT("[\"a\",\n4\n,1,"), TEXT("{\"a\":\"b\"}#"), TEXT("2.e3"),
    };
    // clang-format on

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct err err = { 0 };
        cJSON *json = (cJSON *)&err;
        if (parse(bad[i], NULL, &json, &err) == ST_OK) fail_msg("accepted: %s", bad[i].bytes);
        assert_null(json);
        assert_int_equal(err.code, ST_FORMAT);
        assert_non_null(strstr(err.text, "byte "));
    }
}

static void strings_decode_to_utf8(void **state)
{
    static const struct text t =
        TEXT("[\"\\u00e9\\u20AC\\ud83d\\ude00 \xc3\xa9 \\\"\\\\\\/\\b\\f\\n\\r\\t\"]");
    cJSON *json;

    (void)state;
    assert_int_equal(parse(t, NULL, &json, NULL), ST_OK);
    assert_string_equal(json->child->valuestring,
                        "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 \xc3\xa9 \"\\/\b\f\n\r\t");
    json_free(json);
}

static void errors_name_the_byte(void **state)
{
    static const struct text t = TEXT("{\"a\":1, \"b\" 2}");
    struct err err = { 0 };
    cJSON *json;

    (void)state;
    assert_int_equal(parse(t, NULL, &json, &err), ST_FORMAT);
    assert_string_equal(err.text, "byte 12: expected ':' after a key");
}

static void depth_limit_is_exact(void **state)
{
    char deep[2 * 1200];
    const struct json_limits limits = { .depth_max = 5 }, deepest = { .depth_max = 100000 };
    cJSON *json;

    (void)state;
    for (unsigned depth = 1; depth <= 1200; depth++) {
        memset(deep, '[', depth);
        memset(deep + depth, ']', depth);
        const struct text t = { deep, 2 * (size_t)depth };
        const struct json_limits *use = depth < 10 ? &limits : depth < 100 ? NULL : &deepest;
        const unsigned max = depth < 10 ? 5 : depth < 100 ? 64 : 1000;
        assert_int_equal(parse(t, use, &json, NULL), depth <= max ? ST_OK : ST_LIMIT);
        json_free(json);
    }
}

static void size_limits_are_exact(void **state)
{
    static const struct text t = TEXT("[1,2,3]");
    const struct json_limits nodes4 = { .nodes_max = 4 }, nodes3 = { .nodes_max = 3 };
    const struct json_limits bytes7 = { .bytes_max = 7 }, bytes6 = { .bytes_max = 6 };
    cJSON *json;

    (void)state;
    assert_int_equal(parse(t, &nodes4, &json, NULL), ST_OK);
    json_free(json);
    assert_int_equal(parse(t, &bytes7, &json, NULL), ST_OK);
    json_free(json);
    assert_int_equal(parse(t, &nodes3, &json, NULL), ST_LIMIT);
    assert_int_equal(parse(t, &bytes6, &json, NULL), ST_LIMIT);
}

/* Both ways of looking for duplicates: few keys, many keys. */
static void duplicates_are_refused_or_the_last_wins(void **state)
{
    const struct json_limits lax = { .allow_duplicate_keys = true };
    cJSON *json;

    (void)state;
    for (int n = 2; n < 40; n++) {
        struct str s = { 0 };
        for (int i = 0; i < n; i++) str_printf(&s, "%c\"k%d\":%d", i ? ',' : '{', i % (n - 1), i);
        str_put(&s, ",\"k0\":99}");
        const struct text t = { s.data, s.len };
        assert_int_equal(parse(t, NULL, &json, NULL), ST_FORMAT);
        assert_int_equal(parse(t, &lax, &json, NULL), ST_OK);
        assert_int_equal(cJSON_GetArraySize(json), n - 1);
        assert_int_equal(json_get(json, "k0")->valueint, 99);
        json_free(json);
        str_fini(&s);
    }
}

static void integers_keep_all_their_bits(void **state)
{
    static const struct text t = TEXT(
        "{\"max\":9223372036854775807,\"min\":-9223372036854775808,\"over\":9223372036854775808,"
        "\"odd\":9007199254740993,\"float\":2.0,\"exp\":1e3,\"half\":0.5,\"big\":1e30,"
        "\"s\":\"1\",\"null\":null}");
    struct err err = { 0 };
    int64_t v = 5;
    cJSON *json;

    (void)state;
    assert_int_equal(parse(t, NULL, &json, &err), ST_OK);
    assert_int_equal(json_get_i64(json, "max", INT64_MIN, INT64_MAX, &v, &err), ST_OK);
    assert_true(v == INT64_MAX);
    assert_int_equal(json_get_i64(json, "min", INT64_MIN, INT64_MAX, &v, &err), ST_OK);
    assert_true(v == INT64_MIN);
    assert_int_equal(json_get_i64(json, "odd", INT64_MIN, INT64_MAX, &v, &err), ST_OK);
    assert_true(v == 9007199254740993);
    assert_int_equal(json_get_i64(json, "float", 0, 9, &v, &err), ST_OK);
    assert_int_equal(v, 2);
    assert_int_equal(json_get_i64(json, "exp", 0, 1000, &v, &err), ST_OK);
    assert_int_equal(v, 1000);
    v = 5;
    assert_int_equal(json_get_i64(json, "absent", 0, 9, &v, &err), ST_OK);
    assert_int_equal(json_get_i64(json, "null", 0, 9, &v, &err), ST_OK);
    assert_int_equal(json_get_i64(json, "half", 0, 9, &v, NULL), ST_INVALID);
    assert_int_equal(json_get_i64(json, "big", INT64_MIN, INT64_MAX, &v, NULL), ST_INVALID);
    assert_int_equal(json_get_i64(json, "over", INT64_MIN, INT64_MAX, &v, NULL), ST_INVALID);
    assert_int_equal(json_get_i64(json, "s", 0, 9, &v, NULL), ST_INVALID);
    assert_int_equal(json_get_i64(json, "exp", 0, 999, &v, &err), ST_INVALID);
    assert_string_equal(err.text, "exp: expected an integer from 0 to 999, got 1000");
    assert_int_equal(v, 5);
    json_free(json);
}

static void getters_check_type_and_range(void **state)
{
    static const struct text t = TEXT("{\"t\":0.7,\"b\":true,\"s\":\"x\",\"a\":[],\"Z\":1}");
    struct err err = { 0 };
    double d = 5;
    bool b = false;
    const char *s = NULL;
    cJSON *json;

    (void)state;
    assert_int_equal(parse(t, NULL, &json, &err), ST_OK);
    assert_int_equal(json_get_double(json, "t", 0, 2, &d, &err), ST_OK);
    assert_true(d == 0.7);
    assert_int_equal(json_get_double(json, "t", 0, 0.5, &d, NULL), ST_INVALID);
    assert_int_equal(json_get_bool(json, "b", &b, &err), ST_OK);
    assert_true(b);
    assert_int_equal(json_get_str(json, "s", &s, &err), ST_OK);
    assert_string_equal(s, "x");
    assert_null(json_get(json, "z"));
    assert_null(json_get(json->child, "t"));
    assert_null(json_get(NULL, "t"));
    assert_int_equal(json_get_bool(json, "t", &b, NULL), ST_INVALID);
    assert_int_equal(json_get_double(json, "s", 0, 1, &d, NULL), ST_INVALID);
    assert_int_equal(json_get_str(json, "a", &s, &err), ST_INVALID);
    assert_string_equal(err.text, "a: expected a string, got an array");
    json_free(json);
}

static void trees_are_whole_for_cjson(void **state)
{
    static const struct text t = TEXT("{\"a\":[1,-2.5,\"x\"],\"b\":{\"c\":null,\"d\":false}}");
    cJSON *json;

    (void)state;
    assert_int_equal(parse(t, NULL, &json, NULL), ST_OK);
    cJSON_AddNumberToObject(json, "e", 3); /* uses the first child's prev */
    cJSON_DeleteItemFromArray(json->child, 0);
    char *printed = cJSON_PrintUnformatted(json);
    assert_string_equal(printed, "{\"a\":[-2.5,\"x\"],\"b\":{\"c\":null,\"d\":false},\"e\":3}");
    cJSON_free(printed);
    json_free(json);
}

static void every_failed_allocation_is_an_error(void **state)
{
    static const struct text t = TEXT(
        "{\"a\":[1,9007199254740993,\"x\"],\"b\":{\"c\":\"y\"},\"d\":1,\"e\":1,\"f\":1,\"g\":1,"
        "\"h\":1,\"i\":1,\"j\":1}");
    uint64_t n = 1;

    (void)state;
    char *copy = mem_strndup(t.bytes, t.n);
    for (; n < 200; n++) {
        struct err err = { 0 };
        cJSON *json;
        mem_fail_after(n, 0);
        const status st = json_parse(copy, t.n, NULL, &json, &err);
        mem_fail_after(0, 0);
        json_free(json);
        if (st == ST_OK) break;
        assert_int_equal(st, ST_NOMEM);
        assert_int_equal(err.code, ST_NOMEM);
    }
    assert_in_range(n, 20, 100);
    mem_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_the_rfc_allows),
        cmocka_unit_test(refuses_what_it_forbids),
        cmocka_unit_test(strings_decode_to_utf8),
        cmocka_unit_test(errors_name_the_byte),
        cmocka_unit_test(depth_limit_is_exact),
        cmocka_unit_test(size_limits_are_exact),
        cmocka_unit_test(duplicates_are_refused_or_the_last_wins),
        cmocka_unit_test(integers_keep_all_their_bits),
        cmocka_unit_test(getters_check_type_and_range),
        cmocka_unit_test(trees_are_whole_for_cjson),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
