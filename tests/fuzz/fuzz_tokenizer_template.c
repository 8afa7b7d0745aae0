/* SPDX-License-Identifier: MIT */
/* A template from outside, rendered over a small conversation within small budgets; the result is
 * UTF-8. A NUL in the input parts template and a JSON context. */
#include "tests/fuzz/fuzz.h"
#include "tokenizer/tokenizer.h"
#include <string.h>

static const char conversation[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"U "
    "<b>\"},{\"role\":\"assistant\","
    "\"content\":null,\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1.5,\"b\":"
    "[true]}}}]}],\"tools\":null,"
    "\"n\":3,\"l\":[1,2,3],\"d\":{\"a\":1},\"s\":\"h\xC3\xA9llo\",\"add_generation_prompt\":true}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;
    const char *nul = n ? memchr(text, 0, n) : NULL;
    const size_t source_n = nul ? (size_t)(nul - text) : n;
    struct template_options options = { .limits = { 200000, 50, 1 << 20, 8 << 20 }, .now = 1 };
    struct chat_template *t = NULL;
    struct arena a;
    struct jvalue *context = NULL;
    struct str out = { 0 };

    arena_init(&a, 16 << 20);
    if (nul) jvalue_parse(&a, nul + 1, n - source_n - 1, &context, NULL);
    if (!context || context->type != JVALUE_DICT)
        jvalue_parse(&a, conversation, sizeof conversation - 1, &context, NULL);
    if (chat_template_compile(&t, text, source_n, NULL) == ST_OK &&
        chat_template_render_at(t, context, &options, &out, NULL) == ST_OK &&
        !utf8_valid(str_cstr(&out), out.len))
        __builtin_trap();
    chat_template_destroy(t);
    str_fini(&out);
    arena_fini(&a);
    return 0;
}
