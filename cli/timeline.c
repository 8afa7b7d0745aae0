/* SPDX-License-Identifier: MIT */
#include "cli/timeline.h"
#include <math.h>
#include <string.h>

status timeline_open(struct timeline *t, struct engine *e, struct err *err)
{
    *t = (struct timeline){ .info = engine_info(e) };
    t->width = (size_t)(t->info->hidden_only ? t->info->hidden : t->info->vocab);
    return session_create(&t->session, e, err);
}

void timeline_close(struct timeline *t)
{
    session_destroy(t->session);
    mem_free(t->ids);
    *t = (struct timeline){ 0 };
}

status timeline_reset(struct timeline *t, struct err *err)
{
    t->n = 0;
    return session_rewind(t->session, 0, err);
}

static status remember(struct timeline *t, const int32_t *ids, size_t n, struct err *err)
{
    if (t->n + n > t->cap) {
        const size_t cap = (t->n + n) * 2;
        int32_t *grown = mem_realloc_array(t->ids, cap, sizeof *grown);
        if (!grown) return FAIL(err, ST_NOMEM, "out of memory");
        t->ids = grown;
        t->cap = cap;
    }
    memcpy(t->ids + t->n, ids, n * sizeof *ids);
    t->n += n;
    return ST_OK;
}

static status feed_embeds(struct timeline *t, const struct token_feed *ids, struct err *err)
{
    const size_t hidden = (size_t)t->info->hidden;
    float *x = mem_alloc(ids->n * hidden * sizeof *x);
    struct token_feed f = *ids;

    if (!x) return FAIL(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; i < f.n; i++) {
        const int32_t id = f.ids[i];
        if (id < 0 || (size_t)id >= t->embed_rows) {
            mem_free(x);
            return FAIL(err, ST_INVALID, "token id %d: the embedding table has %zu rows", id,
                        t->embed_rows);
        }
        memcpy(x + i * hidden, t->embed_table + (size_t)id * hidden, hidden * sizeof *x);
    }
    f.ids = NULL;
    f.embeds = x;
    const status st = session_feed(t->session, &f, err);
    mem_free(x);
    return st;
}

static status feed(struct timeline *t, const struct token_feed *f, struct err *err)
{
    if (!t->info->takes_embeds) return session_feed(t->session, f, err);
    if (!t->embed_table)
        return FAIL(err, ST_INVALID, "this model takes embeddings (inputs_embeds), not token ids");
    return feed_embeds(t, f, err);
}

status timeline_feed(struct timeline *t, const struct token_feed *f, struct err *err)
{
    TRY(remember(t, f->ids, f->n, err));
    return feed(t, f, err);
}

status timeline_decode(struct timeline *t, int32_t id, float *out, struct err *err)
{
    const int32_t last = (int32_t)t->n, first = 0;

    TRY(remember(t, &id, 1, err));
    if (!session_crosses_rope(t->session, (int64_t)t->n))
        return feed(
            t, &(struct token_feed){ .ids = &id, .n = 1, .rows = &first, .n_rows = 1, .out = out },
            err);
    TRY(session_rewind(t->session, 0, err));
    return feed(
        t, &(struct token_feed){ .ids = t->ids, .n = t->n, .rows = &last, .n_rows = 1, .out = out },
        err);
}

int32_t timeline_argmax(const float *row, size_t width, float *gap)
{
    size_t best = 0;
    float second = -INFINITY;

    for (size_t i = 1; i < width; i++) {
        if (row[i] > row[best]) {
            second = row[best];
            best = i;
        } else if (row[i] > second) {
            second = row[i];
        }
    }
    if (gap) *gap = width > 1 ? row[best] - second : 0;
    return (int32_t)best;
}
