/* SPDX-License-Identifier: MIT */
/* A tiktoken rank file from outside, perhaps with a NUL and a tokenizer_module.json behind it:
 * loading ends in a tokenizer or an error; whatever loads with all 256 bytes gives a text back. */
#include "tests/fuzz/fuzz.h"
#include "tokenizer/tok_internal.h"
#include <string.h>

static bool has_all_bytes(const struct tokenizer *tok)
{
    for (unsigned b = 0; b < 256; b++) {
        const char byte = (char)b;

        if (tokenizer_token_to_id(tok, &byte, 1) < 0) return false;
    }
    return true;
}

static void use(const struct tokenizer *tok)
{
    static const char text[] = "Hello  w\xC3\xB6rld, it's 12345\n\t<s> \xF0\x9F\x98\x80 aaaaaaaa";
    struct token_ids ids = { 0 };
    struct str out = { 0 };
    const status st = tokenizer_encode(tok, text, sizeof text - 1, 0, &ids, NULL);

    if (st == ST_OK) tokenizer_decode(tok, ids.ids, ids.n, false, &out, NULL);
    if (!utf8_valid(str_cstr(&out), out.len)) __builtin_trap();
    if (has_all_bytes(tok) && tok->added.n == 0 &&
        (out.len != sizeof text - 1 || memcmp(out.data, text, out.len) != 0))
        __builtin_trap();
    token_ids_fini(&ids);
    str_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data, *nul = n ? memchr(text, 0, n) : NULL;
    const size_t ranks_n = nul ? (size_t)(nul - text) : n;
    struct tokenizer *tok = tokenizer_new();
    struct jvalue *module = NULL;

    if (!tok) return 0;
    (void)tok_is_tiktoken(text, ranks_n);
    if (nul) jvalue_parse(&tok->arena, nul + 1, n - ranks_n - 1, &module, NULL);
    if (module && module->type != JVALUE_DICT) module = NULL;
    if (tok_load_tiktoken_text(tok, text, ranks_n, module, "/nonexistent", NULL) == ST_OK &&
        tok_finish(tok, NULL) == ST_OK)
        use(tok);
    tokenizer_close(tok);
    return 0;
}
