/* SPDX-License-Identifier: MIT */
/* A tokenizer.json from outside: loading ends in a tokenizer or an error, and whatever loads
 * encodes and decodes. */
#include "tests/fuzz/fuzz.h"
#include "tokenizer/tok_internal.h"

static void use(const struct tokenizer *tok)
{
    static const char text[] = "Hello  wörld, it's 12345\n\t<s> \xF0\x9F\x98\x80 [UNK]";
    struct token_ids ids = { 0 };
    struct str out = { 0 };

    if (tokenizer_encode(tok, text, sizeof text - 1, TOK_ADD_SPECIAL | TOK_PARSE_SPECIAL, &ids,
                         NULL) == ST_OK)
        tokenizer_decode(tok, ids.ids, ids.n, false, &out, NULL);
    if (!utf8_valid(str_cstr(&out), out.len)) __builtin_trap();
    token_ids_fini(&ids);
    str_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct tokenizer *tok = tokenizer_new();

    if (!tok) return 0;
    if (tok_load_json(tok, (const char *)data, n, NULL) == ST_OK && tok_finish(tok, NULL) == ST_OK)
        use(tok);
    tokenizer_close(tok);
    return 0;
}
