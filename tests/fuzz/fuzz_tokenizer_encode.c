/* SPDX-License-Identifier: MIT */
/* Text from outside on a fixed byte-level vocabulary: encoding and decoding gives the text back,
 * the stream agrees with the whole decode, and the raw-byte path agrees with the path over
 * characters. */
#include "tests/fuzz/fuzz.h"
#include "tokenizer/tok_internal.h"
#include <string.h>

/* All 256 bytes and a few merges. */
static struct tokenizer *make(bool raw)
{
    static const char *const pairs[][2] = { { "h", "e" },
                                            { "l", "l" },
                                            { "he", "ll" },
                                            { "\xC4\xA0", "a" },
                                            { "a", "a" },
                                            { "aa", "aa" },
                                            { "\xC3\x83", "\xC2\xA9" } };
    struct str json = { 0 };
    struct tokenizer *tok = tokenizer_new();
    size_t id = 0;

    str_printf(&json,
               "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
               "\"ByteLevel\",\"add_prefix_space\":false}%s]},"
               "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{",
               raw ? "" : ",{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"\xE4\xB8\xAD\"}");
    for (unsigned b = 0; b < 256; b++, id++) {
        struct str piece = { 0 };
        const char byte = (char)b;

        byte_level_put(&piece, &byte, 1);
        if (id) str_put_char(&json, ',');
        str_put_json(&json, piece.data, piece.len);
        str_printf(&json, ":%zu", id);
        str_fini(&piece);
    }
    for (size_t i = 0; i < COUNT(pairs); i++, id++)
        str_printf(&json, ",\"%s%s\":%zu", pairs[i][0], pairs[i][1], id);
    str_put(&json, "},\"merges\":[");
    for (size_t i = 0; i < COUNT(pairs); i++)
        str_printf(&json, "%s[\"%s\",\"%s\"]", i ? "," : "", pairs[i][0], pairs[i][1]);
    str_put(&json, "]}}");
    if (tok_load_json(tok, json.data, json.len, NULL) != ST_OK || tok_finish(tok, NULL) != ST_OK)
        __builtin_trap();
    str_fini(&json);
    return tok;
}

static void stream(const struct tokenizer *tok, const struct token_ids *ids, struct str *out)
{
    struct token_stream *s;

    if (token_stream_create(&s, tok, false, NULL) != ST_OK) __builtin_trap();
    for (size_t i = 0; i < ids->n; i++) token_stream_push(s, ids->ids[i], out, NULL);
    token_stream_finish(s, out, NULL);
    token_stream_destroy(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct tokenizer *raw, *chars;
    struct token_ids a = { 0 }, b = { 0 };
    struct str whole = { 0 }, streamed = { 0 }, want = { 0 };

    if (!raw) raw = make(true);
    if (!chars) chars = make(false);
    uni_put_repaired(&want, (const char *)data, n);
    if (tokenizer_encode(raw, (const char *)data, n, 0, &a, NULL) != ST_OK) __builtin_trap();
    if (tokenizer_encode(chars, (const char *)data, n, 0, &b, NULL) != ST_OK) __builtin_trap();
    if (a.n != b.n || (a.n && memcmp(a.ids, b.ids, a.n * sizeof *a.ids) != 0)) __builtin_trap();
    tokenizer_decode(raw, a.ids, a.n, false, &whole, NULL);
    stream(raw, &a, &streamed);
    if (whole.len != want.len || memcmp(str_cstr(&whole), str_cstr(&want), want.len) != 0)
        __builtin_trap();
    if (streamed.len != want.len || memcmp(str_cstr(&streamed), str_cstr(&want), want.len) != 0)
        __builtin_trap();
    token_ids_fini(&a);
    token_ids_fini(&b);
    str_fini(&whole);
    str_fini(&streamed);
    str_fini(&want);
    return 0;
}
