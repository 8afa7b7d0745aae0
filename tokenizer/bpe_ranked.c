/* SPDX-License-Identifier: MIT */
/* Merging of very long words. Pairs lie in a list per rank, in the order of the text, and a heap
 * holds the ranks that have pairs: the pairs of one rank are merged in one walk from left to right.
 * A text without a split has few ranks that matter (they double what they merge), so that a
 * mebibyte of one letter takes twenty walks and not a million heap operations. */
#include "tokenizer/bpe_merge.h"
#include <string.h>

#define NONE UINT32_MAX

/* A symbol; if it merges with the one behind it, it is in the list of that pair's rank. */
struct symbol {
    int32_t id;             /* -1: merged into the one before */
    uint32_t next, prev;    /* of the text */
    uint32_t later, sooner; /* of the list */
    uint32_t rank;          /* of the list; NONE: in none */
};

struct list {
    uint32_t head, tail; /* NONE: empty */
    bool sorted, queued; /* in the order of the text; in the heap */
};

struct ranked {
    const struct bpe *bpe;
    struct symbol *s;   /* [n] */
    struct list *lists; /* [ranks] */
    uint32_t *heap;     /* [n_heap] of ranks, each at most once */
    size_t n_heap;
    uint64_t steps;
};

static void *carve(char **at, size_t n)
{
    void *p = *at;

    *at += (n + 15) & ~(size_t)15;
    return p;
}

size_t bpe_ranked_scratch(const struct bpe *bpe, size_t n)
{
    const size_t ranks = (size_t)bpe->rank_max + 1;

    if (n >= NONE / 4) return SIZE_MAX;
    return n * sizeof(struct symbol) + ranks * (sizeof(struct list) + sizeof(uint32_t)) + 64;
}

/* ---- the heap of ranks ---- */

static void heap_push(struct ranked *r, uint32_t rank)
{
    size_t i = r->n_heap++;

    for (; i > 0 && r->heap[(i - 1) / 2] > rank; i = (i - 1) / 2, r->steps++)
        r->heap[i] = r->heap[(i - 1) / 2];
    r->heap[i] = rank;
    r->lists[rank].queued = true;
}

static void heap_pop(struct ranked *r)
{
    const uint32_t last = r->heap[--r->n_heap];
    size_t i = 0;

    r->lists[r->heap[0]].queued = false;
    for (;; r->steps++) {
        size_t child = 2 * i + 1;

        if (child >= r->n_heap) break;
        if (child + 1 < r->n_heap && r->heap[child + 1] < r->heap[child]) child++;
        if (r->heap[child] >= last) break;
        r->heap[i] = r->heap[child];
        i = child;
    }
    if (r->n_heap) r->heap[i] = last;
}

/* ---- lists ---- */

static void list_remove(struct ranked *r, uint32_t at)
{
    struct symbol *s = &r->s[at];

    if (s->rank == NONE) return;
    struct list *l = &r->lists[s->rank];
    if (s->sooner != NONE)
        r->s[s->sooner].later = s->later;
    else
        l->head = s->later;
    if (s->later != NONE)
        r->s[s->later].sooner = s->sooner;
    else
        l->tail = s->sooner;
    s->rank = NONE;
    r->steps++;
}

/* At the front where it belongs there, else at the end, which may be out of order. */
static void list_add(struct ranked *r, uint32_t at, uint32_t rank)
{
    struct list *l = &r->lists[rank];
    struct symbol *s = &r->s[at];

    s->rank = rank;
    r->steps++;
    if (l->head == NONE) {
        s->sooner = s->later = NONE;
        l->head = l->tail = at;
        l->sorted = true;
    } else if (at < l->head) {
        s->sooner = NONE;
        s->later = l->head;
        r->s[l->head].sooner = at;
        l->head = at;
    } else {
        if (at < l->tail) l->sorted = false;
        s->later = NONE;
        s->sooner = l->tail;
        r->s[l->tail].later = at;
        l->tail = at;
    }
    if (!l->queued) heap_push(r, rank);
}

/* Merges two runs that are in order; links by `later` only. */
static uint32_t merge_runs(struct ranked *r, uint32_t a, uint32_t b)
{
    uint32_t head = NONE, *link = &head;

    while (a != NONE && b != NONE) {
        uint32_t *least = a < b ? &a : &b;

        *link = *least;
        link = &r->s[*least].later;
        *least = *link;
        r->steps++;
    }
    *link = a != NONE ? a : b;
    return head;
}

/* The run that begins at *rest is cut off the list. */
static uint32_t take_run(struct ranked *r, uint32_t *rest)
{
    const uint32_t head = *rest;
    uint32_t at = head;

    if (head == NONE) return NONE;
    for (; r->s[at].later != NONE && r->s[at].later > at; at = r->s[at].later) r->steps++;
    *rest = r->s[at].later;
    r->s[at].later = NONE;
    return head;
}

/* Natural merge sort: what was added in one walk is one run. runs[k] is empty or made of 2^k runs.
 */
static void list_sort(struct ranked *r, struct list *l)
{
    uint32_t runs[32], rest = l->head, all = NONE;

    for (size_t k = 0; k < COUNT(runs); k++) runs[k] = NONE;
    while (rest != NONE) {
        uint32_t run = take_run(r, &rest);
        size_t k = 0;

        for (; k + 1 < COUNT(runs) && runs[k] != NONE; k++) {
            run = merge_runs(r, runs[k], run);
            runs[k] = NONE;
        }
        runs[k] = runs[k] == NONE ? run : merge_runs(r, runs[k], run);
    }
    for (size_t k = 0; k < COUNT(runs); k++)
        if (runs[k] != NONE) all = all == NONE ? runs[k] : merge_runs(r, runs[k], all);
    l->head = all;
    l->sorted = true;
    for (uint32_t at = all, before = NONE; at != NONE; before = at, at = r->s[at].later) {
        r->s[at].sooner = before;
        l->tail = at;
        r->steps++;
    }
}

/* ---- merging ---- */

/* The pair that begins at `at` is looked up anew. */
static void look(struct ranked *r, uint32_t at)
{
    if (at == NONE) return;
    list_remove(r, at);
    if (r->s[at].next == NONE) return;
    const struct bpe_merge *m = bpe_find(r->bpe, r->s[at].id, r->s[r->s[at].next].id);
    if (m) list_add(r, at, m->rank);
}

static void merge_at(struct ranked *r, uint32_t at)
{
    struct symbol *s = r->s;
    const uint32_t right = s[at].next;

    list_remove(r, at);
    list_remove(r, right);
    s[at].id = bpe_find(r->bpe, s[at].id, s[right].id)->id;
    s[at].next = s[right].next;
    s[right].id = -1;
    if (s[at].next != NONE) s[s[at].next].prev = at;
    look(r, at);
    look(r, s[at].prev);
}

static void start(struct ranked *r, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i <= r->bpe->rank_max; i++)
        r->lists[i] = (struct list){ NONE, NONE, true, false };
    for (size_t i = 0; i < n; i++)
        r->s[i] = (struct symbol){ .id = ids[i],
                                   .next = i + 1 < n ? (uint32_t)(i + 1) : NONE,
                                   .prev = i ? (uint32_t)(i - 1) : NONE,
                                   .rank = NONE };
    for (size_t i = 0; i + 1 < n; i++) look(r, (uint32_t)i);
}

size_t bpe_merge_ranked(const struct bpe *bpe, int32_t *ids, size_t n, void *scratch,
                        uint64_t *steps)
{
    char *at = scratch;
    struct ranked r = { .bpe = bpe };
    size_t left = 0;

    r.s = carve(&at, n * sizeof *r.s);
    r.lists = carve(&at, ((size_t)bpe->rank_max + 1) * sizeof *r.lists);
    r.heap = carve(&at, ((size_t)bpe->rank_max + 1) * sizeof *r.heap);
    start(&r, ids, n);
    while (r.n_heap) {
        struct list *l = &r.lists[r.heap[0]]; /* a merge may bring a lower rank to the top */

        if (l->head == NONE) {
            heap_pop(&r);
            continue;
        }
        if (!l->sorted) list_sort(&r, l);
        merge_at(&r, l->head);
    }
    for (uint32_t i = 0; i != NONE; i = r.s[i].next) ids[left++] = r.s[i].id;
    if (steps) *steps = r.steps;
    return left;
}
