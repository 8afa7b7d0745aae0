/* SPDX-License-Identifier: MIT */
/* A tokenizer.model from outside, behind a byte that picks the settings: loading ends in a
 * tokenizer or an error, and whatever loads encodes and decodes, streamed or not, to the same text.
 */
#include "tests/fuzz/fuzz.h"
#include "tokenizer/tok_internal.h"
#include <string.h>

static const char *const settings[] = {
    "{}",
    "{\"tokenizer_class\":\"LlamaTokenizer\",\"legacy\":false,\"add_eos_token\":true}",
    "{\"tokenizer_class\":\"GemmaTokenizer\"}",
    "{\"tokenizer_class\":\"XLMRobertaTokenizer\"}",
    "{\"tokenizer_class\":\"T5Tokenizer\",\"extra_ids\":7}",
    "{\"tokenizer_class\":\"AlbertTokenizer\",\"additional_special_tokens\":[\"<x>\"]}",
    "{\"tokenizer_class\":\"NllbTokenizer\",\"additional_special_tokens\":[\"eng_Latn\"]}",
    "{\"tokenizer_class\":\"CamembertTokenizer\"}",
    "{\"tokenizer_class\":\"PegasusTokenizer\"}",
    "{\"add_bos_token\":true,\"added_tokens_decoder\":{\"3\":{\"content\":\"<x>\"}}}",
};

static void check_decode(const struct tokenizer *tok, const struct token_ids *ids)
{
    struct token_stream *s;
    struct str whole = { 0 }, streamed = { 0 };

    if (token_stream_create(&s, tok, true, NULL) != ST_OK) return;
    for (size_t i = 0; i < ids->n; i++) token_stream_push(s, ids->ids[i], &streamed, NULL);
    token_stream_finish(s, &streamed, NULL);
    token_stream_destroy(s);
    tokenizer_decode(tok, ids->ids, ids->n, true, &whole, NULL);
    if (!utf8_valid(str_cstr(&whole), whole.len)) __builtin_trap();
    if (!utf8_valid(str_cstr(&streamed), streamed.len)) __builtin_trap();
    str_fini(&whole);
    str_fini(&streamed);
}

static void use(const struct tokenizer *tok)
{
    static const char text[] =
        "Hello  w\xC3\xB6rld, it's 12345\n\t<s> \xF0\x9F\x98\x80 \xE2\x96\x81"
        "<x>  \xEF\xBD\xB6\xEF\xBE\x9E aaaaaaaa";

    for (unsigned flags = 0; flags < 4; flags++) {
        struct token_ids ids = { 0 };

        if (tokenizer_encode(tok, text, sizeof text - 1, flags, &ids, NULL) == ST_OK)
            check_decode(tok, &ids);
        token_ids_fini(&ids);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct tokenizer *tok = n ? tokenizer_new() : NULL;

    if (!tok) return 0;
    const char *config = settings[data[0] % COUNT(settings)];
    if (jvalue_parse(&tok->arena, config, strlen(config), &tok->config, NULL) == ST_OK &&
        tok_load_spm_text(tok, (const char *)data + 1, n - 1, "/nonexistent", NULL) == ST_OK &&
        tok_finish(tok, NULL) == ST_OK)
        use(tok);
    tokenizer_close(tok);
    return 0;
}
