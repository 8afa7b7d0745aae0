/* SPDX-License-Identifier: MIT */
/* The well-known splitting patterns by hand, chosen by exact pattern text: they are what every
 * prompt goes through. A test runs each against PCRE2. */
#include "tokenizer/regex.h"
#include "tokenizer/uni.h"
#include <pthread.h>
#include <string.h>

/* Classes of the first 64 Ki code points in one look-up; the rest by uni_class. */
enum { TABLE = 1 << 16 };

static uint8_t class_table[TABLE];
static pthread_once_t class_once = PTHREAD_ONCE_INIT;

static void fill_classes(void)
{
    for (int32_t cp = 0; cp < TABLE; cp++) class_table[cp] = (uint8_t)uni_class(cp);
}

static inline unsigned class_of(int32_t cp) { return cp < TABLE ? class_table[cp] : uni_class(cp); }

/* Class of the character at pos, 0 and *used = 0 at the end. */
static inline unsigned class_at(const char *t, size_t n, size_t pos, size_t *used)
{
    int32_t cp;

    if (pos >= n) {
        *used = 0;
        return 0;
    }
    const unsigned char c = (unsigned char)t[pos];
    if (c < 0x80) {
        *used = 1;
        return class_table[c];
    }
    *used = uni_next(t + pos, n - pos, &cp);
    return class_of(cp);
}

/* End of the run of characters of `mask` from pos on. */
static size_t run_of(const char *t, size_t n, size_t pos, unsigned mask)
{
    size_t used;

    while (class_at(t, n, pos, &used) & mask) pos += used;
    return pos;
}

static size_t run_not(const char *t, size_t n, size_t pos, unsigned mask)
{
    while (pos < n) {
        size_t used;

        if (class_at(t, n, pos, &used) & mask) break;
        pos += used;
    }
    return pos;
}

static bool is_newline(char c) { return c == '\r' || c == '\n'; }

/* Length of an apostrophe ending at pos ('s 't 're 've 'm 'll 'd), 0 if none. */
static size_t contraction(const char *t, size_t n, size_t pos)
{
    if (n - pos < 2 || t[pos] != '\'') return 0;
    switch (t[pos + 1]) {
    case 's':
    case 't':
    case 'm':
    case 'd': return 2;
    case 'r':
    case 'v': return n - pos > 2 && t[pos + 2] == 'e' ? 3 : 0;
    case 'l': return n - pos > 2 && t[pos + 2] == 'l' ? 3 : 0;
    default: return 0;
    }
}

/* The same with (?i:…): letters of either case, and ſ (U+017F), which folds to s. */
static size_t contraction_any_case(const char *t, size_t n, size_t pos)
{
    if (n - pos < 2 || t[pos] != '\'') return 0;
    if (n - pos >= 3 && (unsigned char)t[pos + 1] == 0xC5 && (unsigned char)t[pos + 2] == 0xBF)
        return 3;
    const char b = n - pos > 2 ? (char)(t[pos + 2] | 0x20) : 0;
    switch (t[pos + 1] | 0x20) {
    case 's':
    case 't':
    case 'm':
    case 'd': return 2;
    case 'r':
    case 'v': return b == 'e' ? 3 : 0;
    case 'l': return b == 'l' ? 3 : 0;
    default: return 0;
    }
}

/* White space from pos on, as the end of a pattern says: `\s*[\r\n]+` if newlines, then
 * `\s+(?!\S)|\s+`. */
static size_t white_space(const char *t, size_t n, size_t pos, bool newlines)
{
    size_t end = pos, last = pos, newline_end = 0, used;

    while (class_at(t, n, end, &used) & UNI_SPACE) {
        last = end;
        if (is_newline(t[end])) newline_end = end + 1;
        end += used;
    }
    if (newlines && newline_end) return newline_end - pos;
    if (end == n || last == pos) return end - pos;
    return last - pos;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t scan_gpt2(const char *t, size_t n, size_t pos)
{
    size_t used;
    const size_t short_end = contraction(t, n, pos);
    if (short_end) return short_end;

    size_t at = pos;
    unsigned c = class_at(t, n, at, &used);
    if (t[at] == ' ') {
        c = class_at(t, n, ++at, &used);
        if (!used || (c & UNI_SPACE)) return white_space(t, n, pos, false);
    } else if (c & UNI_SPACE) {
        return white_space(t, n, pos, false);
    }
    if (c & UNI_LETTER) return run_of(t, n, at, UNI_LETTER) - pos;
    if (c & UNI_NUMBER) return run_of(t, n, at, UNI_NUMBER) - pos;
    return run_not(t, n, at, UNI_SPACE | UNI_LETTER | UNI_NUMBER) - pos;
}

static size_t numbers(const char *t, size_t n, size_t pos, unsigned max)
{
    size_t at = pos, used;

    for (unsigned i = 0; i < max && (class_at(t, n, at, &used) & UNI_NUMBER); i++) at += used;
    return at - pos;
}

/* ` ?[^\s\p{L}\p{N}]+[\r\n]*` with further classes to leave out; 0 if it does not match. */
static size_t signs(const char *t, size_t n, size_t pos, unsigned not, bool slash)
{
    const size_t from = t[pos] == ' ' ? pos + 1 : pos;
    size_t end = run_not(t, n, from, not );

    if (end == from) return 0;
    while (end < n && (is_newline(t[end]) || (slash && t[end] == '/'))) end++;
    return end - pos;
}

/* The family of cl100k, Llama 3 and Qwen:
 * (?i:'s|…)|[^\r\n\p{L}\p{N}]?WORD+|\p{N}{1,max}| ?[^\s NOT]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t scan_cl100k_like(const char *t, size_t n, size_t pos, unsigned word, unsigned max)
{
    size_t used, after;
    const size_t short_end = contraction_any_case(t, n, pos);
    if (short_end) return short_end;

    const unsigned c = class_at(t, n, pos, &used);
    if (c & word) {
        const size_t end = run_of(t, n, pos, word);
        return end - pos;
    }
    if (!(c & (UNI_LETTER | UNI_NUMBER)) && !is_newline(t[pos]) &&
        (class_at(t, n, pos + used, &after) & word))
        return run_of(t, n, pos + used, word) - pos;
    if (c & UNI_NUMBER) return numbers(t, n, pos, max);
    const size_t sign_end = signs(t, n, pos, UNI_SPACE | UNI_NUMBER | word, false);
    return sign_end ? sign_end : white_space(t, n, pos, true);
}

static size_t scan_cl100k(const char *t, size_t n, size_t pos)
{
    return scan_cl100k_like(t, n, pos, UNI_LETTER, 3);
}

static size_t scan_qwen2(const char *t, size_t n, size_t pos)
{
    return scan_cl100k_like(t, n, pos, UNI_LETTER, 1);
}

static size_t scan_qwen35(const char *t, size_t n, size_t pos)
{
    return scan_cl100k_like(t, n, pos, UNI_LETTER | UNI_MARK, 1);
}

/* UPPERISH* LOWERISH+ of o200k, where the classes share \p{Lm}\p{Lo}\p{M}; 0 if it does not match.
 * If no lower-case letter follows the first run, that gives back to its last character of both
 * classes. */
static size_t word_lower(const char *t, size_t n, size_t pos)
{
    size_t used, last_both = pos;
    const size_t upper_end = run_of(t, n, pos, UNI_UPPERISH);
    const size_t lower_end = run_of(t, n, upper_end, UNI_LOWERISH);

    if (lower_end > upper_end) return lower_end - pos;
    for (size_t at = pos; at < upper_end; at += used)
        if (class_at(t, n, at, &used) & UNI_LOWERISH) last_both = at + used;
    return last_both - pos;
}

/* UPPERISH+ LOWERISH* */
static size_t word_upper(const char *t, size_t n, size_t pos)
{
    const size_t upper_end = run_of(t, n, pos, UNI_UPPERISH);

    return upper_end == pos ? 0 : run_of(t, n, upper_end, UNI_LOWERISH) - pos;
}

/* Both word alternatives, each with and then without the sign before it: a mark may be sign or
 * word. */
static size_t cased_word(const char *t, size_t n, size_t pos, size_t used, unsigned c)
{
    const bool sign = !(c & (UNI_LETTER | UNI_NUMBER)) && !is_newline(t[pos]);
    const bool word = (c & (UNI_UPPERISH | UNI_LOWERISH)) != 0;
    size_t length;

    if (sign && (length = word_lower(t, n, pos + used))) return used + length;
    if (word && (length = word_lower(t, n, pos))) return length;
    if (sign && (length = word_upper(t, n, pos + used))) return used + length;
    return word ? word_upper(t, n, pos) : 0;
}

/* o200k and tekken: signs may end in slashes, contractions belong to the word. */
static size_t scan_o200k_like(const char *t, size_t n, size_t pos, bool contractions, unsigned max)
{
    size_t used;
    const unsigned c = class_at(t, n, pos, &used);
    const size_t length = cased_word(t, n, pos, used, c);

    if (length) return length + (contractions ? contraction_any_case(t, n, pos + length) : 0);
    if (c & UNI_NUMBER) return numbers(t, n, pos, max);
    const size_t sign_end = signs(t, n, pos, UNI_SPACE | UNI_LETTER | UNI_NUMBER, true);
    return sign_end ? sign_end : white_space(t, n, pos, true);
}

static size_t scan_o200k(const char *t, size_t n, size_t pos)
{
    return scan_o200k_like(t, n, pos, true, 3);
}

static size_t scan_tekken(const char *t, size_t n, size_t pos)
{
    return scan_o200k_like(t, n, pos, false, 1);
}

/* DeepSeek V3's words:
 * [!-/:-@[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|white space
 */
static size_t scan_deepseek3(const char *t, size_t n, size_t pos)
{
    const unsigned word = UNI_LETTER | UNI_MARK, sign = UNI_PUNCT | UNI_SYMBOL;
    size_t used, after, end = pos + 1;
    const unsigned c = class_at(t, n, pos, &used);

    if ((unsigned char)t[pos] < 0x80 && (c & sign)) {
        while (end < n && ((t[end] | 0x20) >= 'a' && (t[end] | 0x20) <= 'z')) end++;
        if (end > pos + 1) return end - pos;
    }
    if (!(c & (UNI_LETTER | sign)) && !is_newline(t[pos]) &&
        (class_at(t, n, pos + used, &after) & word))
        return run_of(t, n, pos + used, word) - pos;
    if (c & word) return run_of(t, n, pos, word) - pos;
    const size_t from = t[pos] == ' ' ? pos + 1 : pos;
    if ((end = run_of(t, n, from, sign)) > from) {
        while (end < n && is_newline(t[end])) end++;
        return end - pos;
    }
    return white_space(t, n, pos, true);
}

#define CASED                                                                                      \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
#define CASED2                                                                                     \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*"
#define SHORT  "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const struct {
    const char *pattern;
    scan_fn *scan;
} known[] = {
    { "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
      scan_gpt2 },
    { SHORT "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES,
      scan_cl100k },
    { SHORT "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES,
      scan_qwen2 },
    { SHORT
      "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES,
      scan_qwen35 },
    { CASED SHORT "?|" CASED2 SHORT "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES,
      scan_o200k },
    { CASED "|" CASED2 "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES, scan_tekken },
    { "[!\"#$%&'()*+,\\-./"
      ":;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
      "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
      scan_deepseek3 },
};

scan_fn *scan_find(const char *pattern, size_t n)
{
    pthread_once(&class_once, fill_classes);
    for (size_t i = 0; i < COUNT(known); i++)
        if (strlen(known[i].pattern) == n && memcmp(known[i].pattern, pattern, n) == 0)
            return known[i].scan;
    return NULL;
}
