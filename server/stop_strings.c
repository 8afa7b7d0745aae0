/* SPDX-License-Identifier: MIT */
/* The matcher behind stop_strings.h: at most 4 x 1,024 bytes are ever held, so plain comparison is
 * enough. */
#include "server/stop_strings.h"
#include <assert.h>
#include <string.h>

void stop_matcher_init(struct stop_matcher *m, const char *const *stops, size_t n)
{
    assert(n <= STOP_STRINGS_MAX);
    memset(m, 0, sizeof *m);
    for (size_t i = 0; i < n; i++) {
        m->stops[i] = stops[i];
        m->lens[i] = strlen(stops[i]);
    }
    m->n = n;
}

void stop_matcher_fini(struct stop_matcher *m) { str_fini(&m->held); }

/* Length of the longest stop string that ends at text[0..end), 0 if none. */
static size_t longest_stop_at(const struct stop_matcher *m, const char *text, size_t end)
{
    size_t best = 0;

    for (size_t i = 0; i < m->n; i++) {
        const size_t len = m->lens[i];
        if (len > best && len <= end && memcmp(text + end - len, m->stops[i], len) == 0) best = len;
    }
    return best;
}

/* Length of the longest end of text[0..n) with which a stop string begins. */
static size_t open_tail(const struct stop_matcher *m, const char *text, size_t n)
{
    size_t best = 0;

    for (size_t i = 0; i < m->n; i++) {
        size_t len = m->lens[i] - 1 < n ? m->lens[i] - 1 : n;
        for (; len > best; len--)
            if (memcmp(text + n - len, m->stops[i], len) == 0) best = len;
    }
    return best;
}

bool stop_matcher_push(struct stop_matcher *m, const char *text, size_t n, struct str *out)
{
    if (m->found) return true;
    if (n == 0) return false;
    if (m->n == 0) {
        str_put_n(out, text, n);
        return false;
    }
    const size_t old = m->held.len;
    str_put_n(&m->held, text, n);
    if (m->held.failed) return false;
    const char *held = str_cstr(&m->held);

    for (size_t end = old + 1; end <= m->held.len; end++) {
        const size_t len = longest_stop_at(m, held, end);
        if (len == 0) continue;
        str_put_n(out, held, end - len);
        str_clear(&m->held);
        m->found = true;
        return true;
    }
    const size_t keep = open_tail(m, held, m->held.len), sure = m->held.len - keep;
    str_put_n(out, held, sure);
    memmove(m->held.data, m->held.data + sure, keep + 1);
    m->held.len = keep;
    return false;
}

void stop_matcher_finish(struct stop_matcher *m, struct str *out)
{
    if (m->held.len > 0) str_put_n(out, m->held.data, m->held.len);
    str_clear(&m->held);
}
