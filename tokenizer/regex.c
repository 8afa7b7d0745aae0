/* SPDX-License-Identifier: MIT */
#include "tokenizer/regex.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Limits of one match: about a tenth of a second of hopeless backtracking. */
enum { MATCH_LIMIT = 10 * 1000 * 1000, HEAP_LIMIT_KIB = 256 << 10, JIT_STACK_BYTES = 1 << 20 };

struct regex {
    pcre2_code *code;
    scan_fn *scan; /* not NULL: code is NULL */
    bool jit;
};

bool regex_has_script_names(void)
{
    char version[64] = "";

    if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) > (int)sizeof version) return false;
    pcre2_config(PCRE2_CONFIG_VERSION, version);
    return strtol(version, NULL, 10) > 10 ||
           (str_starts(version, "10.") && strtol(version + 3, NULL, 10) >= 40);
}

static status compile(struct regex *re, const char *pattern, size_t n, struct err *err)
{
    struct str text = { 0 };
    int code;
    PCRE2_SIZE at;
    PCRE2_UCHAR message[256] = { 0 };
    status st = regex_translate(pattern, n, &text, err);

    if (st != ST_OK) {
        str_fini(&text);
        return st;
    }
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (context) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        pcre2_set_parens_nest_limit(context, 100);
    }
    re->code = pcre2_compile((PCRE2_SPTR)str_cstr(&text), text.len,
                             PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                             &code, &at, context);
    pcre2_compile_context_free(context);
    if (!re->code) {
        pcre2_get_error_message(code, message, sizeof message);
        st = FAIL(err, ST_FORMAT, "regular expression: character %zu: %s in %.200s", (size_t)at,
                  (const char *)message, str_cstr(&text));
    } else {
        re->jit = pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE) == 0;
    }
    str_fini(&text);
    return st;
}

status regex_create(struct regex **out, const char *pattern, size_t n, unsigned flags,
                    struct err *err)
{
    struct regex *re = mem_calloc(1, sizeof *re);
    status st = ST_OK;

    if (!re) return FAIL(err, ST_NOMEM, "regular expression: no memory");
    if (!(flags & REGEX_NO_SCANNER)) re->scan = scan_find(pattern, n);
    if (!re->scan) st = compile(re, pattern, n, err);
    if (st != ST_OK) {
        regex_destroy(re);
        return st;
    }
    *out = re;
    return ST_OK;
}

void regex_destroy(struct regex *re)
{
    if (!re) return;
    pcre2_code_free(re->code);
    mem_free(re);
}

void regex_scratch_fini(struct regex_scratch *s)
{
    pcre2_match_data_free(s->match_data);
    pcre2_match_context_free(s->match_context);
    pcre2_jit_stack_free(s->jit_stack);
    memset(s, 0, sizeof *s);
}

static bool scratch_ready(struct regex_scratch *s)
{
    if (s->match_data && s->match_context) return true;
    if (!s->match_data) s->match_data = pcre2_match_data_create(1, NULL);
    if (!s->match_context) s->match_context = pcre2_match_context_create(NULL);
    if (!s->match_data || !s->match_context) return false;
    pcre2_set_match_limit(s->match_context, MATCH_LIMIT);
    pcre2_set_heap_limit(s->match_context, HEAP_LIMIT_KIB);
    s->jit_stack = pcre2_jit_stack_create(32 << 10, JIT_STACK_BYTES, NULL);
    if (s->jit_stack) pcre2_jit_stack_assign(s->match_context, NULL, s->jit_stack);
    return true;
}

/* The next position where the scanner matches; nearly all of them match at once everywhere. */
static status scan_next(const struct regex *re, const char *text, size_t n, struct regex_match *m)
{
    size_t start = m->from;

    m->found = false;
    while (start < n) {
        const size_t used = re->scan(text, n, start);

        if (used) {
            *m = (struct regex_match){ m->from, true, start, start + used };
            return ST_OK;
        }
        do start++;
        while (start < n && ((unsigned char)text[start] & 0xC0) == 0x80);
    }
    return ST_OK;
}

status regex_next(const struct regex *re, struct regex_scratch *s, const char *text, size_t n,
                  struct regex_match *m, struct err *err)
{
    if (re->scan) return scan_next(re, text, n, m);
    if (!scratch_ready(s)) return FAIL(err, ST_NOMEM, "regular expression: no memory");
    int rc = pcre2_match(re->code, (PCRE2_SPTR)text, n, m->from, PCRE2_NO_UTF_CHECK, s->match_data,
                         s->match_context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(re->code, (PCRE2_SPTR)text, n, m->from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                         s->match_data, s->match_context);
    m->found = rc >= 0;
    if (rc == PCRE2_ERROR_NOMATCH) return ST_OK;
    if (rc < 0) {
        PCRE2_UCHAR message[128] = { 0 };

        pcre2_get_error_message(rc, message, sizeof message);
        return FAIL(err, ST_LIMIT, "regular expression: too much work on this text (%s)",
                    (const char *)message);
    }
    const PCRE2_SIZE *v = pcre2_get_ovector_pointer(s->match_data);
    m->start = v[0];
    m->end = v[1] < v[0] ? v[0] : v[1];
    return ST_OK;
}
