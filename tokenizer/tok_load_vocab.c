/* SPDX-License-Identifier: MIT */
/* Folders without tokenizer.json: vocab.json + merges.txt (GPT-2's byte-level BPE) and vocab.txt
 * (BERT's WordPiece). Each is written as the tokenizer.json that the reference's converters make of
 * it, and loaded as that. */
#include "tokenizer/tok_internal.h"
#include <string.h>

/* ---- vocab.json + merges.txt ---- */

static void put_merges(struct str *out, const char *text, size_t n)
{
    bool first = true;

    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t stop = end ? (size_t)(end - text) : n;
        const size_t next = stop + 1;

        if (stop > at && text[stop - 1] == '\r') stop--;
        const bool version = at == 0 && stop >= 8 && memcmp(text, "#version", 8) == 0;
        if (stop > at && !version) {
            if (!first) str_put_char(out, ',');
            str_put_json(out, text + at, stop - at);
            first = false;
        }
        at = next;
    }
}

static bool config_flag(const struct tokenizer *tok, const char *key, bool otherwise)
{
    const struct jvalue *v = jvalue_get(tok->config, key);

    return v && v->type == JVALUE_BOOL ? v->u.boolean : otherwise;
}

static status load_bpe(struct tokenizer *tok, const char *vocab, size_t vocab_n, const char *merges,
                       size_t merges_n, struct err *err)
{
    struct str json = { 0 };

    str_printf(
        &json,
        "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":%s,\"use_regex\":true},"
        "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":",
        config_flag(tok, "add_prefix_space", false) ? "true" : "false");
    str_put_n(&json, vocab, vocab_n);
    str_put(&json, ",\"merges\":[");
    put_merges(&json, merges, merges_n);
    str_put(&json, "]}}");
    const status st = json.failed ? FAIL(err, ST_NOMEM, "vocab.json: no memory")
                                  : tok_load_json(tok, json.data, json.len, err);
    str_fini(&json);
    if (st != ST_OK) err_prefix(err, "vocab.json, merges.txt");
    return st;
}

/* ---- vocab.txt ---- */

static size_t put_lines(struct str *out, const char *text, size_t n, int64_t *cls, int64_t *sep)
{
    size_t id = 0;

    for (size_t at = 0; at < n; id++) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t stop = end ? (size_t)(end - text) : n;
        const size_t next = stop + 1;

        if (stop > at && text[stop - 1] == '\r') stop--;
        if (id) str_put_char(out, ',');
        str_put_json(out, text + at, stop - at);
        str_printf(out, ":%zu", id);
        if (stop - at == 5 && memcmp(text + at, "[CLS]", 5) == 0) *cls = (int64_t)id;
        if (stop - at == 5 && memcmp(text + at, "[SEP]", 5) == 0) *sep = (int64_t)id;
        at = next;
    }
    return id;
}

static void put_special(struct str *json, const struct str *vocab)
{
    static const char *const names[] = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]" };
    bool first = true;

    str_put(json, "\"added_tokens\":[");
    for (size_t i = 0; i < COUNT(names); i++) {
        char key[16];
        struct str quoted = { 0 };

        str_put_json(&quoted, names[i], strlen(names[i]));
        str_put_char(&quoted, ':');
        const char *at = memmem(str_cstr(vocab), vocab->len, quoted.data, quoted.len);
        size_t n = 0;
        for (const char *p = at ? at + quoted.len : "";
             *p >= '0' && *p <= '9' && n + 1 < sizeof key; p++)
            key[n++] = *p;
        key[n] = 0;
        if (n)
            str_printf(json,
                       "%s{\"id\":%s,\"content\":\"%s\",\"special\":true,\"normalized\":false}",
                       first ? "" : ",", key, names[i]);
        if (n) first = false;
        str_fini(&quoted);
    }
    str_put(json, "],");
}

static status load_wordpiece(struct tokenizer *tok, const char *text, size_t n, struct err *err)
{
    struct str json = { 0 }, vocab = { 0 };
    int64_t cls = -1, sep = -1;
    const bool lower = config_flag(tok, "do_lower_case", true);

    put_lines(&vocab, text, n, &cls, &sep);
    str_put_char(&json, '{');
    put_special(&json, &vocab);
    str_printf(&json,
               "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_"
               "chars\":%s,"
               "\"strip_accents\":null,\"lowercase\":%s},\"pre_tokenizer\":{\"type\":"
               "\"BertPreTokenizer\"},"
               "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},",
               config_flag(tok, "tokenize_chinese_chars", true) ? "true" : "false",
               lower ? "true" : "false");
    if (cls >= 0 && sep >= 0)
        str_printf(&json,
                   "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",%lld],"
                   "\"cls\":[\"[CLS]\",%lld]},",
                   (long long)sep, (long long)cls);
    str_put(&json, "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_"
                   "prefix\":\"##\","
                   "\"max_input_chars_per_word\":100,\"vocab\":{");
    str_put_n(&json, str_cstr(&vocab), vocab.len);
    str_put(&json, "}}}");
    const status st = json.failed || vocab.failed ? FAIL(err, ST_NOMEM, "vocab.txt: no memory")
                                                  : tok_load_json(tok, json.data, json.len, err);
    str_fini(&json);
    str_fini(&vocab);
    if (st != ST_OK) err_prefix(err, "vocab.txt");
    return st;
}

status tok_load_vocab_files(struct tokenizer *tok, const char *dir, bool *found, struct err *err)
{
    char *vocab = NULL, *merges = NULL;
    size_t vocab_n = 0, merges_n = 0;
    status st;

    TRY(tok_read_config(tok, dir, err));
    TRY(tok_read_file(dir, "merges.txt", &merges, &merges_n, err));
    st = tok_read_file(dir, merges ? "vocab.json" : "vocab.txt", &vocab, &vocab_n, err);
    *found = st == ST_OK && vocab;
    if (*found)
        st = merges ? load_bpe(tok, vocab, vocab_n, merges, merges_n, err)
                    : load_wordpiece(tok, vocab, vocab_n, err);
    mem_free(vocab);
    mem_free(merges);
    return st;
}
