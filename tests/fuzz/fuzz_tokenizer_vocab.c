/* SPDX-License-Identifier: MIT */
/* vocab.json, merges.txt and tokenizer_config.json from outside with NULs between; where the first
 * byte is a '#', vocab.txt and tokenizer_config.json. Loading ends in a tokenizer or an error, and
 * whatever loads encodes and decodes. */
#include "tests/fuzz/fuzz.h"
#include "tokenizer/tok_internal.h"
#include <string.h>

static void use(const struct tokenizer *tok)
{
    static const char text[] =
        "Hello  w\xC3\xB6rld, it's 12345\n\t<s> \xF0\x9F\x98\x80 [UNK] hello";
    struct token_ids ids = { 0 };
    struct str out = { 0 };

    if (tokenizer_encode(tok, text, sizeof text - 1, TOK_ADD_SPECIAL | TOK_PARSE_SPECIAL, &ids,
                         NULL) == ST_OK)
        tokenizer_decode(tok, ids.ids, ids.n, true, &out, NULL);
    if (!utf8_valid(str_cstr(&out), out.len)) __builtin_trap();
    token_ids_fini(&ids);
    str_fini(&out);
}

/* The next text up to a NUL. */
static const char *part(const char **at, size_t *left, size_t *n)
{
    const char *start = *at, *nul = *left ? memchr(start, 0, *left) : NULL;

    *n = nul ? (size_t)(nul - start) : *left;
    *at += *n + (nul != NULL);
    *left -= *n + (nul != NULL);
    return start;
}

static status load(struct tokenizer *tok, const char *at, size_t left)
{
    const bool lines = left && *at == '#';
    const char *texts[2] = { "", "" };
    size_t sizes[2] = { 0 }, config_n;

    texts[0] = part(&at, &left, &sizes[0]);
    if (!lines) texts[1] = part(&at, &left, &sizes[1]);
    const char *config = part(&at, &left, &config_n);
    if (jvalue_parse(&tok->arena, config, config_n, &tok->config, NULL) != ST_OK ||
        tok->config->type != JVALUE_DICT)
        tok->config = NULL;
    return lines ? tok_load_lines_text(tok, texts[0], sizes[0], "/nonexistent", NULL)
                 : tok_load_bpe_texts(tok, texts, sizes, "/nonexistent", NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct tokenizer *tok = tokenizer_new();

    if (!tok) return 0;
    if (load(tok, (const char *)data, n) == ST_OK && tok_finish(tok, NULL) == ST_OK) use(tok);
    tokenizer_close(tok);
    return 0;
}
