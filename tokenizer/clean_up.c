/* SPDX-License-Identifier: MIT */
/* Both users replace one pattern after the other over the whole text. In a stream each rule hands
 * what is certain to the next, and keeps the longest end of its text that its pattern begins with:
 * so the parts joined are the whole text cleaned up, and nothing sent is ever taken back. */
#include "tokenizer/clean_up.h"
#include <string.h>

struct rule {
    const char *from, *to;
    bool decoders_only;
};

static const struct rule rules[CLEAN_UP_RULES] = {
    { " .", ".", false },     { " ?", "?", false },          { " !", "!", false },
    { " ,", ",", false },     { " ' ", "'", false },         { " n't", "n't", false },
    { " 'm", "'m", false },   { " do not", " don't", true }, { " 's", "'s", false },
    { " 've", "'ve", false }, { " 're", "'re", false },
};

/* Returns where the last match ends. */
static size_t replace(struct str *out, const char *p, size_t n, struct replacement r)
{
    size_t at = 0;

    while (r.from_n) {
        const char *found = memmem(p + at, n - at, r.from, r.from_n);

        if (!found) break;
        str_put_n(out, p + at, (size_t)(found - p) - at);
        str_put_n(out, r.to, r.to_n);
        at = (size_t)(found - p) + r.from_n;
    }
    return at;
}

void clean_up_replace(struct str *out, const char *p, size_t n, struct replacement r)
{
    const size_t at = replace(out, p, n, r);

    str_put_n(out, p + at, n - at);
}

static struct replacement replacement_of(const struct rule *rule)
{
    return (struct replacement){ rule->from, strlen(rule->from), rule->to, strlen(rule->to) };
}

static void swap(struct str *a, struct str *b)
{
    const struct str c = *a;

    *a = *b;
    *b = c;
}

void clean_up_piece(struct str *text, struct str *spare)
{
    for (size_t i = 0; i < CLEAN_UP_RULES; i++) {
        str_clear(spare);
        clean_up_replace(spare, str_cstr(text), text->len, replacement_of(&rules[i]));
        swap(text, spare);
    }
}

/* Bytes at the end of p[0..n) that the pattern begins with, fewer than all of it. */
static size_t begun(const char *p, size_t n, const char *from, size_t from_n)
{
    size_t k = n < from_n - 1 ? n : from_n - 1;

    while (k && memcmp(p + n - k, from, k) != 0) k--;
    return k;
}

static void run_rule(const struct rule *rule, struct str *held, bool last, const struct str *in,
                     struct str *out)
{
    const struct replacement r = replacement_of(rule);
    char kept[8];

    str_put_n(held, str_cstr(in), in->len);
    const char *p = str_cstr(held);
    const size_t at = replace(out, p, held->len, r);
    const size_t keep = last ? 0 : begun(p + at, held->len - at, r.from, r.from_n);
    str_put_n(out, p + at, held->len - at - keep);
    memcpy(kept, p + held->len - keep, keep);
    out->failed |= held->failed;
    str_clear(held);
    str_put_n(held, kept, keep);
}

bool clean_up_push(struct clean_up *c, const char *p, size_t n, bool last, struct str *out)
{
    bool ok = true;

    str_clear(&c->text);
    str_put_n(&c->text, p, n);
    for (size_t i = 0; i < CLEAN_UP_RULES; i++) {
        if (rules[i].decoders_only) continue;
        str_clear(&c->next);
        run_rule(&rules[i], &c->held[i], last, &c->text, &c->next);
        ok = ok && !c->text.failed && !c->next.failed;
        swap(&c->text, &c->next);
    }
    str_put_n(out, str_cstr(&c->text), c->text.len);
    return ok && !out->failed;
}

void clean_up_fini(struct clean_up *c)
{
    for (size_t i = 0; i < CLEAN_UP_RULES; i++) str_fini(&c->held[i]);
    str_fini(&c->text);
    str_fini(&c->next);
}
