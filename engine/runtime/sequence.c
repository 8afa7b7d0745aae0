/* SPDX-License-Identifier: MIT */
/* Timelines over pages. */
#include "engine/runtime/sequence.h"
#include <assert.h>
#include <string.h>

status sequence_init(struct sequence *s, struct lm *lm, struct kv_pages *kv, int64_t tokens_max,
                     struct err *err)
{
    *s = (struct sequence){ .lm = lm, .kv = kv };
    if (!kv) return ST_OK;
    s->cap_pages = sequence_pages_for(tokens_max);
    s->pages = mem_calloc((size_t)s->cap_pages + 1, sizeof *s->pages);
    return s->pages ? ST_OK : FAIL(err, ST_NOMEM, "sequence: out of memory");
}

void sequence_fini(struct sequence *s)
{
    if (!s->lm) return;
    sequence_clear(s);
    mem_free(s->pages);
    *s = (struct sequence){ 0 };
}

bool sequence_class(const struct sequence *s, int64_t length)
{
    return s->lm->info.long_threshold > 0 && length > s->lm->info.long_threshold;
}

int sequence_pages_for(int64_t length)
{
    return (int)((length + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS);
}

bool sequence_resident(const struct sequence *s) { return s->n_pages > 0 || s->state; }

status sequence_reserve(struct sequence *s, int64_t length, struct err *err)
{
    if (!s->kv) {
        if (s->state) return ST_OK;
        return s->lm->ops->state_create(s->lm, &s->state, err);
    }
    const int want = sequence_pages_for(length);
    if (want > s->cap_pages)
        return FAIL(err, ST_LIMIT, "sequence: %d pages, room for %d", want, s->cap_pages);
    while (s->n_pages < want) {
        const int32_t page = kv_pages_take(s->kv);
        if (page < 0) return FAIL(err, ST_BUSY, "the KV cache is full");
        s->pages[s->n_pages++] = page;
    }
    return ST_OK;
}

void sequence_adopt_prefix(struct sequence *s, const int32_t *ids, int64_t n)
{
    assert(s->length == 0 && s->n_pages == 0);
    s->rope_long = sequence_class(s, n);
    s->chain = s->rope_long ? KV_SERIAL_ROOT_LONG : KV_SERIAL_ROOT;
    s->n_chained = 0;
    if (!s->kv || n <= 0) return;
    const int n_max = (int)((n - 1) / KV_PAGE_TOKENS);
    s->n_pages = kv_pages_match(s->kv, s->chain, ids, n_max, s->pages, &s->chain);
    s->n_chained = s->n_pages;
    s->length = (int64_t)s->n_pages * KV_PAGE_TOKENS;
}

void sequence_publish(struct sequence *s, const int32_t *ids)
{
    if (!s->kv) return;
    for (; ((int64_t)s->n_chained + 1) * KV_PAGE_TOKENS <= s->length; s->n_chained++)
        kv_pages_publish(s->kv, s->pages[s->n_chained], ids + (size_t)s->n_chained * KV_PAGE_TOKENS,
                         &s->chain);
}

/* Last page first: of a cached chain the head stays longest. */
static void sequence_drop_pages(struct sequence *s, int keep)
{
    while (s->n_pages > keep) kv_pages_unref(s->kv, s->pages[--s->n_pages]);
}

status sequence_truncate(struct sequence *s, int64_t length, struct err *err)
{
    if (length >= s->length) return ST_OK;
    if (length <= 0) {
        sequence_clear(s);
        return ST_OK;
    }
    if (!s->kv) {
        TRY(s->lm->ops->state_rewind(s->lm, s->state, length, err));
    } else {
        /* What follows will overwrite the rest of a page; others may be reading it, or find it
         * later. */
        if (length / KV_PAGE_TOKENS < s->n_chained)
            return FAIL(err, ST_UNSUPPORTED, "sequence: cannot go back into shared pages");
        sequence_drop_pages(s, sequence_pages_for(length));
    }
    s->length = length;
    return ST_OK;
}

void sequence_clear(struct sequence *s)
{
    if (s->kv) sequence_drop_pages(s, 0);
    if (s->state) s->lm->ops->state_destroy(s->lm, s->state);
    s->state = NULL;
    s->length = 0;
    s->n_chained = 0;
    s->chain = KV_SERIAL_ROOT;
    s->rope_long = false;
}

status sequence_fork(struct sequence *s, const struct sequence *from, struct err *err)
{
    const int n_full = (int)(from->length / KV_PAGE_TOKENS);
    const int n_used = sequence_pages_for(from->length);
    int32_t last = -1;

    assert(s->length == 0 && s->n_pages == 0);
    if (!from->kv) return FAIL(err, ST_UNSUPPORTED, "sequence: a dense state cannot be forked");
    if (n_used > s->cap_pages) return FAIL(err, ST_LIMIT, "sequence: no room for %d pages", n_used);
    if (n_used > n_full) {
        last = kv_pages_take(s->kv);
        if (last < 0) return FAIL(err, ST_BUSY, "the KV cache is full");
        const status st = kv_pages_copy(s->kv, last, from->pages[n_full], err);
        if (st != ST_OK) {
            kv_pages_unref(s->kv, last);
            return st;
        }
    }
    for (int i = 0; i < n_full; i++) {
        kv_pages_ref(s->kv, from->pages[i]);
        s->pages[i] = from->pages[i];
    }
    if (last >= 0) s->pages[n_full] = last;
    s->n_pages = n_used;
    s->length = from->length;
    s->rope_long = from->rope_long;
    s->chain = from->chain;
    s->n_chained = from->n_chained;
    return ST_OK;
}
