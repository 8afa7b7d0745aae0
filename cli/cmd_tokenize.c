/* SPDX-License-Identifier: MIT */
/* cupola tokenize, cupola detokenize: text to ids and back, one text or one JSON object a line. */
#include "cli/cli.h"
#include "cli/tokenize_show.h"
#include "tokenizer/tokenizer.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static void put_error(struct str *out, const struct err *err)
{
    str_put(out, "{\"error\":");
    str_put_json(out, err->text, strlen(err->text));
    str_put(out, "}");
}

static void put_ids(struct str *out, const struct token_ids *ids)
{
    str_put(out, "\"ids\":[");
    for (size_t i = 0; i < ids->n; i++) str_printf(out, "%s%d", i ? "," : "", ids->ids[i]);
    str_put(out, "]");
}

/* ---- tokenize ---- */

/* A bool member, `dflt` where it is absent. */
static status get_bool(const struct jvalue *obj, const char *key, bool *out, struct err *err)
{
    const struct jvalue *v = jvalue_get(obj, key);

    if (v && v->type != JVALUE_BOOL)
        return FAIL(err, ST_INVALID, "%s: expected true or false", key);
    if (v) *out = v->u.boolean;
    return ST_OK;
}

static void put_tokens(struct str *out, const struct tokenizer *tok, const struct token_ids *ids)
{
    str_put(out, "{");
    put_ids(out, ids);
    str_put(out, ",\"pieces\":[");
    for (size_t i = 0; i < ids->n; i++) {
        size_t n = 0;
        const char *piece = tokenizer_id_to_piece(tok, ids->ids[i], &n);
        if (i) str_put(out, ",");
        str_put_json(out, piece ? piece : "", n);
    }
    str_put(out, "]}");
}

/* jvalue keeps NUL characters of the text, cJSON would not. */
static status tokenize_line(const struct tokenizer *tok, const struct str *line, struct str *out,
                            struct err *err)
{
    struct arena a = { 0 };
    struct jvalue *json = NULL;
    bool add = true, parse = true;
    struct token_ids ids = { 0 };
    status st = jvalue_parse(&a, str_cstr(line), line->len, &json, err);
    const struct jvalue *text = st == ST_OK ? jvalue_get(json, "text") : NULL;

    if (st == ST_OK) st = get_bool(json, "add_special", &add, err);
    if (st == ST_OK) st = get_bool(json, "parse_special", &parse, err);
    if (st == ST_OK && (!text || text->type != JVALUE_STRING))
        st = FAIL(err, ST_INVALID, "text: expected a string");
    if (st == ST_OK)
        st = tokenizer_encode(tok, text->u.string.text, text->u.string.n,
                              (add ? TOK_ADD_SPECIAL : 0u) | (parse ? TOK_PARSE_SPECIAL : 0u), &ids,
                              err);
    if (st == ST_OK) put_tokens(out, tok, &ids);
    token_ids_fini(&ids);
    arena_fini(&a);
    return st;
}

typedef status line_fn(const struct tokenizer *tok, const struct str *line, struct str *out,
                       struct err *err);

static status each_line(const struct tokenizer *tok, line_fn *fn, struct err *err)
{
    struct str line = { 0 }, out = { 0 };

    while (err->code == ST_OK && cli_read_line(&line, err)) {
        struct err bad = { 0 };
        str_clear(&out);
        if (fn(tok, &line, &out, &bad) != ST_OK) {
            str_clear(&out);
            put_error(&out, &bad);
        }
        cli_put_line(&out, err);
    }
    str_fini(&line);
    str_fini(&out);
    return err->code;
}

static status tokenize_text(const struct tokenizer *tok, struct err *err)
{
    struct str text = { 0 };
    struct token_ids ids = { 0 };
    status st = cli_read_stdin(&text, err);

    if (st == ST_OK)
        st = tokenizer_encode(tok, str_cstr(&text), text.len, TOK_ADD_SPECIAL | TOK_PARSE_SPECIAL,
                              &ids, err);
    if (st == ST_OK) {
        for (size_t i = 0; i < ids.n; i++) printf("%s%d", i ? " " : "", ids.ids[i]);
        puts("");
    }
    token_ids_fini(&ids);
    str_fini(&text);
    return st;
}

/* ---- detokenize ---- */

static status ids_of(const cJSON *list, struct token_ids *ids, struct err *err)
{
    const cJSON *item;

    if (!cJSON_IsArray(list)) return FAIL(err, ST_INVALID, "ids: expected an array");
    ids->ids = mem_calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *ids->ids);
    if (!ids->ids) return FAIL(err, ST_NOMEM, "out of memory");
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > INT32_MAX ||
            floor(item->valuedouble) != item->valuedouble)
            return FAIL(err, ST_INVALID, "ids: element %zu is not a token id", ids->n);
        ids->ids[ids->n++] = (int32_t)item->valuedouble;
    }
    return ST_OK;
}

/* Members of a line beside the ids. */
struct decode_ways {
    bool skip, clean;
};

static status decode_whole(const struct tokenizer *tok, const struct token_ids *ids,
                           const struct decode_ways *w, struct str *out, struct err *err)
{
    struct str plain = { 0 };

    if (!w->clean) return tokenizer_decode(tok, ids->ids, ids->n, w->skip, out, err);
    status st = tokenizer_decode(tok, ids->ids, ids->n, w->skip, &plain, err);
    if (st == ST_OK) st = tokenizer_clean_up(tok, str_cstr(&plain), plain.len, out, err);
    str_fini(&plain);
    return st;
}

/* One chunk per id, and a last one for what the end flushes. */
static status put_chunks(const struct tokenizer *tok, const struct token_ids *ids,
                         const struct decode_ways *w, struct str *out, struct err *err)
{
    struct token_stream *stream = NULL;
    struct str chunk = { 0 };
    status st = token_stream_create(&stream, tok, w->skip, err);

    if (st == ST_OK && w->clean) token_stream_clean_up(stream);
    str_put(out, ",\"chunks\":[");
    for (size_t i = 0; st == ST_OK && i <= ids->n; i++) {
        str_clear(&chunk);
        st = i < ids->n ? token_stream_push(stream, ids->ids[i], &chunk, err)
                        : token_stream_finish(stream, &chunk, err);
        if (i) str_put(out, ",");
        str_put_json(out, str_cstr(&chunk), chunk.len);
    }
    str_put(out, "]}");
    str_fini(&chunk);
    token_stream_destroy(stream);
    return st;
}

static status detokenize_line(const struct tokenizer *tok, const struct str *line, struct str *out,
                              struct err *err)
{
    cJSON *json = NULL;
    struct decode_ways w = { .skip = true };
    struct token_ids ids = { 0 };
    struct str text = { 0 };
    status st = json_parse(str_cstr(line), line->len, NULL, &json, err);

    if (st == ST_OK) st = json_get_bool(json, "skip_special", &w.skip, err);
    if (st == ST_OK) st = json_get_bool(json, "clean_up", &w.clean, err);
    if (st == ST_OK) st = ids_of(json_get(json, "ids"), &ids, err);
    if (st == ST_OK) st = decode_whole(tok, &ids, &w, &text, err);
    if (st == ST_OK) {
        str_put(out, "{\"text\":");
        str_put_json(out, str_cstr(&text), text.len);
        st = put_chunks(tok, &ids, &w, out, err);
    }
    str_fini(&text);
    token_ids_fini(&ids);
    json_free(json);
    return st;
}

/* Whole numbers with blanks or commas between them. */
static status ids_of_text(const struct str *text, struct token_ids *ids, struct err *err)
{
    static const char between[] = ", \t\r\n";
    const char *p = str_cstr(text) + strspn(str_cstr(text), between);
    char word[32];

    ids->ids = mem_calloc(text->len / 2 + 1, sizeof *ids->ids);
    if (!ids->ids) return FAIL(err, ST_NOMEM, "out of memory");
    while (p < str_cstr(text) + text->len) {
        const size_t n = strcspn(p, between);
        int64_t id = -1;

        snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : sizeof word - 1), p);
        if (n >= sizeof word || !str_to_i64(word, &id) || id < 0 || id > INT32_MAX)
            return FAIL(err, ST_INVALID, "stdin: '%s' is not a token id", word);
        ids->ids[ids->n++] = (int32_t)id;
        p += n + strspn(p + n, between);
    }
    return ST_OK;
}

static status detokenize_text(const struct tokenizer *tok, struct err *err)
{
    struct token_ids ids = { 0 };
    struct str text = { 0 }, out = { 0 };
    status st = cli_read_stdin(&text, err);

    if (st == ST_OK) st = ids_of_text(&text, &ids, err);
    if (st == ST_OK) st = tokenizer_decode(tok, ids.ids, ids.n, true, &out, err);
    if (st == ST_OK) st = cli_put(str_cstr(&out), out.len, err);
    str_fini(&text);
    str_fini(&out);
    token_ids_fini(&ids);
    return st;
}

/* ---- commands ---- */

/* Other ways than ids in a line. */
struct ways {
    bool jsonl, show;
    const char *other; /* model to compare with */
};

static status diff_text(const struct tokenizer *tok, const char *model, const char *other,
                        const struct str *text, bool *equal, struct err *err)
{
    struct tokenizer *second = NULL;

    TRY(cli_open_tokenizer(other, &second, err));
    const struct tokenize_side sides[2] = { { model, tok }, { other, second } };
    const status st = tokenize_diff(sides, text, equal, err);
    tokenizer_close(second);
    return st;
}

/* --show and --diff, one after the other where both are asked for. */
static status look_at_text(const struct tokenizer *tok, const char *model, const struct ways *w,
                           bool *equal, struct err *err)
{
    struct str text = { 0 };
    status st = cli_read_stdin(&text, err);

    if (st == ST_OK && w->show) st = tokenize_show(tok, &text, err);
    if (st == ST_OK && w->other) st = diff_text(tok, model, w->other, &text, equal, err);
    str_fini(&text);
    return st;
}

int cmd_tokenize(int argc, char **argv)
{
    struct ways w = { 0 };
    const struct cli_option options[] = {
        { "--jsonl", CLI_FLAG, &w.jsonl, NULL,
          "each line {\"text\",\"add_special\",\"parse_special\"} gives {\"ids\",\"pieces\"}" },
        { "--show", CLI_FLAG, &w.show, NULL,
          "pieces with their ids: coloured on a terminal, else a line each" },
        { "--diff", CLI_STRING, &w.other, "OTHER_MODEL",
          "where the two cut the text differently; exit code 1 if ids differ" },
    };
    const struct cli_syntax syntax = {
        "tokenize MODEL",
        "Reads text from standard input and prints its token ids.",
        "  echo -n 'Hello' | cupola tokenize pocket\n"
        "  echo -n 'Hello' | cupola tokenize pocket --show\n"
        "  cupola tokenize pocket --diff OTHER_MODEL < README.md\n"
        "  echo '{\"text\":\"Hello\",\"add_special\":false}' | cupola tokenize pocket --jsonl\n",
        options,
        COUNT(options),
        1,
        1
    };
    struct cli_args args;
    struct tokenizer *tok = NULL;
    struct err err = { 0 };
    bool equal = true;
    const int rc = cli_parse(&syntax, argc, argv, &args);

    if (rc != CLI_DONE) return rc < 0 ? CLI_DONE : rc;
    if (w.jsonl && (w.show || w.other))
        return cli_usage("--jsonl does not go with --show or --diff");
    status st = cli_open_tokenizer(args.positional[0], &tok, &err);
    if (st == ST_OK && w.jsonl)
        st = each_line(tok, tokenize_line, &err);
    else if (st == ST_OK && (w.show || w.other))
        st = look_at_text(tok, args.positional[0], &w, &equal, &err);
    else if (st == ST_OK)
        st = tokenize_text(tok, &err);
    tokenizer_close(tok);
    if (st != ST_OK) return cli_fail(&err);
    return equal ? CLI_DONE : CLI_FAILED;
}

int cmd_detokenize(int argc, char **argv)
{
    bool jsonl = false;
    const struct cli_option options[] = {
        { "--jsonl", CLI_FLAG, &jsonl, NULL,
          "each line {\"ids\",\"skip_special\",\"clean_up\"} gives {\"text\",\"chunks\"}" },
    };
    const struct cli_syntax syntax = {
        "detokenize MODEL",
        "Reads token ids from standard input and prints their text.",
        "  echo '1 2 3' | cupola detokenize pocket\n"
        "  echo '{\"ids\":[1,2,3]}' | cupola detokenize pocket --jsonl\n",
        options,
        COUNT(options),
        1,
        1
    };
    struct cli_args args;
    struct tokenizer *tok = NULL;
    struct err err = { 0 };
    const int rc = cli_parse(&syntax, argc, argv, &args);

    if (rc != CLI_DONE) return rc < 0 ? CLI_DONE : rc;
    status st = cli_open_tokenizer(args.positional[0], &tok, &err);
    if (st == ST_OK)
        st = jsonl ? each_line(tok, detokenize_line, &err) : detokenize_text(tok, &err);
    tokenizer_close(tok);
    return st == ST_OK ? CLI_DONE : cli_fail(&err);
}
