/* SPDX-License-Identifier: MIT */
/* Growing byte string with a sticky failure flag, and small string helpers. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialised is the empty string. data is NUL-terminated once anything was appended (str_cstr
 * is never NULL). When memory or `limit` (0 = none) runs out, `failed` is set, later appends do
 * nothing, and the text so far stays. */
struct str {
    char *data;
    size_t len, cap, limit;
    bool failed;
};

void str_init(struct str *s, size_t limit);
void str_fini(struct str *s);
void str_clear(struct str *s);
void str_put(struct str *s, const char *text);
void str_put_n(struct str *s, const void *bytes, size_t n);
void str_put_char(struct str *s, char c);
void str_printf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_vprintf(struct str *s, const char *fmt, va_list args);
/* Appends `text` as a JSON string literal with quotes; bytes that are not UTF-8 become U+FFFD. */
void str_put_json(struct str *s, const char *text, size_t n);
/* Shortest decimal that reads back as the same double/float; "null" for NaN and infinities (JSON).
 */
void str_put_json_double(struct str *s, double v);
void str_put_json_float(struct str *s, float v);
const char *str_cstr(const struct str *s);
/* Gives the buffer away (free with mem_free) and leaves the empty string. Never NULL unless memory
 * ran out. */
char *str_take(struct str *s);

bool str_equal(const char *a, const char *b);
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* Whole-string decimal parse; false on anything else (blanks, hex, inf, nan), or out of range. */
bool str_to_i64(const char *s, int64_t *out);
bool str_to_double(const char *s, double *out);
