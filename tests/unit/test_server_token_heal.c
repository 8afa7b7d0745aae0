/* SPDX-License-Identifier: MIT */
/* Token healing on real vocabularies: the prompt ends where the model's own tokens do. */
#include "server/token_heal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const char opening[] = "<|x|>";
static const char named[] = "\n{\"name\": \"get_weather\", \"arguments\": ";
static const char required[] = "\n{\"name\": \"";

/* What is left of the text; checks that the ids say the same. */
static char *healed(const char *dir, const char *text, const char *next)
{
    struct tokenizer *tok = NULL;
    struct token_ids ids = { 0 };
    struct str whole = { 0 }, left = { 0 };
    size_t kept;

    assert_int_equal(tokenizer_open(&tok, dir, NULL), ST_OK);
    str_printf(&whole, "%s%s", opening, text);
    assert_int_equal(tokenizer_encode(tok, whole.data, whole.len, TOK_PARSE_SPECIAL, &ids, NULL),
                     ST_OK);
    assert_int_equal(token_heal(tok, &ids, text, strlen(text), next, &kept), ST_OK);
    assert_int_equal(tokenizer_decode(tok, ids.ids, ids.n, false, &left, NULL), ST_OK);
    if (kept < strlen(text)) {
        whole.data[strlen(opening) + kept] = '\0';
        assert_string_equal(str_cstr(&left), whole.data);
    }
    token_ids_fini(&ids);
    tokenizer_close(tok);
    str_fini(&whole);
    str_fini(&left);
    return mem_strndup(text, kept);
}

static const struct {
    const char *dir, *text, *next, *kept;
} cases[] = {
    /* ": {" with its quote is one token */
    { CUPOLA_SOURCE_DIR "/models/pocket", named, "{", "\n{\"name\": \"get_weather\", \"arguments" },
    /* no token begins with a quote and goes on with a letter */
    { CUPOLA_SOURCE_DIR "/models/pocket", required, "gs", required },
    /* " {" is one token */
    { CUPOLA_SOURCE_DIR "/tests/fixtures/tokenizers/smollm-style", named, "{",
      "\n{\"name\": \"get_weather\", \"arguments\":" },
    { CUPOLA_SOURCE_DIR "/tests/fixtures/tokenizers/gemma-style", named, "{",
      "\n{\"name\": \"get_weather\", \"arguments\":" },
    /* nothing to go on with: nothing is under way */
    { CUPOLA_SOURCE_DIR "/models/pocket", named, "", named },
};

static void ends_where_no_token_is_under_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *got = healed(cases[i].dir, cases[i].text, cases[i].next);
        if (strcmp(got, cases[i].kept) != 0)
            fail_msg("%s + [%s]:\n got  %s\n want %s", cases[i].text, cases[i].next, got,
                     cases[i].kept);
        mem_free(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_where_no_token_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
