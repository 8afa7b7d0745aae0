/* SPDX-License-Identifier: MIT */
/* RNN, GRU, LSTM: a worker takes one direction of one batch through its steps, in f64. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

enum { GATES_MAX = 4, ACTS_MAX = 3 };

enum act {
    ACT_RELU,
    ACT_TANH,
    ACT_SIGMOID,
    ACT_SOFTSIGN,
    ACT_SOFTPLUS,
    ACT_AFFINE, /* from here on with alpha, and beta up to ACT_HARDSIGMOID */
    ACT_SCALEDTANH,
    ACT_HARDSIGMOID,
    ACT_LEAKYRELU,
    ACT_THRESHOLDEDRELU,
    ACT_ELU,
    ACT_UNKNOWN
};

struct activation {
    enum act kind;
    double alpha, beta;
};

struct rnn {
    const struct attrs_rnn *a;
    const struct tensor *x, *w, *r, *b, *lens, *h0, *c0, *peep;
    const struct tensor *y, *y_h, *y_c;
    size_t steps, batch, in, hidden, dirs, gates;
    enum op_kind op;
};

/* ---- activations ---- */

static enum act act_of(const char *name)
{
    static const char *const names[] = {
        "relu",       "tanh",        "sigmoid",   "softsign",        "softplus", "affine",
        "scaledtanh", "hardsigmoid", "leakyrelu", "thresholdedrelu", "elu"
    };

    for (int i = 0; i < ACT_UNKNOWN; i++)
        if (strcasecmp(names[i], name) == 0) return (enum act)i;
    return ACT_UNKNOWN;
}

static double apply(const struct activation *f, double x)
{
    switch (f->kind) {
    case ACT_RELU: return x > 0 ? x : 0;
    case ACT_TANH: return tanh(x);
    case ACT_SIGMOID: return 1 / (1 + exp(-x));
    case ACT_SOFTSIGN: return x / (1 + fabs(x));
    case ACT_SOFTPLUS: return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    case ACT_AFFINE: return f->alpha * x + f->beta;
    case ACT_SCALEDTANH: return f->alpha * tanh(f->beta * x);
    case ACT_HARDSIGMOID: return fmin(1, fmax(0, f->alpha * x + f->beta));
    case ACT_LEAKYRELU: return x < 0 ? f->alpha * x : x;
    case ACT_THRESHOLDEDRELU: return x > f->alpha ? x : 0;
    default: return x > 0 ? x : f->alpha * expm1(x);
    }
}

/* The functions of a direction: alphas and betas are given to those that take them, in order. */
static bool read_acts(const struct rnn *n, size_t dir, struct activation f[ACTS_MAX])
{
    static const char *const dflt[] = { "sigmoid", "tanh", "tanh" };
    static const double alphas[] = {
        [ACT_AFFINE] = 1,       [ACT_SCALEDTANH] = 1,      [ACT_HARDSIGMOID] = 0.2,
        [ACT_LEAKYRELU] = 0.01, [ACT_THRESHOLDEDRELU] = 1, [ACT_ELU] = 1
    };
    const int each = n->op == OP_LSTM ? 3 : n->op == OP_GRU ? 2 : 1;
    int alpha = 0, beta = 0;

    if (n->a->activations.n != 0 && n->a->activations.n != each * (int)n->dirs) return false;
    for (int i = 0; i < each * ((int)dir + 1); i++) {
        struct activation g = { .kind = act_of(n->a->activations.n ? n->a->activations.v[i]
                                               : n->op == OP_RNN   ? "tanh"
                                                                   : dflt[i % each]) };

        if (g.kind == ACT_UNKNOWN) return false;
        if (g.kind >= ACT_AFFINE) {
            g.alpha = alphas[g.kind];
            if (alpha < n->a->alphas.n) g.alpha = (double)n->a->alphas.v[alpha++];
        }
        if (g.kind >= ACT_AFFINE && g.kind <= ACT_HARDSIGMOID) {
            g.beta = g.kind == ACT_SCALEDTANH ? 1 : g.kind == ACT_HARDSIGMOID ? 0.5 : 0;
            if (beta < n->a->betas.n) g.beta = (double)n->a->betas.v[beta++];
        }
        if (i >= each * (int)dir) f[i - each * (int)dir] = g;
    }
    return true;
}

/* ---- one step ---- */

static double clip(const struct rnn *n, double x)
{
    const double c = (double)n->a->clip;

    return c > 0 ? fmin(c, fmax(-c, x)) : x;
}

static double dot_x(const struct rnn *n, size_t dir, size_t row, size_t x_at)
{
    double sum = 0;

    for (size_t j = 0; j < n->in; j++)
        sum +=
            cpu_get(n->w, (dir * n->gates * n->hidden + row) * n->in + j) * cpu_get(n->x, x_at + j);
    return sum;
}

static double dot_h(const struct rnn *n, size_t dir, size_t row, const double *h)
{
    double sum = 0;

    for (size_t j = 0; j < n->hidden; j++)
        sum += cpu_get(n->r, (dir * n->gates * n->hidden + row) * n->hidden + j) * h[j];
    return sum;
}

/* Bias of the input's part (0) or of the state's (1). */
static double bias(const struct rnn *n, size_t dir, int part, size_t row)
{
    const size_t rows = n->gates * n->hidden;

    return n->b ? cpu_get(n->b, (dir * 2 + (size_t)part) * rows + row) : 0;
}

static double peephole(const struct rnn *n, size_t dir, size_t gate, size_t k, double c)
{
    return n->peep ? cpu_get(n->peep, (dir * 3 + gate) * n->hidden + k) * c : 0;
}

/* A direction's cell. */
struct cell {
    size_t dir;
    struct activation f[ACTS_MAX];
    double *h, *c; /* [hidden] states; c: LSTM */
    double *work;  /* [3 * hidden] */
};

/* Gates i, o, f, c. */
static void lstm_step(const struct rnn *n, struct cell *s, size_t x_at)
{
    const size_t hs = n->hidden, dir = s->dir;
    const struct activation *f = s->f;
    double *h = s->h, *c = s->c, *next = s->work;

    for (size_t k = 0; k < hs; k++) {
        double g[GATES_MAX];

        for (size_t q = 0; q < 4; q++)
            g[q] = dot_x(n, dir, q * hs + k, x_at) + dot_h(n, dir, q * hs + k, h) +
                   bias(n, dir, 0, q * hs + k) + bias(n, dir, 1, q * hs + k);
        const double i = apply(&f[0], clip(n, g[0] + peephole(n, dir, 0, k, c[k])));
        const double keep =
            n->a->input_forget ? 1 - i : apply(&f[0], clip(n, g[2] + peephole(n, dir, 2, k, c[k])));
        c[k] = keep * c[k] + i * apply(&f[1], clip(n, g[3]));
        next[k] = apply(&f[0], clip(n, g[1] + peephole(n, dir, 1, k, c[k]))) * apply(&f[2], c[k]);
    }
    memcpy(h, next, hs * sizeof *h);
}

/* Gates z, r, h. */
static void gru_step(const struct rnn *n, struct cell *s, size_t x_at)
{
    const size_t hs = n->hidden, dir = s->dir;
    const struct activation *f = s->f;
    double *h = s->h, *work = s->work;
    double *z = work, *r = work + hs, *rh = work + 2 * hs;

    for (size_t k = 0; k < 2 * hs; k++)
        work[k] = apply(&f[0], clip(n, dot_x(n, dir, k, x_at) + dot_h(n, dir, k, h) +
                                           bias(n, dir, 0, k) + bias(n, dir, 1, k)));
    for (size_t k = 0; k < hs; k++) rh[k] = r[k] * h[k];
    for (size_t k = 0; k < hs; k++) {
        const size_t row = 2 * hs + k;
        const double back = n->a->linear_before_reset
                                ? r[k] * (dot_h(n, dir, row, h) + bias(n, dir, 1, row))
                                : dot_h(n, dir, row, rh) + bias(n, dir, 1, row);

        r[k] = apply(&f[1], clip(n, dot_x(n, dir, row, x_at) + back + bias(n, dir, 0, row)));
    }
    for (size_t k = 0; k < hs; k++) h[k] = (1 - z[k]) * r[k] + z[k] * h[k];
}

static void rnn_step(const struct rnn *n, struct cell *s, size_t x_at)
{
    const size_t dir = s->dir;
    const struct activation *f = s->f;
    double *h = s->h, *next = s->work;

    for (size_t k = 0; k < n->hidden; k++)
        next[k] = apply(&f[0], clip(n, dot_x(n, dir, k, x_at) + dot_h(n, dir, k, h) +
                                           bias(n, dir, 0, k) + bias(n, dir, 1, k)));
    memcpy(h, next, n->hidden * sizeof *h);
}

/* ---- a direction of a batch ---- */

/* Element of [dirs, batch, hidden], or [batch, dirs, hidden] with layout 1. */
static size_t state_at(const struct rnn *n, size_t dir, size_t b)
{
    return (n->a->layout ? b * n->dirs + dir : dir * n->batch + b) * n->hidden;
}

/* Text b of a batch, of len steps, in the cell's direction. */
static void run_direction(const struct rnn *n, struct cell *cell, size_t b, size_t len,
                          bool reverse)
{
    const size_t dir = cell->dir;
    double *h = cell->h, *c = cell->c;

    for (size_t k = 0; k < n->hidden; k++) {
        h[k] = n->h0 ? cpu_get(n->h0, state_at(n, dir, b) + k) : 0;
        c[k] = n->c0 ? cpu_get(n->c0, state_at(n, dir, b) + k) : 0;
    }
    for (size_t s = 0; s < n->steps; s++) {
        const size_t t = reverse && s < len ? len - 1 - s : s;
        const size_t x_at = (n->a->layout ? b * n->steps + t : t * n->batch + b) * n->in;
        const size_t y_at = (n->a->layout ? (b * n->steps + t) * n->dirs + dir
                                          : (t * n->dirs + dir) * n->batch + b);

        if (s < len && n->op == OP_LSTM) lstm_step(n, cell, x_at);
        if (s < len && n->op == OP_GRU) gru_step(n, cell, x_at);
        if (s < len && n->op == OP_RNN) rnn_step(n, cell, x_at);
        for (size_t k = 0; n->y && k < n->hidden; k++)
            cpu_put(n->y, y_at * n->hidden + k, s < len ? h[k] : 0);
    }
    for (size_t k = 0; k < n->hidden; k++) {
        if (n->y_h) cpu_put(n->y_h, state_at(n, dir, b) + k, h[k]);
        if (n->y_c) cpu_put(n->y_c, state_at(n, dir, b) + k, c[k]);
    }
}

static bool read_rnn(const struct cpu_task *t, struct rnn *n)
{
    const struct tensor *x = cpu_in(t, 0), *r = cpu_in(t, 2);
    const bool layout = t->call->attr.rnn.layout != 0;

    *n = (struct rnn){ .a = &t->call->attr.rnn,
                       .x = x,
                       .w = cpu_in(t, 1),
                       .r = r,
                       .b = cpu_in(t, 3),
                       .lens = cpu_in(t, 4),
                       .h0 = cpu_in(t, 5),
                       .c0 = cpu_in(t, 6),
                       .peep = cpu_in(t, 7),
                       .y = cpu_out(t, 0),
                       .y_h = cpu_out(t, 1),
                       .y_c = cpu_out(t, 2),
                       .op = t->call->op };
    if (x->type.ndim != 3 || n->w->type.ndim != 3 || r->type.ndim != 3) return false;
    n->steps = (size_t)x->type.dim[layout ? 1 : 0];
    n->batch = (size_t)x->type.dim[layout ? 0 : 1];
    n->in = (size_t)x->type.dim[2];
    n->hidden = (size_t)r->type.dim[2];
    n->dirs = (size_t)r->type.dim[0];
    n->gates = n->op == OP_LSTM ? 4 : n->op == OP_GRU ? 3 : 1;
    const size_t states = n->dirs * n->batch * n->hidden, rows = n->gates * n->hidden;
    return cpu_elements(n->w) == n->dirs * rows * n->in &&
           cpu_elements(r) == n->dirs * rows * n->hidden &&
           (!n->b || cpu_elements(n->b) == 2 * n->dirs * rows) &&
           (!n->lens || (cpu_elements(n->lens) == n->batch && n->lens->type.dtype == DT_I32)) &&
           (!n->h0 || cpu_elements(n->h0) == states) && (!n->c0 || cpu_elements(n->c0) == states) &&
           (!n->peep || cpu_elements(n->peep) == 3 * n->dirs * n->hidden) &&
           (!n->y || cpu_elements(n->y) == states * n->steps) &&
           (!n->y_h || cpu_elements(n->y_h) == states) &&
           (!n->y_c || cpu_elements(n->y_c) == states);
}

void cpu_rnn(const struct cpu_task *t)
{
    const char *direction = t->call->attr.rnn.direction;
    struct rnn n;

    if (!read_rnn(t, &n)) {
        cpu_fail(t, ST_SHAPE, "inputs do not fit each other");
        return;
    }
    const struct cpu_share s = cpu_share(t, n.dirs * n.batch, 1);
    for (size_t i = s.begin; i < s.end; i++) {
        const size_t b = i % n.batch;
        double *work = t->scratch;
        struct cell cell = {
            .dir = i / n.batch, .h = work, .c = work + n.hidden, .work = work + 2 * n.hidden
        };
        const int64_t len = n.lens ? cpu_int_at(n.lens, b) : (int64_t)n.steps;

        if (!read_acts(&n, cell.dir, cell.f) || len < 0 || len > (int64_t)n.steps) {
            cpu_fail(t, ST_INVALID, "activations, or a sequence of %lld steps", (long long)len);
            return;
        }
        run_direction(&n, &cell, b, (size_t)len,
                      cell.dir == 1 || strcmp(direction, "reverse") == 0);
    }
}

status cpu_rnn_scratch(const struct op_call *call, const struct prepared *p,
                       const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err)
{
    const struct tensor *r = cpu_call_in(call, 2);

    (void)p;
    (void)b;
    if (!r || r->type.ndim != 3 || r->type.dim[2] < 0 ||
        !checked_mul((size_t)r->type.dim[2], 5 * sizeof(double), &out->worker))
        return FAIL(err, ST_SHAPE, "%s: hidden size is not known", call->node);
    return ST_OK;
}
