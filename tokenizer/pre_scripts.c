/* SPDX-License-Identifier: MIT */
/* UnicodeScripts: a new piece where the script changes. Kana counts as Han; blanks and unassigned
 * code points belong to any script. What stands before the first character of a definite script is
 * dropped, as the reference does. */
#include "tokenizer/tok_internal.h"
#include "tokenizer/unicode_scripts.h"

enum { SCRIPT_ANY = 0 };

static int32_t script_in_table(int32_t cp)
{
    size_t low = 0, high = n_script_ranges;

    while (low < high) {
        const size_t mid = (low + high) / 2;

        if (cp < script_ranges[mid].first)
            high = mid;
        else if (cp > script_ranges[mid].last)
            low = mid + 1;
        else
            return script_ranges[mid].script;
    }
    return SCRIPT_ANY;
}

static int32_t script_of(int32_t cp)
{
    const int32_t han = script_in_table(0x4E00);
    int32_t script;

    if (cp == 0x30FC) return han;
    if (cp == ' ') return SCRIPT_ANY;
    script = script_in_table(cp);
    if (script != SCRIPT_ANY &&
        (script == script_in_table(0x3042) || script == script_in_table(0x30A2)))
        return han;
    return script;
}

static status run_scripts(const struct pre_stage *self, struct enc *e, size_t index,
                          struct piece in, struct err *err)
{
    int32_t before = SCRIPT_ANY;
    size_t start = in.n;

    (void)self;
    for (size_t i = 0; i < in.n;) {
        int32_t cp;
        const size_t used = uni_next(in.p + i, in.n - i, &cp);
        const int32_t script = script_of(cp);

        if (script != SCRIPT_ANY && script != before) {
            if (start < i)
                TRY(pre_emit(e, index + 1,
                             (struct piece){ in.p + start, i - start, in.first && start == 0 },
                             err));
            start = i;
            before = script;
        }
        i += used;
    }
    if (start >= in.n) return ST_OK;
    return pre_emit(e, index + 1,
                    (struct piece){ in.p + start, in.n - start, in.first && start == 0 }, err);
}

status pre_load_scripts(struct arena *a, const struct jvalue *json, struct pre_stage *out,
                        struct err *err)
{
    (void)a;
    (void)json;
    (void)err;
    out->run = run_scripts;
    return ST_OK;
}
