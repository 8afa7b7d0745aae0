/* SPDX-License-Identifier: MIT */
/* Oniguruma's Ruby syntax, in which tokenizer.json patterns are written, to PCRE2's. What differs:
 * \s \w \b \h (exact Unicode sets here), sets nested in sets and intersections, {n,m}+ (a repeat,
 * not possessive), {,n},
 * (?m) (dot matches newline), \uHHHH. Everything else is passed through for PCRE2 to judge. */
#include "tokenizer/regex.h"
#include "tokenizer/uni.h"
#include <string.h>

enum { CLASS_DEPTH_MAX = 16, PATTERN_MAX = 1 << 16 };

#define SET_SPACE                                                                                  \
    "\\x09-\\x0d\\x20\\x85\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"   \
    "\\x{3000}"
#define SET_NOT_SPACE                                                                              \
    "\\x00-\\x08\\x0e-\\x1f\\x21-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"       \
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"                 \
    "\\x{3001}-\\x{d7ff}\\x{e000}-\\x{10ffff}"
#define SET_WORD                                                                                   \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}"                    \
    "\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"
/* \w has six more than [:word:]: the superscripts and fractions of Latin-1. */
#define SET_ESCAPE_W SET_WORD "\\xb2\\xb3\\xb9\\xbc-\\xbe"
#define ONE_WORD     "[" SET_ESCAPE_W "]"
#define ANY_CHAR     "(?s:.)"

struct trans {
    const char *p;
    size_t n, i;
    struct str *out;
    size_t atom; /* where the last atom starts in out; SIZE_MAX: there is none */
    struct err *err;
};

static status bad(const struct trans *t, const char *what)
{
    return FAIL(t->err, ST_FORMAT, "regular expression: character %zu: %s", t->i, what);
}

/* Inserts text at a position of out. */
static void insert(struct str *out, size_t at, const char *text)
{
    struct str tail = { 0 };

    str_put_n(&tail, out->data + at, out->len - at);
    out->len = at;
    str_put(out, text);
    str_put_n(out, str_cstr(&tail), tail.len);
    str_fini(&tail);
}

/* \p{Han} means the script itself; since 10.40 PCRE2 takes it for script extensions unless told. */
static void put_property(struct str *out, const char *p, size_t n)
{
    static const struct {
        const char *from, *to;
    } known[] = {
        { "Han", "sc:Han" },
        { "Hiragana", "sc:Hiragana" },
        { "Katakana", "sc:Katakana" },
        { "Hangul", "sc:Hangul" },
        { "Thai", "sc:Thai" },
        { "Latin", "sc:Latin" },
        { "Greek", "sc:Greek" },
        { "Cyrillic", "sc:Cyrillic" },
        { "Arabic", "sc:Arabic" },
        { "Hebrew", "sc:Hebrew" },
        { "Devanagari", "sc:Devanagari" },
        { "Letter", "L" },
        { "Mark", "M" },
        { "Number", "N" },
        { "Punctuation", "P" },
        { "Symbol", "S" },
        { "Separator", "Z" },
        { "Other", "C" },
        { "Digit", "Nd" },
        { "Alpha", "Alphabetic" },
        { "Upper", "Uppercase" },
        { "Lower", "Lowercase" },
        { "Space", "White_Space" },
    };

    for (size_t i = 0; i < COUNT(known); i++) {
        if (strlen(known[i].from) != n || memcmp(known[i].from, p, n) != 0) continue;
        const char *to = known[i].to;
        if (str_starts(to, "sc:") && !regex_has_script_names()) to += 3;
        str_put(out, to);
        return;
    }
    str_put_n(out, p, n);
}

/* At \p or \P: copies the escape. */
static status property(struct trans *t)
{
    str_put_n(t->out, t->p + t->i, 2);
    t->i += 2;
    if (t->i >= t->n) return bad(t, "a property name is missing");
    if (t->p[t->i] != '{') {
        str_put_char(t->out, t->p[t->i++]);
        return ST_OK;
    }
    const char *end = memchr(t->p + t->i, '}', t->n - t->i);
    if (!end) return bad(t, "a property name is not closed");
    size_t from = t->i + 1;
    const size_t to = (size_t)(end - t->p);
    str_put_char(t->out, '{');
    if (from < to && t->p[from] == '^') {
        str_put_char(t->out, '^');
        from++;
    }
    put_property(t->out, t->p + from, to - from);
    str_put_char(t->out, '}');
    t->i = to + 1;
    return ST_OK;
}

/* The set that a class escape stands for, NULL if it is none. */
static const char *escape_set(char c)
{
    switch (c) {
    case 's': return SET_SPACE;
    case 'S': return SET_NOT_SPACE;
    case 'w': return SET_ESCAPE_W;
    case 'h': return "0-9a-fA-F";
    default: return NULL;
    }
}

/* \uHHHH; false if that is not what stands here. */
static bool unicode_escape(struct trans *t)
{
    if (t->p[t->i + 1] != 'u' || t->n - t->i < 6) return false;
    str_put(t->out, "\\x{");
    str_put_n(t->out, t->p + t->i + 2, 4);
    str_put_char(t->out, '}');
    t->i += 6;
    return true;
}

static status outer_escape(struct trans *t)
{
    if (t->i + 1 >= t->n) return bad(t, "a backslash ends the pattern");
    const char c = t->p[t->i + 1];
    const char *set = escape_set(c);

    if (set) {
        str_put_char(t->out, '[');
        str_put(t->out, set);
        str_put_char(t->out, ']');
    } else if (c == 'H' || c == 'W') {
        str_put(t->out, c == 'H' ? "[^0-9a-fA-F]" : "[^" SET_ESCAPE_W "]");
    } else if (c == 'b') {
        str_put(t->out, "(?:(?<=" ONE_WORD ")(?!" ONE_WORD ")|(?<!" ONE_WORD ")(?=" ONE_WORD "))");
    } else if (c == 'B') {
        str_put(t->out, "(?:(?<=" ONE_WORD ")(?=" ONE_WORD ")|(?<!" ONE_WORD ")(?!" ONE_WORD "))");
    } else if (c == 'p' || c == 'P') {
        return property(t);
    } else if (unicode_escape(t)) {
        return ST_OK;
    } else {
        str_put_n(t->out, t->p + t->i, 2);
    }
    t->i += 2;
    return ST_OK;
}

/* ---- sets ---- */

/* A set as PCRE2 can say it: `plain` = the inside of one [...]; `others` = further alternatives,
 * each matching one character, joined with |. */
struct set {
    struct str plain, others;
};

static void set_fini(struct set *s)
{
    str_fini(&s->plain);
    str_fini(&s->others);
}

static void set_add_other(struct set *s, const char *text)
{
    if (s->others.len) str_put_char(&s->others, '|');
    str_put(&s->others, text);
}

/* The set as one expression that matches one character. */
static void set_put(const struct set *s, bool negated, struct str *out)
{
    if (s->others.len == 0) {
        if (s->plain.len == 0) {
            str_put(out, negated ? ANY_CHAR : "(?!)");
            return;
        }
        str_put(out, negated ? "[^" : "[");
        str_put(out, str_cstr(&s->plain));
        str_put_char(out, ']');
        return;
    }
    str_put(out, negated ? "(?:(?!" : "(?:");
    str_put(out, str_cstr(&s->others));
    if (s->plain.len) {
        str_put(out, "|[");
        str_put(out, str_cstr(&s->plain));
        str_put_char(out, ']');
    }
    str_put(out, negated ? ")" ANY_CHAR ")" : ")");
}

static status set_escape(struct trans *t, struct set *s)
{
    if (t->i + 1 >= t->n) return bad(t, "a backslash ends the pattern");
    const char c = t->p[t->i + 1];
    const char *set = escape_set(c);
    struct str *saved = t->out;
    status st = ST_OK;

    t->out = &s->plain;
    if (set) {
        str_put(t->out, set);
        t->i += 2;
    } else if (c == 'H' || c == 'W') {
        set_add_other(s, c == 'H' ? "[^0-9a-fA-F]" : "[^" SET_ESCAPE_W "]");
        t->i += 2;
    } else if (c == 'p' || c == 'P') {
        st = property(t);
    } else if (!unicode_escape(t)) {
        str_put_n(t->out, t->p + t->i, 2);
        t->i += 2;
    }
    t->out = saved;
    return st;
}

/* Inside of a set for what is between [: and :], NULL if it is no class. */
static const char *posix_set(const char *name, size_t n)
{
    static const struct {
        const char *name, *set, *older; /* older: before PCRE2 knew binary properties */
    } classes[] = {
        { "alpha", "\\p{Alphabetic}", "\\p{L}\\p{Nl}" },
        { "alnum", "\\p{Alphabetic}\\p{Nd}", "\\p{L}\\p{Nl}\\p{Nd}" },
        { "upper", "\\p{Uppercase}", "\\p{Lu}" },
        { "lower", "\\p{Lowercase}", "\\p{Ll}" },
        { "punct", "\\p{P}\\p{S}", NULL },
        { "space", SET_SPACE, NULL },
        { "digit", "\\p{Nd}", NULL },
        { "blank", "\\p{Zs}\\x09", NULL },
        { "cntrl", "\\p{Cc}", NULL },
        { "graph", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}", NULL },
        { "print", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}\\p{Zs}", NULL },
        { "xdigit", "0-9a-fA-F", NULL },
        { "word", SET_WORD, NULL },
        { "ascii", "\\x00-\\x7f", NULL },
    };

    for (size_t i = 0; i < COUNT(classes); i++)
        if (strlen(classes[i].name) == n && memcmp(classes[i].name, name, n) == 0)
            return classes[i].older && !regex_has_script_names() ? classes[i].older
                                                                 : classes[i].set;
    return NULL;
}

/* [:alpha:], [:^alpha:] and the like. */
static bool posix_class(struct trans *t, struct set *s)
{
    size_t from = t->i + 2, to = from;

    if (t->n - t->i < 4 || t->p[t->i + 1] != ':') return false;
    const bool negated = t->p[from] == '^';
    from += negated;
    for (to = from; to < t->n && t->p[to] >= 'a' && t->p[to] <= 'z';) to++;
    if (t->n - to < 2 || memcmp(t->p + to, ":]", 2) != 0) return false;
    const char *set = posix_set(t->p + from, to - from);
    if (!set) return false;
    if (negated) {
        struct str other = { 0 };

        str_printf(&other, "[^%s]", set);
        set_add_other(s, str_cstr(&other));
        str_fini(&other);
    } else {
        str_put(&s->plain, set);
    }
    t->i = to + 2;
    return true;
}

static status parse_set(struct trans *t, unsigned depth, struct str *as_text,
                        struct set *merge_into);

static status nested_set(struct trans *t, unsigned depth, struct set *s)
{
    struct str text = { 0 };
    status st = parse_set(t, depth + 1, &text, s);

    if (st == ST_OK && text.len) set_add_other(s, str_cstr(&text));
    str_fini(&text);
    return st;
}

/* Right side of && up to the closing bracket, as (?=left)right. */
static status intersection(struct trans *t, unsigned depth, struct set *s)
{
    struct str left = { 0 }, right = { 0 }, both = { 0 };
    struct set empty = { 0 };

    set_put(s, false, &left);
    set_fini(s);
    *s = empty;
    t->i += 2;
    status st = ST_OK;
    while (st == ST_OK && t->i < t->n && t->p[t->i] != ']') {
        if (t->p[t->i] == '[' && !posix_class(t, s))
            st = nested_set(t, depth, s);
        else if (t->p[t->i] == '\\')
            st = set_escape(t, s);
        else if (t->p[t->i] != '[')
            str_put_char(&s->plain, t->p[t->i++]);
    }
    set_put(s, false, &right);
    set_fini(s);
    *s = empty;
    str_printf(&both, "(?:(?=%s)%s)", str_cstr(&left), str_cstr(&right));
    set_add_other(s, str_cstr(&both));
    str_fini(&left);
    str_fini(&right);
    str_fini(&both);
    return st;
}

static status set_items(struct trans *t, unsigned depth, struct set *s)
{
    bool first = true;

    for (; t->i < t->n; first = false) {
        const char c = t->p[t->i];

        if (c == ']' && !first) {
            t->i++;
            return ST_OK;
        }
        if (c == '\\') {
            TRY(set_escape(t, s));
        } else if (c == '[') {
            if (!posix_class(t, s)) TRY(nested_set(t, depth, s));
        } else if (c == '&' && t->i + 1 < t->n && t->p[t->i + 1] == '&') {
            TRY(intersection(t, depth, s));
        } else {
            if (c == ']') str_put_char(&s->plain, '\\');
            str_put_char(&s->plain, c);
            t->i++;
        }
    }
    return bad(t, "a set is not closed");
}

/* At '['. A set that is not negated joins the one around it; others are written to as_text. */
static status parse_set(struct trans *t, unsigned depth, struct str *as_text,
                        struct set *merge_into)
{
    struct set s = { 0 };

    if (depth > CLASS_DEPTH_MAX) return bad(t, "sets are nested too deeply");
    t->i++;
    const bool negated = t->i < t->n && t->p[t->i] == '^';
    if (negated) t->i++;
    const status st = set_items(t, depth, &s);
    if (st == ST_OK && !negated && merge_into) {
        str_put_n(&merge_into->plain, str_cstr(&s.plain), s.plain.len);
        if (s.others.len) set_add_other(merge_into, str_cstr(&s.others));
    } else if (st == ST_OK) {
        set_put(&s, negated, as_text);
    }
    set_fini(&s);
    return st;
}

/* ---- groups and repeats ---- */

/* (?m) of Ruby is (?s) here; groups are otherwise passed through. */
static void group_open(struct trans *t)
{
    str_put_char(t->out, t->p[t->i++]);
    if (t->i >= t->n || t->p[t->i] != '?') return;
    str_put_char(t->out, t->p[t->i++]);
    while (t->i < t->n) {
        const char c = t->p[t->i];

        if (c != 'i' && c != 'm' && c != 'x' && c != '-') return;
        str_put_char(t->out, c == 'm' ? 's' : c);
        t->i++;
    }
}

/* At '{': true and the interval's end if it is one. */
static bool interval(const struct trans *t, size_t *end, bool *no_low, bool *fixed)
{
    size_t k = t->i + 1;
    const size_t low = k;

    while (k < t->n && t->p[k] >= '0' && t->p[k] <= '9') k++;
    *no_low = k == low;
    *fixed = true;
    if (k < t->n && t->p[k] == ',') {
        const size_t high = ++k;
        *fixed = false;
        while (k < t->n && t->p[k] >= '0' && t->p[k] <= '9') k++;
        if (*no_low && k == high) return false;
    } else if (*no_low) {
        return false;
    }
    if (k >= t->n || t->p[k] != '}') return false;
    *end = k + 1;
    return true;
}

static void repeat_interval(struct trans *t)
{
    size_t end;
    bool no_low, fixed;

    if (t->atom == SIZE_MAX || !interval(t, &end, &no_low, &fixed)) {
        t->atom = t->out->len;
        str_put(t->out, "\\{");
        t->i++;
        return;
    }
    const char next = end < t->n ? t->p[end] : 0;
    const bool wrap = next == '+' || (next == '?' && fixed);
    if (wrap) insert(t->out, t->atom, "(?:");
    str_put(t->out, no_low ? "{0" : "{");
    str_put_n(t->out, t->p + t->i + 1, end - t->i - 1);
    if (wrap) str_put_char(t->out, ')');
    t->i = end;
}

status regex_translate(const char *pattern, size_t n, struct str *out, struct err *err)
{
    enum { GROUPS_MAX = 256 };
    size_t groups[GROUPS_MAX], n_groups = 0;
    struct trans t = { pattern, n, 0, out, SIZE_MAX, err };

    if (n > PATTERN_MAX)
        return FAIL(err, ST_LIMIT, "regular expression: longer than %d bytes", PATTERN_MAX);
    while (t.i < n) {
        const char c = pattern[t.i];
        const size_t here = out->len;

        if (c == '\\') {
            TRY(outer_escape(&t));
            t.atom = here;
        } else if (c == '[') {
            TRY(parse_set(&t, 0, out, NULL));
            t.atom = here;
        } else if (c == '(') {
            if (n_groups == GROUPS_MAX) return bad(&t, "groups are nested too deeply");
            groups[n_groups++] = here;
            group_open(&t);
            t.atom = SIZE_MAX;
        } else if (c == ')') {
            t.atom = n_groups ? groups[--n_groups] : SIZE_MAX;
            str_put_char(out, c);
            t.i++;
        } else if (c == '{') {
            repeat_interval(&t);
        } else if (c == '*' || c == '+' || c == '?' || c == '|') {
            if (c == '|') t.atom = SIZE_MAX;
            str_put_char(out, c);
            t.i++;
        } else {
            int32_t cp;
            const size_t used = uni_next(pattern + t.i, n - t.i, &cp);

            str_put_n(out, pattern + t.i, used);
            t.i += used;
            t.atom = here;
        }
    }
    return out->failed ? FAIL(err, ST_NOMEM, "regular expression: no memory") : ST_OK;
}
