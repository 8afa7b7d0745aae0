/* SPDX-License-Identifier: MIT */
/* The parser of requests for embeddings: what is taken, and what is refused by name. */
#include "server/openai_embed_parse.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    const char *body;
    const char *param, *text; /* of the complaint */
} cases[] = {
    { "{\"model\":\"m\",\"input\":\"hi\"}", "", "" },
    { "{\"model\":\"m\",\"input\":\"hi\",\"user\":\"\"}", "", "" },
    { "{\"model\":\"m\",\"input\":\"hi\",\"user\":"
      "\"0123456789012345678901234567890123456789012345678"
      "90123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
      "12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012"
      "345678901234567890123456789012345678901234567890\"}",
      "", "" },
    { "{\"model\":\"m\",\"input\":\"hi\",\"user\":null}", "", "" },
    { "{\"model\":\"m\",\"input\":\"hi\",\"user\":5}", "user", "expected a string" },
    { "{\"model\":\"m\",\"input\":\"hi\",\"prompt_name\":\"\"}", "prompt_name", "1 to" },
    { "\xEF\xBB\xBF{\"model\":\"m\",\"input\":\"hi\"}", "", "byte order mark" },
};

static void takes_or_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena a = { 0 };
        struct api_error e = { 0 };
        struct embed_body body;
        const bool ok = embed_body_parse(&body, cases[i].body, strlen(cases[i].body), &a, &e);
        if (ok != (cases[i].text[0] == '\0') || strcmp(e.param, cases[i].param) != 0 ||
            !strstr(e.text, cases[i].text))
            fail_msg("%s: '%s' %s", cases[i].body, e.param, e.text);
        arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(takes_or_names) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
