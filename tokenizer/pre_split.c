/* SPDX-License-Identifier: MIT */
/* Split by a pattern or literal text, and the five behaviours that all splits share. */
#include "tokenizer/tok_internal.h"
#include <string.h>

/* ---- behaviours ---- */

void splitter_init(struct splitter *s, struct enc *e, size_t next, const struct pre_stage *stage,
                   struct piece in)
{
    memset(s, 0, sizeof *s);
    s->e = e;
    s->next = next;
    s->behavior = stage->behavior;
    s->invert = stage->invert;
    s->in = in;
}

static status tell(struct splitter *s, size_t start, size_t end, struct err *err)
{
    const struct piece out = { s->in.p + start, end - start, s->in.first && start == 0 };

    return pre_emit(s->e, s->next, out, err);
}

status splitter_finish(struct splitter *s, struct err *err)
{
    if (!s->open) return ST_OK;
    s->open = false;
    return tell(s, s->start, s->end, err);
}

/* Either lengthens the piece gathered so far or tells it and begins the next. */
static status gather(struct splitter *s, size_t start, size_t end, bool joins, struct err *err)
{
    if (s->open && joins) {
        s->end = end;
        return ST_OK;
    }
    TRY(splitter_finish(s, err));
    s->open = true;
    s->start = start;
    s->end = end;
    return ST_OK;
}

status splitter_part(struct splitter *s, size_t start, size_t end, bool match, struct err *err)
{
    const bool m = match != s->invert, before = s->open_match;

    s->open_match = m;
    switch (s->behavior) {
    case SPLIT_REMOVED: return m ? ST_OK : tell(s, start, end, err);
    case SPLIT_ISOLATED: return tell(s, start, end, err);
    case SPLIT_CONTIGUOUS: return gather(s, start, end, m == before, err);
    case SPLIT_MERGED_WITH_PREVIOUS: return gather(s, start, end, m && !before, err);
    case SPLIT_MERGED_WITH_NEXT:
        if (m) return gather(s, start, end, false, err);
        TRY(gather(s, start, end, true, err));
        return splitter_finish(s, err);
    }
    return ST_OK;
}

/* ---- Split ---- */

static status split_regex(const struct pre_stage *self, struct enc *e, size_t index,
                          struct piece in, struct err *err)
{
    struct splitter s;
    size_t at = 0, told = 0, last_end = SIZE_MAX;

    splitter_init(&s, e, index + 1, self, in);
    while (at <= in.n) {
        struct regex_match m = { .from = at };

        TRY(regex_next(self->regex, &e->regex, in.p, in.n, &m, err));
        if (!m.found) break;
        const size_t start = m.start, end = m.end;
        if (start == end && start == last_end) { /* an empty match right behind the last one */
            int32_t cp;
            at += at < in.n ? uni_next(in.p + at, in.n - at, &cp) : 1;
            continue;
        }
        if (told != start) TRY(splitter_part(&s, told, start, false, err));
        TRY(splitter_part(&s, start, end, true, err));
        told = at = last_end = end;
    }
    if (told != in.n) TRY(splitter_part(&s, told, in.n, false, err));
    return splitter_finish(&s, err);
}

static status split_text(const struct pre_stage *self, struct enc *e, size_t index, struct piece in,
                         struct err *err)
{
    struct splitter s;
    size_t at = 0;

    splitter_init(&s, e, index + 1, self, in);
    while (self->text_n && at < in.n) {
        const char *found = memmem(in.p + at, in.n - at, self->text, self->text_n);

        if (!found) break;
        const size_t start = (size_t)(found - in.p);
        if (at != start) TRY(splitter_part(&s, at, start, false, err));
        at = start + self->text_n;
        TRY(splitter_part(&s, start, at, true, err));
    }
    if (at != in.n) TRY(splitter_part(&s, at, in.n, false, err));
    return splitter_finish(&s, err);
}

static status load_behavior(const struct jvalue *json, enum split_behavior *out, struct err *err)
{
    static const char *const names[] = {
        [SPLIT_REMOVED] = "Removed",
        [SPLIT_ISOLATED] = "Isolated",
        [SPLIT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
        [SPLIT_MERGED_WITH_NEXT] = "MergedWithNext",
        [SPLIT_CONTIGUOUS] = "Contiguous",
    };
    const struct jvalue *v = NULL;

    TRY(jvalue_want_str(json, "pre_tokenizer", "behavior", &v, err));
    if (!v) return ST_OK;
    for (size_t i = 0; i < COUNT(names); i++) {
        if (!jvalue_is_text(v, names[i])) continue;
        *out = (enum split_behavior)i;
        return ST_OK;
    }
    return FAIL(err, ST_UNSUPPORTED, "pre_tokenizer: behavior \"%.60s\" is not known",
                v->u.string.text);
}

status pre_load_split(struct arena *a, const struct jvalue *json, struct pre_stage *out,
                      struct err *err)
{
    const struct jvalue *pattern = jvalue_get(json, "pattern"), *text = NULL;

    (void)a;
    out->behavior = SPLIT_ISOLATED;
    TRY(load_behavior(json, &out->behavior, err));
    TRY(jvalue_want_bool(json, "pre_tokenizer", "invert", &out->invert, err));
    if (!pattern || pattern->type != JVALUE_DICT)
        return FAIL(err, ST_FORMAT, "pre_tokenizer: Split: pattern: expected an object");
    TRY(jvalue_want_str(pattern, "pre_tokenizer", "String", &text, err));
    if (text) {
        out->text = text->u.string.text;
        out->text_n = text->u.string.n;
        out->run = split_text;
        return ST_OK;
    }
    TRY(jvalue_want_str(pattern, "pre_tokenizer", "Regex", &text, err));
    if (!text)
        return FAIL(err, ST_FORMAT, "pre_tokenizer: Split: pattern: expected String or Regex");
    out->run = split_regex;
    return regex_create(&out->regex, text->u.string.text, text->u.string.n, 0, err);
}

/* ---- splits by a class of characters ---- */

status pre_run_class(const struct pre_stage *self, struct enc *e, size_t index, struct piece in,
                     struct err *err)
{
    struct splitter s;
    size_t told = 0;

    splitter_init(&s, e, index + 1, self, in);
    for (size_t i = 0; i < in.n;) {
        int32_t cp;
        const size_t used = uni_next(in.p + i, in.n - i, &cp);

        if (self->is_match(cp)) {
            if (told < i) TRY(splitter_part(&s, told, i, false, err));
            TRY(splitter_part(&s, i, i + used, true, err));
            told = i + used;
        }
        i += used;
    }
    if (told < in.n) TRY(splitter_part(&s, told, in.n, false, err));
    return splitter_finish(&s, err);
}

/* WhitespaceSplit, Punctuation, Digits, and the first half of BertPreTokenizer. */
status pre_load_class(struct arena *a, const struct jvalue *json, struct pre_stage *out,
                      struct err *err)
{
    const struct jvalue *type = jvalue_get(json, "type");

    (void)a;
    out->run = pre_run_class;
    out->behavior = SPLIT_REMOVED;
    out->is_match = uni_is_space;
    if (jvalue_is_text(type, "Punctuation")) {
        out->is_match = uni_is_punct_bert;
        out->behavior = SPLIT_ISOLATED;
        return load_behavior(json, &out->behavior, err);
    }
    if (jvalue_is_text(type, "Digits")) {
        out->is_match = uni_is_numeric;
        TRY(jvalue_want_bool(json, "pre_tokenizer", "individual_digits", &out->individual, err));
        out->behavior = out->individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
    }
    return ST_OK;
}

status pre_load_bert_punctuation(struct arena *a, const struct jvalue *json, struct pre_stage *out,
                                 struct err *err)
{
    (void)a;
    (void)json;
    (void)err;
    out->run = pre_run_class;
    out->behavior = SPLIT_ISOLATED;
    out->is_match = uni_is_punct_bert;
    return ST_OK;
}

status pre_load_delimiter(struct arena *a, const struct jvalue *json, struct pre_stage *out,
                          struct err *err)
{
    const struct jvalue *v = NULL;

    (void)a;
    TRY(jvalue_want_str(json, "pre_tokenizer", "delimiter", &v, err));
    if (!v || v->u.string.n == 0)
        return FAIL(err, ST_FORMAT, "pre_tokenizer: delimiter: expected a character");
    out->text = v->u.string.text;
    out->text_n = v->u.string.n;
    out->behavior = SPLIT_REMOVED;
    out->run = split_text;
    return ST_OK;
}

/* ---- Whitespace: \w+|[^\w\s]+ ---- */

enum { CLASS_SPACE, CLASS_WORD, CLASS_OTHER };

static int word_class(int32_t cp)
{
    if (uni_is_word(cp)) return CLASS_WORD;
    return uni_is_space(cp) ? CLASS_SPACE : CLASS_OTHER;
}

static status run_whitespace(const struct pre_stage *self, struct enc *e, size_t index,
                             struct piece in, struct err *err)
{
    size_t start = 0;
    int before = CLASS_SPACE;

    (void)self;
    for (size_t i = 0; i < in.n;) {
        int32_t cp;
        const size_t used = uni_next(in.p + i, in.n - i, &cp);
        const int now = word_class(cp);

        if (now != before) {
            if (before != CLASS_SPACE)
                TRY(pre_emit(e, index + 1,
                             (struct piece){ in.p + start, i - start, in.first && start == 0 },
                             err));
            start = i;
            before = now;
        }
        i += used;
    }
    if (before == CLASS_SPACE) return ST_OK;
    return pre_emit(e, index + 1,
                    (struct piece){ in.p + start, in.n - start, in.first && start == 0 }, err);
}

status pre_load_whitespace(struct arena *a, const struct jvalue *json, struct pre_stage *out,
                           struct err *err)
{
    (void)a;
    (void)json;
    (void)err;
    out->run = run_whitespace;
    return ST_OK;
}

/* ---- FixedLength ---- */

static status run_fixed(const struct pre_stage *self, struct enc *e, size_t index, struct piece in,
                        struct err *err)
{
    for (size_t start = 0; start < in.n;) {
        size_t end = start;

        for (size_t k = 0; k < self->length && end < in.n; k++) {
            int32_t cp;
            end += uni_next(in.p + end, in.n - end, &cp);
        }
        TRY(pre_emit(e, index + 1,
                     (struct piece){ in.p + start, end - start, in.first && start == 0 }, err));
        start = end;
    }
    return ST_OK;
}

status pre_load_fixed(struct arena *a, const struct jvalue *json, struct pre_stage *out,
                      struct err *err)
{
    int64_t length = 5;

    (void)a;
    TRY(jvalue_want_int(json, "pre_tokenizer", "length", (struct int_range){ 1, INT32_MAX },
                        &length, err));
    out->length = (size_t)length;
    out->run = run_fixed;
    return ST_OK;
}
