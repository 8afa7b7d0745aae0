/* SPDX-License-Identifier: MIT */
/* Short words by repeated scan for the lowest rank (cache-friendly, at most 32 symbols); long ones
 * by a binary heap over a linked list, O(n log n); very long ones in bpe_ranked.c. */
#include "tokenizer/bpe_merge.h"
#include <string.h>

#define NONE UINT32_MAX

/* ---- short ---- */

size_t bpe_merge_short(const struct bpe *bpe, int32_t *ids, size_t n)
{
    uint32_t ranks[BPE_SHORT_MAX];
    int32_t made[BPE_SHORT_MAX];

    for (size_t i = 0; i + 1 < n; i++) {
        const struct bpe_merge *m = bpe_find(bpe, ids[i], ids[i + 1]);
        ranks[i] = m ? m->rank : NONE;
        made[i] = m ? m->id : 0;
    }
    ranks[n - 1] = NONE;
    made[n - 1] = 0;
    while (n > 1) {
        size_t best = 0;

        for (size_t i = 1; i + 1 < n; i++)
            if (ranks[i] < ranks[best]) best = i;
        if (ranks[best] == NONE) break;
        ids[best] = made[best];
        n--;
        for (size_t i = best + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            ranks[i] = ranks[i + 1];
            made[i] = made[i + 1];
        }
        /* the pairs on either side of the new symbol */
        for (size_t i = best ? best - 1 : 0; i <= best && i + 1 < n; i++) {
            const struct bpe_merge *m = bpe_find(bpe, ids[i], ids[i + 1]);
            ranks[i] = m ? m->rank : NONE;
            made[i] = m ? m->id : 0;
        }
    }
    return n;
}

/* ---- long ---- */

/* rank << 32 | position orders the heap; `made` says whether the entry is still true. */
struct entry {
    uint64_t order;
    int32_t made;
};

struct heap {
    struct entry *items;
    size_t n;
    struct bpe_parts *parts; /* by id; NULL: nobody asks */
};

static void heap_down(struct heap *h, size_t i)
{
    const struct entry e = h->items[i];

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= h->n) break;
        if (child + 1 < h->n && h->items[child + 1].order < h->items[child].order) child++;
        if (h->items[child].order >= e.order) break;
        h->items[i] = h->items[child];
        i = child;
    }
    h->items[i] = e;
}

static void heap_push(struct heap *h, struct entry e)
{
    size_t i = h->n++;

    while (i > 0) {
        const size_t parent = (i - 1) / 2;

        if (h->items[parent].order <= e.order) break;
        h->items[i] = h->items[parent];
        i = parent;
    }
    h->items[i] = e;
}

static struct entry heap_pop(struct heap *h)
{
    const struct entry top = h->items[0];

    h->items[0] = h->items[--h->n];
    if (h->n) heap_down(h, 0);
    return top;
}

static bool pair_entry(const struct bpe *bpe, const struct bpe_symbol *s, struct heap *h,
                       uint32_t at, struct entry *out)
{
    if (s[at].next == NONE) return false;
    const struct bpe_merge *m = bpe_find(bpe, s[at].id, s[s[at].next].id);
    if (!m) return false;
    if (h->parts) h->parts[m->id] = (struct bpe_parts){ s[at].id, s[s[at].next].id };
    *out = (struct entry){ (uint64_t)m->rank << 32 | at, m->id };
    return true;
}

/* An entry is stale when its pair has changed since it was pushed. */
static void take(const struct bpe *bpe, struct bpe_symbol *s, struct heap *h, struct entry e)
{
    const uint32_t at = (uint32_t)e.order;
    struct entry next;

    if (s[at].id < 0 || s[at].next == NONE) return;
    const uint32_t right = s[at].next;
    const struct bpe_merge *m = bpe_find(bpe, s[at].id, s[right].id);
    if (!m || m->id != e.made || m->rank != (uint32_t)(e.order >> 32)) return;

    s[at].id = e.made;
    s[at].next = s[right].next;
    if (s[right].next != NONE) s[s[right].next].prev = at;
    s[right].id = -1;
    if (s[at].prev != NONE && pair_entry(bpe, s, h, s[at].prev, &next)) heap_push(h, next);
    if (pair_entry(bpe, s, h, at, &next)) heap_push(h, next);
}

/* Each merge removes a pair and makes at most two, so the heap never holds more than 2 n entries.
 */
size_t bpe_heap_scratch(size_t n)
{
    return n * (2 * sizeof(struct entry) + sizeof(struct bpe_symbol));
}

size_t bpe_merge_recorded(const struct bpe *bpe, int32_t *ids, size_t n, void *scratch,
                          struct bpe_parts *parts)
{
    struct heap h = { scratch, 0, parts };
    struct bpe_symbol *s = (struct bpe_symbol *)(h.items + 2 * n);
    size_t left = 0;

    for (size_t i = 0; i < n; i++)
        s[i] = (struct bpe_symbol){ ids[i], i + 1 < n ? (uint32_t)(i + 1) : NONE,
                                    i ? (uint32_t)(i - 1) : NONE };
    for (size_t i = 0; i + 1 < n; i++)
        if (pair_entry(bpe, s, &h, (uint32_t)i, &h.items[h.n])) h.n++;
    for (size_t i = h.n / 2; i-- > 0;) heap_down(&h, i);
    while (h.n) take(bpe, s, &h, heap_pop(&h));
    for (uint32_t at = 0; at != NONE; at = s[at].next) ids[left++] = s[at].id;
    return left;
}

size_t bpe_merge_heap(const struct bpe *bpe, int32_t *ids, size_t n, void *scratch)
{
    return bpe_merge_recorded(bpe, ids, n, scratch, NULL);
}

/* ---- choosing ---- */

size_t bpe_merge_scratch(const struct bpe *bpe, size_t n)
{
    if (n <= BPE_SHORT_MAX) return 0;
    return n <= BPE_HEAP_MAX ? bpe_heap_scratch(n) : bpe_ranked_scratch(bpe, n);
}

size_t bpe_merge(const struct bpe *bpe, int32_t *ids, size_t n, void *scratch)
{
    if (n < 2 || bpe->n_merges == 0) return n;
    if (n <= BPE_SHORT_MAX) return bpe_merge_short(bpe, ids, n);
    return n <= BPE_HEAP_MAX ? bpe_merge_heap(bpe, ids, n, scratch)
                             : bpe_merge_ranked(bpe, ids, n, scratch, NULL);
}
