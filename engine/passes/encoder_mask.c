/* SPDX-License-Identifier: MIT */
/* A mask is not read off its nodes: it is computed for texts without padding and must come out open
 * or as a window around each token. Windows are looked for in texts of up to MASK_LENGTH_MAX
 * tokens: a mask that hides nothing there is taken for open. */
#include "engine/passes/encoder_mask.h"
#include "engine/passes/mask_probe.h"

enum { MASK_LENGTH_MAX = 2048 };

/* One computed mask: [outer][rows][keys], rows and keys 1 or the length. */
struct seen {
    struct tensor t;
    size_t outer;
    int64_t length, rows, keys;
    bool hides;
};

static bool take_mask(const struct length_probe *p, int v, bool hides, struct seen *m)
{
    const struct graph_value *x = &p->g->values[v];
    const int ndim = x->type.ndim;

    *m = (struct seen){ .t = { x->type, (void *)(uintptr_t)x->data },
                        .outer = 1,
                        .length = p->length,
                        .rows = 1,
                        .keys = 1,
                        .hides = hides };
    if (!x->data || !type_known(&x->type) ||
        (ndim > 2 && !type_span(&x->type, 0, ndim - 2, &m->outer)))
        return false;
    if (ndim > 1) m->rows = x->type.dim[ndim - 2];
    if (ndim > 0) m->keys = x->type.dim[ndim - 1];
    return (m->rows == 1 || m->rows == m->length) && (m->keys == 1 || m->keys == m->length);
}

/* 1 seen, 0 hidden, -1 weighed. */
static int look(const struct seen *m, size_t outer, int64_t i, int64_t j)
{
    const int64_t row = m->rows == 1 ? 0 : i, key = m->keys == 1 ? 0 : j;
    const int x = mask_element(&m->t, (outer * (size_t)m->rows + (size_t)row) * (size_t)m->keys +
                                          (size_t)key);

    return m->hides && x >= 0 ? !x : x;
}

/* What the token in the middle sees on both sides. */
static void measure(const struct seen *m, int64_t *left, int64_t *right)
{
    const int64_t at = m->length / 2;

    *left = *right = 0;
    while (*left < at && look(m, 0, at, at - *left - 1) == 1) ++*left;
    while (*right < m->length - 1 - at && look(m, 0, at, at + *right + 1) == 1) ++*right;
    if (*left == at) *left = -1;
    if (*right == m->length - 1 - at) *right = -1;
}

static bool agrees(const struct seen *m, int64_t left, int64_t right)
{
    for (size_t o = 0; o < m->outer; o++)
        for (int64_t i = 0; i < (m->rows == 1 && m->keys == 1 ? 1 : m->length); i++)
            for (int64_t j = 0; j < m->length; j++) {
                const bool want = (left < 0 || j >= i - left) && (right < 0 || j <= i + right);
                if (look(m, o, i, j) != want) return false;
            }
    return true;
}

/* One text of this length; *found: a window ends within it. */
static status fit_at(struct enc *e, int v, bool hides, int64_t length, bool *found, struct err *err)
{
    struct length_probe p = { .batch = 1, .length = length };
    struct enc_table *tab = &e->table[v];
    struct seen m;

    status st = length_probe_open(&p, e->src, e->spec->roles, e->be, v, err);
    if (st == ST_OK && !take_mask(&p, v, hides, &m))
        st = FAIL(err, ST_UNSUPPORTED, "mask %s: its dimensions are not queries and keys",
                  e->src->values[v].name);
    if (st == ST_OK) measure(&m, &tab->left, &tab->right);
    if (st == ST_OK && !agrees(&m, tab->left, tab->right))
        st = FAIL(err, ST_UNSUPPORTED, "mask %s: it is neither open nor a window",
                  e->src->values[v].name);
    length_probe_close(&p);
    *found = st == ST_OK && (tab->left >= 0 || tab->right >= 0);
    return st;
}

static status fit(struct enc *e, int v, bool hides, struct err *err)
{
    static const int64_t lengths[] = { 64, 512, MASK_LENGTH_MAX };
    const int64_t most = e->spec->length_max > 0 ? e->spec->length_max : MASK_LENGTH_MAX;
    struct enc_table *tab = &e->table[v];
    bool found = false;
    struct seen m;

    for (size_t i = 0; i < COUNT(lengths) && !found; i++) {
        const int64_t length = lengths[i] < most ? lengths[i] : most;
        TRY(fit_at(e, v, hides, length, &found, err));
        if (length == most) break;
    }
    for (int i = 0; i < 2; i++)
        if (!take_mask(&e->small[i], v, hides, &m) || !agrees(&m, tab->left, tab->right))
            return FAIL(err, ST_UNSUPPORTED, "mask %s: it is not the same in a batch",
                        e->src->values[v].name);
    tab->fitted = true;
    tab->hides = hides;
    return ST_OK;
}

static int64_t nearer(int64_t a, int64_t b) { return a < 0 || (b >= 0 && b < a) ? b : a; }

status enc_mask_span(struct enc *e, const struct graph_node *n, const struct enc_row *scores,
                     int64_t *left, int64_t *right, struct err *err)
{
    *left = *right = -1;
    for (int i = 0; i < scores->n_masks; i++) {
        const int v = scores->masks[i];

        if (!enc_is_length(e, v)) return enc_refuse(n, "its mask depends on the tokens", err);
        if (!e->table[v].fitted || e->table[v].hides != scores->hides[i])
            TRY(fit(e, v, scores->hides[i], err));
        *left = nearer(*left, e->table[v].left);
        *right = nearer(*right, e->table[v].right);
    }
    return ST_OK;
}

bool enc_mask_open(const struct enc *e, int v)
{
    if (v < 0 || e->row[v].kind == ROW_MASK) return true;
    if (!enc_is_length(e, v)) return false;
    for (int i = 0; i < 2; i++) {
        const struct length_probe *p = &e->small[i];
        const struct tensor_type *t = &p->g->values[v].type;
        const bool lengths = t->ndim == 1 && t->dim[0] == p->batch;
        size_t count = 0;
        int64_t x = 0;

        if (!type_elements(t, &count) ||
            !(lengths || (t->ndim == 2 && t->dim[0] == p->batch && t->dim[1] == p->length)))
            return false;
        for (size_t k = 0; k < count; k++)
            if (!graph_constant_i64(p->g, v, k, &x) || x != (lengths ? p->length : 1)) return false;
    }
    return true;
}
