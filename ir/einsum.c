/* SPDX-License-Identifier: MIT */
/* Equations of Einsum: "ij,jk->ik", spaces, "..." for broadcast dimensions, no arrow for the
 * letters that occur once, in order. */
#include "ir/ir.h"
#include <ctype.h>
#include <string.h>

enum { LETTERS = 128 };

struct parser {
    struct ir_einsum *e;
    int of_letter[LETTERS]; /* label, -1: not seen */
    int uses[LETTERS];
    int dots[IR_DIMS_MAX]; /* labels of "...", from its last dimension */
    int n_dots;
};

static int new_label(struct ir_einsum *e)
{
    if (e->n_labels >= IR_LABELS_MAX) return -1;
    e->dim[e->n_labels] = 1;
    return e->n_labels++;
}

static bool set_dim(struct ir_einsum *e, int label, int64_t dim)
{
    if (e->dim[label] == 1) e->dim[label] = dim;
    return dim == 1 || dim == e->dim[label];
}

/* "..." stands for `n` dimensions of input i from place `at` on. */
static const char *take_dots(struct parser *p, int i, int *at, int n, const struct tensor_type *t)
{
    if (n < 0) return "more letters than dimensions";
    for (int k = 0; k < n; k++) {
        const int from_end = n - 1 - k;

        while (p->n_dots <= from_end)
            if ((p->dots[p->n_dots++] = new_label(p->e)) < 0) return "too many labels";
        p->e->label[i][*at] = p->dots[from_end];
        if (!set_dim(p->e, p->dots[from_end], t->dim[*at])) return "dimensions differ";
        (*at)++;
    }
    return NULL;
}

static const char *take_letter(struct parser *p, int i, int *at, unsigned char c,
                               const struct tensor_type *t)
{
    if (c >= LETTERS || !isalpha(c)) return "a term holds something else than letters";
    if (*at >= t->ndim) return "more letters than dimensions";
    if (p->of_letter[c] < 0) p->of_letter[c] = new_label(p->e);
    if (p->of_letter[c] < 0) return "too many labels";
    p->uses[c]++;
    p->e->label[i][*at] = p->of_letter[c];
    if (!set_dim(p->e, p->of_letter[c], t->dim[*at])) return "dimensions differ";
    (*at)++;
    return NULL;
}

static const char *take_term(struct parser *p, int i, const char *s, size_t n,
                             const struct tensor_type *t)
{
    int at = 0, letters = 0;
    const char *wrong = NULL;

    for (size_t k = 0; k < n; k++) letters += isalpha((unsigned char)s[k]) != 0;
    for (size_t k = 0; !wrong && k < n; k++) {
        if (s[k] == ' ') continue;
        if (n - k >= 3 && !memcmp(s + k, "...", 3)) {
            wrong = take_dots(p, i, &at, t->ndim - letters, t);
            k += 2;
        } else {
            wrong = take_letter(p, i, &at, (unsigned char)s[k], t);
        }
    }
    p->e->rank[i] = t->ndim;
    return wrong ? wrong : at != t->ndim ? "fewer letters than dimensions" : NULL;
}

/* Labels become numbered with the output's first: order[k] = label that is k-th there. */
static const char *place_output(struct parser *p, const int *order, int n)
{
    struct ir_einsum *e = p->e;
    int to[IR_LABELS_MAX], next = n;
    int64_t dim[IR_LABELS_MAX];

    if (n > IR_DIMS_MAX) return "the result has too many dimensions";
    for (int l = 0; l < e->n_labels; l++) to[l] = -1;
    for (int k = 0; k < n; k++) {
        if (to[order[k]] >= 0) return "the result names a letter twice";
        to[order[k]] = k;
    }
    for (int l = 0; l < e->n_labels; l++) {
        if (to[l] < 0) to[l] = next++;
        dim[to[l]] = e->dim[l];
    }
    memcpy(e->dim, dim, (size_t)e->n_labels * sizeof *dim);
    for (int i = 0; i < e->n_in; i++)
        for (int d = 0; d < e->rank[i]; d++) e->label[i][d] = to[e->label[i][d]];
    e->n_out = n;
    return NULL;
}

static const char *take_output(struct parser *p, const char *s)
{
    int order[IR_LABELS_MAX + LETTERS], n = 0;

    for (; s && *s; s++) {
        const unsigned char c = (unsigned char)*s;

        if (n >= IR_LABELS_MAX) return "the result has too many dimensions";
        if (c == ' ') continue;
        if (!strncmp(s, "...", 3)) {
            for (int k = p->n_dots; k-- > 0 && n < IR_LABELS_MAX;) order[n++] = p->dots[k];
            s += 2;
        } else if (c >= LETTERS || p->of_letter[c] < 0) {
            return "the result has a letter that no input has";
        } else {
            order[n++] = p->of_letter[c];
        }
    }
    if (s) return place_output(p, order, n);
    for (int k = p->n_dots; k-- > 0;) order[n++] = p->dots[k];
    for (int c = 0; c < LETTERS; c++)
        if (p->uses[c] == 1) order[n++] = p->of_letter[c];
    return place_output(p, order, n);
}

const char *ir_einsum_parse(struct ir_einsum *e, const char *equation, const struct tensor *in,
                            int n_in)
{
    struct parser p = { .e = e };
    const char *arrow = strstr(equation, "->"), *wrong = NULL, *s = equation;
    const char *end = arrow ? arrow : equation + strlen(equation);

    memset(e, 0, sizeof *e);
    memset(p.of_letter, -1, sizeof p.of_letter);
    if (n_in > IR_EINSUM_INPUTS_MAX) return "too many inputs";
    for (e->n_in = 0; !wrong && e->n_in < n_in; e->n_in++) {
        const char *comma = memchr(s, ',', (size_t)(end - s));
        const char *stop = comma ? comma : end;

        if (!type_known(&in[e->n_in].type)) return "an input's shape is not known";
        wrong = take_term(&p, e->n_in, s, (size_t)(stop - s), &in[e->n_in].type);
        if (!wrong && !comma != (e->n_in == n_in - 1)) wrong = "another number of terms";
        s = comma ? comma + 1 : end;
    }
    return wrong ? wrong : take_output(&p, arrow ? arrow + 2 : NULL);
}
