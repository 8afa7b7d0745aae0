/* SPDX-License-Identifier: MIT */
/* Unique and NonMaxSuppression (their sizes depend on values: the work is ir_unique, ir_nms),
 * Einsum, Det, TfIdfVectorizer. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"
#include "backends/cpu/cpu_window.h"

/* ---- Unique ---- */

static int unique_axis(const struct op_call *c, const struct tensor *x)
{
    return c->attr.unique.has_axis ? cpu_axis(c->attr.unique.axis, x->type.ndim) : -1;
}

static status words_scratch(size_t n, size_t each, struct cpu_scratch *out, const char *node,
                            struct err *err)
{
    if (checked_mul(n, each * sizeof(size_t), &out->worker)) return ST_OK;
    return FAIL(err, ST_LIMIT, "%s: scratch of %zu words", node, n);
}

status cpu_unique_scratch(const struct op_call *call, const struct prepared *p,
                          const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const int axis = unique_axis(call, &call->in[0]);

    (void)p;
    (void)b;
    return words_scratch(ir_unique_slices(&call->in[0].type, axis), 4, out, call->node, err);
}

/* Groups of equal slices in the order they are given: first[g] the slice that stands for group g;
 * group[i] the group of slice i. By value when sorted, else by first appearance. */
static void unique_groups(const struct tensor *x, int axis, bool sorted, struct ir_unique *u,
                          size_t *first, size_t *group)
{
    size_t g = 0;

    for (size_t i = 0; i < u->n; i++) {
        if (i == 0 || !ir_unique_same(x, axis, u->order[i - 1], u->order[i]))
            first[g++] = u->order[i];
        group[u->order[i]] = g - 1;
    }
    if (sorted) return;
    /* order by first appearance: work[g] = new number of group g */
    size_t next = 0;
    for (size_t i = 0; i < u->n; i++)
        if (first[group[i]] == i) u->work[group[i]] = next++;
    for (size_t i = 0; i < u->n; i++) group[i] = u->work[group[i]];
    for (size_t i = u->n; i-- > 0;) first[group[i]] = i;
}

static void unique_write(const struct cpu_task *t, int axis, const size_t *first,
                         const size_t *group, const struct ir_unique *u)
{
    const struct tensor *x = cpu_in(t, 0), *y = cpu_out(t, 0), *indices = cpu_out(t, 1);
    const struct tensor *inverse = cpu_out(t, 2), *counts = cpu_out(t, 3);
    const size_t outer = axis < 0 ? 1 : cpu_span(x, 0, axis);
    const size_t bytes =
        (axis < 0 ? 1 : cpu_span(x, axis + 1, x->type.ndim)) * cpu_size(x->type.dtype);

    for (size_t o = 0; y && o < outer; o++)
        for (size_t g = 0; g < u->n_unique; g++)
            memcpy((char *)y->data + (o * u->n_unique + g) * bytes,
                   (const char *)x->data + (o * u->n + first[g]) * bytes, bytes);
    for (size_t g = 0; indices && g < u->n_unique; g++)
        ((int64_t *)indices->data)[g] = (int64_t)first[g];
    for (size_t i = 0; inverse && i < u->n; i++) ((int64_t *)inverse->data)[i] = (int64_t)group[i];
    for (size_t g = 0; counts && g < u->n_unique; g++) ((int64_t *)counts->data)[g] = 0;
    for (size_t i = 0; counts && i < u->n; i++) ((int64_t *)counts->data)[group[i]]++;
}

void cpu_unique(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *y = cpu_out(t, 0);
    const int axis = unique_axis(t->call, x);
    const size_t n = ir_unique_slices(&x->type, axis);
    size_t *words = t->scratch;
    struct ir_unique u = { .order = words, .work = words + n };

    if (t->worker != 0) return;
    if (!ir_unique_sort(x, axis, &u) ||
        (y && (size_t)y->type.dim[axis < 0 ? 0 : axis] != u.n_unique)) {
        cpu_fail(t, ST_SHAPE, "the output has no room for %zu values", u.n_unique);
        return;
    }
    unique_groups(x, axis, t->call->attr.unique.sorted != 0, &u, words + 2 * n, words + 3 * n);
    unique_write(t, axis, words + 2 * n, words + 3 * n, &u);
}

/* ---- NonMaxSuppression ---- */

status cpu_nms_scratch(const struct op_call *call, const struct prepared *p,
                       const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    (void)p;
    (void)b;
    return words_scratch((size_t)call->in[0].type.dim[1], 1, out, call->node, err);
}

void cpu_nms(const struct cpu_task *t)
{
    const struct tensor *max = cpu_in(t, 2), *iou = cpu_in(t, 3), *score = cpu_in(t, 4);
    const struct tensor *out = cpu_out(t, 0);
    const struct ir_nms p = { .boxes = cpu_in(t, 0),
                              .scores = cpu_in(t, 1),
                              .boxes_max = max ? cpu_int_at(max, 0) : 0,
                              .iou_threshold = iou ? (float)cpu_get(iou, 0) : 0,
                              .score_threshold = score ? (float)cpu_get(score, 0) : 0,
                              .has_score_threshold = score != NULL,
                              .centers = t->call->attr.nms.center_point_box != 0 };

    if (t->worker != 0) return;
    if (ir_nms_run(&p, t->scratch, NULL) * 3 != cpu_elements(out))
        cpu_fail(t, ST_SHAPE, "the output has no room for the boxes");
    else
        (void)ir_nms_run(&p, t->scratch, out->data);
}

/* ---- Einsum: for each element of the output, all values of the labels it has not ---- */

static double einsum_at(const struct cpu_task *t, const struct ir_einsum *e, int64_t *value)
{
    double sum = 0;
    bool more = true;

    for (int l = e->n_out; l < e->n_labels; l++) {
        value[l] = 0;
        if (e->dim[l] == 0) return 0;
    }
    while (more) {
        double product = 1;

        for (int i = 0; i < e->n_in; i++) {
            size_t at = 0;

            for (int d = 0; d < e->rank[i]; d++) {
                const int64_t dim = t->in[i]->type.dim[d];
                at = at * (size_t)dim + (dim == 1 ? 0 : (size_t)value[e->label[i][d]]);
            }
            product *= cpu_get(t->in[i], at);
        }
        sum += product;
        more = false;
        for (int l = e->n_labels - 1; !more && l >= e->n_out; l--) {
            more = ++value[l] < e->dim[l];
            if (!more) value[l] = 0;
        }
    }
    return sum;
}

void cpu_einsum(const struct cpu_task *t)
{
    const struct tensor *out = cpu_out(t, 0);
    struct tensor in[IR_EINSUM_INPUTS_MAX];
    struct ir_einsum e;

    for (int i = 0; i < t->call->n_in && i < IR_EINSUM_INPUTS_MAX; i++) in[i] = *t->in[i];
    const char *wrong = ir_einsum_parse(&e, t->call->attr.einsum.equation, in, t->call->n_in);
    if (wrong || cpu_product(e.dim, e.n_out) != cpu_elements(out)) {
        cpu_fail(t, ST_SHAPE, "equation: %s", wrong ? wrong : "another shape than the output's");
        return;
    }
    const struct cpu_share s = cpu_share(t, cpu_elements(out), 1);
    for (size_t i = s.begin; i < s.end; i++) {
        int64_t value[IR_LABELS_MAX];
        size_t rest = i;

        for (int l = e.n_out - 1; l >= 0; l--) {
            value[l] = (int64_t)(rest % (size_t)e.dim[l]);
            rest /= (size_t)e.dim[l];
        }
        cpu_put(out, i, einsum_at(t, &e, value));
    }
}

/* ---- Det: elimination with pivots ---- */

static double determinant(double *m, size_t n)
{
    double det = 1;

    for (size_t c = 0; c < n; c++) {
        size_t pivot = c;

        for (size_t r = c + 1; r < n; r++)
            if (fabs(m[r * n + c]) > fabs(m[pivot * n + c])) pivot = r;
        if (m[pivot * n + c] == 0) return 0;
        for (size_t k = 0; pivot != c && k < n; k++) {
            const double x = m[c * n + k];
            m[c * n + k] = m[pivot * n + k];
            m[pivot * n + k] = x;
        }
        det *= pivot != c ? -m[c * n + c] : m[c * n + c];
        for (size_t r = c + 1; r < n; r++) {
            const double f = m[r * n + c] / m[c * n + c];
            for (size_t k = c; k < n; k++) m[r * n + k] -= f * m[c * n + k];
        }
    }
    return det;
}

void cpu_det(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *out = cpu_out(t, 0);
    const size_t n = x->type.ndim > 1 ? (size_t)x->type.dim[x->type.ndim - 1] : 0;
    const struct cpu_share s = cpu_share(t, cpu_elements(out), 1);
    double *m = t->scratch;

    for (size_t i = s.begin; i < s.end; i++) {
        for (size_t k = 0; k < n * n; k++) m[k] = cpu_get(x, i * n * n + k);
        cpu_put(out, i, determinant(m, n));
    }
}

status cpu_det_scratch(const struct op_call *call, const struct prepared *p,
                       const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const struct tensor_type *x = &call->in[0].type;
    const size_t n = x->ndim > 1 && x->dim[x->ndim - 1] > 0 ? (size_t)x->dim[x->ndim - 1] : 0;
    size_t nn;

    (void)p;
    (void)b;
    if (checked_mul(n, n, &nn) && checked_mul(nn, sizeof(double), &out->worker)) return ST_OK;
    return FAIL(err, ST_LIMIT, "%s: matrices of %zu rows", call->node, n);
}

/* ---- TfIdfVectorizer: how often each n-gram of a pool stands in a row, with gaps allowed ---- */

struct tfidf {
    const struct attrs_tfidf *a;
    const struct tensor *x;
    size_t row, n; /* first element of the row, elements */
};

/* Whether the gram of `size` items at `gram` stands at place i of the row, `skip` apart. */
static bool gram_at(const struct tfidf *f, const int64_t *gram, size_t size, size_t i, size_t skip)
{
    if ((size - 1) * skip >= f->n - i) return false;
    for (size_t k = 0; k < size; k++)
        if (cpu_int_at(f->x, f->row + i + k * skip) != gram[k]) return false;
    return true;
}

static double gram_count(const struct tfidf *f, const int64_t *gram, size_t size)
{
    const size_t skips = size > 1 ? (size_t)f->a->max_skip_count + 1 : 1;
    double count = 0;

    for (size_t skip = 1; skip <= skips && skip <= f->n; skip++)
        for (size_t i = 0; i < f->n; i++) count += gram_at(f, gram, size, i, skip);
    return count;
}

static void tfidf_row(const struct tfidf *f, const struct tensor *out, size_t at)
{
    const struct attrs_tfidf *a = f->a;
    int gram = 0;

    for (int s = 0; s < a->ngram_counts.n; s++) {
        const int64_t size = s + 1, begin = a->ngram_counts.v[s];
        const int64_t end = s + 1 < a->ngram_counts.n ? a->ngram_counts.v[s + 1] : a->pool.n;

        for (int64_t g = begin; g + size <= end; g += size, gram++) {
            if (size < a->min_gram_length || size > a->max_gram_length) continue;
            const double tf = gram_count(f, a->pool.v + g, (size_t)size);
            const double w = gram < a->weights.n ? (double)a->weights.v[gram] : 1;
            const double v = strcmp(a->mode, "TF") == 0    ? tf
                             : strcmp(a->mode, "IDF") == 0 ? (tf > 0 ? w : 0)
                                                           : tf * w;
            cpu_put(out, at + (size_t)a->ngram_indexes.v[gram], v);
        }
    }
}

/* Inference has checked the lists. */
void cpu_tfidf(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *out = cpu_out(t, 0);
    const size_t width = out->type.ndim ? (size_t)out->type.dim[out->type.ndim - 1] : 0;
    const size_t rows = width ? cpu_elements(out) / width : 0;
    struct tfidf f = { .a = &t->call->attr.tfidf, .x = x, .n = rows ? cpu_elements(x) / rows : 0 };

    const struct cpu_share s = cpu_share(t, rows, 1);
    for (size_t r = s.begin; r < s.end; r++) {
        f.row = r * f.n;
        memset((float *)out->data + r * width, 0, width * sizeof(float));
        tfidf_row(&f, out, r * width);
    }
}
