/* SPDX-License-Identifier: MIT */
#include "tokenizer/matcher.h"
#include "tokenizer/trie.h"
#include <string.h>

enum { BLOCK_MIN = 1 << 14 };

struct matcher {
    struct trie trie;     /* of the reversed patterns */
    uint32_t *fail;       /* [nodes]: the longest other node that ends like this one */
    uint32_t *longest_at; /* [nodes]: longest pattern that ends here, plus one; 0: none */
    const size_t *lens;   /* [patterns] */
    size_t longest;       /* pattern */
};

/* ---- building ---- */

/* How a node is reached. */
struct reach {
    uint32_t parent, depth;
    unsigned char byte;
};

static status put_pattern(struct matcher *m, const char *text, size_t n, size_t index,
                          struct err *err)
{
    char few[256], *back = n <= sizeof few ? few : mem_alloc(n);

    if (!back) return FAIL(err, ST_NOMEM, "added tokens: no memory");
    for (size_t i = 0; i < n; i++) back[i] = text[n - 1 - i];
    const status st = trie_put(&m->trie, back, n, (int32_t)index, false, err);
    if (back != few) mem_free(back);
    if (n > m->longest) m->longest = n;
    return st;
}

static void fill_reach(const struct matcher *m, const char *const *patterns, const size_t *lens,
                       size_t n, struct reach *reach)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t node = 0;

        for (size_t k = lens[i]; k-- > 0;) {
            const unsigned char byte = (unsigned char)patterns[i][k];
            const uint32_t child = trie_step(&m->trie, node, byte);

            reach[child] = (struct reach){ node, (uint32_t)(lens[i] - k), byte };
            node = child;
        }
    }
}

static uint32_t follow(const struct matcher *m, uint32_t node, unsigned char byte, uint64_t *steps)
{
    for (;; node = m->fail[node]) {
        const uint32_t child = trie_step(&m->trie, node, byte);

        ++*steps;
        if (child || node == 0) return child;
    }
}

/* Nodes in the order of their depth, so that what a node falls back to is known before it. */
static void link_nodes(struct matcher *m, const struct reach *reach, uint32_t *order,
                       uint32_t *starts)
{
    const size_t n = m->trie.n_nodes;
    uint64_t steps = 0;

    for (size_t i = 0; i < n; i++) starts[reach[i].depth + 1]++;
    for (size_t d = 1; d <= m->longest + 1; d++) starts[d] += starts[d - 1];
    for (size_t i = 0; i < n; i++) order[starts[reach[i].depth]++] = (uint32_t)i;
    for (size_t i = 0; i < n; i++) {
        const uint32_t node = order[i];
        const struct reach *r = &reach[node];

        if (r->depth > 1) m->fail[node] = follow(m, m->fail[r->parent], r->byte, &steps);
        m->longest_at[node] = m->trie.values[node] >= 0 ? (uint32_t)m->trie.values[node] + 1
                                                        : m->longest_at[m->fail[node]];
    }
}

static status finish(struct matcher *m, struct arena *a, const char *const *patterns,
                     const size_t *lens, size_t n, struct err *err)
{
    const size_t nodes = m->trie.n_nodes;
    struct reach *reach = mem_calloc(nodes, sizeof *reach);
    uint32_t *order = mem_calloc(nodes, sizeof *order),
             *starts = mem_calloc(m->longest + 3, sizeof *starts);

    m->fail = ARENA_ARRAY(a, nodes, uint32_t);
    m->longest_at = ARENA_ARRAY(a, nodes, uint32_t);
    const bool ok = reach && order && starts && m->fail && m->longest_at;
    if (ok) {
        fill_reach(m, patterns, lens, n, reach);
        link_nodes(m, reach, order, starts);
    }
    mem_free(reach);
    mem_free(order);
    mem_free(starts);
    return ok ? ST_OK : FAIL(err, ST_NOMEM, "added tokens: no memory");
}

status matcher_create(struct matcher **out, struct arena *a, const char *const *patterns,
                      const size_t *lens, size_t n, struct err *err)
{
    struct matcher *m = ARENA_NEW(a, struct matcher);

    if (!m) return FAIL(err, ST_NOMEM, "added tokens: no memory");
    m->trie.arena = a;
    m->lens = lens;
    TRY(trie_reserve(&m->trie, 1, err));
    for (size_t i = 0; i < n; i++)
        if (lens[i]) TRY(put_pattern(m, patterns[i], lens[i], i, err));
    TRY(finish(m, a, patterns, lens, n, err));
    *out = m;
    return ST_OK;
}

/* ---- scanning ---- */

void match_scan_init(struct match_scan *s, const struct matcher *m, const char *text, size_t n)
{
    *s = (struct match_scan){ .m = m, .text = text, .n = n };
}

void match_scan_fini(struct match_scan *s) { mem_free(s->found); }

static status put_match(struct match_scan *s, size_t start, size_t pattern, struct err *err)
{
    if (s->n_found == s->cap) {
        const size_t cap = s->cap ? 2 * s->cap : 64;
        struct match *found = mem_realloc_array(s->found, cap, sizeof *found);

        if (!found) return FAIL(err, ST_NOMEM, "added tokens: no memory");
        s->found = found;
        s->cap = cap;
    }
    s->found[s->n_found++] = (struct match){ start, start + s->m->lens[pattern], pattern };
    return ST_OK;
}

/* Finds all that begins in [start, block_end). A block is never shorter than the longest pattern,
 * so what is read beyond its end at most doubles the work. */
static status scan_block(struct match_scan *s, size_t start, struct err *err)
{
    const struct matcher *m = s->m;
    const size_t size = m->longest > BLOCK_MIN ? m->longest : BLOCK_MIN;
    uint32_t node = 0;

    s->block_end = s->n - start > size ? start + size : s->n;
    const size_t ahead = s->n - s->block_end > m->longest ? s->block_end + m->longest : s->n;
    s->n_found = 0;
    for (size_t i = ahead; i-- > start;) {
        const unsigned char byte = (unsigned char)s->text[i];

        if (node == 0 && m->trie.root[byte] == 0) continue;
        node = follow(m, node, byte, &s->steps);
        if (m->longest_at[node] && i < s->block_end)
            TRY(put_match(s, i, m->longest_at[node] - 1, err));
    }
    return ST_OK;
}

status match_scan_next(struct match_scan *s, size_t from, bool *found, struct match *out,
                       struct err *err)
{
    *found = false;
    for (;;) {
        while (s->n_found && s->found[s->n_found - 1].start < from) s->n_found--;
        if (s->n_found) {
            *out = s->found[--s->n_found];
            *found = true;
            return ST_OK;
        }
        if (from < s->block_end) from = s->block_end;
        if (from >= s->n) return ST_OK;
        TRY(scan_block(s, from, err));
    }
}
