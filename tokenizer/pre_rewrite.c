/* SPDX-License-Identifier: MIT */
/* Pre-tokenizers that rewrite their piece: ByteLevel and Metaspace. The rewritten text is the
 * stage's own buffer: what follows is done with it before the next piece comes. */
#include "tokenizer/tok_internal.h"
#include <string.h>

static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* ---- ByteLevel ---- */

static status tell_bytes(const struct pre_stage *self, struct enc *e, size_t index, struct piece in,
                         struct err *err)
{
    struct str *mapped = &e->stage_text[index];

    if (self->raw) return pre_emit(e, index + 1, in, err);
    str_clear(mapped);
    byte_level_put(mapped, in.p, in.n);
    if (mapped->failed) return FAIL(err, ST_NOMEM, "pre_tokenizer: no memory");
    return pre_emit(e, index + 1, (struct piece){ mapped->data, mapped->len, in.first }, err);
}

static status split_bytes(const struct pre_stage *self, struct enc *e, size_t index,
                          struct piece in, struct err *err)
{
    size_t at = 0;

    if (!self->use_regex) return tell_bytes(self, e, index, in, err);
    while (at < in.n) {
        struct regex_match m = { .from = at };
        TRY(regex_next(self->regex, &e->regex, in.p, in.n, &m, err));
        const size_t end = m.found ? m.end : in.n;
        TRY(tell_bytes(self, e, index, (struct piece){ in.p + at, end - at, in.first && at == 0 },
                       err));
        at = end;
    }
    return ST_OK;
}

static status run_byte_level(const struct pre_stage *self, struct enc *e, size_t index,
                             struct piece in, struct err *err)
{
    if (!self->add_prefix || in.p[0] == ' ') return split_bytes(self, e, index, in, err);

    struct str with_blank = { 0 };
    str_put_char(&with_blank, ' ');
    str_put_n(&with_blank, in.p, in.n);
    const status st =
        with_blank.failed
            ? FAIL(err, ST_NOMEM, "pre_tokenizer: no memory")
            : split_bytes(self, e, index,
                          (struct piece){ with_blank.data, with_blank.len, in.first }, err);
    str_fini(&with_blank);
    return st;
}

bool pre_is_byte_level(const struct pre_stage *stage) { return stage->run == run_byte_level; }

status pre_load_byte_level(struct arena *a, const struct jvalue *json, struct pre_stage *out,
                           struct err *err)
{
    (void)a;
    out->run = run_byte_level;
    out->add_prefix = out->use_regex = true;
    TRY(jvalue_want_bool(json, "pre_tokenizer", "add_prefix_space", &out->add_prefix, err));
    TRY(jvalue_want_bool(json, "pre_tokenizer", "use_regex", &out->use_regex, err));
    return regex_create(&out->regex, gpt2_pattern, strlen(gpt2_pattern), 0, err);
}

/* ---- Metaspace ---- */

static void put_replaced(const struct pre_stage *self, struct piece in, struct str *out)
{
    const bool starts = in.n >= self->text_n && memcmp(in.p, self->text, self->text_n) == 0;
    const bool wanted =
        self->prepend == PREPEND_ALWAYS || (self->prepend == PREPEND_FIRST && in.first);

    str_clear(out);
    if (wanted && !starts && in.p[0] != ' ') str_put_n(out, self->text, self->text_n);
    for (size_t i = 0; i < in.n;) {
        const char *blank = memchr(in.p + i, ' ', in.n - i);
        const size_t end = blank ? (size_t)(blank - in.p) : in.n;

        str_put_n(out, in.p + i, end - i);
        if (!blank) break;
        str_put_n(out, self->text, self->text_n);
        i = end + 1;
    }
}

static status run_metaspace(const struct pre_stage *self, struct enc *e, size_t index,
                            struct piece in, struct err *err)
{
    struct str *text = &e->stage_text[index];
    struct splitter s;
    size_t at = 0;

    put_replaced(self, in, text);
    if (text->failed) return FAIL(err, ST_NOMEM, "pre_tokenizer: no memory");
    const struct piece all = { text->data, text->len, in.first };
    if (!self->split) return pre_emit(e, index + 1, all, err);
    splitter_init(&s, e, index + 1, self, all);
    while (at < all.n) {
        const char *found = memmem(all.p + at, all.n - at, self->text, self->text_n);

        if (!found) break;
        const size_t start = (size_t)(found - all.p);
        if (at != start) TRY(splitter_part(&s, at, start, false, err));
        at = start + self->text_n;
        TRY(splitter_part(&s, start, at, true, err));
    }
    if (at != all.n) TRY(splitter_part(&s, at, all.n, false, err));
    return splitter_finish(&s, err);
}

/* Shared with the decoder: prepend_scheme, or the older add_prefix_space. */
status metaspace_scheme(const struct jvalue *json, enum prepend_scheme *out, struct err *err)
{
    const struct jvalue *v = NULL;
    bool add_prefix = true;

    *out = PREPEND_ALWAYS;
    TRY(jvalue_want_bool(json, "Metaspace", "add_prefix_space", &add_prefix, err));
    TRY(jvalue_want_str(json, "Metaspace", "prepend_scheme", &v, err));
    if (jvalue_is_text(v, "first"))
        *out = PREPEND_FIRST;
    else if (jvalue_is_text(v, "never") || !add_prefix)
        *out = PREPEND_NEVER;
    else if (v && !jvalue_is_text(v, "always"))
        return FAIL(err, ST_UNSUPPORTED, "Metaspace: prepend_scheme \"%.60s\" is not known",
                    v->u.string.text);
    return ST_OK;
}

status pre_load_metaspace(struct arena *a, const struct jvalue *json, struct pre_stage *out,
                          struct err *err)
{
    const struct jvalue *v = NULL;

    (void)a;
    out->run = run_metaspace;
    out->behavior = SPLIT_MERGED_WITH_NEXT;
    out->text = "\xE2\x96\x81";
    out->text_n = 3;
    out->split = true;
    TRY(jvalue_want_str(json, "pre_tokenizer", "replacement", &v, err));
    if (v && v->u.string.n) {
        out->text = v->u.string.text;
        out->text_n = v->u.string.n;
    }
    TRY(jvalue_want_bool(json, "pre_tokenizer", "split", &out->split, err));
    return metaspace_scheme(json, &out->prepend, err);
}
