/* SPDX-License-Identifier: MIT */
/* cupola template: renders a model's chat template, a .jinja file, or (--expr) templates given on
 * each line. */
#include "cli/cli.h"
#include "tokenizer/tokenizer.h"
#include <stdio.h>
#include <string.h>

struct source {
    struct tokenizer *tok;          /* a model folder's tokenizer, or NULL */
    struct chat_template *compiled; /* NULL with --expr */
};

/* ---- opening ---- */

static status compile_file(const char *path, struct chat_template **out, struct err *err)
{
    char *text = NULL;
    size_t n = 0;

    TRY(os_read_file(path, 0, &text, &n, err));
    const status st = chat_template_compile(out, text, n, err);
    mem_free(text);
    if (st != ST_OK) err_prefix(err, "%s", path);
    return st;
}

static status open_source(const char *what, struct source *s, struct err *err)
{
    if (str_ends(what, ".jinja") && os_is_file(what)) return compile_file(what, &s->compiled, err);
    TRY(cli_open_tokenizer(what, &s->tok, err));
    const char *text = tokenizer_chat_template(s->tok, NULL);
    if (!text) return FAIL(err, ST_NOT_FOUND, "%s: the folder has no chat template", what);
    return chat_template_compile(&s->compiled, text, strlen(text), err);
}

static void close_source(struct source *s)
{
    chat_template_destroy(s->compiled);
    tokenizer_close(s->tok);
}

/* ---- one line ---- */

static int days_in(int year, int month)
{
    static const char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap);
}

/* "2026-01-02T03:04:05" as seconds since 1970; false if it is none. */
static bool read_time(const char *text, int64_t *out)
{
    static const char form[] = "0000-00-00T00:00:00";
    int y, mo, d, h, mi, s;

    if (strlen(text) != sizeof form - 1) return false;
    for (size_t i = 0; form[i]; i++)
        if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i]) return false;
    sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &y, &mo, &d, &h, &mi, &s);
    if (y < 1970 || mo < 1 || mo > 12 || d < 1 || d > days_in(y, mo) || h > 23 || mi > 59 || s > 59)
        return false;
    /* days from civil (H. Hinnant, "chrono-compatible low-level date algorithms"): the year starts
     * in March */
    const int64_t yy = y - (mo <= 2), era = yy / 400, yoe = yy - era * 400,
                  doy = (153 * (mo + (mo > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    const int64_t days = era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
    *out = days * 86400 + h * 3600 + mi * 60 + s;
    return true;
}

static bool set_text(struct arena *a, struct jvalue *ctx, const char *key, const char *text)
{
    return !text || jvalue_set(a, ctx, key, jvalue_string(a, text));
}

static bool copy_members(struct arena *a, struct jvalue *ctx, const struct jvalue *from)
{
    bool ok = true;

    if (!from) return true;
    for (size_t i = 0; ok && i < from->u.dict.n; i++)
        ok = jvalue_set_n(a, ctx, from->u.dict.pairs[i].key, from->u.dict.pairs[i].key_n,
                          from->u.dict.pairs[i].value);
    return ok;
}

/* The variables transformers gives a template: messages, tools and documents (none where absent),
 * the special tokens, then kwargs. */
static struct jvalue *build_context(struct arena *a, const struct source *s,
                                    const struct jvalue *line)
{
    static const char *const lists[] = { "messages", "tools", "documents" };
    struct jvalue *ctx = jvalue_dict(a);
    bool ok = ctx != NULL;

    for (size_t i = 0; ok && i < COUNT(lists); i++) {
        struct jvalue *v = jvalue_get(line, lists[i]);
        ok = jvalue_set(a, ctx, lists[i], v ? v : jvalue_none(a));
    }
    if (ok && s->tok)
        ok = set_text(a, ctx, "bos_token", tokenizer_bos_text(s->tok)) &&
             set_text(a, ctx, "eos_token", tokenizer_eos_text(s->tok)) &&
             set_text(a, ctx, "pad_token", tokenizer_pad_text(s->tok)) &&
             set_text(a, ctx, "unk_token", tokenizer_unk_text(s->tok));
    ok = ok && copy_members(a, ctx, jvalue_get(line, "tokens")) &&
         copy_members(a, ctx, jvalue_get(line, "kwargs"));
    return ok ? ctx : NULL;
}

static status render(const struct chat_template *t, const struct jvalue *ctx,
                     const struct jvalue *line, struct str *out, struct err *err)
{
    struct template_options opt = { 0 };
    struct str text = { 0 };
    const struct jvalue *now = jvalue_get(line, "now");

    if (!ctx) return FAIL(err, ST_NOMEM, "out of memory");
    if (now && (now->type != JVALUE_STRING || !read_time(now->u.string.text, &opt.now)))
        return FAIL(err, ST_INVALID, "now: expected YYYY-MM-DDTHH:MM:SS");
    const status st = chat_template_render_at(t, ctx, &opt, &text, err);
    if (st == ST_OK) {
        str_put(out, "{\"text\":");
        str_put_json(out, str_cstr(&text), text.len);
        str_put(out, "}");
    }
    str_fini(&text);
    return st;
}

static status render_expr(struct arena *a, const struct jvalue *line, struct str *out,
                          struct err *err)
{
    const struct jvalue *source = jvalue_get(line, "template");
    struct jvalue *ctx = jvalue_get(line, "context");
    struct chat_template *t = NULL;

    if (!source || source->type != JVALUE_STRING)
        return FAIL(err, ST_INVALID, "template: expected a string");
    TRY(chat_template_compile(&t, source->u.string.text, source->u.string.n, err));
    const status st = render(t, ctx ? ctx : jvalue_dict(a), line, out, err);
    chat_template_destroy(t);
    return st;
}

/* A member that is there is an object. */
static status need_object(const struct jvalue *line, const char *key, struct err *err)
{
    const struct jvalue *v = jvalue_get(line, key);

    return !v || v->type == JVALUE_DICT ? ST_OK
                                        : FAIL(err, ST_INVALID, "%s: expected an object", key);
}

static status render_line(const struct source *s, const struct str *text, struct str *out,
                          struct err *err)
{
    struct arena a = { 0 };
    struct jvalue *line = NULL;
    status st = jvalue_parse(&a, str_cstr(text), text->len, &line, err);

    if (st == ST_OK && line->type != JVALUE_DICT)
        st = FAIL(err, ST_INVALID, "expected a JSON object");
    if (st == ST_OK) st = need_object(line, "tokens", err);
    if (st == ST_OK) st = need_object(line, "kwargs", err);
    if (st == ST_OK) st = need_object(line, "context", err);
    if (st == ST_OK)
        st = s->compiled ? render(s->compiled, build_context(&a, s, line), line, out, err)
                         : render_expr(&a, line, out, err);
    arena_fini(&a);
    return st;
}

static status render_lines(const struct source *s, struct err *err)
{
    struct str line = { 0 }, out = { 0 };

    while (err->code == ST_OK && cli_read_line(&line, err)) {
        struct err bad = { 0 };
        str_clear(&out);
        if (render_line(s, &line, &out, &bad) != ST_OK) {
            str_clear(&out);
            str_put(&out, "{\"error\":");
            str_put_json(&out, bad.text, strlen(bad.text));
            str_put(&out, "}");
        }
        cli_put_line(&out, err);
    }
    str_fini(&line);
    str_fini(&out);
    return err->code;
}

int cmd_template(int argc, char **argv)
{
    bool jsonl = false, expr = false;
    const struct cli_option options[] = {
        { "--jsonl", CLI_FLAG, &jsonl, NULL,
          "the only form of input: a JSON object a line (accepted for clarity)" },
        { "--expr", CLI_FLAG, &expr, NULL,
          "each line {\"template\",\"context\"} is a template of its own" },
    };
    const struct cli_syntax syntax = {
        "template MODEL|FILE.jinja",
        "Renders conversations, one JSON object a line: messages, tools, documents, kwargs, "
        "tokens, now.",
        "  echo "
        "'{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"kwargs\":{\"add_generation_"
        "prompt\":true}}' | cupola template pocket\n"
        "  echo '{\"template\":\"{{ x + 1 }}\",\"context\":{\"x\":1}}' | cupola template --expr\n",
        options,
        COUNT(options),
        0,
        1
    };
    struct cli_args args;
    struct source source = { 0 };
    struct err err = { 0 };
    const int rc = cli_parse(&syntax, argc, argv, &args);

    if (rc != CLI_DONE) return rc < 0 ? CLI_DONE : rc;
    if (!expr && args.n != 1)
        return cli_usage("usage: cupola template MODEL|FILE.jinja [options] (see --help)");
    status st = expr ? ST_OK : open_source(args.positional[0], &source, &err);
    if (st == ST_OK) st = render_lines(&source, &err);
    close_source(&source);
    return st == ST_OK ? CLI_DONE : cli_fail(&err);
}
